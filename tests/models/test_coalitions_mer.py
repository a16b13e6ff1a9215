"""What a model says of parts of an utterance: masked, with the temperature of what is left, encoders run once."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from media_files import save_film_checkpoint
from model_tester import feature_extractor_for, tiny_checkpoint_model, tiny_settings, tiny_tokenizer, tone
from transformers import AutoModel

from hf_mer.models import MerProcessor, MgcmaConfig, MgcmaForEmotionClassification
from hf_mer.models.coalitions_mer import LogProbabilities, Variant, log_prior

PRIOR = [0.1, 0.2, 0.3, 0.4]


def le_mer(speech_type="wav2vec2", **settings):
    model = tiny_checkpoint_model(speech_type, **settings)
    return model, MerProcessor(feature_extractor_for(speech_type), tiny_tokenizer(), max_text_tokens=40)


def mgcma():
    torch.manual_seed(0)
    settings = {"num_attention_heads": 2, "num_token_blocks": 1, "text_layers": "mix", "speech_layers": "mix"}
    model = MgcmaForEmotionClassification(MgcmaConfig(**{**tiny_settings("wav2vec2-bert"), **settings})).eval()
    return model, MerProcessor(feature_extractor_for("wav2vec2-bert"), tiny_tokenizer(), max_text_tokens=40)


def utterance_for(processor, **more):
    features = processor.features_of(tone(0.5))
    given = {"text": "so glad you came", "history": ["who is it ?", "yes"], "features": features, "pixels": None}
    return SimpleNamespace(**{**given, **more})


def all_parts(whole):
    names = whole.players
    return [whole.only(chosen) for size in range(len(names) + 1) for chosen in itertools.combinations(names, size)]


def by_hand(model, processor, variant):
    """Log-probabilities of one variant as `forward` gives them for what the processor makes."""
    batch = processor.collate([variant.features], [variant.text], [variant.history], videos=[variant.pixels])
    with torch.no_grad():
        logits = model(**batch).logits[0].double()
    return (logits / model.config.temperature_of(variant.modalities)).log_softmax(-1).numpy()


def check(model, processor, utterance):
    model.config.class_prior = PRIOR
    model.config.temperatures = {"text": 0.5, "speech": 2.0, "text+speech": 1.5}
    whole = Variant.of(utterance, processor)
    parts = all_parts(whole)
    ask = LogProbabilities(model, processor, whole)
    found = ask(parts)
    assert found[0] == pytest.approx(np.log(PRIOR))
    for variant, row in zip(parts[1:], found[1:], strict=True):
        assert row == pytest.approx(by_hand(model, processor, variant), abs=1e-5)
    assert len({round(row[0], 4) for row in found}) == len(parts)
    assert ask.forward_passes == len(parts) - 1
    assert ask(parts)[1:] == pytest.approx(found[1:], abs=1e-6)  # with the states that were kept


class TestAgainstThePlainModel:
    @pytest.mark.parametrize("speech_type", ["wav2vec2", "whisper"])
    def test_le_mer(self, speech_type):
        check(*(made := le_mer(speech_type)), utterance_for(made[1]))

    def test_le_mer_that_keeps_history_out_of_the_fusion(self):
        check(*(made := le_mer(history_in_fusion=False)), utterance_for(made[1]))

    def test_mgcma_with_mixed_layers(self):
        check(*(made := mgcma()), utterance_for(made[1]))

    def test_wavfusion_which_takes_no_states(self, tmp_path):
        folder = save_film_checkpoint(tmp_path / "film")
        model, processor = AutoModel.from_pretrained(folder), MerProcessor.from_pretrained(folder)
        pixels = np.random.default_rng(0).normal(size=(3, 3, 16, 16)).astype(np.float32)
        check(model, processor, utterance_for(processor, pixels=pixels))


def test_what_is_left_out_is_masked():
    """In a batch with others: a row of zeros in its mask, and none of its tokens or frames is real."""
    model, processor = le_mer()
    seen = []
    forward = model.forward
    model.forward = lambda **inputs: seen.append(inputs) or forward(**inputs)
    whole = Variant.of(utterance_for(processor), processor)
    LogProbabilities(model, processor, whole)([whole, whole.only(["speech"]), whole.only(["history"])])
    (inputs,) = seen
    assert inputs["attention_mask"].any(dim=1).tolist() == [True, False, True]
    assert inputs["audio_attention_mask"].any(dim=1).tolist() == [True, True, False]
    assert inputs["attention_mask"].sum(dim=1).tolist() == [12, 0, 7]
    assert "input_ids" not in inputs
    assert "input_values" not in inputs


def test_encoders_run_once_for_what_does_not_change():
    model, processor = le_mer()
    rows = {"text": 0, "speech": 0}
    encode = model.encode_modality

    def counting(modality, mask, record=None, apart=False, **inputs):
        if inputs.get(f"{modality}_features") is None:
            rows[modality] += len(mask)
        return encode(modality, mask, record, apart=apart, **inputs)

    model.encode_modality = counting
    whole = Variant.of(utterance_for(processor, history=None), processor)
    ask = LogProbabilities(model, processor, whole)
    texts = ["so glad", "so", "glad", "so glad you came"]
    for _ in range(2):
        ask([variant for text in texts for variant in (whole.with_changed({"text": text}), Variant(text=text))])
    assert rows == {"text": 4 + 3, "speech": 1}


def test_the_prior():
    model, _ = le_mer()
    assert np.exp(log_prior(model.config)) == pytest.approx([0.25] * 4)
    model.config.class_prior = PRIOR
    assert np.exp(log_prior(model.config)) == pytest.approx(PRIOR)


def test_history_is_what_the_processor_looks_at():
    _, processor = le_mer()
    processor.max_history = 1
    assert Variant.of(utterance_for(processor), processor).history == ["yes"]
    processor.max_history = 0
    assert Variant.of(utterance_for(processor), processor).players == ["text", "speech"]
    alone = Variant.of(utterance_for(processor, text=" ", history=[""]), processor)
    assert alone.players == alone.modalities == ["speech"]
    assert Variant(history=["yes"]).modalities == ["text"]


def test_long_recordings_come_in_small_batches():
    model, processor = le_mer()
    whole = Variant.of(utterance_for(processor), processor)
    assert [LogProbabilities(model, processor, whole, seconds).rows for seconds in (0.0, 3.0, 30.0, 500.0)] == [
        32,
        32,
        4,
        1,
    ]
