"""One run at a time: a file or folder that a run writes is held by it alone, for as long as the run lives."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout


class BusyError(OSError):
    """Another run is at work; the message says where, which one and since when."""


@contextmanager
def exclusive(path: str | os.PathLike) -> Iterator[None]:
    """Holds a file or folder, which need not be there yet, until the block is left.

    The lock is the operating system's, on `.<name>.lock` beside it: that of a process which died, or was killed, is
    free. The file says whose it is.

    Args:
        path: What is to be written.

    Raises:
        BusyError: If another run holds it.
    """
    target = Path(path).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    file = target.with_name(f".{target.name}.lock")
    before = _holder(file)  # some versions of filelock empty the file in trying
    lock = FileLock(file, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(
            f"{path}: in use by another run ({_holder(file) or before or 'unknown process'}); "
            "wait until it ends, or choose another folder"
        ) from None
    try:
        mine = {"host": socket.gethostname(), "process": os.getpid(), "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
        file.write_text(json.dumps(mine), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):  # Windows removes no file that is open; there filelock does it
            file.unlink()
        lock.release()


def remove_dead_lock(path: str | os.PathLike) -> None:
    """Removes the lock that a killed run left beside what it had finished; one that is held stays."""
    target = Path(path).resolve()
    if target.with_name(f".{target.name}.lock").exists():
        with suppress(OSError), exclusive(target):
            pass


def _holder(file: Path) -> str | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return f"host {found['host']}, process {found['process']}, since {found['since']}"
    except (OSError, ValueError, TypeError, KeyError):
        return None
