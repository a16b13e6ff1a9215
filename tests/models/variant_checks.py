"""What every configuration of a model must do, and what every encoder must do in it.

Three base classes, each with the checks of the one before; the tests of a model say which fits:

| base class | inherited by | checks beside those above it |
|---|---|---|
| `MerVariantTests` | every other configuration of a paper: fusions, ablations, poolings | save and load, padding, order and size of the batch, missing modalities, gradients, weights of the losses |
| `MerEncoderTests` | every other type of encoder, every subset of modalities | attention implementations, precision, activation checkpointing, layers that are returned, feature encoder, token embeddings, weights on disk |
| `MerModelTests` (`paper_checks`) | each paper's own model, once | freezing, new weights, older checkpoints, labels of every kind, smoothing, forms of output, determinism, learning by heart |

A subclass names the model class, and makes configurations or gives what differs from the paper's in `settings`:

    class TestMyModelOnHubert(MerEncoderTests):
        model_class = MyForEmotionClassification
        settings: ClassVar[dict] = {"speech_type": "hubert"}

        def make_config(self, **overrides):
            return MyConfig(**{**tiny_settings(), **self.settings, **overrides})
"""

import copy
from typing import ClassVar

import pytest
import torch
from accelerate import disk_offload
from model_tester import VOCAB_SIZE, checkpoint_activations, gradients, make_batch, rows_of
from safetensors.torch import load_file
from transformers import PreTrainedConfig


class MerVariantTests:
    """Inherited by the tests of every configuration. Everything runs on the CPU with random tiny encoders."""

    model_class: type
    settings: ClassVar[dict] = {}
    tolerance = 1e-5
    unused_parameters: tuple[str, ...] = ()  # parts of names of parameters that an encoder has and never uses

    def make_config(self, **overrides) -> PreTrainedConfig:
        raise NotImplementedError

    def make_model(self, **overrides):
        torch.manual_seed(0)
        model = self.model_class(self.make_config(**overrides)).eval()
        with torch.no_grad():  # trained norms have statistics and scales of their own
            for name, buffer in model.named_buffers():
                if name.endswith("running_mean"):
                    buffer.normal_(std=0.1)
        return model

    @torch.no_grad()
    def logits(self, model, batch) -> torch.Tensor:
        return model(**batch).logits

    def test_config_round_trip(self, tmp_path):
        config = self.make_config()
        config.save_pretrained(tmp_path)
        again = type(config).from_pretrained(tmp_path)
        assert again.to_dict() == config.to_dict()
        assert type(copy.deepcopy(config)) is type(config)

    def test_save_and_load(self, tmp_path):
        model = self.make_model()
        batch = make_batch(model.config)
        model.save_pretrained(tmp_path)
        assert not [path.name for path in tmp_path.iterdir() if path.suffix in (".bin", ".pt", ".pth", ".pkl")]
        again, info = self.model_class.from_pretrained(tmp_path, output_loading_info=True)
        assert not info["missing_keys"]
        assert not info["unexpected_keys"]
        assert not again.training
        torch.testing.assert_close(self.logits(again, batch), self.logits(model, batch), rtol=0, atol=1e-6)
        stored = load_file(tmp_path / "model.safetensors")
        assert len(stored) == len(model.state_dict())

    def test_every_learned_vector_can_be_saved_by_an_adapter(self):
        """Adapters name modules; a parameter of the model itself would be left out without a word."""
        assert not list(self.make_model().named_parameters(recurse=False))

    def test_new_parameters_are_initialised_when_a_checkpoint_lacks_them(self, tmp_path):
        """A raw parameter that no file holds is whatever lay in memory, unless the model initialises it."""
        model = self.make_model()
        own = {
            name: tensor
            for name, tensor in model.state_dict().items()
            if name.startswith(("text_encoder.", "speech_encoder.", "video_encoder."))
        }
        model.save_pretrained(tmp_path, state_dict=own)
        again = self.model_class.from_pretrained(tmp_path)
        for name, tensor in again.state_dict().items():
            if name not in own:
                assert tensor.float().isfinite().all(), name
                if name.endswith(("embeddings", "weight")) and tensor.dim() > 1:
                    assert 0 < tensor.std() < 2, name

    def test_padding_never_changes_a_logit(self):
        model = self.make_model()
        batch = make_batch(model.config)
        expected = self.logits(model, batch)
        padded = make_batch(model.config, padding=11)
        torch.testing.assert_close(self.logits(model, padded), expected, rtol=0, atol=self.tolerance)

    def test_an_utterance_does_not_depend_on_its_batch(self):
        model = self.make_model()
        batch = make_batch(model.config)
        together = self.logits(model, batch)
        for row in range(3):
            alone = self.logits(model, rows_of(batch, row))
            assert alone.shape == (1, model.config.num_labels)
            torch.testing.assert_close(alone[0], together[row], rtol=0, atol=self.tolerance)
        assert (together[0] - together[1]).abs().max() > 100 * self.tolerance

    def test_padding_never_changes_a_loss_or_gradient(self):
        """In training mode too, where batch norm would take its statistics from the padding."""
        model = self.make_model()
        results = []
        for padding in (0, 11):
            model.train().zero_grad()
            output = model(**make_batch(model.config, padding=padding, labels=[0, 1, 2]))
            output.loss.backward()
            results.append((output.losses, gradients(model)))
        torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=self.tolerance)
        torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-3, atol=1e-4)

    def test_missing_modality_in_a_mixed_batch(self):
        model = self.make_model()
        if len(model.config.modalities) < 2:
            pytest.skip("one modality")
        size = {"tokens": [7, 4, 9, 5, 6, 5, 8], "frames": [12, 20, 8, 9, 11, 10, 13]}
        missing = {"no_text": (1,), "no_audio": (2,), "no_video": (4,)}
        if len(model.config.modalities) == 3:
            missing = {"no_text": (1, 5, 6), "no_audio": (2, 6), "no_video": (4, 5)}
        whole, mixed = make_batch(model.config, **size), make_batch(model.config, **size, **missing)
        together, complete = self.logits(model, mixed), self.logits(model, whole)
        torch.testing.assert_close(together[[0, 3]], complete[[0, 3]], rtol=0, atol=self.tolerance)
        with torch.no_grad():
            fused = model(**mixed).embeddings
            for row in range(7):
                output = model(**rows_of(mixed, row))
                torch.testing.assert_close(output.logits[0], together[row], rtol=0, atol=self.tolerance)
                torch.testing.assert_close(output.embeddings[0], fused[row], rtol=0, atol=self.tolerance)

    def test_missing_modality_keeps_gradients_finite(self):
        model = self.make_model().train()
        if len(model.config.modalities) < 2:
            pytest.skip("one modality")
        everyone = (0, 1, 2)
        for missing in (
            {"no_text": (1,), "no_audio": (2,), "no_video": (0,)},
            *({name: everyone} for name in ("no_text", "no_audio", "no_video")),
        ):
            model.zero_grad()
            output = model(**make_batch(model.config, **missing, labels=[0, 1, 2]))
            output.loss.backward()
            assert output.loss.isfinite()
            for name, grad in gradients(model).items():
                assert grad.isfinite().all(), name

    def test_gradients_reach_everything_that_is_trained(self):
        model = self.make_model().train()
        model(**make_batch(model.config, labels=[0, 1, 2])).loss.backward()
        unreached = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
        unused = ("masked_spec_embed", *self.unused_parameters)
        assert not [name for name in unreached if not any(part in name for part in unused)]

    def test_every_loss_has_a_weight(self):
        model = self.make_model()
        output = model(**make_batch(model.config, labels=[0, 1, 2]))
        weights = model.config.loss_weights
        assert set(output.losses) <= set(weights)
        total = sum(weights[name] * value for name, value in output.losses.items())
        torch.testing.assert_close(output.loss, total)
        assert model(**make_batch(model.config)).loss is None


class MerEncoderTests(MerVariantTests):
    """Inherited by the tests of every type of encoder and every subset of modalities."""

    def test_the_feature_encoder_freezes_for_good(self, tmp_path):
        model = self.make_model(freeze=[])
        speech = model.config.speech_config
        if speech is None or speech.model_type == "wav2vec2-bert":
            with pytest.raises(ValueError, match="speech_feature_encoder"):
                model.freeze_feature_encoder()
            assert model.config.freeze == []
            return
        model.freeze_feature_encoder()
        model.save_pretrained(tmp_path)
        for one in (model, self.model_class.from_pretrained(tmp_path)):
            one.train()
            one(**make_batch(one.config, labels=[0, 1, 2])).loss.backward()
            got = set(gradients(one))
            frozen, next_part = ("feature_extractor", "feature_projection")
            if speech.model_type == "whisper":
                frozen, next_part = ("speech_encoder.conv", "layers.0")
            assert not [name for name in got if frozen in name]
            assert [name for name in got if f"speech_encoder.{next_part}" in name]

    def test_attention_implementations_agree(self):
        model = self.make_model()
        batch = make_batch(model.config)
        results = {}
        for implementation in ("eager", "sdpa"):
            model.set_attn_implementation(implementation)
            results[implementation] = self.logits(model, batch)
            assert model.text_encoder is None or model.text_encoder.config._attn_implementation == implementation
        torch.testing.assert_close(results["eager"], results["sdpa"], rtol=0, atol=self.tolerance)

    def test_bfloat16_forward_and_backward(self, tmp_path):
        self.make_model().save_pretrained(tmp_path)
        model = self.model_class.from_pretrained(tmp_path, dtype=torch.bfloat16).train()
        assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
        batch = make_batch(model.config, labels=[0, 1, 2])
        batch = {name: value.bfloat16() if value.is_floating_point() else value for name, value in batch.items()}
        loss = model(**batch).loss
        loss.backward()
        assert loss.isfinite()
        assert all(grad.isfinite().all() for grad in gradients(model).values())

    def test_autocast_is_close_to_full_precision(self):
        model = self.make_model()
        batch = make_batch(model.config, labels=[0, 1, 2])
        with torch.no_grad():
            expected = model(**batch)
            with torch.autocast("cpu", torch.bfloat16):
                output = model(**batch)
        torch.testing.assert_close(output.loss, expected.loss, rtol=0.05, atol=0.05)
        torch.testing.assert_close(output.logits.float(), expected.logits, rtol=0.1, atol=0.1)

    @pytest.mark.parametrize("reentrant", [False, True])
    def test_activation_checkpointing_gives_the_same_gradients(self, reentrant):
        model = self.make_model().train()
        batch = make_batch(model.config, labels=[0, 1, 2])
        model(**batch).loss.backward()
        expected = gradients(model)
        model.zero_grad()
        speech = model.config.speech_config
        if reentrant and speech is not None and speech.model_type == "wavlm":
            with pytest.raises(ValueError, match="wavlm"):
                checkpoint_activations(model, use_reentrant=True)
            return
        checkpoint_activations(model, use_reentrant=reentrant)
        model(**batch).loss.backward()
        torch.testing.assert_close(gradients(model), expected, rtol=1e-4, atol=1e-5)

    def test_layers_of_the_encoders_by_modality(self):
        """States and attention are those that the encoders give, at the batch's own lengths."""
        model = self.make_model()
        model.set_attn_implementation("eager")
        batch = make_batch(model.config)
        with torch.no_grad():
            output = model(**batch, output_hidden_states=True, output_attentions=True)
            plain = model(**batch)
        torch.testing.assert_close(output.logits, plain.logits, rtol=0, atol=self.tolerance)
        assert not [name for name in plain if name.endswith(("hidden_states", "attentions"))]
        widths = {"text": 12, "speech": 16}
        for modality in [name for name in ("text", "speech") if name in model.config.modalities]:
            states, attentions = output[f"{modality}_hidden_states"], output.get(f"{modality}_attentions", ())
            layers = model.config.encoder_config(modality).num_hidden_layers
            assert len(states) == layers + 1
            assert {tuple(layer.shape) for layer in states} == {(3, states[0].shape[1], widths[modality])}
            assert len(attentions) == layers - getattr(model.config, "num_deep_layers", 0) * (modality == "speech")
            for weights in attentions:
                assert weights.shape == (3, 2, states[0].shape[1], states[0].shape[1])
        main = next(name for name in ("speech", "text", "video") if name in model.config.modalities)
        assert output.hidden_states is output[f"{main}_hidden_states"]
        assert output.attentions is getattr(output, f"{main}_attentions")

    def test_some_layers_by_number(self):
        model = self.make_model()
        if model.config.modalities == ["video"]:
            pytest.skip("EfficientNet gives all of its layers or none")
        batch = make_batch(model.config)
        with torch.no_grad():
            every = model(**batch, output_hidden_states=True).hidden_states
            some = model(**batch, output_hidden_states=[0, -1]).hidden_states
        assert [layer is not None for layer in some] == [True, *[False] * (len(every) - 2), True]
        torch.testing.assert_close((some[0], some[-1]), (every[0], every[-1]), rtol=0, atol=0)

    def test_token_embeddings_grow_with_the_vocabulary(self, tmp_path):
        model = self.make_model()
        if model.text_encoder is None:
            with pytest.raises(NotImplementedError, match="no token embeddings"):
                model.get_input_embeddings()
            return
        batch = make_batch(model.config)
        expected = self.logits(model, batch)
        assert model.get_input_embeddings() is model.text_encoder.get_input_embeddings()
        model.resize_token_embeddings(VOCAB_SIZE + 6)
        assert model.config.text_config.vocab_size == VOCAB_SIZE + 6
        torch.testing.assert_close(self.logits(model, batch), expected, rtol=0, atol=self.tolerance)
        model.save_pretrained(tmp_path)
        again = self.model_class.from_pretrained(tmp_path)
        assert again.get_input_embeddings().weight.shape[0] == VOCAB_SIZE + 6
        model.set_input_embeddings(torch.nn.Embedding(VOCAB_SIZE, 12))
        assert (self.logits(model, batch) - expected).abs().max() > 1e-4

    def test_weights_on_disk(self, tmp_path):
        """Explicit offloading, which brings in the weights of one module at a time."""
        model = self.make_model()
        if "speech" in model.config.modalities and model.config.speech_config.model_type == "wavlm":
            pytest.skip("transformers' WavLM takes the weights of its attention's parts without running them")
        batch = make_batch(model.config)
        expected = self.logits(model, batch)
        disk_offload(model, str(tmp_path), execution_device=torch.device("cpu"))
        torch.testing.assert_close(self.logits(model, batch), expected, rtol=0, atol=self.tolerance)
