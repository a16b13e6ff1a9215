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
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hf_mer.data.generated import write_iemocap, write_meld
from hf_mer.data.generated.ceilings import Ceilings
from hf_mer.data.generated.corpus_settings import GeneratedCorpusConfig, GeneratedMeldConfig
from hf_mer.data.generated.folder import (
    is_there,
    read_truth,
    settings_of,
    write_dialogues,
    write_truth,
)
from hf_mer.data.generated.plan_iemocap import corpus_ceilings, plan_corpus
from hf_mer.data.generated.plan_meld import meld_ceilings, plan_meld
from hf_mer.data.mark import MARK
from hf_mer.files import json_text, whole

__all__ = [
    "Ceilings",
    "GeneratedCorpusConfig",
    "GeneratedMeldConfig",
    "generate_corpus",
    "generate_meld_corpus",
    "read_truth",
]


_VERSION = 1  # of the content written for given settings; raise it with every change of it


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
    with _folder(out_dir, settings, ceilings := corpus_ceilings(config)) as root:
        if root is not None:
            write = partial(write_iemocap.write_dialogue, root, config)
            write_truth(root, write_dialogues(write, plan_corpus(config), num_proc, progress))
    return ceilings


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
    with _folder(out_dir, {"layout": "meld", **settings_of(config)}, ceilings := meld_ceilings(config)) as root:
        if root is not None:
            dialogues = plan_meld(config)
            truth = write_dialogues(partial(write_meld.write_dialogue, root, config), dialogues, num_proc, progress)
            write_meld.write_annotations(root, dialogues, truth)
            write_truth(root, truth)
    return ceilings


@contextmanager
def _folder(out_dir: str | os.PathLike, settings: dict[str, Any], ceilings: Ceilings) -> Iterator[Path | None]:
    """Where to write a corpus, which gets its mark and its name at the end; None if it is there already."""
    root = Path(out_dir).expanduser().absolute()
    if is_there(root, _VERSION, settings):
        yield None
        return
    with whole(root) as partial_root:
        partial_root.mkdir()
        yield partial_root
        mark = {"version": _VERSION, "settings": settings, "ceilings": ceilings.as_dict()}
        (partial_root / MARK).write_text(f"{json_text(mark, indent=2)}\n", encoding="utf-8")
        if root.exists():  # empty, or somebody has written into it meanwhile
            root.rmdir()
