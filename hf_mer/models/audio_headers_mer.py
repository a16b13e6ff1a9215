"""What the header of a sound file promises, against what is there: files are cut off by full disks and lost lines."""

import io
import math
import os
from typing import BinaryIO

_UNSTATED = (0, 0xFFFFFFFF)  # sizes that programs write who do not know them yet
_STREAMED = 0x7FFFF000  # from here on: so do others
_LEAST = 0.05  # seconds
_TAIL = 1 << 17  # bytes, in which the last page of an Ogg stream begins


def missing_seconds(file: str | bytes) -> float:
    """Seconds that a WAV, AIFF, AU or Ogg file promises and lacks.

    Args:
        file: Path or bytes.

    Returns:
        0 where nothing is missing or nothing is promised, infinity where it is only known that something is.
    """
    if isinstance(file, bytes):
        return _missing(io.BytesIO(file), len(file))
    with open(file, "rb") as stream:
        return _missing(stream, os.path.getsize(file))


def _missing(stream: BinaryIO, size: int) -> float:
    head = stream.read(12)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM"):
        return _lacking(*_data_chunk(stream, size, "big" if head[:4] in (b"RIFX", b"FORM") else "little"))
    if head[:4] == b".snd":
        return _of_au(stream, size)
    if head[:4] == b"OggS":
        return math.inf if _ogg_is_cut(stream, size) else 0.0
    return 0.0


def is_streamed(file: str | bytes) -> bool:
    """Whether a WAV file has sound, and a header that says that it has none: its writer never came back to it."""
    with io.BytesIO(file) if isinstance(file, bytes) else open(file, "rb") as stream:
        if stream.read(12)[:4] != b"RIFF":
            return False
        size = len(file) if isinstance(file, bytes) else os.path.getsize(file)
        promised, there, per_second = _data_chunk(stream, size, "little")
        return promised == 0 and there > 0 and per_second > 0


def _data_chunk(stream: BinaryIO, size: int, order: str) -> tuple[int, int, float]:
    """Bytes of sound that are promised and those that are there, and bytes per second."""
    per_second, wide = 0.0, 0
    while len(header := stream.read(8)) == 8:
        kind, length = header[:4], _number(header[4:], order)
        begin = stream.tell()
        if kind in (b"data", b"SSND"):
            length = wide if length == 0xFFFFFFFF and wide else length
            return length, size - begin, per_second
        if kind in (b"fmt ", b"COMM", b"ds64"):
            content = stream.read(min(length, 64))
            if kind == b"fmt ":
                per_second = float(_number(content[8:12], order))
            elif kind == b"COMM":
                rate = _extended(content[8:18])
                per_second = rate * _number(content[:2], "big") * math.ceil(_number(content[6:8], "big") / 8)
            else:
                wide = _number(content[8:16], order)
        stream.seek(begin + length + length % 2)
    return 0, 0, 0.0


def _of_au(stream: BinaryIO, size: int) -> float:
    stream.seek(0)
    content = stream.read(24)
    offset, length, encoding, rate, channels = (_number(content[i : i + 4], "big") for i in range(4, 24, 4))
    width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(encoding, 0)
    return _lacking(length, size - offset, float(rate * channels * width))


def _lacking(promised: int, there: int, per_second: float) -> float:
    if promised in _UNSTATED or (_STREAMED <= promised <= 0xFFFFFFFF and there < promised // 2) or per_second <= 0:
        return 0.0
    seconds = (promised - there) / per_second
    return seconds if seconds > _LEAST else 0.0


def _ogg_is_cut(stream: BinaryIO, size: int) -> bool:
    """Whether the last page is not whole."""
    stream.seek(max(0, size - _TAIL))
    tail = stream.read()
    begin = tail.rfind(b"OggS")
    page = tail[begin:]
    if begin < 0 or len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])


def _number(content: bytes, order: str) -> int:
    return int.from_bytes(content, "big" if order == "big" else "little")


def _extended(content: bytes) -> float:
    """A number of 80 bits."""
    if len(content) < 10:
        return 0.0
    return float(int.from_bytes(content[2:10], "big")) * 2.0 ** ((int.from_bytes(content[:2], "big") & 0x7FFF) - 16446)
