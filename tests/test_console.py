"""Output in encodings that lack characters."""

import io
import json
import subprocess
import sys

import pytest

from hf_mer.cli import main


@pytest.fixture
def output(monkeypatch):
    """Standard output in an encoding; what was written there, as text."""

    def redirected(encoding):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stream)
        return lambda: (stream.flush(), stream.buffer.getvalue().decode(encoding))[1]

    return redirected


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_bars_become_plain_characters(tiny_checkpoint, output, encoding):
    checkpoint = tiny_checkpoint()[0]
    written = output(encoding)
    assert main(["predict", checkpoint, "--text", "hello"]) == 0
    rows = [line.split() for line in written().splitlines()]
    assert [row[2:] for row in rows] == [["#" * round(30 * float(row[1]))] for row in rows]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_json_stays_json(tiny_checkpoint, output, encoding):
    """Words of any script, and a byte that is no character."""
    checkpoint = tiny_checkpoint()[0]
    written = output(encoding)
    said = "zażółć 😀 你好"
    assert main(["predict", checkpoint, "--text", said, "--json", "--explain-budget", "100"]) == 0
    assert [word["word"] for word in json.loads(written())["explanation"]["words"]] == said.split()


def test_the_process_of_a_shell_with_another_encoding(monkeypatch):
    """What training scripts print last, after hours."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    code = "from hf_mer.console import accept_every_character as f; f(); print('0.5 ± 0.1 █ ł')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"0.5 +/- 0.1 # \\u0142\n"
