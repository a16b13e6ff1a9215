"""JSON is whole or not there at all."""

import json
import os

from hf_mer.training.files import write_json


def test_write_and_replace(tmp_path):
    path = write_json(tmp_path / "deep" / "a.json", {"x": 1})
    write_json(path, {"x": "\u0119"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"x": "\u0119"}
    assert os.listdir(path.parent) == ["a.json"]
