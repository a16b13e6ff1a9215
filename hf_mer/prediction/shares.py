"""Which process recognises what: blocks of neighbouring inputs, shared so that all have about as much to hear."""

import heapq
import os
from collections.abc import Sequence
from typing import Any

from hf_mer.prediction.sources import Unit

_BLOCKS = 4  # at least, for every process, where there are inputs enough
_BYTES_A_SECOND = 32_000  # 16 kHz, 16 bits, one channel
_MOST_BYTES_A_SECOND = 192_000  # 48 kHz, 16 bits, two channels: what is larger is longer, or written lavishly


def share_out(sizes: Sequence[float], processes: int, block: int, batch_size: int) -> list[list[int]]:
    """Shares positions between processes: block by block, the largest first, to whoever has least.

    The same positions, sizes and numbers give the same shares. Blocks are those that one process would run, so that
    their batches are the same; where they are few they are halved, not below one batch, so that all have work.

    Args:
        sizes: Of the inputs, in their order.
        processes: How many there are.
        block: Inputs that one process would run together.
        batch_size: Utterances at once.

    Returns:
        The positions of every process, rising.
    """
    while block > batch_size and len(sizes) < _BLOCKS * processes * block:
        block //= 2
    blocks = [range(first, min(first + block, len(sizes))) for first in range(0, len(sizes), block)]
    weights = [sum(sizes[position] for position in one) for one in blocks]
    loads = [(0.0, process) for process in range(processes)]  # in order: a heap
    taken: list[list[int]] = [[] for _ in loads]
    for index in sorted(range(len(blocks)), key=lambda index: -weights[index]):
        load, process = loads[0]
        taken[process].append(index)
        heapq.heapreplace(loads, (load + weights[index], process))
    return [[position for index in sorted(own) for position in blocks[index]] for own in taken]


def unit_size(unit: Unit, max_seconds: float | None = None) -> float:
    """About how much there is to recognise: bytes of sound, video and words, as if all files were alike.

    Args:
        unit: Of the inputs.
        max_seconds: What is heard of every utterance at most, in seconds; all if not given.
    """
    most = float("inf") if max_seconds is None else max_seconds * _MOST_BYTES_A_SECOND
    return sum(1 + min(most, _row_size(item.row)) for item in unit.items)


def _row_size(row: dict[str, Any]) -> float:
    size = len(row.get("text") or "")
    if row.get("audio_start") is not None and row.get("audio_end") is not None:
        return size + (row["audio_end"] - row["audio_start"]) * _BYTES_A_SECOND
    found = row.get("audio") or row.get("video")
    path = found.get("path") if isinstance(found, dict) else found
    try:
        return size + (os.path.getsize(path) if isinstance(path, str) else 0)
    except (OSError, ValueError):  # its row will say that it is not there
        return size
