import pytest
from model_tester import SPEECH_TYPES, MerModelTests, tiny_settings

from hf_mer.models import LeMerConfig, LeMerForEmotionClassification


class LeMerTests(MerModelTests):
    model_class = LeMerForEmotionClassification
    speech_type = "wav2vec2"
    text_type = "bert"
    settings: dict = {}

    def make_config(self, **overrides):
        return LeMerConfig(**{**tiny_settings(self.speech_type, self.text_type), **self.settings, **overrides})


class TestLeMer(LeMerTests):
    """C1, the paper's model."""


class TestWav2Vec2Conformer(LeMerTests):
    speech_type = "wav2vec2-conformer"
    unused_parameters = ("pos_conv_embed",)


class TestWav2Vec2Bert(LeMerTests):
    speech_type = "wav2vec2-bert"


class TestHubert(LeMerTests):
    speech_type = "hubert"


class TestWavLM(LeMerTests):
    speech_type = "wavlm"


class TestData2VecAudio(LeMerTests):
    speech_type = "data2vec-audio"
