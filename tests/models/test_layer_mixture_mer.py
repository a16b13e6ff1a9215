"""A learned mixture of an encoder's layers, in the models that know it."""

import copy

import pytest
import torch
from model_tester import (
    SPEECH_TYPES,
    checkpoint_activations,
    gradients,
    make_batch,
    tiny_settings,
    tiny_speech_config,
    tiny_text_config,
)
from torch.nn import functional

from hf_mer.models import LeMerConfig, LeMerForEmotionClassification, MgcmaConfig, MgcmaForEmotionClassification
from hf_mer.models.layer_mixture_mer import LayerMixture, layer_weights

MIXED = {"text_layers": "mix", "speech_layers": "mix"}
MODELS = {
    "le_mer": lambda **kwargs: LeMerForEmotionClassification(LeMerConfig(**kwargs)),
    "mgcma": lambda **kwargs: MgcmaForEmotionClassification(MgcmaConfig(num_attention_heads=2, num_token_blocks=1, **kwargs)),
}  # fmt: skip
FROZEN = ["text_encoder", "speech_encoder"]


def make_model(kind: str = "le_mer", speech_type: str = "wav2vec2", text_type: str = "bert", **overrides):
    torch.manual_seed(0)
    return MODELS[kind](**{**tiny_settings(speech_type, text_type), **overrides}).eval()


def settle_on(model, modality: str, state: int) -> None:
    """All weight on one state."""
    with torch.no_grad():
        model.mixture(modality).weight.zero_()[state] = 1e4


def test_weights_are_those_of_a_softmax_over_states_of_one_size():
    mixture = LayerMixture(3)
    states = [
        torch.tensor([first, second]).expand(1, 3, 2) for first, second in ((3.0, 1.0), (-1.0, 1.0), (900.0, 100.0))
    ]
    torch.testing.assert_close(mixture(states)[0, 0], torch.tensor([1 / 3, -1 / 3]), rtol=0, atol=1e-4)
    with torch.no_grad():
        mixture.weight.copy_(torch.tensor([0.0, 0.0, 2.0]).log1p())
    torch.testing.assert_close(mixture(states)[0, 0], torch.tensor([(1 - 1 + 3) / 5, -3 / 5]), rtol=0, atol=1e-4)
    assert layer_weights({"text_mixture.weight": mixture.weight, "classifier.weight": states[0]}) == {
        "text": pytest.approx([0.2, 0.2, 0.6])
    }


@pytest.mark.parametrize("speech_type", [*SPEECH_TYPES, "stable"])
@torch.no_grad()
def test_begins_as_the_mean_of_all_states_and_can_become_the_last(speech_type):
    """`stable` is wav2vec 2.0 with a norm after its last layer, which hidden states come before."""
    text_type = {"hubert": "roberta", "wavlm": "distilbert"}.get(speech_type, "bert")
    settings = {}
    if speech_type == "stable":
        speech_type = "wav2vec2"
        settings = {"speech_config": tiny_speech_config(do_stable_layer_norm=True, feat_extract_norm="layer")}
    model = make_model("le_mer", speech_type, text_type, **settings, **MIXED)
    batch = make_batch(model.config)
    output = model(**batch, output_hidden_states=True)
    last = make_model("le_mer", speech_type, text_type, **settings)
    expected = last.encode_inputs(**batch)
    for modality in ("text", "speech"):
        states = [*getattr(output, f"{modality}_hidden_states")[:-1], expected[modality][0]]
        mixed, mask = model.encode_inputs(**batch)[modality]
        assert len(states) == 3
        normed = [functional.layer_norm(state, state.shape[-1:]) for state in states]
        torch.testing.assert_close(mixed[mask], torch.stack(normed).mean(0)[mask], rtol=0, atol=2e-5)
        assert (mixed - expected[modality][0])[mask].abs().max() > 1e-4
        settle_on(model, modality, 2)
        torch.testing.assert_close(model.encode_inputs(**batch)[modality][0][mask], normed[2][mask], rtol=0, atol=1e-5)


def test_the_last_layer_alone_is_as_it_was():
    model = make_model()
    assert (model.text_mixture, model.speech_mixture) == (None, None)
    assert not [name for name in model.state_dict() if "mixture" in name]


@pytest.mark.parametrize("kind", MODELS)
class TestFrozen:
    """Of frozen encoders the weights alone learn which layers count, and states may be computed beforehand."""

    def test_states_computed_beforehand_give_the_same(self, kind):
        model = make_model(kind, freeze=FROZEN, **MIXED).train()
        with torch.no_grad():
            for modality in ("text", "speech"):
                model.mixture(modality).weight.copy_(torch.tensor([0.5, -1.0, 0.2]))
        batch = make_batch(model.config, labels=[0, 1, 2])
        found = []
        for inputs in (batch, self.cached(model, batch)):
            model.zero_grad()
            torch.manual_seed(1)
            output = model(**inputs)
            output.loss.backward()
            found.append((output.loss, gradients(model)))
        (loss, expected), (cached_loss, cached) = found
        torch.testing.assert_close(cached_loss, loss, rtol=0, atol=1e-5)
        assert set(cached) == set(expected)
        assert not [name for name in cached if "encoder." in name]
        for name in expected:
            torch.testing.assert_close(cached[name], expected[name], rtol=1e-3, atol=1e-5)
        for modality in ("text", "speech"):
            assert cached[f"{modality}_mixture.weight"].abs().min() > 0

    def cached(self, model, batch) -> dict:
        inputs = {"labels": batch["labels"], "token_type_ids": batch["token_type_ids"]}
        for modality, mask_name in (("text", "attention_mask"), ("speech", "audio_attention_mask")):
            states, mask = model.precompute(modality, **batch)
            assert states.shape[2:] == (3, model.config.encoder_config(modality).hidden_size)
            inputs.update({f"{modality}_features": states, mask_name: mask.long()})
        return inputs

    def test_features_of_another_shape_are_refused(self, kind):
        model, plain = make_model(kind, freeze=FROZEN, **MIXED), make_model(kind, freeze=FROZEN)
        states, mask = model.precompute("speech", **make_batch(model.config))
        for wrong in (states[:, :, 0], states[:, :, :2]):
            with pytest.raises(ValueError, match=r"speech_features has shape.*must be \(B, L, 3, D\)"):
                model(speech_features=wrong, audio_attention_mask=mask)
        with pytest.raises(ValueError, match=r"speech_features has shape.*must be \(B, L, D\): no layers are mixed"):
            plain(speech_features=states, audio_attention_mask=mask)


@torch.no_grad()
def test_cached_tokens_know_history_from_the_current_utterance():
    model = make_model(freeze=FROZEN, history_in_fusion=False)
    batch = make_batch(model.config)
    states, mask = model.precompute("text", **batch)
    speech = {name: batch[name] for name in ("input_values", "audio_attention_mask")}
    cached = {"text_features": states, "attention_mask": mask.long(), **speech}
    logits = model(**cached, token_type_ids=batch["token_type_ids"]).logits
    torch.testing.assert_close(logits, model(**batch).logits, rtol=0, atol=1e-5)
    assert (logits - model(**cached).logits).abs().max() > 1e-3


@pytest.mark.parametrize("layers", [1, [0, -1], True])
@torch.no_grad()
def test_hidden_states_that_are_returned_are_still_those_asked_for(layers):
    batch = make_batch(make_model().config)
    plain, mixed = (make_model(**own)(**batch, output_hidden_states=layers) for own in ({}, MIXED))
    for modality in ("text", "speech"):
        expected, found = (getattr(output, f"{modality}_hidden_states") for output in (plain, mixed))
        assert [state is None for state in found] == [state is None for state in expected]
        for state, wanted in zip(found, expected, strict=True):
            if wanted is not None:
                torch.testing.assert_close(state, wanted)


def test_layer_drop_is_off_where_layers_are_mixed():
    """A layer that is left out has no states; a configuration that was handed in stays as it is."""
    speech = tiny_speech_config(layerdrop=0.9)
    model = make_model(speech_config=speech, **MIXED).train()
    assert speech.layerdrop == 0.9
    assert model.config.speech_config.layerdrop == model.speech_encoder.config.layerdrop == 0
    assert make_model(speech_config=speech).config.speech_config.layerdrop == 0.9
    for _ in range(3):
        assert model(**make_batch(model.config)).logits.isfinite().all()


def test_activation_checkpointing():
    model = make_model(**MIXED).train()
    batch = make_batch(model.config, labels=[0, 1, 2])
    checkpointed = copy.deepcopy(model)
    checkpoint_activations(checkpointed)
    for each in (model, checkpointed):
        each(**batch).loss.backward()
    expected = gradients(model)
    for name, gradient in gradients(checkpointed).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match=r"use_reentrant=True does not work where layers are mixed"):
        checkpoint_activations(model, use_reentrant=True)


def test_score_fusion_keeps_each_mixture(tmp_path):
    parts = {"text": {"text_layers": "mix"}, "speech": {}}
    for modality, own in parts.items():
        model = make_model(modalities=[modality], **own)
        if own:
            settle_on(model, modality, 1)
        model.save_pretrained(tmp_path / modality)
    fused = LeMerForEmotionClassification.from_unimodal(tmp_path / "text", tmp_path / "speech")
    assert layer_weights(fused.state_dict()) == {"text": [0, 1, 0]}


@pytest.mark.parametrize("kind", list(MODELS))
@torch.no_grad()
def test_a_scaled_text(kind, tmp_path):
    model, plain = (make_model(kind, **MIXED, **scale) for scale in ({"text_scale": 0.1}, {}))
    batch = make_batch(model.config)
    assert model.text_mixture.scale == 0.1
    assert model.speech_mixture.scale == 1
    states = [torch.randn(2, 3, 4) for _ in range(len(model.text_mixture.weight))]
    torch.testing.assert_close(model.text_mixture(states), 0.1 * plain.text_mixture(states))
    assert not torch.equal(model(**batch).logits, plain(**batch).logits)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    torch.testing.assert_close(again(**batch).logits, model(**batch).logits, rtol=0, atol=0)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"text_scale=0.1 scales a mixture.*text_layers is 'last'"):
        make_model(text_scale=0.1)
    with pytest.raises(ValueError, match=r"speech_layers.*'first'.*last, mix"):
        make_model(speech_layers="first")
    with pytest.raises(ValueError, match=r"project_hid.*speech_layers is 'mix'"):
        make_model(tonal_space="contrastive", speech_layers="mix")
    make_model(tonal_space="contrastive", tonal_label_init="none", fusion="vanilla", speech_layers="mix")
    model = make_model(text_config=tiny_text_config(num_hidden_layers=2), **MIXED)
    model.text_encoder.encoder.layer = model.text_encoder.encoder.layer[:1]
    with pytest.raises(ValueError, match=r"bert encoder gives 2 hidden states.*says 3.*use 'last'"):
        model(**make_batch(model.config))
