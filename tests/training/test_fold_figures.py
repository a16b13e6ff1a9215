"""The numbers behind the figures of a fold."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from model_tester import tiny_settings

from hf_mer.models import LabelEmbeddingStore, LeMerConfig, LeMerForEmotionClassification
from hf_mer.training import fold_figures as figures

RATE, FRAME = 16000, 320
LABELS = ["angry", "sad"]
PROCESSOR = SimpleNamespace(sampling_rate=RATE, max_audio_seconds=10.0)


@pytest.fixture
def drawn(monkeypatch):
    """Waveforms of key frames from rows of codes by class: a frame's samples are its code."""

    def draw(codes_by_label, wanted):
        rows = [(LABELS.index(label), codes) for label, found in codes_by_label.items() for codes in found]
        train = _Rows(
            {
                "label": label,
                "audio": {"array": np.repeat(codes, FRAME).astype(np.float32) / 100, "sampling_rate": RATE},
            }
            for label, codes in rows
        )
        monkeypatch.setattr(figures, "_codes", lambda model, processor, discretizer, features: features)
        monkeypatch.setattr(figures, "CodebookDiscretizer", lambda pretraining: None)
        collator = SimpleNamespace(
            audio_features=lambda row: np.rint(100 * row["audio"]["array"][::FRAME]).astype(int)
        )
        store = LabelEmbeddingStore(
            LABELS,
            tonal_codes={label: [(code, 1.0) for code in wanted[label]] for label in LABELS},
            discretizer={"kind": "codebook", "groups": 2, "entries": 320},
        )
        found = figures.key_frame_waveforms(None, PROCESSOR, store, train, collator, pretraining=object())
        return {label: np.rint(100 * waveform[::FRAME]).astype(int).tolist() for label, waveform in found.items()}

    return draw


class _Rows(list):
    def __getitem__(self, key):
        return [row[key] for row in self] if isinstance(key, str) else super().__getitem__(key)


def test_runs_of_frames_that_bear_the_codes(drawn):
    codes = {"angry": [[1, 2, 9, 1, 9, 3, 3, 1]], "sad": [[4, 4, 9], [9, 4, 4, 4]]}
    assert drawn(codes, {"angry": [1, 2, 3], "sad": [4]}) == {"angry": [1, 2, 3, 3, 1], "sad": [4, 4, 4, 4, 4]}


def test_single_frames_where_no_two_follow_one_another(drawn):
    codes = {"angry": [[1, 9, 2, 9, 1]], "sad": [[4, 4, 9]]}
    assert drawn(codes, {"angry": [1, 2], "sad": [4]}) == {"angry": [1, 2, 1], "sad": [4, 4]}


def test_a_class_without_key_frames_does_not_empty_the_others(drawn):
    codes = {"angry": [[9, 9, 9]], "sad": [[4, 4, 9]]}
    assert drawn(codes, {"angry": [1], "sad": [4]}) == {"angry": [], "sad": [4, 4]}
    assert drawn({"angry": [[9]], "sad": [[9]]}, {"angry": [1], "sad": [4]}) == {}


def test_rare_codes_are_looked_for_in_every_row(drawn, monkeypatch):
    monkeypatch.setattr(figures, "KEY_FRAME_ROWS", 2)
    codes = {"angry": [[9, 9]] * 5 + [[1, 1]], "sad": [[4, 4]] * 4}
    assert drawn(codes, {"angry": [1], "sad": [4]}) == {"angry": [1, 1], "sad": [4] * 4}


def test_codes_are_of_layers_mixed_as_before_training():
    """The centroids are: a mixture that has learned since would give codes of other places."""
    model = LeMerForEmotionClassification(LeMerConfig(**tiny_settings(), speech_layers="mix")).eval()
    samples = torch.randn(1, 4000)
    batch = {"input_values": samples, "audio_attention_mask": torch.ones(1, 4000, dtype=torch.long)}
    processor = SimpleNamespace(audio_input_name="input_values", collate=lambda features, texts: batch)
    discretizer = SimpleNamespace(features="hidden", codes=lambda frames: frames)
    before = figures._codes(model, processor, discretizer, samples[0].numpy())
    with torch.no_grad():
        np.testing.assert_allclose(before, model.encode_speech(*batch.values())[0][0].numpy(), atol=1e-6)
        model.speech_mixture.weight[0] = 5.0
    np.testing.assert_array_equal(figures._codes(model, processor, discretizer, samples[0].numpy()), before)
