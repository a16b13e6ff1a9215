"""transformers' suites for models and configurations on all three models, with tiny encoders."""

import unittest
from unittest import mock

import torch
from model_tester import make_batch, tiny_settings, tiny_video_config
from tests.test_configuration_common import ConfigTester
from tests.test_modeling_common import ModelTesterMixin

from hf_mer.models import (
    LeMerForEmotionClassification,
    MgcmaForEmotionClassification,
    WavFusionForEmotionClassification,
)

SETTINGS = {
    LeMerForEmotionClassification: {},
    MgcmaForEmotionClassification: {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24},
    WavFusionForEmotionClassification: {
        "video_config": tiny_video_config(), "num_deep_layers": 1, "auxiliary_heads": 2, "video_dim": 8,
        "lvc_codewords": 5, "shared_dim": 6,
    },
}  # fmt: skip


class Tester:
    """What the suite asks of a model: a configuration, inputs, and the sizes that it checks outputs against.

    Sizes are those of the speech encoder, whose states `hidden_states` and `attentions` are.
    """

    batch_size = 3
    hidden_size = 16
    num_attention_heads = 2
    num_hidden_layers = 2
    num_hidden_states_types = 3  # of text, of speech, and of the model: the latter again
    is_training = True

    def __init__(self, parent, model_class):
        self.parent, self.model_class = parent, model_class
        self.seq_length = 20  # frames
        if model_class is WavFusionForEmotionClassification:  # one of two layers is deep, with cross-attention
            self.num_hidden_layers, self.expected_num_hidden_layers = 1, 3
            self.num_hidden_states_types = 4

    def get_config(self):
        settings = {
            **tiny_settings(),
            "freeze": [],
            **SETTINGS[self.model_class],
        }
        return self.model_class.config_class(**settings)

    def prepare_config_and_inputs_for_common(self):
        config = self.get_config()
        return config, make_batch(config)


class ModelSuite(ModelTesterMixin):
    """The suite for one model; a subclass names it."""

    model_class = None
    has_attentions = True
    _is_composite = True
    test_can_init_all_missing_weights_before_2023 = True

    def setUp(self):
        self.model_tester = Tester(self, self.model_class)
        self.config_tester = ConfigTester(self, config_class=self.model_class.config_class, has_text_modality=False)

    @property
    def all_model_classes(self):
        return (self.model_class,)

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        """The library asks its own mappings whether a model has labels."""
        inputs = super()._prepare_for_class(inputs_dict, model_class)
        return {**inputs, "labels": torch.tensor([0, 1, 2])} if return_labels else inputs

    def test_model_outputs_equivalence(self):
        """The suite subtracts what it compares, which booleans cannot: masks are numbers here."""
        as_asked = self.model_class.as_asked

        def with_numbers(model, output, return_dict):
            for name, value in output.items():
                if isinstance(value, torch.Tensor) and value.dtype == torch.bool:
                    output[name] = value.long()
            return as_asked(model, output, return_dict)

        with mock.patch.object(self.model_class, "as_asked", with_numbers):
            super().test_model_outputs_equivalence()

    def test_config(self):
        self.config_tester.run_common_tests()


class LeMerSuite(ModelSuite, unittest.TestCase):
    model_class = LeMerForEmotionClassification


class MgcmaSuite(ModelSuite, unittest.TestCase):
    model_class = MgcmaForEmotionClassification


class WavFusionSuite(ModelSuite, unittest.TestCase):
    model_class = WavFusionForEmotionClassification
