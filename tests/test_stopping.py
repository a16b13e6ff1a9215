"""One line and a status for what a user can do something about."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hf_mer.stopping import Terminated, lacks_space, last_words, terminable

FULL = Path("/dev/full")  # has never any space


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize(
    "write",
    [
        lambda: torch.save({"a": torch.zeros(2_000_000)}, FULL),
        lambda: save_file({"a": torch.zeros(2_000_000)}, FULL),
        lambda: FULL.write_bytes(b"0"),
    ],
)
def test_no_space(write, tmp_path):
    with pytest.raises(Exception) as failed:  # noqa: PT011 (of three libraries)
        write()
    line, status = last_words(failed.value, [tmp_path / "run" / "fold"])
    assert status == 1
    assert line.startswith("error: /")
    assert "no space left (" in line
    assert "MiB are free); make some" in line


def test_a_quota_names_the_folder_of_the_file(tmp_path):
    line, _ = last_words(OSError(122, "Disk quota exceeded", str(tmp_path / "x" / "y.csv")))
    assert line.startswith(f"error: {tmp_path}: no space left (Disk quota exceeded; ")


def test_what_is_expected_and_what_is_not():
    assert last_words(ValueError("so")) == ("error: so", 1)
    assert last_words(FileNotFoundError(2, "No such file", "x"))[1] == 1
    assert last_words(KeyboardInterrupt()) == (
        "interrupted; the same command again goes on from what is finished",
        130,
    )
    assert last_words(RuntimeError("a bug")) is None
    assert not lacks_space(RuntimeError("CUDA out of memory"))


def test_sigterm_ends_the_block_alone(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), terminable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
    assert last_words(Terminated())[1] == 143


def test_a_forked_worker_ends_without_a_word(capfd):
    with terminable():
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        worker.start()
        worker.terminate()
        worker.join(30)
    assert worker.exitcode == -signal.SIGTERM
    assert not capfd.readouterr().err
