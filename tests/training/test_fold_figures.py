"""The numbers behind the figures of a fold."""

from types import SimpleNamespace

import numpy as np
import pytest

from hf_mer.models import LabelEmbeddingStore
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
