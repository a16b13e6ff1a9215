"""A dialogue, turn by turn: every turn is recognised with the words of the turns before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape

from hf_mer.app.html import notices_html, score_text
from hf_mer.app.model import PageModel
from hf_mer.app.utterance import Scores, Utterance, decide, predict
from hf_mer.models.words_mer import says_anything
from hf_mer.plots.style import class_colors


@dataclass(frozen=True)
class Turn:
    """A turn that was recognised.

    Attributes:
        text: Its words, typed or recognised; empty if only the voice is known.
        scores: Best first.
        history: Words of the earlier turns that it was recognised with.
        notices: What a visitor should know.
        modalities: What the turn had of what the model uses; earlier turns are text.
    """

    text: str
    scores: Scores
    history: tuple[str, ...]
    notices: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()


def add_turn(model: PageModel, turns: Sequence[Turn], utterance: Utterance) -> list[Turn]:
    """The dialogue with one more turn; what the pipeline gives for the whole dialogue, without doing it again.

    Raises:
        PageError: If the turn has nothing that this model can use.
        AudioError: If its recording is unusable.
        VideoError: If its video is unusable.
    """
    history = tuple(turn.text for turn in turns if turn.text) if model.uses("text") else ()
    if not (says_anything(utterance.words) or utterance.sound or utterance.video):
        history = ()  # a turn of nothing but history is no turn
    prediction = predict(model, replace(utterance, history=history))
    return [*turns, Turn(prediction.text, prediction.scores, history, prediction.notices, prediction.modalities)]


def dialogue_html(
    turns: Sequence[Turn],
    labels: Sequence[str],
    threshold: Callable[[Sequence[str]], float],
    advice: Callable[[tuple[str, ...]], str] = lambda _: "",
) -> str:
    """The turns in order, each with its emotion, its scores and what it was recognised with.

    Args:
        turns: Of `add_turn`.
        labels: Classes in the order of the logits.
        threshold: By what a turn had; a turn whose best score is below it has no label.
        advice: What to do about that, by what the turn had.
    """
    if not turns:
        return '<div class="hm"><p class="hm-small">No turns yet.</p></div>'
    colors = class_colors(labels)
    items = []
    for turn in turns:
        least, best = threshold(turn.modalities), turn.scores[0]
        label = decide(turn.scores, least)
        verdict = (
            f'<span class="hm-chip" style="--c:{colors[best["label"]]}"><span class="hm-dot"></span>'
            f"{escape(label)} {best['score']:.2f}</span>"
            if label
            else f'<span class="hm-chip hm-none">no label ({escape(best["label"])} '
            f"{score_text(best['score'], least)})</span>"
        )
        told = [text for text in [advice(turn.modalities)] if text and not label]
        said = f"<q>{escape(turn.text)}</q>" if turn.text else "<em>sound without words</em>"
        others = ", ".join(f"{escape(item['label'])} {item['score']:.2f}" for item in turn.scores[1:])
        items.append(
            f'<li>{verdict}<p>{said}</p><p class="hm-small">{others}</p>'
            f"<details><summary>{_told(len(turn.history))}</summary>{_history(turn.history)}</details>"
            f"{notices_html([*turn.notices, *told])}</li>"
        )
    return f'<div class="hm"><ol class="hm-turns">{"".join(items)}</ol></div>'


def _told(earlier: int) -> str:
    return {0: "without history", 1: "with 1 earlier turn"}.get(earlier, f"with {earlier} earlier turns")


def _history(history: Sequence[str]) -> str:
    if not history:
        return '<p class="hm-small">No earlier utterances.</p>'
    return f'<ol class="hm-small">{"".join(f"<li>{escape(text)}</li>" for text in history)}</ol>'
