"""A long recording: emotions over time, by windows that overlap."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_mer.app.lane import Watch
from hf_mer.app.media import PageError, as_notices
from hf_mer.app.model import PageModel
from hf_mer.app.utterance import Scores, check_length, decide
from hf_mer.files import csv_text

_TIMED_LINE = re.compile(r"\s*([\d.:]+)(?:\s*(?:-|to)\s*|\s+)([\d.:]+)\s+(\S.*)")
MAX_TIMED_WORDS, MAX_LINE = 500_000, 2_000  # characters: two hours with the times of every word, one segment


@dataclass(frozen=True)
class Timeline:
    """Emotions of a long recording.

    Attributes:
        windows: As the pipeline gives them: `start` and `end` in seconds, `modalities`, `scores`, `label` (None where
            there is only silence), and `text` where words are known.
        scores: Of the whole recording, best first.
        notices: What a visitor should know.
    """

    windows: list[dict[str, Any]]
    scores: Scores
    notices: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """End of the last window."""
        return max(window["end"] for window in self.windows)

    @property
    def modalities(self) -> tuple[str, ...]:
        """What any window had."""
        found = {name for window in self.windows for name in window["modalities"]}
        return tuple(name for name in ("text", "speech", "video") if name in found)

    def decisions(self, thresholds: Sequence[float]) -> list[str | None]:
        """The label of every window; None below its threshold, and where there is only silence."""
        return [
            None if window["label"] is None else decide(window["scores"], threshold)
            for window, threshold in zip(self.windows, thresholds, strict=True)
        ]

    @property
    def has_words(self) -> bool:
        """Whether any window has words."""
        return any(window.get("text") for window in self.windows)


def recognise_recording(
    model: PageModel,
    path: str | None,
    window_seconds: float,
    hop_seconds: float,
    timed_words: str = "",
    watch: Watch | None = None,
) -> Timeline:
    """Emotions over the time of a recording.

    Args:
        model: The model.
        path: Of a recording or a video.
        window_seconds: Length of a window.
        hop_seconds: From the beginning of a window to that of the next one.
        timed_words: Lines such as `12.5 15 what was said`; empty without words.
        watch: Ends the work where the recording is too long or nobody waits for it; other predictions come between
            its windows.

    Raises:
        PageError: If there is no recording or it is too long, the windows make no sense, a line of words cannot be
            read, or the visitor has left.
        AudioError: If the recording is unusable.
    """
    if not path:
        raise PageError("Record or upload a recording first.")
    if not 0 < hop_seconds <= window_seconds:
        raise PageError(
            f"A hop of {hop_seconds:g} s leaves gaps between windows of {window_seconds:g} s: make it shorter."
        )
    words = {"text": read_timed_words(timed_words)} if timed_words.strip() and model.uses("text") else {}
    watch = watch or Watch()
    if not _is_seen(path, model, watch) and not _is_heard(path, model.sampling_rate, watch):
        raise PageError(f"{Path(path).name} is silent: nothing can be heard.")
    watch.seconds, watch.hop, watch.between = 0.0, hop_seconds, model.give_way
    settings = {"window_seconds": window_seconds, "hop_seconds": hop_seconds, "threshold": 0.0}
    answer = model(path, **settings, progress=watch, **words)
    return Timeline(answer["timeline"], answer["scores"], as_notices(answer.get("warnings", ()), [path]))


def _is_seen(path: str, model: PageModel, watch: Watch) -> bool:
    """Whether the model sees the picture of a file; then its sound may be missing or silent."""
    from hf_mer.models.video_mer import media_kinds, probe_video

    if not model.uses("video") or "video" not in (media_kinds(path) or ()):
        return False
    watch.check(probe_video(path).seconds)
    return True


def _is_heard(path: str, sampling_rate: int, watch: Watch) -> bool:
    """Whether any part of a recording is more than silence; it is read block by block, up to that part."""
    from hf_mer.models.audio_blocks_mer import audio_blocks
    from hf_mer.models.audio_files_mer import open_file
    from hf_mer.models.audio_samples_mer import is_silent
    from hf_mer.models.notes_mer import collected_notes

    with collected_notes():  # the pipeline says them
        watch.check(open_file(path, Path(path).name).seconds or 0.0)  # what the header says, before any work
        for block in audio_blocks(path, sampling_rate):
            if block.size and not is_silent(block):
                return True
            watch.seconds += len(block) / sampling_rate
            watch.check(watch.seconds)
        return False


def read_timed_words(text: str) -> list[dict[str, Any]]:
    """Lines of start, end and words, as speech recognition gives them.

    Args:
        text: One line for each segment, such as `0.0 2.4 I am so glad` or `1:05 - 1:07 you came`.

    Returns:
        `{"text", "timestamp": (start, end)}` for each line, seconds.

    Raises:
        PageError: If a line is not of that form; it is named.
    """
    check_length("words with their times", text, MAX_TIMED_WORDS)
    chunks = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            raise PageError(f"Line {number} of the words has {len(line)} characters, more than {MAX_LINE}: split it.")
        match = _TIMED_LINE.fullmatch(line)
        times = [_seconds(part) for part in match.groups()[:2]] if match else []
        if match is None or None in times or not times[0] < times[1]:  # type: ignore[operator]
            raise PageError(
                f"Line {number} of the words, '{line.strip()}', is not start, end (seconds, or minutes:seconds) and "
                "words, such as '12.5 15.0 what was said'."
            )
        chunks.append({"text": match.group(3).strip(), "timestamp": tuple(times)})
    return chunks


def timeline_rows(timeline: Timeline, labels: Sequence[str], thresholds: Sequence[float]) -> list[dict[str, Any]]:
    """One row per window: start, end, emotion (empty without a label), the score of every class, words.

    Args:
        timeline: Of a recording.
        labels: Classes in the order of the logits.
        thresholds: Of every window, below which it has no label.
    """
    rows = []
    for window, decision in zip(timeline.windows, timeline.decisions(thresholds), strict=True):
        scores = {item["label"]: item["score"] for item in window["scores"]}
        row: dict[str, Any] = {
            "start": round(window["start"], 3),
            "end": round(window["end"], 3),
            "emotion": decision or "",
            **{label: round(scores[label], 4) for label in labels},
        }
        rows.append({**row, "text": window.get("text") or ""} if timeline.has_words else row)
    return rows


def csv_of(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a CSV file's text, the names of the columns first."""
    return csv_text([list(rows[0]), *(list(row.values()) for row in rows)])


def _seconds(text: str) -> float | None:
    """`75.5` and `1:15.5` in seconds; None if it is neither."""
    try:
        minutes, _, seconds = text.rpartition(":")
        return 60 * float(minutes or 0) + float(seconds)
    except ValueError:
        return None


def clock(seconds: float) -> str:
    """`75.5` as `1:15`, minutes and seconds."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
