import numpy as np
import pytest
from model_tester import mel_feature_extractor
from transformers import SeamlessM4TFeatureExtractor
from transformers.models.seamless_m4t import feature_extraction_seamless_m4t

from hf_mer.models.audio_features_mer import features_of


class TestLogMelFramesInBlocks:
    @pytest.mark.parametrize("seconds", [0.04, 0.05, 1.0, 6.0])
    @pytest.mark.parametrize(
        "extractor", [mel_feature_extractor(1), mel_feature_extractor(2), SeamlessM4TFeatureExtractor()]
    )
    def test_they_are_those_of_transformers(self, extractor, seconds):
        samples = 0.1 * np.random.randn(round(seconds * 16000)).astype(np.float32)
        samples[: len(samples) // 4] = 0.0
        expected = extractor(samples, sampling_rate=16000, return_tensors="np", pad_to_multiple_of=extractor.stride)
        found = features_of(extractor, samples)
        assert found.dtype == np.float32
        assert len(found) == (1 + (len(samples) - 400) // 160) // extractor.stride
        np.testing.assert_allclose(found, expected["input_features"][0][: len(found)], atol=1e-5)

    def test_none_is_computed_by_itself(self, monkeypatch):
        extractor, settings = mel_feature_extractor(), mel_feature_extractor().to_dict()
        monkeypatch.delattr(feature_extraction_seamless_m4t, "spectrogram")
        assert features_of(extractor, np.ones(16000, dtype=np.float32)).shape == (49, 160)
        assert extractor.to_dict() == settings
