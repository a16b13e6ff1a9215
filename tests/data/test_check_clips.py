"""Every kind of bad clip in one report, and what is only counted."""

import logging
from pathlib import Path

import datasets
import pytest

from hf_mer.data import check_video
from hf_mer.data.schema import CorpusError, make_record, records_to_dataset


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def corpus(videos):
    records = [make_record(id=name, video=video, label=0) for name, video in videos.items()]
    return records_to_dataset(records, ["angry", "sad"])


@pytest.fixture
def good(write_video):
    path = write_video("good.mp4")
    return {"good": path, "span": {"path": path, "start": 0.4, "end": 0.8, "side": "left"}, "none": None}


@pytest.fixture
def bad(write_video, tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("this is no clip")
    half = Path(write_video("half.mp4"))
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    return {
        "gone": tmp_path / "gone.mp4",
        "empty": tmp_path / "empty.mp4",
        "text": tmp_path / "text.mp4",
        "half": half,
        "blind": write_video("blind.mp4", codec=None),
        "none at all": write_video("none.avi", codec="mpeg4", seconds=0, sound=False),
        "outside": {"path": write_video("short.mp4", seconds=0.4), "start": 2.0, "end": 3.0},
    }


def test_all_bad_rows_are_in_one_error(good, bad):
    with pytest.raises(CorpusError) as caught:
        check_video(corpus({**good, **bad}))
    problems = dict(problem.removeprefix("row ").split(": ", 1) for problem in caught.value.problems)
    assert set(problems) == set(bad)
    for name, message in {
        "gone": "no such video file",
        "empty": "0 bytes",
        "text": "cannot be read as video",
        "half": "cannot be read as video",
        "blind": "has no video stream",
        "none at all": "no frame can be decoded",
        "outside": "the span from 2 to 3 s lies outside the clip, whose picture goes from 0 to 0.4 s",
    }.items():
        assert message in problems[name]
    assert str(caught.value).endswith("on_bad='skip' leaves these rows out")


def test_bad_rows_can_be_skipped(good, bad, caplog):
    with caplog.at_level(logging.WARNING, logger="hf_mer"):
        rows = check_video(corpus({**bad, **good}), on_bad="skip")
    assert rows["id"][:] == list(good)
    assert "7 of 10 rows are left out because of their video" in caplog.text
    with pytest.raises(CorpusError, match="no row is left"):
        check_video(corpus(bad), on_bad="skip")
    with pytest.raises(ValueError, match="'raise', 'skip' or 'blank'"):
        check_video(corpus(good), on_bad="ignore")


def test_what_is_unusual_is_counted(good, write_video, caplog):
    cut = Path(write_video("cut.mp4", seconds=4, sound=False, options={"movflags": "faststart"}))
    content = cut.read_bytes()
    cut.write_bytes(content[: (content.index(b"mdat") + len(content)) // 2])
    rows = corpus({**good, "cut": cut, "few": write_video("few.mp4", seconds=0.12)})
    with caplog.at_level(logging.INFO, logger="hf_mer"):
        checked = check_video(rows, max_seconds=1.0)
    assert checked["id"][:] == rows["id"][:]
    assert checked.features == rows.features
    for message in (
        "1 clips end too early and are used as they are, such as cut",
        "1 clips have fewer than 8 frames, such as few",
        "clips are longer than 1.0 s and will be cut there, such as good",
        "1 of 5 rows have no video",
    ):
        assert message in caplog.text


def test_the_pass_is_cached_until_a_file_changes(good, bad, tmp_path):
    rows = corpus(good)
    check_video(rows)
    before = set((tmp_path / "cache").rglob("*.arrow"))
    check_video(rows)
    assert set((tmp_path / "cache").rglob("*.arrow")) == before
    Path(good["good"]).write_bytes(bad["half"].read_bytes())
    with pytest.raises(CorpusError, match="cannot be read as video"):
        check_video(rows)


def test_rows_without_video():
    rows = corpus({"a": None, "b": None})
    assert check_video(rows)["id"][:] == ["a", "b"]
