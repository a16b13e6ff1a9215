"""`hf-mer predict --explain`."""

import csv
import json
import math
import re

import numpy as np
import pytest

from hf_mer.cli import main
from hf_mer.cli.explaining import explanation_lines, has_colours

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def words(values, current=True):
    return [
        {"word": word, "current": current, "value": value, "error": error} for word, (value, error) in values.items()
    ]


@pytest.fixture
def explanation():
    return {
        "label": "angry",
        "score": 0.73,
        "prior": 0.25,
        "prior_source": "uniform",
        "modalities": {"text": math.log(4), "history": -math.log(2), "speech": 0.0},
        "words": [
            *words({"lovely,": (-math.log(2), 0.1)}, current=False),
            *words({"I": (0.01, 0.0), "hated": (math.log(3), 0.1), "that": (0.5, 0.6)}),
        ],
        "segments": [
            {"start": 2.0, "end": 3.0, "value": -0.9, "error": 0.2},
            {"start": 3.0, "end": 6.0, "value": 0.9, "error": 0.2},
        ],
        "video_spans": [{"start": None, "end": None, "value": value, "error": 0.0} for value in (0.8, 0.0)],
    }


def test_signs_and_factors_in_a_pipe(explanation):
    lines = explanation_lines(explanation, np.r_[np.ones(100), np.full(300, 0.1)], colours=False, width=50)
    assert not COLOUR.search("".join(lines))
    assert lines[0] == "why angry: from 0.25, before anything is seen (equal for all classes: the checkpoint does not " \
                       "state their shares), to 0.73"  # fmt: skip
    assert lines[1] == "text      ×4.0                   |" + 16 * "█"
    assert lines[2] == "history   ÷2.0           ████████|"
    assert lines[3] == "speech    ×1                     |"
    assert lines[4] == "earlier   lovely,[÷2.0]"
    assert lines[5] == "words     I hated[×3.0] that"  # `that` is within its standard error
    assert lines[6] == "sound     " + 10 * "█" + 30 * "▁"
    assert lines[7] == "          " + 10 * "-" + 30 * "+"
    assert re.fullmatch(r" {10}2\.0 +6\.0 s", lines[8])
    assert lines[9] == "video     " + 20 * "+" + 20 * "·"
    assert max(map(len, lines[1:-1])) <= 50


def test_the_same_in_colours(explanation):
    lines = explanation_lines(explanation, colours=True, width=50)
    assert COLOUR.sub("", lines[5]) == "words     I hated that"
    assert COLOUR.findall(lines[5]) == ["\x1b[38;5;231;48;5;54m", "\x1b[0m"]  # the largest value has full colour
    assert "48;5;143m----" in lines[6]
    assert lines[-1].startswith("against ÷3.0 ")


def test_words_wrap_at_the_width(explanation):
    explanation["words"] = words({f"word{i:02}": (1.0, 0.0) for i in range(40)})
    for colours in (False, True):
        rows = [COLOUR.sub("", line) for line in explanation_lines(explanation, colours=colours, width=60)]
        assert max(map(len, rows[1:-1])) <= 60
        assert sum("word" in row for row in rows) > 5


@pytest.mark.parametrize(
    ("terminal", "variables", "expected"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False)],
)
def test_colours_in_terminals_that_want_them(terminal, variables, expected, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    assert has_colours() == expected


@pytest.fixture
def checkpoint(tiny_checkpoint):
    return tiny_checkpoint()[0]


def test_one_utterance(checkpoint, write_wav, tmp_path, capsys):
    command = ["predict", checkpoint, str(write_wav("a.wav")), "--text", "so glad", "--history", "who is it"]
    figure = tmp_path / "why.png"
    assert main([*command, "--explain-class", "sad", "--explain-budget", "150", "--plot", str(figure)]) == 0
    told = capsys.readouterr().out
    assert "\nwhy sad: from 0.25" in told
    assert [line.split()[0] for line in told.splitlines() if "|" in line] == ["text", "history", "speech"]
    assert re.search(r"^earlier +who", told, re.MULTILINE)
    assert re.search(r"^words +so", told, re.MULTILINE)
    assert "\x1b" not in told
    assert f"figure: {figure}" in told
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert main([*command, "--explain", "--explain-budget", "150", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["explanation"]
    assert sum(found["modalities"].values()) == pytest.approx(math.log(found["score"] / found["prior"]), abs=1e-6)
    assert [word["word"] for word in found["words"]] == ["who", "is", "it", "so", "glad"]


def test_a_model_without_label_embeddings_is_drawn_too(tmp_path, write_video, capsys):
    from media_files import save_film_checkpoint

    checkpoint, figure = save_film_checkpoint(tmp_path / "films"), tmp_path / "why.svg"
    film = write_video("scene.mp4", seconds=0.8)
    assert main(["predict", checkpoint, film, "--explain-budget", "120", "--plot", str(figure)]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^video +[-+·]{20,}$", told, re.MULTILINE)
    assert "Video" in figure.read_text(encoding="utf-8")


def test_windows_are_explained_one_by_one(checkpoint, write_wav, capsys):
    call = str(write_wav("call.wav", seconds=1.0))
    assert main(["predict", checkpoint, call, "--window", "0.5", "--hop", "0.5", "--explain-budget", "100"]) == 0
    told = capsys.readouterr().out
    assert told.count("why ") == 2
    assert re.search(r"^ +0\.5 +1\.0 s$", told, re.MULTILINE)


def test_many_inputs(checkpoint, write_wav, tmp_path, capsys):
    for name in ("a.wav", "b.wav"):
        write_wav(f"calls/{name}", seconds=0.3)
    for name in ("p.jsonl", "p.csv"):
        command = ["predict", checkpoint, str(tmp_path / "calls"), "--out", str(tmp_path / name)]
        assert main([*command, "--explain-budget", "100"]) == 0
        assert main([*command, "--explain-budget", "100"]) == 0  # goes on where nothing is left to do
        assert main(command) == 1
        assert "explain {'budget': 100} (now None)" in capsys.readouterr().err
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    with (tmp_path / "p.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    for row, cell in zip(rows, cells, strict=True):
        assert row["explanation"]["segments"]
        assert cell["explained"] == row["explanation"]["label"]
        assert float(cell["value_speech"]) == pytest.approx(row["explanation"]["modalities"]["speech"], abs=1e-5)
        assert cell["value_text"] == cell["value_history"] == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--explain-class", "joy"], "explain: label 'joy' is not one of angry, happy, neutral, sad"),
        (["--explain-budget", "0"], "explain: budget=0"),
    ],
)
def test_bad_input_is_one_line(checkpoint, arguments, message, capsys):
    assert main(["predict", checkpoint, "--text", "so glad", *arguments]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error
