"""What one recording or clip of a corpus is like, and what is wrong with it; `check_files` looks at all of them."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Features, List, Value

from hf_mer.data.schema import SAMPLING_RATE

RECORDING = Features(
    {
        "seconds": Value("float32"),
        "rate": Value("int32"),
        "channels": Value("int32"),
        "silent": Value("bool"),
        "kinds": List(Value("string")),
        "problem": Value("string"),
    }
)

CLIP = Features(
    {
        "seconds": Value("float32"),
        "frames": Value("int32"),
        "missing": Value("float32"),
        "problem": Value("string"),
    }
)


def measure_recording(row: Mapping[str, Any], files_state: str) -> dict[str, Any]:
    """Decodes one recording, or its segment. `files_state` is there for the cache's fingerprint."""
    from hf_mer.models.audio_blocks_mer import audio_blocks
    from hf_mer.models.audio_mer import AudioError, probe_audio
    from hf_mer.models.audio_samples_mer import is_silent
    from hf_mer.models.notes_mer import collected_notes
    from hf_mer.models.segments_mer import audio_of

    audio = audio_of(row)
    result: dict[str, Any] = dict.fromkeys(RECORDING)
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


def probe_clip(row: Mapping[str, Any], files_state: str) -> dict[str, Any]:
    """Probes one clip. `files_state` is there for the cache's fingerprint."""
    from hf_mer.models.video_mer import VideoError, probe_video

    video = row["video"]
    result: dict[str, Any] = dict.fromkeys(CLIP)
    if video is None or video["path"] is None:
        return result
    try:
        info = probe_video(dict(video))
    except VideoError as error:
        return {**result, "problem": str(error)}
    return {"seconds": info.seconds, "frames": info.frames, "missing": info.missing, "problem": None}
