"""transformers' own suite for processors, on one of tiny parts. It is run by `make hf-tests`, never by `make test`."""

import sys
import unittest
from types import SimpleNamespace

import torch
from model_tester import mel_feature_extractor, tiny_tokenizer, wave_feature_extractor

from hf_mer.models import MerProcessor

# a helper of transformers' repository that is not in its source distribution; only tests of chats use it
sys.modules.setdefault("fetch_hub_objects_for_ci", SimpleNamespace(url_to_local_path=str))

from tests.test_processing_common import ProcessorTesterMixin  # noqa: E402


class MerProcessorTest(ProcessorTesterMixin, unittest.TestCase):
    """Of an encoder that takes samples."""

    processor_class = MerProcessor

    @classmethod
    def _setup_feature_extractor(cls):
        return wave_feature_extractor()

    @classmethod
    def _setup_tokenizer(cls):
        return tiny_tokenizer()

    def test_subprocessor_defaults_3_audio(self):
        """As in the suite, which compares masks by name; `attention_mask` is here that of the text."""
        processor = self.get_processor()
        audio, name = self.prepare_audio_inputs(), processor.audio_input_name
        alone = processor.feature_extractor(audio, sampling_rate=processor.sampling_rate, return_tensors="pt")
        together = processor(audio=audio)
        torch.testing.assert_close(together[name], alone[name])
        assert torch.equal(together["audio_attention_mask"], alone["attention_mask"].long())


class MerLogMelProcessorTest(MerProcessorTest):
    """Of an encoder that takes log-mel frames."""

    @classmethod
    def _setup_feature_extractor(cls):
        return mel_feature_extractor()
