"""Looking at every clip of a corpus before training on it; what `check_audio` is for recordings."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, Features, Value

from hf_mer.data.checks import blank, look_at_all, raise_or_log
from hf_mer.data.schema import column

logger = logging.getLogger(__name__)

_PROBED = Features(
    {
        "seconds": Value("float32"),
        "frames": Value("int32"),
        "missing": Value("float32"),
        "problem": Value("string"),
    }
)


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

    found = look_at_all(rows, "video", ["video"], _probe, _PROBED, on_bad, num_proc)
    ids = column(rows, "id")
    bad = [index for index, problem in enumerate(found["problem"]) if problem is not None]
    problems = [f"row {ids[index]}: {found['problem'][index]}" for index in bad]
    raise_or_log(problems, len(rows), "video", on_bad)
    kept = sorted(set(range(len(rows))) - set(bad))
    _log_counts(found, kept, ids, num_frames, max_seconds)
    if on_bad == "blank":
        return blank(rows, "video", bad)
    return rows.select(kept) if problems else rows


def _probe(row: Mapping[str, Any], files_state: str) -> dict[str, Any]:
    """Probes one clip. `files_state` is there for the cache's fingerprint."""
    from hf_mer.models.video_mer import VideoError, probe_video

    video = row["video"]
    result: dict[str, Any] = dict.fromkeys(_PROBED)
    if video is None or video["path"] is None:
        return result
    try:
        info = probe_video(dict(video))
    except VideoError as error:
        return {**result, "problem": str(error)}
    return {"seconds": info.seconds, "frames": info.frames, "missing": info.missing, "problem": None}


def _log_counts(
    found: Mapping[str, list[Any]],
    kept: Sequence[int],
    ids: Sequence[str],
    num_frames: int,
    max_seconds: float | None,
) -> None:
    """Says what is unusual but usable."""
    truncated = [ids[index] for index in kept if (found["missing"][index] or 0) > 0]
    if truncated:
        logger.warning(
            "%d clips end before they should and are used as they are, such as %s", len(truncated), truncated[0]
        )
    few = [ids[index] for index in kept if (found["frames"][index] or num_frames) < num_frames]
    if few:
        logger.info("%d clips have fewer than %d frames, such as %s", len(few), num_frames, few[0])
    if max_seconds is not None:
        long = [ids[index] for index in kept if (found["seconds"][index] or 0) > max_seconds]
        if long:
            logger.warning(
                "%d clips are longer than %s s and will be capped there, such as %s", len(long), max_seconds, long[0]
            )
    without = sum(found["seconds"][index] is None for index in kept)
    if 0 < without < len(kept):
        logger.warning("%d of %d rows have no video", without, len(kept))
