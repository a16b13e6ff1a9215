"""Predictions of several processes: each recognises its share and writes a part, which the main process joins."""

import json
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from hf_mer.files import json_text, write_json
from hf_mer.locks import BusyError, exclusive
from hf_mer.prediction.content import inputs_names
from hf_mer.prediction.outputs import PredictionFile
from hf_mer.prediction.processes import Team
from hf_mer.prediction.shares import share_out, unit_size
from hf_mer.prediction.sources import Unit

logger = logging.getLogger(__name__)

_SEEN_WITHIN = 90.0  # seconds until another machine sees a new file in a folder that it shares
_POLL = 0.3  # seconds


class SharedPredictions:
    """One process' part of a table of predictions.

    In the folder `<name>.parts` beside the table, which all processes must see, the main one writes who recognises
    what (`plan.json`), and every process its predictions, as JSON lines (`0.jsonl` and so on), a file that is locked
    while it lives. When all have ended, the main process joins the parts in the order of the inputs, and removes the
    folder. After a kill it stays, and the next run goes on from it, whatever its number of processes.

    Args:
        table: What the parts are joined to.
        team: The processes.
        block: Inputs that are recognised together, see `share_out`.
        batch_size: Utterances at once.
        max_seconds: What is heard of every utterance at most, in seconds; all if not given.

    Attributes:
        failed: How many of the inputs could not be used: of this process' own; in the main one in the end of all.
    """

    def __init__(
        self, table: PredictionFile, team: Team, block: int, batch_size: int, max_seconds: float | None = None
    ):
        self.table, self.team = table, team
        self.block, self.batch_size, self.max_seconds = block, batch_size, max_seconds
        self.failed = 0
        self._units: Sequence[Unit] = ()
        self._left = 0  # items of the share that are not written
        self._held, self._own = ExitStack(), ExitStack()  # what all processes wait for, and this process' part

    @property
    def new(self) -> int:
        """How many units all processes have to recognise; the main one knows."""
        return self.table.new

    def begin(self, units: Sequence[Unit], overwrite: bool = False) -> list[int]:
        """Opens this process' part, once all processes have theirs.

        Args:
            units: What is to be recognised by all.
            overwrite: Start anew, whatever is there.

        Returns:
            Positions of the units that are this process' share.

        Raises:
            BusyError: If another run is at work.
            ValueError: If the table holds something else, see `PredictionFile`, or the processes do not have the same
                inputs, settings and folder.
        """
        self._units = units
        with ExitStack() as held:
            if self.team.is_main:
                held.callback(self.table.release)
                token = self._plan(self.table.begin(units, overwrite))
            share = self._share(self.team.told_by_main(token if self.team.is_main else None))
            part, own = self._part(self.team.index), held.enter_context(ExitStack())
            own.enter_context(exclusive(part))
            self.stream: IO[str] = own.enter_context(part.open("w", encoding="utf-8", errors="backslashreplace"))
            self.team.start(self.table.parts)
            self._held, self._own = held.pop_all(), own
        self._left = sum(len(units[position].items) for position in share)
        return share

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends what belongs to one unit or several, and lets it reach the disk.

        Raises:
            StoppedError: If another process has failed.
        """
        self.stream.write("".join(f"{json_text(row)}\n" for row in rows))
        self.stream.flush()
        self._left -= len(rows)
        self.failed += sum("error" in row for row in rows)
        self.team.check()

    def close(self) -> None:
        """Lets others have the part; the main process, if it has done its share, joins all when the others are done.

        Raises:
            StoppedError: If another process has failed.
            ValueError: If another process has ended early.
        """
        with self._held:
            self._own.close()
            if self._left or not self.team.is_main:
                return
            self._wait_for_others()
            self.table.join(self._units)
            self.failed = self.table.failed
            self.table.close()

    def _plan(self, waiting: Sequence[int]) -> str:
        """Writes who recognises what; the plan's name."""
        sizes = [unit_size(self._units[position], self.max_seconds) for position in waiting]
        shares = share_out(sizes, self.team.number, self.block, self.batch_size)
        token = uuid.uuid4().hex
        write_json(
            self.table.parts / "plan.json",
            {
                "token": token,
                "settings": self.table.settings,
                "inputs": inputs_names(self._units),
                "shares": [[waiting[place] for place in share] for share in shares],
            },
        )
        return token

    def _share(self, token: str) -> list[int]:
        """The positions that the plan gives to this process, if it was made of what this process has, too."""
        path, deadline = self.table.parts / "plan.json", time.monotonic() + _SEEN_WITHIN
        while (plan := _read(path)).get("token") != token:
            if time.monotonic() > deadline:
                raise ValueError(f"{path}: {self.team.name} does not see what the main process wrote; all machines "
                                 "must share the folder of --out")  # fmt: skip
            time.sleep(_POLL)
        own, main = self.table.settings, plan["settings"]
        if differing := [name for name in {**own, **main} if own.get(name) != main.get(name)]:
            raise ValueError(f"{self.team.name} has another {', '.join(differing)} than the main process; give the "
                             "same command, and the same checkpoint, on every machine")  # fmt: skip
        if plan["inputs"] != inputs_names(self._units):
            raise ValueError(f"{self.team.name} has other inputs than the main process; the same files must be at the "
                             "same paths on every machine")  # fmt: skip
        return plan["shares"][self.team.index]

    def _wait_for_others(self) -> None:
        """Until no other part is held; a process that died holds none."""
        told = time.monotonic() + 10
        for index in range(1, self.team.number):
            while True:
                self.team.check()
                try:
                    with exclusive(self._part(index)):
                        break
                except BusyError:
                    if time.monotonic() > told:
                        logger.warning("this process has finished its share and waits for the others")
                        told = float("inf")
                    time.sleep(_POLL)

    def _part(self, index: int) -> Path:
        return self.table.parts / f"{index}.jsonl"


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
