"""Decoding the packets of audio and video files, of which damaged ones are left out and named."""

from collections.abc import Iterator
from typing import Any

try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]


def reason_of(error: Exception) -> str:
    """What a decoder says; not the name that it was opened with, which may be an object of the program."""
    told = getattr(error, "error_string", None) or getattr(error, "strerror", None)
    return str(told or type(error).__name__)


def decoded_frames(container: Any, stream: Any, problems: list[str]) -> Iterator[Any]:
    """Decoded frames; what cannot be decoded is left out and named in `problems`."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError as error:
            problems.append(reason_of(error))
            return
        try:
            yield from packet.decode()
        except av.FFmpegError as error:
            problems.append(reason_of(error))
