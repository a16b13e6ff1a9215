"""Looking at every recording and every clip of a corpus before training on it.

What would fail hours into a run fails here, with all bad rows in one report.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import Dataset, Features, Value
from datasets.fingerprint import Hasher

from hf_mer.data.checks import check_text
from hf_mer.data.measure_files import CLIP, RECORDING, measure_recording, probe_clip
from hf_mer.data.schema import COLUMNS, SAMPLING_RATE, CorpusError, column

logger = logging.getLogger(__name__)

_NOTED = {
    "truncated": "%d recordings are cut off or damaged and are used as far as they go, such as %s",
    "opposed": "%d recordings have channels that cancel each other out; one channel is used, such as in %s",
    "gaps": "%d recordings begin after the picture or have gaps, which are filled with silence, such as %s",
}


def check_audio(
    rows: Dataset,
    *,
    on_bad: str = "raise",
    min_duration: float = 0.1,
    max_duration: float | None = None,
    beside: Sequence[str] = (),
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
        beside: What is seen with the sound, `text`, `video` or both: rows that have it lose silent recordings, which
            the pipeline leaves out in the same way.
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
    found = _look_at_files(rows, "audio", sound, measure_recording, RECORDING, on_bad, num_proc)
    for index, seconds in enumerate(found["seconds"]):
        if found["problem"][index] is None and seconds is not None and seconds < min_duration:
            found["problem"][index] = f"{seconds:.3f} s long, shorter than {min_duration} s"
    kept = _raise_or_log(rows, found["problem"], "audio", on_bad)
    _log_audio(found, kept, column(rows, "id"), max_duration)
    seconds_of = column(rows, "duration")
    for index in kept:
        seconds_of[index] = seconds_of[index] if found["seconds"][index] is None else found["seconds"][index]
    checked = rows.remove_columns("duration").add_column("duration", seconds_of, feature=Value("float32"))
    order = [name for name in COLUMNS if name in checked.column_names]
    checked = checked.select_columns(order + [name for name in checked.column_names if name not in order])
    silent = [index for index in kept if found["silent"][index] and _has_any(rows[index], beside)]
    if silent:
        logger.warning("%d silent recordings are not used, since their rows have %s", len(silent), " or ".join(beside))
        checked = _blanked(checked, "audio", silent)
    checked = _without_bad(checked, "audio", kept, on_bad)
    check_text(checked)
    return checked


def check_video(
    rows: Dataset,
    *,
    on_bad: str = "raise",
    num_frames: int = 8,
    max_seconds: float | None = None,
    num_proc: int | None = None,
) -> Dataset:
    """Probes every clip once: its packets are counted and its first picture is decoded.

    Missing and unreadable files, those without a video stream or without a frame, and spans outside the clip are bad
    rows. Files that end too soon (what is there is used), clips with fewer frames than a model asks for (masked) and
    those over `max_seconds` (the processor caps them) are counted in the log. The pass is cached by `datasets`; it is
    done again when a file's size or time of change is another.

    Args:
        rows: Rows of the schema; those without video are left alone.
        on_bad: `raise`; `skip` to leave bad rows out, or `blank` to leave them words and sound, and log how many.
        num_frames: What the processor takes of a clip.
        max_seconds: Longer clips are counted.
        num_proc: Processes that probe.

    Returns:
        The rows, in order.

    Raises:
        CorpusError: With all bad rows (the first 20 are written out).
        ValueError: If `on_bad` is not known.
    """
    import hf_mer.models.video_mer  # noqa: F401 (once here, and not once in every process)

    found = _look_at_files(rows, "video", ["video"], probe_clip, CLIP, on_bad, num_proc)
    kept = _raise_or_log(rows, found["problem"], "video", on_bad)
    _log_video(found, kept, column(rows, "id"), num_frames, max_seconds)
    return _without_bad(rows, "video", kept, on_bad)


def _look_at_files(
    rows: Dataset,
    what: str,
    names: list[str],
    look: Callable[..., dict[str, Any]],
    features: Features,
    on_bad: str,
    num_proc: int | None,
) -> dict[str, list[Any]]:
    """Looks at the file of every row once; `datasets` caches it until a file's size or time of change is another.

    `look` makes what was found out of the columns `names` of a row and `files_state`.
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


def _raise_or_log(rows: Dataset, problems: Sequence[str | None], what: str, on_bad: str) -> list[int]:
    """The good rows' indices; an error with all bad ones, or a line that says how many there are."""
    bad = [f"row {name}: {told}" for name, told in zip(column(rows, "id"), problems, strict=True) if told is not None]
    if bad and on_bad == "raise":
        raise CorpusError.from_problems(what, bad, hint="on_bad='skip' leaves these rows out")
    if bad:
        done = "are left out because of" if on_bad == "skip" else "are used without"
        logger.warning("%d of %d rows %s their %s, such as %s", len(bad), len(rows), done, what, bad[0])
    if on_bad == "skip" and len(bad) == len(rows):
        raise CorpusError.from_problems(f"{what}: no row is left", bad)
    return [index for index, told in enumerate(problems) if told is None]


def _without_bad(rows: Dataset, what: str, kept: Sequence[int], on_bad: str) -> Dataset:
    """The rows without the bad ones or, to `blank`, without the `audio` or `video` of these."""
    if len(kept) == len(rows):
        return rows
    if on_bad != "blank":
        return rows.select(kept)
    return _blanked(rows, what, sorted(set(range(len(rows))) - set(kept)))


def _blanked(rows: Dataset, what: str, bad: list[int]) -> Dataset:
    return rows.map(_blank, with_indices=True, features=rows.features, fn_kwargs={"what": what, "bad": bad})


def _blank(row: Mapping[str, Any], index: int, what: str, bad: Sequence[int]) -> dict[str, Any]:
    return {what: None if index in bad else row[what]}


def _has_any(row: Mapping[str, Any], modalities: Sequence[str]) -> bool:
    """Whether a row has words, if they count, or a picture, if that does."""
    from hf_mer.models.words_mer import has_words

    spoken = "text" in modalities and has_words(row.get("text"), row.get("history"))
    return spoken or ("video" in modalities and row.get("video") is not None)


def _log_audio(
    found: Mapping[str, list[Any]], kept: Sequence[int], ids: Sequence[str], max_duration: float | None
) -> None:
    """Says what is unusual but usable about recordings."""
    silent = [ids[index] for index in kept if found["silent"][index]]
    _log_some(silent, "%d recordings are silent (peak below -60 dBFS), such as %s")
    for kind, sentence in _NOTED.items():
        _log_some([ids[index] for index in kept if kind in (found["kinds"][index] or ())], sentence)
    _log_long_and_absent(found, kept, ids, "recordings", "audio", max_duration)
    rates = [found["rate"][index] for index in kept if found["rate"][index] not in (None, SAMPLING_RATE)]
    if rates:
        hertz = ", ".join(map(str, sorted(set(rates))))
        logger.info("%d recordings are at %s Hz and will be resampled to %d Hz", len(rates), hertz, SAMPLING_RATE)
    several = sum((found["channels"][index] or 1) > 1 for index in kept)
    if several:
        logger.info("%d recordings have several channels and will be mixed down to one", several)


def _log_video(
    found: Mapping[str, list[Any]],
    kept: Sequence[int],
    ids: Sequence[str],
    num_frames: int,
    max_seconds: float | None,
) -> None:
    """Says what is unusual but usable about clips."""
    truncated = [ids[index] for index in kept if (found["missing"][index] or 0) > 0]
    _log_some(truncated, "%d clips end too early and are used as they are, such as %s")
    few = [ids[index] for index in kept if (found["frames"][index] or num_frames) < num_frames]
    _log_some(few, "%d clips have fewer than %d frames, such as %s", num_frames, level=logging.INFO)
    _log_long_and_absent(found, kept, ids, "clips", "video", max_seconds)


def _log_long_and_absent(
    found: Mapping[str, list[Any]],
    kept: Sequence[int],
    ids: Sequence[str],
    files: str,
    what: str,
    max_seconds: float | None,
) -> None:
    """Counts files that the processor caps, and rows without one where others have one."""
    if max_seconds is not None:
        long = [ids[index] for index in kept if (found["seconds"][index] or 0) > max_seconds]
        _log_some(long, "%d %s are longer than %s s and will be cut there, such as %s", files, max_seconds)
    without = sum(found["seconds"][index] is None for index in kept)
    if 0 < without < len(kept):
        logger.warning("%d of %d rows have no %s", without, len(kept), what)


def _log_some(ids: Sequence[str], sentence: str, *further: Any, level: int = logging.WARNING) -> None:
    """Says how many rows there are of a kind, and names the first one; nothing where there are none."""
    if ids:
        logger.log(level, sentence, len(ids), *further, ids[0])
