"""Names of files that are not UTF-8, as other systems and old archives leave them."""

import csv
import json
import os

import pytest

from hf_mer.cli import main
from hf_mer.data.corpora.manifest import load_corpus
from hf_mer.data.schema import CorpusError


@pytest.fixture
def odd(recordings):
    """A recording named in Latin-1."""
    name = os.fsencode(recordings) + b"/caf\xe9.wav"
    try:
        os.link(os.fsencode(recordings / "a.wav"), name)
    except OSError:
        pytest.skip("this file system has UTF-8 names alone")
    return os.fsdecode(name)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_predictions_name_it(checkpoint, recordings, odd, tmp_path, suffix):
    out = tmp_path / f"p.{suffix}"
    command = ["predict", checkpoint, str(recordings), "--out", str(out)]
    assert main(command) == 0
    content = out.read_text(encoding="utf-8")
    rows = list(csv.DictReader(content.splitlines())) if suffix == "csv" else [
        json.loads(line) for line in content.splitlines()
    ]  # fmt: skip
    by_name = {row["input"].removeprefix(f"{recordings}/"): row["label"] for row in rows}
    assert by_name["caf\\udce9.wav"] == by_name["a.wav"]
    assert main(command) == 0  # goes on with what is there
    assert out.read_text(encoding="utf-8") == content


def test_alone_with_a_figure(checkpoint, odd, tmp_path, capsys):
    assert main(["predict", checkpoint, odd, "--text", "hello", "--plot", str(tmp_path / "figure.png")]) == 0
    assert main(["predict", checkpoint, f"{odd}.wav"]) == 1
    assert "caf\\udce9.wav.wav: no such audio file" in capsys.readouterr().err


def test_one_that_is_damaged_is_skipped(checkpoint, recordings, odd, tmp_path, capsys):
    os.unlink(odd)
    with open(odd, "wb") as file:
        file.write(b"no sound at all")
    out = tmp_path / "p.csv"
    command = ["predict", checkpoint, str(recordings), "--out", str(out)]
    assert main([*command, "--on-bad", "skip"]) == 0
    assert "caf\\udce9.wav: cannot be read as audio" in out.read_text(encoding="utf-8")
    assert main([*command, "--overwrite"]) == 1
    assert "caf\\udce9.wav: cannot be read as audio" in capsys.readouterr().err


def test_folders_in_which_libraries_cannot_write(odd, tmp_path, capsys):
    folder = os.path.join(tmp_path, os.path.basename(odd))
    assert main(["generate", folder, "--num-utterances", "20"]) == 1
    assert "caf\\udce9.wav" in (told := capsys.readouterr().err)
    assert "is not valid UTF-8; name another folder" in told
    table = tmp_path / "calls.csv"
    table.write_text("text,label,speaker\n" + "".join(f"hi {i},{'ab'[i % 2]},s{i % 4}\n" for i in range(8)))
    with pytest.raises(SystemExit, match=r"error in the settings: output_dir: '.*caf.udce9.wav' is not valid UTF-8"):
        main(["train", "le_mer", str(table), "--from-scratch", "--out", folder, "--use_cpu", "true"])


def test_a_corpus_says_so(write_wav, odd, tmp_path, caplog):
    """Arrow takes UTF-8 alone: of a folder such files are left out, in a table they are refused."""
    write_wav("corpus/glad/a.wav")
    write_wav("corpus/cross/b.wav")
    strange = os.path.join(tmp_path, "corpus", "cross", os.path.basename(odd))
    os.link(odd, strange)
    assert load_corpus(tmp_path / "corpus")["id"][:] == ["b", "a"]
    assert "1 files left out whose names are not UTF-8, such as" in caplog.text
    table = tmp_path / "calls.jsonl"
    table.write_text(f"{json.dumps({'audio': strange, 'label': 'x'})}\n")
    with pytest.raises(CorpusError, match=r"not UTF-8: 2 problems\n  row caf.udce9: caf.udce9"):
        load_corpus(table)
