"""A file is one run's at a time; a dead run holds nothing."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hf_mer.locks import BusyError, exclusive

HOLD = """
import sys
from hf_mer.locks import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `p.csv`."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "p.csv")], env=environment, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_is_told_who_is_at_work(holder, tmp_path):
    """Also the third, and by another name of the same file."""
    (tmp_path / "link.csv").symlink_to(tmp_path / "p.csv")
    for name in ("p.csv", "p.csv", "link.csv"):
        told = rf"in use by another run \(host .+, process {holder.pid}, since [-0-9]{{10}} [:0-9]{{8}}\)"
        with pytest.raises(BusyError, match=rf"{re.escape(str(tmp_path / name))}: {told}"), exclusive(tmp_path / name):
            pass


def test_a_dead_process_holds_nothing(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".p.csv.lock").exists()
    for _ in range(2):
        with exclusive(tmp_path / "p.csv"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_within_one_process(tmp_path):
    with exclusive(tmp_path / "new" / "runs"), exclusive(tmp_path / "new" / "others"):
        with pytest.raises(BusyError, match=f"process {os.getpid()}"), exclusive(tmp_path / "new" / "runs"):
            pass
        with pytest.raises(BusyError), exclusive(tmp_path / "new" / "runs"):
            pass
    with exclusive(tmp_path / "new" / "runs"):
        pass
