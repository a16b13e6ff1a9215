"""Writing mp4 clips: H.264 picture and AAC sound, through PyAV."""

import os
from fractions import Fraction

import av
import numpy as np

# Made for speed: clips of the generated corpus are small, many, and only looked at by programs.
_VIDEO_OPTIONS = {"preset": "ultrafast", "tune": "zerolatency", "crf": "20"}
# Nothing made here has a message above 8 kHz, and joint coding of channels costs a fifth of the time.
_AUDIO_OPTIONS = {"aac_coder": "fast", "aac_ms": "0", "cutoff": "8000"}


def write_clip(
    path: str | os.PathLike,
    frames: np.ndarray,
    fps: int,
    sound: np.ndarray,
    sampling_rate: int,
    layout: str = "mono",
    bit_rate: int = 48_000,
) -> None:
    """Writes one clip. The same input gives the same pictures and samples when read back.

    Args:
        path: File to write; its folder must exist.
        frames: Pictures, uint8. Shape `(F, H, W, 3)`, height and width even.
        fps: Frames per second.
        sound: Samples between -1 and 1. Shape `(channels, N)`.
        sampling_rate: Hz.
        layout: Of the channels, as FFmpeg names it: `mono`, `stereo`, or `5.1` (FL FR FC LFE BL BR).
        bit_rate: Of the sound, bits per second and channel.
    """
    with av.open(os.fspath(path), "w", format="mp4") as container:
        picture = container.add_stream("libx264", rate=fps, options=_VIDEO_OPTIONS)
        picture.height, picture.width, picture.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        picture.thread_count = 1  # more threads cost more than such small pictures save
        stream = container.add_stream("aac", rate=sampling_rate, layout=layout, options=_AUDIO_OPTIONS)
        stream.bit_rate = bit_rate * len(sound)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        block = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound, dtype=np.float32), format="fltp", layout=layout)
        block.sample_rate, block.pts, block.time_base = sampling_rate, 0, Fraction(1, sampling_rate)
        container.mux(stream.encode(block))
        container.mux(stream.encode(None))
