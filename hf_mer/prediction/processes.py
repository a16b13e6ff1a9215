"""The processes that `accelerate launch` started for one command: who they are, and who speaks for them."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from hf_mer.stopping import ERROR, TERMINATED

_PATIENCE = 10.0  # seconds in which the launcher stops a process whose like has failed
_STORE = timedelta(days=1)  # the main process may have a large checkpoint to download, or many inputs to look at


class StoppedError(Exception):
    """Another process has failed, and said why."""


class Team:
    """The processes of one launch, or this one alone.

    They talk to each other only before the work begins; from then on the folder that they share is enough, so that
    none waits for another on the network.

    Attributes:
        index: Of this process; the main one has 0.
        number: Of processes.
        folder: In which they work, once the work has begun.
    """

    def __init__(self) -> None:
        launched = "LOCAL_RANK" in os.environ  # a cluster may set the others for something else
        self.index = int(os.environ.get("RANK", 0)) if launched else 0
        self.number = int(os.environ.get("WORLD_SIZE", 1)) if launched else 1
        self.folder: Path | None = None
        self._local = int(os.environ["LOCAL_RANK"]) if launched else 0
        self._state: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this is the process that speaks, and joins what all have written."""
        return self.index == 0

    @property
    def name(self) -> str:
        """This process for messages."""
        return f"process {self.index} of {self.number} (host {socket.gethostname()})"

    def join(self, device: str | None) -> str | None:
        """Meets the other processes, if there are any.

        Args:
            device: That was asked for.

        Returns:
            This process' own device.

        Raises:
            ValueError: If there is none for it.
        """
        if self.number == 1:
            return device
        import torch
        from accelerate import PartialState

        there = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
        kind, _, which = (device or "").partition(":")
        if which:
            raise ValueError(f"--device {device} is one device for {self.number} processes; give --device {kind}")
        on_cpu = kind == "cpu" or not there
        if not on_cpu and self._local >= there:
            raise ValueError(f"{self.name} has no device of its own, as there are {there} here; launch as many "
                             "processes as devices on every machine, or give --device cpu")  # fmt: skip
        with _meeting():
            self._state = PartialState(cpu=on_cpu, timeout=_STORE)
        if self._state.num_processes != self.number:
            raise ValueError(f"accelerate cannot start several processes on {self._state.device}; give --device cpu")
        if not self.is_main:
            logging.disable(logging.WARNING)  # what is said of all inputs and the checkpoint, the main process says
        own = str(self._state.device)
        return own if not kind or own.partition(":")[0] == kind else device  # which is refused as by one process

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The block in the main process, and then in the others, which find in the cache what it downloaded."""
        if self._state is None:
            yield
            return
        with _meeting(), self._state.main_process_first():
            yield

    def told_by_main(self, value: Any) -> Any:
        """What the main process gives, in every process."""
        from accelerate.utils import broadcast_object_list

        with _meeting():
            return broadcast_object_list([value])[0]

    def start(self, folder: Path) -> None:
        """Waits until all are here, and leaves the network.

        Args:
            folder: In which they work.
        """
        with _meeting():
            self._state.wait_for_everyone()
            self.folder = folder
            self._state.destroy_process_group()
        logging.disable(logging.NOTSET)

    def check(self) -> None:
        """Stops where another process has.

        Raises:
            StoppedError: If one has failed.
        """
        if self.folder is not None and self._mark(self.folder).exists():
            raise StoppedError

    @contextmanager
    def one_voice(self) -> Iterator[None]:
        """Of what ends all processes one line is said, by the first that has it to say; the others end in silence."""
        try:
            yield
        except StoppedError:
            raise SystemExit(ERROR) from None
        except KeyboardInterrupt:
            if self.is_main and not (self.folder is not None and self._mark(self.folder).exists()):
                raise
            raise SystemExit(TERMINATED) from None
        except Exception:
            if not self._may_speak():
                raise SystemExit(ERROR) from None
            raise

    def _may_speak(self) -> bool:
        if self.number == 1:
            return True
        if self.folder is not None:
            try:
                self._mark(self.folder).touch(exist_ok=False)
            except FileExistsError:
                return False
            except OSError:  # no space left, which is what there is to say
                pass
            return True
        if self.is_main:
            return True
        try:
            # the main process finds most of what can be wrong beforehand, too, and the launcher then stops this one
            time.sleep(_PATIENCE + self._local)
        except KeyboardInterrupt:
            return False
        return True

    @staticmethod
    def _mark(folder: Path) -> Path:
        return folder / "stopped"


@contextmanager
def _meeting() -> Iterator[None]:
    """What goes wrong between processes, in one line."""
    try:
        yield
    except RuntimeError as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConnectionError(f"another process cannot be reached, or has ended: {first_line}") from error
