"""Rows that are segments of long recordings, and places in a dialogue that look like them."""

import json
import logging

import numpy as np
import pytest
import soundfile

from hf_mer.data.check_files import check_audio
from hf_mer.data.corpora.manifest import load_corpus
from hf_mer.data.prepare import prepare
from hf_mer.data.schema import CorpusError
from hf_mer.models.audio_mer import load_audio
from hf_mer.models.segments_mer import audio_of
from hf_mer.prediction import collect_units

RATE = 8000


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def table(tmp_path):
    """Writes a table beside `two.wav`, 6 s whose samples are a ramp; a value tells where it is from."""
    soundfile.write(tmp_path / "two.wav", np.arange(6 * RATE) / (6 * RATE), RATE, subtype="FLOAT")

    def write(*lines, name="t.csv"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def spans(rows):
    return list(zip(rows["audio_start"][:], rows["audio_end"][:], strict=True))


def test_start_and_end_inside_the_files_are_segments_and_that_is_said(table, caplog):
    path = table("file,start,end,label", "two.wav,2.0,5.62,sad", "two.wav,0,1.9,happy")
    with caplog.at_level(logging.INFO):
        rows = load_corpus(path)
    assert spans(rows) == [(2.0, 5.62), (0.0, 1.9)]
    assert rows["id"][:] == ["two_2-5.62", "two_0-1.9"]
    assert rows["start"][:] == rows["end"][:] == [None, None]
    assert "read as segments" in caplog.text
    assert check_audio(rows)["duration"][:] == pytest.approx([3.62, 1.9])
    first = next(unit.input for unit in collect_units([str(path)]))
    assert (first["audio_start"], first["audio_end"]) == (2.0, 5.62)
    shown = collect_units([str(path)])[0].items[0].shown
    assert (shown["start"], shown["end"]) == (2.0, 5.62)


def test_places_in_a_dialogue_are_never_cut_nor_guessed(table):
    path = table("file,start,end,label", "two.wav,2.0,5.62,sad", "two.wav,7,8,happy")
    for read in (load_corpus, lambda path: collect_units([str(path)])):
        with pytest.raises(CorpusError) as caught:
            read(path)
        message = str(caught.value)
        assert "line 3: the segment from 7 to 8 s is not inside" in message
        assert "6 s long" in message
        assert "columns={'audio_start': 'start', 'audio_end': 'end'}" in message
        assert "columns={'start': 'start', 'end': 'end'}" in message
    # the two rows are the same recording, which ids made of its name cannot tell apart
    rows = load_corpus(path, columns={"start": "start", "end": "end", "id": "end"})
    assert spans(rows) == [(None, None)] * 2
    assert rows["start"][:] == [2.0, 7.0]
    with pytest.raises(CorpusError, match="line 3: the segment from 7 to 8 s is not inside"):
        load_corpus(path, columns={"audio_start": "start", "audio_end": "end"})


def test_columns_of_their_own_leave_start_and_end_alone(table):
    path = table("file,audio_start,audio_end,start,end,label", "two.wav,1,2,100,101,sad")
    rows = load_corpus(path)
    assert (spans(rows), rows["start"][:]) == ([(1.0, 2.0)], [100.0])


def test_one_border_alone_is_not_guessed(table):
    with pytest.raises(CorpusError, match="none for the other end of the segment"):
        load_corpus(table("file,start,label", "two.wav,1,sad"))
    rows = load_corpus(table("file,start,label", "two.wav,1,sad"), columns={"audio_start": "start"})
    assert spans(rows) == [(1.0, None)]


def test_offset_and_duration(table):
    lines = [{"file": "two.wav", "offset": 1.5, "duration": 2.0, "label": "sad"},
             {"file": "two.wav", "offset": 4, "label": "sad"}]  # fmt: skip
    path = table(*map(json.dumps, lines), name="nemo.jsonl")
    assert spans(load_corpus(path)) == [(1.5, 3.5), (4.0, None)]
    path = table("file,duration,label", "two.wav,2,sad")
    assert spans(load_corpus(path)) == [(None, None)]
    path = table("file,offset,duration,label", "two.wav,5,2,sad")
    with pytest.raises(CorpusError, match=r"line 2: the segment from 5 to 7 s.*6 s long"):
        load_corpus(path)


def test_times_as_pandas_writes_them(table):
    path = table("file,start,end,label", "two.wav,0 days 00:00:02.500000,0 days 00:00:04,sad",
                 "two.wav,0 days 00:00:05,NaT,sad")  # fmt: skip
    assert spans(load_corpus(path)) == [(2.5, 4.0), (5.0, None)]


@pytest.mark.parametrize(("start", "end", "unit"), [(1000, 5000, "milliseconds"), (10000, 47000, "samples")])
def test_other_units_are_named(table, start, end, unit):
    with pytest.raises(CorpusError, match=f"are these {unit}"):
        load_corpus(table("file,audio_start,audio_end,label", f"two.wav,{start},{end},sad"))


@pytest.mark.parametrize("cells", ["3,3", "3,2", "-1,2", "6,7"])
def test_impossible_segments(table, cells):
    with pytest.raises(CorpusError, match="line 2: the segment"):
        load_corpus(table("file,audio_start,audio_end,label", f"two.wav,{cells},sad"))


@pytest.mark.parametrize("rate", [8000, 88_211, 705_600])  # FLAC has no room for the last two
def test_prepared_segments_are_files_of_their_own(table, tmp_path, rate):
    from datasets import Audio, load_dataset

    table("x")
    soundfile.write(tmp_path / "two.wav", np.arange(6 * rate) / (6 * rate), rate, subtype="FLOAT")
    path = table("file,audio_start,audio_end,label", "two.wav,2,3,sad", "two.wav,4,5.5,happy")
    folder = prepare(load_corpus(path), tmp_path / "prepared", embed_audio=True)
    rows = load_dataset(str(folder), split="train").cast_column("audio", Audio(decode=False))
    assert spans(rows) == [(None, None)] * 2
    assert len({audio["path"] for audio in rows["audio"]}) == 2
    for audio, start, seconds in zip(rows["audio"], (2, 4), (1.0, 1.5), strict=True):
        samples = load_audio(audio, RATE)
        assert len(samples) == seconds * RATE
        assert samples[len(samples) // 2] == pytest.approx((start + seconds / 2) / 6, abs=1e-3)


@pytest.mark.parametrize("kind", ["path", "bytes", "array", "dictionary"])
def test_the_sound_of_a_row(table, tmp_path, kind):
    table("x")
    file = tmp_path / "two.wav"
    samples, _ = soundfile.read(file, dtype="float32")
    audio = {"path": str(file), "bytes": file.read_bytes(), "array": samples, "dictionary": {"path": str(file)}}[kind]
    for missing in (None, float("nan")):
        cut = load_audio(audio_of({"audio": audio, "audio_start": 4.5, "audio_end": missing}), RATE)
        assert np.array_equal(cut, samples[36000:])
        assert audio_of({"audio": audio, "audio_start": missing}) is audio
    with pytest.raises(ValueError, match="start or end of its own"):
        audio_of({"audio": {"path": "a.wav", "start": 1}, "audio_start": 2})
