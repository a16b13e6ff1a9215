"""One bad item among good ones is named by file and line, whatever a library makes of it."""

import json

import pytest

from hf_mer.cli import main
from hf_mer.prediction.runner import predict_all
from hf_mer.prediction.sources import collect_units


class _Output:
    def __init__(self):
        self.rows = []

    def begin(self, inputs, overwrite):
        return list(range(len(inputs)))

    def write(self, rows):
        self.rows += rows

    @property
    def failed(self):
        return sum("error" in row for row in self.rows)

    def close(self):
        pass


@pytest.mark.parametrize("row", [{"text": "oh \ud83d"}, {"text": "so", "history": ["hi", "\ud83d"]}])
def test_half_a_character(checkpoint, tmp_path, capsys, row):
    table = tmp_path / "calls.jsonl"
    table.write_text("".join(f"{json.dumps(one)}\n" for one in ({"text": "hello"}, row)))
    assert main(["predict", checkpoint, str(table)]) == 1
    told = capsys.readouterr().err
    assert f"{table}, line 2: '" in told
    assert "\\ud83d' contains an invalid character" in told
    assert main(["predict", checkpoint, str(table), "--on-bad", "skip"]) == 0


def test_a_turn_of_a_dialogue_is_named_itself(recordings):
    """Not the turn that the dialogue begins with."""
    (recordings / "broken.wav").write_bytes(b"no sound at all")
    table = recordings / "calls.csv"
    table.write_text("audio,dialogue,turn\na.wav,one,0\nbroken.wav,one,1\nc.wav,one,2\n")
    units = collect_units([str(table)], recognises_words=True)

    def recognise(inputs, **settings):
        raise ValueError(f"{recordings / 'broken.wav'}: cannot be read as audio")

    output = _Output()
    predict_all(recognise, units, output, on_bad="skip")
    assert [row["error"].partition(": ")[0] for row in output.rows] == [f"{table}, line 3"] * 3


@pytest.mark.parametrize("error", [TypeError, KeyError, OverflowError])
def test_whatever_a_library_raises(recordings, error):
    def recognise(inputs, **settings):
        if isinstance(inputs, list) or inputs["audio"].endswith("c.wav"):
            raise error("odd")
        return {"label": "happy", "scores": [{"label": "happy", "score": 1.0}]}

    output = _Output()
    number, failed = predict_all(recognise, collect_units([str(recordings)]), output, on_bad="skip")
    assert (number, failed) == (4, 1)
    assert output.rows[2]["error"].startswith(f"{recordings / 'c.wav'}: ")


def test_columns_that_are_no_json(checkpoint, tmp_path, capsys):
    for columns in ("clip", "[1]"):
        with pytest.raises(SystemExit):
            main(["predict", checkpoint, str(tmp_path), "--columns", columns])
        assert f"'{columns}' is not a JSON object, such as" in capsys.readouterr().err
