"""Every kind of bad recording, and what is only counted."""

import logging
import os

import datasets
import numpy as np
import pytest
import soundfile

from hf_mer.data import check_files
from hf_mer.data.check_files import check_audio
from hf_mer.data.measure_files import measure_recording
from hf_mer.data.schema import COLUMNS, CorpusError, make_record, records_to_dataset

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def noise(seconds, rate=16000, channels=1):
    samples = 0.1 * RNG.standard_normal((int(seconds * rate), channels))
    return samples[:, 0] if channels == 1 else samples


@pytest.fixture
def good(tmp_path):
    soundfile.write(tmp_path / "good.wav", noise(0.5), 16000)
    soundfile.write(tmp_path / "other.flac", noise(0.75, 8000, 2), 8000)
    return [
        make_record(id="good", audio=tmp_path / "good.wav", text="Hi", label=0, duration=9),
        make_record(id="other", audio=tmp_path / "other.flac", text="Ho", label=1),
    ]


@pytest.fixture
def bad(tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("this is no recording")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.1, np.nan] * 1600), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "short.wav", noise(0.05), 16000)
    names = ("gone", "empty", "text", "none", "nan", "short")
    return [make_record(id=name, audio=tmp_path / f"{name}.wav", text="Hi", label=0) for name in names]


def corpus(records):
    return records_to_dataset(records, ["angry", "sad"])


def test_durations_are_measured(good):
    rows = check_audio(corpus(good))
    assert rows["duration"][:] == [0.5, 0.75]
    assert rows.column_names == list(COLUMNS)
    assert rows.features == corpus(good).features
    assert rows["audio"][0] == {"bytes": None, "path": good[0]["audio"]["path"]}


def test_all_bad_rows_are_in_one_error(good, bad):
    with pytest.raises(CorpusError) as caught:
        check_audio(corpus([*good, *bad]))
    problems = dict(problem.removeprefix("row ").split(": ", 1) for problem in caught.value.problems)
    assert set(problems) == {"gone", "empty", "text", "none", "nan", "short"}
    assert "no such audio file" in problems["gone"]
    assert "0 bytes" in problems["empty"]
    assert "cannot be read as audio" in problems["text"]
    assert "0 samples" in problems["none"]
    assert "1600 of 3200 samples are NaN" in problems["nan"]
    assert problems["short"] == "0.050 s long, shorter than 0.1 s"
    assert str(caught.value).endswith("on_bad='skip' leaves these rows out")


def test_bad_rows_can_be_skipped(good, bad, caplog):
    with caplog.at_level(logging.WARNING, logger="hf_mer"):
        rows = check_audio(corpus([bad[0], good[0], *bad[1:], good[1]]), on_bad="skip")
    assert rows["id"][:] == ["good", "other"]
    assert rows["duration"][:] == [0.5, 0.75]
    assert "6 of 8 rows are left out" in caplog.text
    with pytest.raises(CorpusError, match="no row is left"):
        check_audio(corpus(bad), on_bad="skip")
    with pytest.raises(ValueError, match="'raise', 'skip' or 'blank'"):
        check_audio(corpus(good), on_bad="ignore")


def test_what_is_unusual_is_counted(good, tmp_path, caplog):
    soundfile.write(tmp_path / "quiet.wav", np.full(3200, 1e-4), 16000, subtype="FLOAT")
    records = [*good, make_record(id="quiet", audio=tmp_path / "quiet.wav", text="[SIGH]", label=0)]
    with caplog.at_level(logging.INFO, logger="hf_mer"):
        rows = check_audio(corpus(records), max_duration=0.6)
    assert len(rows) == 3
    for message in (
        "1 recordings are silent (peak below -60 dBFS), such as quiet",
        "1 recordings are longer than 0.6 s and will be cut there, such as other",
        "1 recordings are at 8000 Hz and will be resampled to 16000 Hz",
        "1 recordings have several channels",
        "of 3 texts, 0 are missing, 0 are empty and 1 are only a tag",
    ):
        assert message in caplog.text


def test_silence_goes_where_the_row_has_something_else(good, bad, tmp_path, caplog):
    soundfile.write(tmp_path / "quiet.wav", np.zeros(3200), 16000)
    told = {
        "spoken": {"text": "Hi"},
        "answer": {"history": ["Hi"]},
        "seen": {"video": tmp_path / "x.mp4"},
        "alone": {},
    }
    quiet = [make_record(id=name, audio=tmp_path / "quiet.wav", label=0, **more) for name, more in told.items()]
    rows = corpus([bad[0], *quiet, *good])

    def lost(*beside):
        checked = check_audio(rows, on_bad="skip", beside=beside)
        assert checked.features == rows.features
        assert checked["duration"][:] == pytest.approx([0.2] * len(quiet) + [0.5, 0.75])
        return [row["id"] for row in checked if row["audio"] is None]

    assert lost() == []
    assert lost("text") == ["spoken", "answer"]
    assert lost("video") == ["seen"]
    assert lost("text", "video") == ["spoken", "answer", "seen"]
    assert "3 silent recordings are not used, since their rows have text or video" in caplog.text


def test_the_pass_is_cached_until_a_file_changes(good, tmp_path, monkeypatch):
    rows = corpus(good)
    check_audio(rows)
    calls = []
    original = check_files._files_state

    def measured_again():
        before = set((tmp_path / "cache").rglob("*.arrow"))
        durations = check_audio(rows)["duration"][:]
        calls.append(len(set((tmp_path / "cache").rglob("*.arrow")) - before))
        return durations

    assert check_files._files_state is original
    assert measured_again() == [0.5, 0.75]
    soundfile.write(tmp_path / "good.wav", noise(0.25), 16000)
    assert measured_again() == [0.25, 0.75]
    assert calls == [0, 1]


def test_bad_rows_can_be_kept_without_their_recordings(good, bad, caplog):
    rows = check_audio(corpus([bad[0], good[0], *bad[1:]]), on_bad="blank")
    assert rows["id"][:] == [bad[0]["id"], "good", *(one["id"] for one in bad[1:])]
    assert [row["audio"] is None for row in rows] == [True, False, *[True] * (len(bad) - 1)]
    assert rows["duration"][:] == [None, 0.5, *[None] * (len(bad) - 1)]
    assert "6 of 7 rows are used without their audio" in caplog.text


def test_rows_without_audio(good, caplog):
    text_only = [make_record(id="a", text="Hi", label=0), make_record(id="b", text="Ho", label=0, duration=2.0)]
    rows = check_audio(corpus(text_only))
    assert rows["duration"][:] == [None, 2.0]
    with caplog.at_level(logging.WARNING, logger="hf_mer"):
        assert check_audio(corpus([*good, *text_only]))["duration"][:] == [0.5, 0.75, None, 2.0]
    assert "2 of 4 rows have no audio" in caplog.text


def test_embedded_audio(good):
    records = [dict(record) for record in good]
    for record in records:
        with open(record["audio"]["path"], "rb") as stream:
            record["audio"] = {"bytes": stream.read(), "path": os.path.basename(record["audio"]["path"])}
    assert check_audio(corpus(records))["duration"][:] == [0.5, 0.75]


def test_long_recordings_are_measured_block_by_block(little_memory, tmp_path):
    path, size = tmp_path / "long.wav", 2 * 48_000 * 900  # a quarter of an hour, in a file that is mostly a hole
    soundfile.write(path, noise(1.0), 48_000)
    with open(path, "r+b") as stream:
        stream.seek(4)
        stream.write((36 + size).to_bytes(4, "little"))
        stream.seek(40)
        stream.write(size.to_bytes(4, "little"))
        stream.truncate(44 + size)
    measure_recording(make_record(id="short", audio=path, label=0) | {"audio_end": 1.0}, "")  # imports
    with little_memory():
        found = measure_recording(make_record(id="long", audio=path, label=0), "")
    assert (found["seconds"], found["silent"], found["problem"]) == (900.0, False, None)


def test_rates_that_no_sound_has(good, tmp_path):
    soundfile.write(tmp_path / "odd.wav", noise(0.5, 22051), 22051)
    soundfile.write(tmp_path / "absurd.wav", noise(0.01, 999_983), 999_983)
    content = (tmp_path / "absurd.wav").read_bytes()
    records = [make_record(id=name, audio=tmp_path / f"{name}.wav", label=0) for name in ("odd", "absurd")]
    records.append({**records[0], "id": "embedded", "audio": {"bytes": content, "path": "inside.wav"}})
    with pytest.raises(CorpusError) as error:
        check_audio(corpus(records))
    assert "audio: 2 problems" in str(error.value)
    assert "row absurd: " in str(error.value)
    assert "row embedded: inside.wav: a sampling rate of 999983 Hz is not valid" in str(error.value)


def test_two_processes(good, bad):
    assert check_audio(corpus([*good, *bad]), on_bad="skip", num_proc=2)["id"][:] == ["good", "other"]


def test_recordings_with_a_fault_are_counted_by_its_kind(good, tmp_path, caplog):
    speech = noise(0.5)
    for name in ("first", "second"):
        soundfile.write(tmp_path / f"{name}.wav", np.stack([speech, -speech], axis=1), 16000)
    cut = (tmp_path / "good.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(cut[: len(cut) // 2])
    names = ("first", "second", "cut")
    records = [make_record(id=name, audio=tmp_path / f"{name}.wav", text="Hi", label=0) for name in names]
    with caplog.at_level(logging.WARNING, logger="hf_mer"):
        check_audio(corpus([*good, *records]))
    assert [record.getMessage() for record in caplog.records] == [
        "1 recordings are cut off or damaged and are used as far as they go, such as cut",
        "2 recordings have channels that cancel each other out; one channel is used, such as in first",
    ]
