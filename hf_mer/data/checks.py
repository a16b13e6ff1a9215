"""Looking at a corpus before training on it: every recording is decoded once, every text and class is counted.

What would fail hours into a run fails here, with all bad rows in one report.
"""

import io
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset, Features, List, Value
from datasets.fingerprint import Hasher

from hf_mer.data.schema import COLUMNS, SAMPLING_RATE, CorpusError, column, is_tag_only

logger = logging.getLogger(__name__)

_MEASURED = Features(
    {
        "seconds": Value("float32"),
        "rate": Value("int32"),
        "channels": Value("int32"),
        "silent": Value("bool"),
        "kinds": List(Value("string")),
        "problem": Value("string"),
    }
)

_NOTED = {
    "truncated": "%d recordings are cut off or damaged, and what is there is used, such as %s",
    "opposed": "%d recordings have channels that cancel each other out, of which one is heard, such as %s",
    "gaps": "%d recordings begin after the picture or have gaps, where silence stands, such as %s",
}


def raise_or_log(problems: Sequence[str], num_rows: int, what: str, on_bad: str) -> None:
    """What is done about bad rows: an error with all of them, or a line that says how many there are.

    Args:
        problems: One line per bad row.
        num_rows: Of the corpus.
        what: That is bad, `audio` or `video`.
        on_bad: `raise`, `skip` or `blank`.

    Raises:
        CorpusError: If there are any and they are to raise, or if they are left out and no row is left.
    """
    if problems and on_bad == "raise":
        raise CorpusError.from_problems(what, problems, hint="on_bad='skip' leaves these rows out")
    if problems:
        done = "left out for" if on_bad == "skip" else "go on without"
        logger.warning("%d of %d rows %s their %s, such as %s", len(problems), num_rows, done, what, problems[0])
    if on_bad == "skip" and len(problems) == num_rows:
        raise CorpusError.from_problems(f"{what}: no row is left", problems)


def blank(rows: Dataset, what: str, bad: Sequence[int]) -> Dataset:
    """The rows, some of them without their `audio` or `video`, of which nothing can be used."""
    given = {"what": what, "bad": sorted(bad)}
    return rows.map(_blank, with_indices=True, features=rows.features, fn_kwargs=given) if bad else rows


def _blank(row: Mapping[str, Any], index: int, what: str, bad: Sequence[int]) -> dict[str, Any]:
    return {what: None if index in bad else row[what]}


def look_at_all(
    rows: Dataset,
    what: str,
    names: list[str],
    look: Callable[..., dict[str, Any]],
    features: Features,
    on_bad: str,
    num_proc: int | None,
) -> dict[str, list[Any]]:
    """Looks at the file of every row once; `datasets` caches it until a file's size or time of change is another.

    Args:
        rows: Rows of the schema.
        what: Column of the files, `audio` or `video`.
        names: Columns that are needed to look at one.
        look: From a row with these columns, and `files_state`, to what was found.
        features: Of what was found; `problem` says what is wrong with a row.
        on_bad: `raise`, `skip` or `blank`.
        num_proc: Processes.

    Returns:
        Columns of what was found.

    Raises:
        ValueError: If `on_bad` is not known.
    """
    if on_bad not in ("raise", "skip", "blank"):
        raise ValueError(f"on_bad is {on_bad!r}; it must be 'raise', 'skip' or 'blank'")
    found = rows.select_columns(names).map(
        look,
        remove_columns=names,
        features=features,
        num_proc=num_proc,
        fn_kwargs={"files_state": _files_state(column(rows, what))},
        desc=f"Checking {what}",
    )
    return {name: column(found, name) for name in features}


def _files_state(files: Sequence[Mapping[str, Any] | None]) -> str:
    """A hash of size and time of change of every file that is referenced."""
    referenced = (file["path"] for file in files if file is not None and file.get("bytes") is None)
    states = []
    for path in sorted({path for path in referenced if path is not None and os.path.isfile(path)}):
        state = os.stat(path)
        states.append((path, state.st_size, state.st_mtime_ns))
    return Hasher.hash(states)


def check_audio(
    rows: Dataset,
    *,
    on_bad: str = "raise",
    min_duration: float = 0.1,
    max_duration: float | None = None,
    num_proc: int | None = None,
) -> Dataset:
    """Decodes every recording once and fills `duration`.

    Missing, unreadable, empty and too short recordings, and those with samples that are not finite, are bad rows.
    Silent ones, those over `max_duration` (the processor caps them), those that are cut off, have gaps, or channels
    that cancel each other out, other rates (resampled) and several channels (mixed down) are counted, one line each,
    and so are empty texts (`check_text`). The pass is cached by `datasets`; it is done again when a file's size or
    time of change is another.

    Args:
        rows: Rows of the schema; those without audio keep their `duration`.
        on_bad: `raise`; `skip` to leave bad rows out, or `blank` to leave them text and picture; both are logged.
        min_duration: Seconds; shorter recordings are bad.
        max_duration: Seconds; longer recordings are counted.
        num_proc: Processes that decode.

    Returns:
        The rows with measured durations, in order.

    Raises:
        CorpusError: With all bad rows (the first 20 are written out).
        ValueError: If `on_bad` is not known.
    """
    import hf_mer.models.audio_mer  # noqa: F401 (once here, and not once in every process)
    from hf_mer.models.segments_mer import SEGMENT

    sound = [name for name in ("audio", *SEGMENT) if name in rows.column_names]
    found = look_at_all(rows, "audio", sound, _measure, _MEASURED, on_bad, num_proc)
    ids = column(rows, "id")
    problems: list[str] = []
    kept: list[int] = []
    seconds_of = column(rows, "duration")
    for index, (problem, seconds) in enumerate(zip(found["problem"], found["seconds"], strict=True)):
        if problem is None and seconds is not None and seconds < min_duration:
            problem = f"{seconds:.3f} s long, shorter than {min_duration} s"
        if problem is None:
            kept.append(index)
            seconds_of[index] = seconds_of[index] if seconds is None else seconds
        else:
            problems.append(f"row {ids[index]}: {problem}")
    raise_or_log(problems, len(rows), "audio", on_bad)
    _log_counts(found, kept, ids, max_duration)
    checked = rows.remove_columns("duration").add_column("duration", seconds_of, feature=Value("float32"))
    order = [name for name in COLUMNS if name in checked.column_names]
    checked = checked.select_columns(order + [name for name in checked.column_names if name not in order])
    if on_bad == "blank":
        checked = blank(checked, "audio", sorted(set(range(len(rows))) - set(kept)))
    elif problems:
        checked = checked.select(kept)
    check_text(checked)
    return checked


def _measure(row: Mapping[str, Any], files_state: str) -> dict[str, Any]:
    """Decodes one recording, or its segment. `files_state` is there for the cache's fingerprint."""
    from hf_mer.models.audio_blocks_mer import audio_blocks
    from hf_mer.models.audio_mer import AudioError, probe_audio
    from hf_mer.models.audio_samples_mer import is_silent
    from hf_mer.models.notes_mer import collected_notes
    from hf_mer.models.segments_mer import audio_of

    audio = audio_of(row)
    result: dict[str, Any] = dict.fromkeys(_MEASURED)
    if audio is None or (audio["path"] is None and audio["bytes"] is None):
        return result
    try:
        if audio["bytes"] is None:
            with collected_notes():
                header = probe_audio(audio["path"])
            rate: int | None = header.sampling_rate
            channels: int | None = header.channels
            if header.duration == 0:
                return {**result, "problem": f"{audio['path']}: the audio is empty (0 samples)"}
        else:
            rate, channels = _probe_bytes(audio["bytes"])
        # at its own rate, so that nothing is resampled just to be looked at, and a block at a time
        count, lowest, highest = 0, np.float32(np.inf), np.float32(-np.inf)
        with collected_notes() as notes:
            for block in audio_blocks(dict(audio), rate or SAMPLING_RATE):
                count += len(block)
                lowest, highest = min(lowest, block.min()), max(highest, block.max())
    except AudioError as error:
        return {**result, "problem": str(error)}
    return {
        "seconds": count / (rate or SAMPLING_RATE),
        "rate": rate,
        "channels": channels,
        "silent": is_silent(np.array([lowest, highest])),
        "kinds": sorted({told.kind for told in notes if told.kind}),
        "problem": None,
    }


def _probe_bytes(content: bytes) -> tuple[int | None, int | None]:
    """Rate and channels of an embedded file, if soundfile knows its format."""
    import soundfile

    try:
        info = soundfile.info(io.BytesIO(content))
    except soundfile.LibsndfileError:
        return None, None
    return info.samplerate, info.channels


def _log_counts(
    found: Mapping[str, list[Any]], kept: Sequence[int], ids: Sequence[str], max_duration: float | None
) -> None:
    """Says what is unusual but usable."""
    silent = [ids[index] for index in kept if found["silent"][index]]
    if silent:
        logger.warning("%d recordings are silent (peak below -60 dBFS), such as %s", len(silent), silent[0])
    for kind, sentence in _NOTED.items():
        having = [ids[index] for index in kept if kind in (found["kinds"][index] or ())]
        if having:
            logger.warning(sentence, len(having), having[0])
    if max_duration is not None:
        long = [ids[index] for index in kept if (found["seconds"][index] or 0) > max_duration]
        if long:
            logger.warning(
                "%d recordings are longer than %s s and will be capped there, such as %s",
                len(long),
                max_duration,
                long[0],
            )
    rates = [found["rate"][index] for index in kept if found["rate"][index] not in (None, SAMPLING_RATE)]
    if rates:
        hertz = ", ".join(map(str, sorted(set(rates))))
        logger.info("%d recordings are at %s Hz and will be resampled to %d Hz", len(rates), hertz, SAMPLING_RATE)
    several = sum((found["channels"][index] or 1) > 1 for index in kept)
    if several:
        logger.info("%d recordings have several channels and will be mixed down to one", several)
    without = sum(found["seconds"][index] is None for index in kept)
    if 0 < without < len(kept):
        logger.warning("%d of %d rows have no audio", without, len(kept))


def check_text(rows: Dataset) -> dict[str, int]:
    """Counts texts that say nothing and warns of them; they are usable, but the text's part of a model sees nothing.

    Returns:
        `missing` (None), `empty` (nothing that shows) and `tag_only` (such as `[LAUGHTER]`).
    """
    from hf_mer.models.words_mer import says_anything

    texts = column(rows, "text")
    counts = {
        "missing": sum(text is None for text in texts),
        "empty": sum(text is not None and not says_anything(text) for text in texts),
        "tag_only": sum(text is not None and is_tag_only(text) for text in texts),
    }
    if counts["missing"] < len(texts) and any(counts.values()):
        logger.warning(
            "of %d texts %d are missing, %d empty and %d nothing but a tag",
            len(texts),
            counts["missing"],
            counts["empty"],
            counts["tag_only"],
        )
    return counts


def check_labels(rows: Dataset, train_indices: Sequence[int], where: str = "the training part") -> dict[str, int]:
    """Makes sure that there is something to tell apart, and that every class can be learnt.

    Args:
        rows: Rows of the schema.
        train_indices: Which of them are trained on.
        where: Name of that part, for the message.

    Returns:
        Training rows per class.

    Raises:
        CorpusError: If a class has none, or there is one class alone, which every answer would hit.
    """
    names = rows.features["label"].names
    if len(names) < 2:
        found = ", ".join(map(repr, names)) or "none"
        raise CorpusError.from_problems("labels", [f"the classes are {found}; there must be two or more"])
    labels = np.asarray(column(rows, "label"), dtype=np.int64)[np.asarray(train_indices, dtype=np.int64)]
    counts = dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True))
    empty = [f"class {name!r} has no rows in {where}" for name, count in counts.items() if count == 0]
    if empty:
        raise CorpusError.from_problems("labels", empty, hint="Leave the class out with `labels`, or cut otherwise")
    return counts


def check_test_labels(rows: Dataset, test_indices: Sequence[int], where: str = "the test part") -> list[str]:
    """Warns of a test part whose scores say little: one with rows of a single class.

    Args:
        rows: Rows of the schema.
        test_indices: Which of them are tested on.
        where: Name of that part, for the message.

    Returns:
        The classes that it has.
    """
    names = rows.features["label"].names
    labels = column(rows, "label")
    found = [names[index] for index in sorted({labels[row] for row in test_indices})]
    if len(found) == 1:
        logger.warning(
            "%s has rows of class %r alone: a system that always says %r is right there, and its scores tell nothing",
            where,
            found[0],
            found[0],
        )
    return found
