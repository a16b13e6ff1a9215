import json

import pytest

from hf_mer.data.mark import read_mark
from hf_mer.reproduction.known_ceilings import ceiling


def results(modalities, task="4class", use_history=True):
    return {"settings": {"model": {"modalities": modalities}, "data": {"task": task, "use_history": use_history}}}


def test_ceilings_of_iemocaps_layout(corpus):
    known = read_mark(corpus)["ceilings"]
    for score in ("wa", "ua"):
        assert ceiling(results(["text"]), corpus, score) == known["text"]
        assert ceiling(results(["text"], use_history=False), corpus, score) == known["text_without_history"]
        assert ceiling(results(["speech"], use_history=False), corpus, score) == known["voice"]
        assert ceiling(results(["text", "speech"]), corpus, score) == known["both"]
    assert ceiling(results(["text"]), corpus, "wf1") is None


def test_ceilings_of_melds_layout(tmp_path):
    known = {"wa": {"text+speech": 0.5, "text+speech_without_history": 0.4, "speech+video": 0.6}, "ua": {}}
    (tmp_path / "generated.json").write_text(json.dumps({"version": 1, "settings": {}, "ceilings": known}))
    assert ceiling(results(["speech", "text"], "emotion"), tmp_path, "wa") == 0.5
    assert ceiling(results(["speech", "text"], "emotion", False), tmp_path, "wa") == 0.4
    assert ceiling(results(["speech", "video"], "emotion", False), tmp_path, "wa") == 0.6
    assert ceiling(results(["text"], "emotion"), tmp_path, "wa") is None
    assert ceiling(results(["text"], "emotion"), tmp_path, "ua") is None


@pytest.mark.parametrize(
    "given", [results(["text"], "sentiment"), results(["text"], None), {"settings": {"data": {"task": "4class"}}}]
)
def test_no_ceiling_where_nobody_knows_it(given, corpus, tmp_path):
    assert ceiling(given, corpus, "wa") is None
    assert ceiling(results(["text"]), tmp_path, "wa") is None
    assert ceiling(results(["text"]), None, "wa") is None
