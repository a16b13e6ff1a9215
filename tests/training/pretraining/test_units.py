"""Units: found on training rows, laid onto encoder frames, kept in a file."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from model_tester import tiny_speech_config

from hf_mer.training.pretraining.units import Units, at_encoder_frames, find_units


def two_tones(part):
    """Frames around -5 and around 5 in turns; rows above 5 are all at 100."""
    for row in part["row"]:
        generator = np.random.default_rng(int(row))
        frames = np.where(np.arange(20) % 2, 5.0, -5.0)[:, None] + generator.normal(0, 0.1, (20, 3))
        yield int(row), (frames if row <= 5 else frames * 0 + 100).astype(np.float32)


def rows(numbers):
    return Dataset.from_dict({"row": numbers})


def test_units_are_clusters_of_training_frames():
    units = find_units(rows([0, 1, 2, 3]), rows([4, 9]), two_tones, clusters=2, limit=60, seed=0)
    assert set(units.codes) == {0, 1, 2, 3, 4, 9}
    for row in range(5):
        codes = units.codes[row]
        assert len(set(codes[::2])) == len(set(codes[1::2])) == 1
        assert codes[0] != codes[1]
    assert np.abs(units.centroids).max() < 6  # the validation rows have no say
    again = find_units(rows([0, 1, 2, 3]), None, two_tones, clusters=2, limit=60, seed=0)
    np.testing.assert_array_equal(again.centroids, units.centroids)


def test_no_frames():
    with pytest.raises(ValueError, match="k-means needs frames"):
        find_units(rows([]), None, two_tones, clusters=2, limit=60, seed=0)


def test_written_and_read(tmp_path):
    units = Units(np.eye(3, dtype=np.float32), {4: np.array([0, 2, 1]), 2: np.array([1])})
    units.save(tmp_path / "units.safetensors")
    found = Units.load(tmp_path / "units.safetensors")
    np.testing.assert_array_equal(found.centroids, units.centroids)
    assert {row: codes.tolist() for row, codes in found.codes.items()} == {4: [0, 2, 1], 2: [1]}
    assert len(found) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["units.safetensors"]


def test_batch_has_a_unit_for_every_real_frame():
    units = Units(np.eye(9), {4: np.array([0, 2, 1, 7]), 2: np.array([1, 5])})
    batch = units.batch([2, 4], [3, 2], 4)
    assert batch.tolist() == [[1, 5, 5, -100], [0, 2, -100, -100]]
    assert batch.dtype == torch.long


def test_units_under_the_middle_of_an_encoder_frame():
    """wav2vec 2.0: 320 samples a frame, 400 under it; frame t has its middle where log-mel frame 2 t has it."""
    config = tiny_speech_config("hubert", conv_kernel=[10, 3, 3, 3, 3, 2, 2], conv_stride=[5, 2, 2, 2, 2, 2, 2],
                                conv_dim=[8] * 7, num_feat_extract_layers=7)  # fmt: skip
    units = at_encoder_frames(Units(np.eye(50), {0: np.arange(50)}), config)
    assert units.codes[0][:25].tolist() == list(range(0, 50, 2))
    assert len(units.codes[0]) >= 25


def test_units_of_another_frame_rate():
    """40 samples a frame: four frames share a log-mel frame of 10 ms."""
    units = at_encoder_frames(Units(np.eye(9), {0: np.arange(9)}), tiny_speech_config("hubert"))
    codes = units.codes[0]
    assert set(np.diff(codes)) <= {0, 1}
    assert np.bincount(codes)[1:8].tolist() == [4] * 7
    assert len(codes) >= 9 * 160 // 40
