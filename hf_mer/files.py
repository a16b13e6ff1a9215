"""Files and folders that are whole or not there at all, and what killed processes left of them."""

import os
import re
import shutil
import socket
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

_MARK = ".unfinished"
_ATTEMPT = r"(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-(?P<token>[0-9a-f]{8})(?P<old>\.old)?" + re.escape(_MARK)
_mine: set[str] = set()  # tokens of what this process is writing


@contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary name for a file or folder, which takes its own at the end of the block and replaces an older one.

    If the block fails, nothing is left and an older one stays. What killed processes of this machine left of the
    same file is removed first; if one was killed while the new took the older one's place, the older is back.

    Args:
        path: Final name. The temporary one is in the same folder and has the same suffix.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _tidy(target)
    token = uuid.uuid4().hex[:8]
    name = f".{target.stem}.{_machine()}-{os.getpid()}-{token}"
    temporary, old = (target.with_name(f"{name}{kind}{_MARK}{target.suffix}") for kind in ("", ".old"))
    _mine.add(token)
    try:
        yield temporary
        if target.is_dir():
            os.replace(target, old)
        os.replace(temporary, target)
        _remove(old)
    except BaseException:
        _remove(temporary)
        raise
    finally:
        _mine.discard(token)


def write_atomically(path: str | os.PathLike, write: Callable[[Path], Any]) -> Path:
    """Lets `write` make a file or folder under a temporary name, as `whole` gives it.

    Args:
        path: Final name.
        write: Gets the temporary path, in the same folder and with the same suffix.
    """
    with whole(path) as temporary:
        write(temporary)
    return Path(path)


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Removes what killed processes began to write in a folder that nobody else writes in, and never named."""
    for path in Path(folder).glob(f".*{_MARK}*"):
        _remove(path)


def _tidy(target: Path) -> None:
    """Removes, or puts back, what dead processes left of a target; what another machine's left may yet be written."""
    pattern = re.compile(rf"\.{re.escape(target.stem)}\.{_ATTEMPT}{re.escape(target.suffix)}")
    for path in list(target.parent.glob(f".*{_MARK}{target.suffix}")):
        found = pattern.fullmatch(path.name)
        if found is None or found["machine"] != _machine() or _lives(int(found["process"]), found["token"]):
            continue
        if found["old"] and not target.exists():
            os.replace(path, target)
        else:
            _remove(path)


def _lives(process: int, token: str) -> bool:
    if process == os.getpid():  # also that of every earlier container, where this one is its first process
        return token in _mine
    return psutil.pid_exists(process)


def _machine() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
