"""One line and a status for what a user can do something about."""

import multiprocessing
import os
import signal
import time

import pytest
import torch
from safetensors.torch import save_file

from hf_mer.stopping import Terminated, lacks_space, last_words, terminable

TENSORS = {"a": torch.zeros(2_000_000)}


@pytest.fixture
def no_space(tmp_path):
    """Files of this process end after 1 MB, as a quota would have it."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield tmp_path / "file"
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: torch.save(TENSORS, path),
        lambda path: save_file(TENSORS, path),
        lambda path: path.write_bytes(b"0" * 8_000_000),
    ],
)
def test_no_space(no_space, write, tmp_path):
    with pytest.raises(Exception) as failed:  # noqa: PT011 (of three libraries)
        write(no_space)
    line, status = last_words(failed.value, [tmp_path / "run" / "fold"])
    assert status == 1
    assert line.startswith("error: /")
    assert "no space left (" in line
    assert "MiB are free); free some" in line


def test_a_quota_names_the_folder_of_the_file(tmp_path):
    line, _ = last_words(OSError(122, "Disk quota exceeded", str(tmp_path / "x" / "y.csv")))
    assert line.startswith(f"error: {tmp_path}: no space left (Disk quota exceeded; ")


def test_what_is_expected_and_what_is_not():
    assert last_words(ValueError("so")) == ("error: so", 1)
    assert last_words(FileNotFoundError(2, "No such file", "x"))[1] == 1
    assert last_words(KeyboardInterrupt()) == (
        "interrupted; run the same command again to continue",
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
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    with terminable():
        worker = context.Process(target=lambda: begun.set() or time.sleep(60))
        worker.start()
        begun.wait(30)
        worker.terminate()
        worker.join(30)
    assert worker.exitcode == -signal.SIGTERM
    assert not capfd.readouterr().err
