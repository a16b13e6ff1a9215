"""The corpus of a run: loaded, checked, and cut down to the rows of which the system sees anything."""

import logging
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mer.data.check_clips import check_video
from hf_mer.data.checks import check_audio, check_text
from hf_mer.data.iemocap import load_iemocap
from hf_mer.data.manifest import load_corpus
from hf_mer.data.meld import load_meld
from hf_mer.data.schema import CorpusError, column
from hf_mer.models.words_mer import has_words
from hf_mer.training.arguments import DataArguments

logger = logging.getLogger(__name__)

MEDIA = {"speech": "audio", "video": "video"}  # columns of the modalities that are files


def load_rows(arguments: DataArguments, modalities: list[str]) -> Dataset:
    """The corpus, checked: every recording is decoded once before anything is trained.

    Raises:
        CorpusError: If the corpus is not what it should be; all bad rows in one message.
    """
    rows = read_rows(arguments)
    if "speech" in modalities:
        rows = check_audio(
            rows, on_bad=arguments.on_bad_audio, max_duration=arguments.max_audio_seconds, num_proc=arguments.num_proc
        )
    if "video" in modalities:
        rows = check_video(
            rows,
            on_bad=arguments.on_bad_audio,
            num_frames=arguments.num_frames,
            max_seconds=arguments.max_video_seconds,
            num_proc=arguments.num_proc,
        )
    if "text" in modalities:
        check_text(rows)
    return _visible(rows, modalities, arguments)


def read_rows(arguments: DataArguments) -> Dataset:
    """The corpus as its loader gives it, recordings unchecked: for those who know which rows are good."""
    source: Any = arguments.data_dir
    task: Any = arguments.task
    columns: Any = arguments.columns
    if arguments.corpus == "iemocap":
        return load_iemocap(source, task, max_history=arguments.max_history, split_screen=arguments.split_screen)
    if arguments.corpus == "meld":
        return load_meld(source, task, max_history=arguments.max_history)
    return load_corpus(source, columns=columns, labels=arguments.labels, max_history=arguments.max_history)


def _visible(rows: Dataset, modalities: list[str], arguments: DataArguments) -> Dataset:
    """Rows of which the system sees anything; the others are bad rows."""
    seen = np.any([has_modality(rows, name, arguments.use_history) for name in modalities], axis=0)
    if seen.all():
        return rows
    ids = column(rows, "id")
    problems = [f"row {ids[index]}: no {' and no '.join(modalities)}" for index in np.flatnonzero(~seen)]
    if arguments.on_bad_audio == "raise" or not seen.any():
        raise CorpusError.from_problems("rows", problems, hint="on_bad_audio='skip' leaves these rows out")
    logger.warning("%d of %d rows left out, such as %s", len(problems), len(rows), problems[0])
    return rows.select(np.flatnonzero(seen))


def has_modality(rows: Dataset, name: str, use_history: bool) -> np.ndarray:
    """Which rows have speech, video, or text (history counts as text). Booleans of shape `(len(rows),)`."""
    if name in ("speech", "video"):
        return np.array([item is not None for item in column(rows, MEDIA[name])], dtype=bool)
    texts, histories = column(rows, "text"), column(rows, "history")
    return np.array(
        [has_words(text, turns if use_history else None) for text, turns in zip(texts, histories, strict=True)],
        dtype=bool,
    )
