"""MELD: from the release as it is unpacked to rows of the schema.

Source: S. Poria et al., "MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations", ACL 2019.
Nothing is downloaded, and clips are referenced by path, never copied.
"""

import dataclasses
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, DatasetDict, DatasetInfo, Split, SplitGenerator, Version
from datasets.builder import Key

from hf_mer.data.corpora.meld_counts import SPLITS, TASKS, compare_counts
from hf_mer.data.corpora.meld_files import (
    ClipHeader,
    Utterance,
    annotation_files,
    corpus_files,
    find_clips,
    find_release,
    probe_clip,
    read_annotations,
)
from hf_mer.data.corpora.published import (
    ReleaseBuilder,
    ReleaseConfig,
    build,
    check_options,
    report_counts,
    rows_or_folds,
)
from hf_mer.data.schema import (
    CorpusError,
    column,
    corpus_features,
    dialogue_histories,
    make_record,
    records_to_table,
)

__all__ = ["TASKS", "MeldBuilder", "MeldConfig", "compare_counts", "load_meld"]

logger = logging.getLogger(__name__)

RUNAWAY_SECONDS = 30.0
"""Clips longer than this are cuts gone wrong: of 13706 there are three, of 41, 235 and 305 s."""

_SPLITS_OF_DATASETS = {"train": Split.TRAIN, "dev": Split.VALIDATION, "test": Split.TEST}


def load_meld(
    data_dir: str | os.PathLike,
    task: str = "emotion",
    *,
    protocol: str | None = None,
    fold: int | str | None = None,
    validation: str | None = None,
    max_history: int = 10,
    min_clip_seconds: float = 0.1,
    on_bad_clip: str = "keep",
    check_counts: str = "auto",
    cache_dir: str | os.PathLike | None = None,
) -> Dataset | DatasetDict | list[DatasetDict]:
    """Loads MELD from its release, or its texts where only the annotation files are there.

    Ids are `train_dia0_utt0`, dialogues `train_dia0` (the splits number theirs separately), `split` is `train`, `dev`
    or `test`, `session` the episode, `s08e21`. `turn` is the utterance id; some dialogues have gaps. The history of a
    row is what anybody said before it in its dialogue. `start` and `end` are seconds of the episode; the clip holds
    this span only, so `audio` and `video` are the whole clip. `duration` is the clip's, and without one the span's.

    An utterance whose clip is missing, cannot be opened, or is shorter than `min_clip_seconds` has neither `audio` nor
    `video`; what to do with it is `on_bad_clip`. Clips over 30 s are kept, and logged: the processor cuts sound at its
    `max_audio_seconds`. In the test split the corrected clips (`final_videos_test...`) are taken, and clips that
    nobody annotated are not used.

    Args:
        data_dir: The folder `MELD.Raw` (annotations at its root or in the folders `train`, `dev`, `test`; clips in
            `train_splits` or `train/train_splits`, and so on), or the one that holds it.
        task: `emotion` (neutral, surprise, fear, sadness, joy, disgust, anger: the official ids 0 to 6) or `sentiment`
            (neutral, positive, negative: 0 to 2).
        protocol: `official`, or the speaker-independent `leave_one_main_speaker_out`; see `make_folds`.
        fold: Position or name of a fold of the protocol.
        validation: Which rows select the epoch; see `make_folds`.
        max_history: Longest history, in utterances.
        min_clip_seconds: Shorter clips are not used.
        on_bad_clip: For utterances without a usable clip, where the release has clips: `keep` leaves them with text
            alone, `skip` leaves them out (they stay in the history of others), `raise` raises.
        check_counts: Whether utterances per split and class, and dialogues, are compared with the published counts:
            `auto` warns of differences (and looks away where the tree is a generated one), `strict` raises, `off`
            does nothing.
        cache_dir: Of `datasets`; its default if not given.

    Returns:
        All rows; with `protocol` and `fold` the train, validation and test rows of that fold; with `protocol` alone
        all its folds in order.

    Raises:
        CorpusError: With every file and line that is missing or odd; counts that differ, if `strict`; utterances
            without a usable clip, if these are to raise.
        ValueError: If an option is not known.
    """
    check_options(task, TASKS, check_counts, protocol, fold=fold, validation=validation)
    if on_bad_clip not in ("keep", "skip", "raise"):
        raise ValueError(f"on_bad_clip is {on_bad_clip!r}; it must be 'keep', 'skip' or 'raise'")
    root = find_release(data_dir)
    rows = build(MeldBuilder, root, task, cache_dir, max_history=max_history, min_clip_seconds=min_clip_seconds)
    if check_counts != "off":
        report_counts(compare_counts(rows, task), f"the {task} task", root, check_counts)
    rows = _without_bad_clips(rows, root, on_bad_clip, min_clip_seconds)
    return rows_or_folds(rows, protocol, fold, validation)


def _without_bad_clips(rows: Dataset, root: Path, on_bad_clip: str, min_clip_seconds: float) -> Dataset:
    """Sums up in one line what is odd about the clips, and does what is asked with rows that lack one."""
    if all(find_clips(root, split) is None for split in SPLITS):
        logger.info("%s: annotations without clips; the rows are text only", root)
        return rows
    ids, splits = column(rows, "id"), column(rows, "split")
    usable = np.array([audio is not None for audio in column(rows, "audio")], dtype=bool)
    bad = np.flatnonzero(~usable)
    long = np.flatnonzero(usable & (np.array(column(rows, "duration")) > RUNAWAY_SECONDS))
    if on_bad_clip == "raise" and len(bad):
        problems = [
            f"row {ids[index]}: clip missing, broken or without {min_clip_seconds} s of sound" for index in bad
        ]
        raise CorpusError.from_problems(f"clips of {root}", problems, hint="on_bad_clip='keep' takes their text alone")
    if len(bad) or len(long):
        done = "left out" if on_bad_clip == "skip" else "kept with text alone"
        logger.warning(
            "clips of %s: %d of %d utterances have no usable clip (missing, broken, or less than %s s of sound) "
            "and are %s%s; %d clips are longer than %g s and are cut at the processor's max_audio_seconds%s",
            root,
            len(bad),
            len(rows),
            min_clip_seconds,
            done,
            _some([ids[index] for index in bad]),
            len(long),
            RUNAWAY_SECONDS,
            _some([ids[index] for index in long]),
        )
    for split in sorted(set(splits)):
        if find_clips(root, split) is None:
            logger.warning("%s: no folder of clips for the split %s", root, split)
    return rows.select(np.flatnonzero(usable)) if on_bad_clip == "skip" and len(bad) else rows


def _some(ids: Sequence[str], shown: int = 8) -> str:
    """The first ids in brackets, or nothing."""
    return f" ({', '.join(ids[:shown])}{', ...' if len(ids) > shown else ''})" if ids else ""


@dataclasses.dataclass
class MeldConfig(ReleaseConfig):
    """What `load_dataset("meld", ...)` understands; see `load_meld`."""

    min_clip_seconds: float = 0.1
    find_release = staticmethod(find_release)
    corpus_files = staticmethod(corpus_files)


class MeldBuilder(ReleaseBuilder):
    """Builds the rows of one task as the official splits, `train`, `validation` and `test`."""

    CODE = ("meld.py", "meld_counts.py", "meld_files.py")
    BUILDER_CONFIG_CLASS = MeldConfig
    BUILDER_CONFIGS = [MeldConfig(name=task, version=Version("1.0.0")) for task in TASKS]  # noqa: RUF012
    DEFAULT_CONFIG_NAME = "emotion"

    def _info(self) -> DatasetInfo:
        return DatasetInfo(
            description="MELD, read from the release",
            features=corpus_features(TASKS[self.config.name]),
            homepage="https://affective-meld.github.io/",
        )

    def _split_generators(self, dl_manager: Any) -> list[SplitGenerator]:
        if self.config.data_dir is None:
            raise CorpusError("MELD cannot be downloaded: pass data_dir, the folder MELD.Raw of the unpacked release")
        root = find_release(self.config.data_dir)
        problems: list[str] = []
        files = annotation_files(root)
        for split, path in files.items():
            if not read_annotations(path, split, problems) and not problems:
                problems.append(f"{path}: no utterances")
        if problems:  # of all splits together
            raise CorpusError.from_problems(f"MELD in {root}", problems)
        return [
            SplitGenerator(name=str(_SPLITS_OF_DATASETS[split]), gen_kwargs={"root": str(root), "split": split})
            for split in files
        ]

    def _generate_tables(self, root: str, split: str) -> Iterator[tuple[Key, pa.Table]]:
        dialogues = read_annotations(annotation_files(Path(root))[split], split, [])
        utterances = [utterance for dialogue in dialogues.values() for utterance in dialogue]
        clips = find_clips(Path(root), split)
        headers = _probe(utterances, clips or {})
        if clips is not None:
            _log_clips(split, utterances, clips, headers)
        records = []
        for dialogue in dialogues.values():
            histories = dialogue_histories([utterance.text for utterance in dialogue], self.config.max_history)
            for utterance, history in zip(dialogue, histories, strict=True):
                clip, header = headers.get(utterance.id, (None, ClipHeader(None)))
                record = _record(utterance, history, clip, header, self.config.min_clip_seconds)
                record["label"] = TASKS[self.config.name].index(getattr(utterance, self.config.name))
                records.append(record)
        yield Key(0, 0), records_to_table(records, TASKS[self.config.name])


def _probe(utterances: Sequence[Utterance], clips: dict[tuple[int, int], Path]) -> dict[str, tuple[Path, ClipHeader]]:
    """Clip and header by utterance id. Opening files is waiting, so it is done in threads."""
    wanted = [(one.id, clips[one.dialogue, one.number]) for one in utterances if (one.dialogue, one.number) in clips]
    with ThreadPoolExecutor(8) as pool:
        headers = pool.map(probe_clip, [path for _, path in wanted])
        return {name: (path, header) for (name, path), header in zip(wanted, headers, strict=True)}


def _log_clips(
    split: str,
    utterances: Sequence[Utterance],
    clips: dict[tuple[int, int], Path],
    headers: dict[str, tuple[Path, ClipHeader]],
) -> None:
    """Says which clips are missing, broken or nobody's; once, when the corpus is read."""
    missing = [one.id for one in utterances if one.id not in headers]
    broken = [f"{path}: {header.problem}" for path, header in headers.values() if header.problem]
    extra = [clips[key].name for key in sorted(clips.keys() - {(one.dialogue, one.number) for one in utterances})]
    if missing:
        logger.warning("%s: no clip of %d utterances%s", split, len(missing), _some(missing))
    if broken:
        logger.warning("%s: %d broken clips: %s", split, len(broken), "; ".join(broken[:8]))
    if extra:
        logger.info("%s: %d clips without annotation are not used%s", split, len(extra), _some(extra))


def _record(
    utterance: Utterance, history: list[str], clip: Path | None, header: ClipHeader, min_clip_seconds: float
) -> dict[str, Any]:
    """A row without its label."""
    usable = header.seconds is not None and header.seconds >= min_clip_seconds
    return make_record(
        id=utterance.id,
        audio=clip if usable and header.has_audio else None,
        video=clip if usable and header.has_video else None,
        text=utterance.text,
        history=history,
        speaker=utterance.speaker,
        dialogue=f"{utterance.split}_dia{utterance.dialogue}",
        session=f"s{utterance.season:02d}e{utterance.episode:02d}",
        split=utterance.split,
        turn=utterance.number,
        duration=header.seconds if usable else utterance.end - utterance.start,
        start=utterance.start,
        end=utterance.end,
    )
