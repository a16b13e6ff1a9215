"""How a command ends that cannot go on: one line that says why, and the exit status."""

import errno
import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_mer.console import readable, told

ERROR, INTERRUPTED, TERMINATED = 1, 130, 143

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# torch and safetensors write by themselves, and have no error number to tell
_FAILED_WRITES = re.compile(r"inline_container\.cc|PytorchStreamWriter|iostream error|os error (27|28|122)\b")


class Terminated(KeyboardInterrupt):
    """The process was told to stop by SIGTERM: by a scheduler, `docker stop`, `kill`."""


def _stop(*_: Any) -> None:
    raise Terminated


def _in_a_forked_worker() -> None:
    """A pool ends its workers by SIGTERM, and without a word."""
    if signal.getsignal(signal.SIGTERM) is _stop:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_in_a_forked_worker)


@contextmanager
def terminable() -> Iterator[None]:
    """While the block runs SIGTERM ends it as Ctrl-C does, so that what is half-written is removed."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def last_words(error: BaseException, folders: Iterable[str | os.PathLike] = ()) -> tuple[str, int] | None:
    """The line and the exit status of an error that a user can do something about; None for any other.

    Args:
        error: What ended the command.
        folders: Where it writes, for errors that do not say where they came from.
    """
    if isinstance(error, KeyboardInterrupt):
        stopped = "stopped by SIGTERM" if isinstance(error, Terminated) else "interrupted"
        status = TERMINATED if isinstance(error, Terminated) else INTERRUPTED
        return f"{stopped}; run the same command again to continue", status
    if lacks_space(error):
        return f"error: {_no_space(error, folders)}", ERROR
    if isinstance(error, (ValueError, OSError)):
        return f"error: {told(error)}", ERROR
    return None


def lacks_space(error: BaseException) -> bool:
    """Whether a file could not be written for want of space, be it of the disk or of a quota."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _NO_SPACE
    return _FAILED_WRITES.search(str(error)) is not None


def _no_space(error: BaseException, folders: Iterable[str | os.PathLike]) -> str:
    named = getattr(error, "filename", None)
    candidates = [Path(named)] if named else [*map(Path, folders), Path.cwd(), Path(tempfile.gettempdir())]
    found = [path for path in map(_existing, candidates) if path is not None]
    fullest = min(found, key=lambda path: shutil.disk_usage(path).free)
    reason = error.strerror if isinstance(error, OSError) else "the write failed"
    return (
        f"{readable(fullest)}: no space left ({reason}; {shutil.disk_usage(fullest).free / 2**20:.0f} MiB are free); "
        "free some, and run the same command again to continue"
    )


def _existing(path: Path) -> Path | None:
    """The folder of a path that may not be there yet."""
    return next((parent for parent in (path, *path.parents) if parent.is_dir()), None)
