"""Dialogues: turns whose history is what was said before them."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from .columns_mer import undecoded
from .words_mer import turns_with_words, words_of


class DialogueHistory:
    """What has been said so far in a dialogue, as far back as the processor looks.

    Args:
        max_history: Turns that are kept.
        spoken: What was said before the first turn, oldest first.
    """

    def __init__(self, max_history: int, spoken: list[str] | None = None):
        self.turns: deque[str] = deque(turns_with_words(spoken), maxlen=max_history)

    def next_turn(self, text: str | None) -> list[str]:
        """The history of a turn, to which the turn itself is then added; a turn without words adds nothing."""
        before = list(self.turns)
        if words := words_of(text):
            self.turns.append(words)
        return before


def as_dialogues(inputs: Any) -> Any:
    """Turns given with `dialogue=True` as items that say so: one `{"dialogue": turns}`, or one per list of a list.

    Raises:
        ValueError: If the inputs are no list.
    """
    if is_dialogue(inputs):
        return inputs
    if hasattr(inputs, "column_names"):
        return {"dialogue": list(inputs)}
    if not isinstance(inputs, (list, tuple)):
        raise ValueError(
            f"dialogue=True needs a list of turns, or a list of such lists, got a {type(inputs).__name__}"
        )
    nested = [_is_list_of_turns(item) for item in inputs]
    if nested and all(nested):
        return [item if isinstance(item, Mapping) else {"dialogue": item} for item in inputs]
    if any(nested):
        raise ValueError("dialogue=True: some items are lists of turns and some are turns; give one or the other")
    return {"dialogue": list(inputs)}


def is_dialogue(item: Any) -> bool:
    """Whether an item is a `{"dialogue": [...]}`; in the rows of a corpus `dialogue` is the name of one."""
    turns = item.get("dialogue") if isinstance(item, Mapping) else None
    return isinstance(turns, (list, tuple)) or hasattr(turns, "column_names")


def turns_of(item: Mapping[str, Any]) -> list[Any]:
    """The turns of a `{"dialogue": [...]}` item.

    Raises:
        ValueError: If the item also has an utterance of its own.
    """
    if others := [name for name in ("audio", "video", "text") if item.get(name) is not None]:
        raise ValueError(f"an item with 'dialogue' also has {', '.join(others)}: these belong to its turns")
    return list(undecoded(item["dialogue"]))


def _is_list_of_turns(item: Any) -> bool:
    """Not one of samples."""
    return is_dialogue(item) or (
        isinstance(item, (list, tuple)) and not (len(item) and isinstance(item[0], (int, float)))
    )
