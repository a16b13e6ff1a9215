"""Cached features are found again, and computed again when anything they come from has changed."""

import os

import numpy as np
import pytest
from model_tester import mel_feature_extractor, tiny_tokenizer, wave_feature_extractor

from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.models import MerProcessor
from hf_mer.training import features as features_module
from hf_mer.training.features import add_lengths, cache_features


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
    assert cached[3]["features"] is None
    assert cached[0]["id"] == "u0"


def test_found_again(rows, computed):
    cache_features(rows, processor())
    assert len(computed) == 3
    cache_features(rows, processor())
    assert len(computed) == 3


def test_computed_again_when_the_recording_changes(rows, write_wav, computed):
    before = cache_features(rows, processor())[0]["features"]
    write_wav("0.wav", 0.2, pitch=500.0)  # as long as before
    os.utime(rows[0]["audio"]["path"], ns=(1, 1))
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


def test_the_fingerprint_does_not_depend_on_the_process(rows):
    made = features_module._fingerprint(rows, processor())
    assert made == features_module._fingerprint(rows, processor())
