"""Cached features are found again, and computed again when anything they come from has changed."""

import os

import datasets
import numpy as np
import pytest
from media_files import image_processor
from model_tester import mel_feature_extractor, tiny_tokenizer, wave_feature_extractor

from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.models import MerProcessor
from hf_mer.training.features import add_lengths, cache_features, cache_frames
from hf_mer.training.stages import Stage


@pytest.fixture(autouse=True)
def datasets_cache(tmp_path, monkeypatch):
    """One for every test: the others have recordings of the same content."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def rows(write_wav):
    records = [make_record(id=f"u{i}", audio=write_wav(f"{i}.wav", 0.2 + i / 10), label=0, text="a") for i in range(3)]
    return records_to_dataset([*records, make_record(id="silent", text="words", label=0)], ["any"])


@pytest.fixture
def computed(monkeypatch):
    """The number of utterances whose features were computed, as the last element of a list."""
    count = []
    original = MerProcessor.extract_audio
    monkeypatch.setattr(MerProcessor, "extract_audio", lambda *args: count.append(1) or original(*args))
    return count


def processor(extractor=None, **settings) -> MerProcessor:
    return MerProcessor(extractor or mel_feature_extractor(), tiny_tokenizer(), **settings)


@pytest.mark.parametrize("extractor", [mel_feature_extractor, wave_feature_extractor])
def test_features_are_those_of_the_processor(rows, extractor):
    made = processor(extractor())
    cached = cache_features(rows, made)
    for row in range(3):
        expected = made.extract_audio(rows[row]["audio"])
        dim = cached[row]["feature_dim"]
        found = np.asarray(cached[row]["features"]).reshape(expected.shape)
        np.testing.assert_array_equal(found, expected)
        assert dim == (160 if expected.ndim == 2 else 1)
    assert len(cached[3]["features"]) == 0
    assert cached[[3, 0]]["id"] == ["silent", "u0"]  # first in a batch
    assert cached[0]["id"] == "u0"


def test_found_again(rows, computed):
    made, found = Stage(), Stage()
    cache_features(rows, processor(), stage=made)
    assert len(computed) == 3
    cache_features(rows, processor(), stage=found)
    assert len(computed) == 3
    assert not made.to_dict()["reused"]
    assert found.to_dict()["reused"]


def test_computed_again_when_the_recording_changes(rows, write_wav, computed):
    """And not when it was only copied."""
    before = cache_features(rows, processor())[0]["features"]
    path = rows[0]["audio"]["path"]
    os.utime(path, ns=(1, 1))
    cache_features(rows, processor())
    assert len(computed) == 3
    write_wav("0.wav", 0.2, pitch=500.0)  # as long as before
    after = cache_features(rows, processor())[0]["features"]
    assert len(computed) == 6
    assert not np.array_equal(before, after)


@pytest.mark.parametrize(
    "other", [lambda: processor(mel_feature_extractor(stride=4)), lambda: processor(max_audio_seconds=0.25)]
)
def test_computed_again_for_another_extractor_or_length(rows, computed, other):
    cache_features(rows, processor())
    cache_features(rows, other())
    assert len(computed) == 6


def test_segments_of_one_recording_have_their_own_features(write_wav, computed):
    file = write_wav("long.wav", 1.0)
    spans = ((0.0, 0.4), (0.5, None), (0.0, 0.4))
    records = [
        make_record(id=f"u{i}", audio=file, audio_start=start, audio_end=end, label=0)
        for i, (start, end) in enumerate(spans)
    ]
    made = processor(wave_feature_extractor())
    cached = cache_features(records_to_dataset(records, ["any"]), made)
    assert [len(row["features"]) for row in cached] == [6400, 8000, 6400]
    whole = made.extract_audio({"path": file, "start": 0.5, "end": None})
    np.testing.assert_array_equal(cached[1]["features"], whole)
    count = len(computed)
    records[0]["audio_end"] = 0.3
    moved = cache_features(records_to_dataset(records, ["any"]), made)
    assert (len(computed) - count, len(moved[0]["features"])) == (3, 4800)


def test_lengths(rows):
    durations = [0.2, 0.3, 0.4, None]
    rows = rows.remove_columns("duration").add_column("duration", durations)
    assert add_lengths(rows, processor(max_audio_seconds=0.3), ["text", "speech"])["length"][:] == [
        3200,
        4800,
        4800,
        0,
    ]
    assert add_lengths(rows, processor(), ["text"])["length"][:] == [1, 1, 1, 5]


class TestFrames:
    @pytest.fixture
    def rows(self, write_video):
        video = {"path": write_video(), "start": None, "end": None, "side": None}
        records = [make_record(id="whole", video=video, label=0), make_record(id="none", text="a", label=0)]
        return records_to_dataset([*records, make_record(id="part", video={**video, "end": 0.08}, label=0)], ["any"])

    def test_found_again_and_those_of_the_processor(self, rows, monkeypatch):
        made, stage = processor(image_processor=image_processor(8), num_frames=3), Stage()
        cached = cache_frames(rows, made)
        for index in (0, 2):
            expected = made.read_video(rows[index]["video"])
            assert cached[index]["frames_shape"] == list(expected.shape)
            np.testing.assert_array_equal(np.reshape(cached[index]["frames"], expected.shape), expected)
        assert len(cached[1]["frames"]) == 0
        monkeypatch.setattr(MerProcessor, "read_video", None)
        assert cache_frames(rows, made, stage=stage)[2]["frames_shape"] == [2, 3, 8, 8]
        assert stage.to_dict()["reused"]

    @pytest.mark.parametrize("other", [{"num_frames": 2}, {"face_crop": True}, {"image_processor": 16}])
    def test_read_again_for_other_settings(self, rows, other):
        settings = {"num_frames": 3, "image_processor": 8, **other}
        before = cache_frames(rows, processor(image_processor=image_processor(8), num_frames=3))
        settings["image_processor"] = image_processor(settings["image_processor"])
        stage = Stage()
        cache_frames(rows, processor(**settings), stage=stage)
        assert not stage.to_dict()["reused"]
        assert before[0]["frames_shape"] == [3, 3, 8, 8]


def test_what_a_killed_process_left_is_removed(rows, datasets_cache):
    cache_features(rows, processor())
    folder = next((datasets_cache / "hf_mer_features").iterdir())
    (folder / "tmp_half_written").write_bytes(b"so")
    cache_features(rows, processor())
    assert sorted(path.name for path in folder.iterdir() if path.name != ".lock") == ["rows.arrow"]
