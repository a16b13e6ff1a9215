"""Codes against the wav2vec 2.0 quantizer of transformers, and nearest centroids against a plain loop."""

import numpy as np
import pytest
import torch
from model_tester import tiny_speech_config
from transformers import Wav2Vec2ForPreTraining

from hf_mer.training.label_store.discretizer import CodebookDiscretizer, KMeansDiscretizer


@pytest.fixture
def pretraining():
    model = Wav2Vec2ForPreTraining(tiny_speech_config("wav2vec2", num_codevector_groups=3, codevector_dim=12)).eval()
    torch.nn.init.normal_(model.quantizer.weight_proj.weight)  # its own start gives one code to everything
    return model


@torch.no_grad()
def test_codes_are_the_quantizers(pretraining):
    features = torch.randn(2, 30, 8)
    discretizer = CodebookDiscretizer(pretraining)
    codes = discretizer.codes(features)
    quantized, _ = pretraining.quantizer(features)  # (B, S, D_code): the codebook vectors, group after group
    table = pretraining.quantizer.codevectors.view(3, 6, 4)
    assert len(codes.unique()) > 10
    for row in range(2):
        for frame in range(30):
            indices = [int(codes[row, frame]) // 6**group % 6 for group in range(3)]
            vector = torch.cat([table[group, index] for group, index in enumerate(indices)])
            torch.testing.assert_close(vector, quantized[row, frame])
    assert discretizer.describe() == {"kind": "codebook", "groups": 3, "entries": 6}


@torch.no_grad()
def test_projected_vectors_are_project_q_of_the_quantizers_output(pretraining):
    features = torch.randn(40, 8)
    discretizer = CodebookDiscretizer(pretraining)
    quantized, _ = pretraining.quantizer(features[None])
    projected = discretizer.projected_vectors(discretizer.codes(features))
    torch.testing.assert_close(projected, pretraining.project_q(quantized[0]))


def test_codes_are_the_nearest_centroids():
    frames = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    discretizer = KMeansDiscretizer(clusters=7)
    discretizer.fit(frames)
    codes = discretizer.codes(torch.from_numpy(frames).view(4, 50, 5))
    assert codes.shape == (4, 50)
    for frame, code in zip(frames, codes.flatten().tolist(), strict=True):
        distances = [float(((frame - centroid) ** 2).sum()) for centroid in discretizer.centroids.numpy()]
        assert distances[code] <= min(distances) + 1e-5
    assert discretizer.describe() == {"kind": "kmeans", "groups": 1, "entries": 7, "features": "hidden"}


def test_fewer_clusters_than_frames_and_the_same_ones_again():
    frames = np.random.default_rng(0).normal(size=(45, 3)).astype(np.float32)
    first, second = KMeansDiscretizer(clusters=100, seed=5), KMeansDiscretizer(clusters=100, seed=5)
    first.fit(frames)
    second.fit(frames)
    assert first.centroids.shape == (4, 3)  # a tenth of the frames at most
    torch.testing.assert_close(first.centroids, second.centroids, rtol=0, atol=0)


def test_refusals():
    with pytest.raises(ValueError, match="'mfcc' is not one of input, hidden"):
        KMeansDiscretizer(features="mfcc")
    with pytest.raises(ValueError, match="no audio"):
        KMeansDiscretizer().fit(np.empty((0, 4), dtype=np.float32))
