"""Corpora with a known right answer, in the layouts of IEMOCAP and MELD.

Words carry valence, the voice carries arousal and, in MELD's layout, a drawn face carries dominance, each in a few
salient places, each right with a known probability, and some utterances' valence is told by the dialogue's history
alone (`plan_iemocap` and `plan_meld` have the models, `sentences` the words, `voice` and `face` the rest). So it is
known what the best system can reach with every subset of the modalities, with and without history.

Expected usage:

    ceilings = generate_corpus("corpora/generated", GeneratedCorpusConfig(num_utterances=1500))
    print(ceilings.table())
    rows = load_iemocap("corpora/generated")

Beside the layout's own tree the root holds `generated.json` (settings and ceilings) and `generated_truth.csv`, the
truth about every utterance (`read_truth`).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hf_mer.data.generated import write_iemocap, write_meld
from hf_mer.data.generated.ceilings import Ceilings
from hf_mer.data.generated.folder import (
    is_there,
    read_truth,
    settings_of,
    whole_folder,
    write_dialogues,
    write_mark,
    write_truth,
)
from hf_mer.data.generated.plan import PlannedDialogue
from hf_mer.data.generated.plan_iemocap import corpus_ceilings, plan_corpus
from hf_mer.data.generated.plan_meld import meld_ceilings, plan_meld
from hf_mer.data.generated.settings import GeneratedCorpusConfig, GeneratedMeldConfig

__all__ = [
    "Ceilings",
    "GeneratedCorpusConfig",
    "GeneratedMeldConfig",
    "generate_corpus",
    "generate_meld_corpus",
    "read_truth",
]


@dataclass(frozen=True)
class _Layout:
    """How a corpus of one layout is made.

    Attributes:
        version: Of the content written for given settings; raise it with every change of it.
        ceilings: From the settings.
        plan: From the settings.
        write_dialogue: Writes one dialogue and returns the truth about its utterances.
        finish: Writes what belongs to several dialogues.
    """

    version: int
    ceilings: Callable[[Any], Ceilings]
    plan: Callable[[Any], list[PlannedDialogue]]
    write_dialogue: Callable[[Path, Any, int, PlannedDialogue], list[dict[str, Any]]]
    finish: Callable[[Path, list[PlannedDialogue], list[dict[str, Any]]], None] = lambda root, dialogues, truth: None


_IEMOCAP = _Layout(1, corpus_ceilings, plan_corpus, write_iemocap.write_dialogue)
_MELD = _Layout(1, meld_ceilings, plan_meld, write_meld.write_dialogue, write_meld.write_annotations)


def generate_corpus(
    out_dir: str | os.PathLike,
    config: GeneratedCorpusConfig | None = None,
    *,
    num_proc: int | None = None,
    progress: bool = True,
) -> Ceilings:
    """Write the corpus in IEMOCAP's layout, unless it is there already.

    The folder appears whole or not at all. Same settings and seed give the same bytes with any number of processes.
    An utterance takes some 10 ms of one core.

    Args:
        out_dir: Becomes the root of the tree, with `Session1` to `Session5` in it. Must not exist or be empty, or hold
            a corpus generated with the same settings, which is left as it is.
        config: Settings; `GeneratedCorpusConfig()` if not given.
        num_proc: Number of processes; none beside this one if not given.
        progress: Whether to show a progress bar.

    Returns:
        What the best systems can reach on it.

    Raises:
        FileExistsError: If the folder holds anything else.
        ValueError: If the settings cannot be met.
    """
    config = config or GeneratedCorpusConfig()
    settings = settings_of(config)
    if config.language == "en":
        del settings["language"]  # as in the corpora written before there were others
    return _generate(out_dir, _IEMOCAP, config, settings, num_proc, progress)


def generate_meld_corpus(
    out_dir: str | os.PathLike,
    config: GeneratedMeldConfig | None = None,
    *,
    num_proc: int | None = None,
    progress: bool = True,
) -> Ceilings:
    """Write the corpus in MELD's layout, unless it is there already.

    As `generate_corpus`, with settings, root and loader (`load_meld`) of its own. A clip takes some 40 ms of one core.

    Args:
        out_dir: Becomes the root of the tree, MELD's `MELD.Raw`. Must not exist or be empty, or hold a corpus
            generated with the same settings, which is left as it is.
        config: Settings; `GeneratedMeldConfig()` if not given.
        num_proc: Number of processes; none beside this one if not given.
        progress: Whether to show a progress bar.

    Returns:
        What the best systems can reach on it.

    Raises:
        FileExistsError: If the folder holds anything else.
        ValueError: If the settings cannot be met.
    """
    config = config or GeneratedMeldConfig()
    return _generate(out_dir, _MELD, config, {"layout": "meld", **settings_of(config)}, num_proc, progress)


def _generate(
    out_dir: str | os.PathLike,
    layout: _Layout,
    config: GeneratedCorpusConfig | GeneratedMeldConfig,
    settings: dict[str, Any],
    num_proc: int | None,
    progress: bool,
) -> Ceilings:
    """Write a corpus, unless it is there already; `settings` are what its mark says of `config`."""
    root = Path(out_dir).expanduser().absolute()
    ceilings = layout.ceilings(config)
    if is_there(root, layout.version, settings):
        return ceilings
    dialogues = layout.plan(config)
    with whole_folder(root) as partial_root:
        write = partial(layout.write_dialogue, partial_root, config)
        truth = write_dialogues(write, dialogues, num_proc, progress)
        layout.finish(partial_root, dialogues, truth)
        write_truth(partial_root, truth)
        write_mark(partial_root, layout.version, settings, ceilings.as_dict())
    return ceilings
