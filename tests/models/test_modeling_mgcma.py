from itertools import permutations
from typing import ClassVar

import pytest
import torch
from model_tester import LABELS, gradients, make_batch, rows_of, tiny_settings, tiny_speech_config
from paper_checks import MerModelTests
from transformers import BertModel, Wav2Vec2Model
from variant_checks import MerEncoderTests, MerVariantTests

from hf_mer.models import MgcmaConfig, MgcmaForEmotionClassification

MODULES = ("distribution", "token", "instance")
ORDERS = [list(order) for size in range(4) for order in permutations(MODULES, size)]


def make_config(speech_type: str = "wav2vec2", **overrides) -> MgcmaConfig:
    settings = {"num_attention_heads": 2, "num_token_blocks": 2, "intermediate_size": 24, "dropout": 0.0}
    return MgcmaConfig(**{**tiny_settings(speech_type), **settings, **overrides})


def make_model(**overrides) -> MgcmaForEmotionClassification:
    torch.manual_seed(0)
    return MgcmaForEmotionClassification(make_config(**overrides)).eval()


class OfMgcma:
    model_class = MgcmaForEmotionClassification
    settings: ClassVar[dict] = {}

    def make_config(self, **overrides):
        return make_config(**{**self.settings, **overrides})


class TestMgcma(OfMgcma, MerModelTests):
    """S0, the paper's model."""


class TestWithoutAlignment(OfMgcma, MerVariantTests):
    settings: ClassVar[dict] = {"alignment_order": []}


class TestTokensFirst(OfMgcma, MerVariantTests):
    """S8, with the printed forms of both similarities (and a temperature that their size asks for)."""

    settings: ClassVar[dict] = {
        "alignment_order": ["token", "distribution", "instance"],
        "instance_normalize": False,
        "wasserstein_reduction": "sum",
        "contrastive_temperature": 10.0,
    }


class TestOnLogMel(OfMgcma, MerEncoderTests):
    settings: ClassVar[dict] = {"speech_type": "wav2vec2-bert"}


class TestMixedLayers(OfMgcma, MerEncoderTests):
    settings: ClassVar[dict] = {"text_layers": "mix", "speech_layers": "mix"}


class TestOnWhisper(OfMgcma, MerEncoderTests):
    settings: ClassVar[dict] = {"speech_type": "whisper"}


class TestTextAlone(OfMgcma, MerEncoderTests):
    settings: ClassVar[dict] = {"modalities": ["text"]}


class TestSpeechAlone(OfMgcma, MerEncoderTests):
    settings: ClassVar[dict] = {"modalities": ["speech"]}


class TestSystems:
    @pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(order) or "none")
    def test_every_chain_trains(self, order):
        model = make_model(alignment_order=order).train()
        output = model(**make_batch(model.config, labels=[0, 1, 2]))
        output.loss.backward()
        wanted = {"classification", *(name for name in order if name != "token")}
        assert set(output.losses) == wanted
        assert all(value.isfinite() and value > 0 for value in output.losses.values())
        assert list(model.alignment) == order
        assert not [name for name, p in model.named_parameters() if p.grad is None and "masked_spec" not in name]

    def test_the_order_matters(self):
        batch = make_batch(make_config(), labels=[0, 1, 2])
        results = {}
        for order in (["distribution", "token", "instance"], ["token", "instance", "distribution"]):
            model = make_model(alignment_order=order)
            torch.manual_seed(1)
            for parameter in model.alignment.parameters():
                if parameter.dim() > 1:
                    torch.nn.init.normal_(parameter, std=0.2)
            results[order[0]] = model(**batch).losses["instance"]
        assert (results["distribution"] - results["token"]).abs() > 1e-3

    @pytest.mark.parametrize("order", [[], ["distribution"], ["instance"], ["token"]])
    @torch.no_grad()
    def test_the_token_module_alone_brings_the_other_modality(self, order):
        """Each modality's vector changes with the other's input where there is cross-attention, and only there."""
        model = make_model(alignment_order=order)
        batch, other = make_batch(model.config), make_batch(model.config, seed=7)
        expected = model(**batch).modality_embeddings
        for name, foreign in (("text", "input_values"), ("speech", "input_ids")):
            changed = model(**{**batch, foreign: other[foreign]}).modality_embeddings[name]
            assert torch.allclose(changed, expected[name], atol=1e-6) == (order != ["token"]), name

    @torch.no_grad()
    def test_a_token_block_step_by_step(self):
        model = make_model(alignment_order=["token"], num_token_blocks=1)
        block = model.alignment["token"].blocks[0]
        states = {"text": torch.randn(1, 3, 16), "speech": torch.randn(1, 5, 16)}
        masks = {name: torch.ones(value.shape[:2], dtype=torch.bool) for name, value in states.items()}

        def attend(layer, queries, keys):  # one head at a time
            q, k, v = layer.query(queries), layer.key(keys), layer.value(keys)
            heads = [
                (q[..., part] @ k[..., part].transpose(1, 2) / 8**0.5).softmax(-1) @ v[..., part]
                for part in (slice(0, 8), slice(8, 16))
            ]
            return layer.output(torch.cat(heads, dim=-1))

        within = {}
        for name, branch in (("text", block.text), ("speech", block.speech)):
            within[name] = branch.norms[0](states[name] + attend(branch.self_attention, states[name], states[name]))
        found = dict(zip(states, block(*states.values(), *masks.values()), strict=True))
        for name, other in (("text", "speech"), ("speech", "text")):
            branch = getattr(block, name)
            across = branch.norms[1](within[name] + attend(branch.cross_attention, within[name], within[other]))
            expected = branch.norms[2](across + branch.feed_forward(across))
            torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"alignment_order": ["token", "dam"]}, "'dam' is not one of distribution, token, instance"),
            ({"alignment_order": ["token", "token"]}, "each module at most once"),
            ({"wasserstein_reduction": "max"}, "'max' is not one of mean, sum"),
            ({"contrastive_temperature": 0.0}, r"contrastive_temperature=0.0 must be positive"),
            ({"num_attention_heads": 5}, "hidden_size=16 is not a multiple of num_attention_heads=5"),
            ({"loss_weights": {"margin": 1}}, "'margin' is not one of classification, distribution, instance"),
            ({"freeze": ["video_encoder"]}, "'video_encoder' is not one of text_encoder"),
            ({"modalities": ["video"]}, "'video' is not one of text, speech"),
        ],
    )
    def test_invalid_configurations_name_the_valid_values(self, settings, message):
        with pytest.raises(ValueError, match=message):
            make_config(**settings)

    def test_the_papers_values_are_the_defaults(self):
        config = MgcmaConfig()
        assert config.alignment_order == list(MODULES)
        assert (config.num_token_blocks, config.num_attention_heads, config.contrastive_temperature) == (6, 12, 0.07)
        assert config.loss_weights == {"classification": 1.0, "distribution": 1.0, "instance": 1.0}
        assert (config.hidden_size, config.intermediate_size) == (768, 3072)


class TestBatches:
    def test_a_batch_of_one(self):
        model = make_model().train()
        batch = make_batch(model.config, tokens=[5], frames=[9], labels=[1])
        output = model(**batch)
        output.loss.backward()
        assert output.losses["distribution"] == 0
        assert output.losses["instance"] == 0
        assert all(grad.isfinite().all() for grad in gradients(model).values())

    def test_incomplete_utterances_take_no_part_in_the_contrast(self):
        model = make_model()
        settings = {"tokens": [7, 4, 9, 5], "frames": [12, 20, 8, 9], "labels": [0, 1, 2, 3]}
        mixed = model(**make_batch(model.config, **settings, no_text=(1,), no_audio=(2,))).losses
        batch = make_batch(model.config, **settings)
        complete = {name: value[[0, 3]] for name, value in batch.items()}
        expected = model(**complete).losses
        for name in ("distribution", "instance"):
            torch.testing.assert_close(mixed[name], expected[name], rtol=1e-4, atol=1e-5)

    def test_nobody_has_text(self):
        model = make_model().train()
        output = model(**make_batch(model.config, no_text=(0, 1, 2), labels=[0, 1, 2]))
        output.loss.backward()
        assert output.losses["instance"] == 0
        assert output.modality_embeddings["text"].abs().sum() == 0

    def test_states_of_frozen_encoders_in_the_place_of_raw_inputs(self):
        model = make_model(freeze=["text_encoder", "speech_encoder"])
        batch = make_batch(model.config)
        assert model.cacheable_modalities == ["text", "speech"]
        text, text_mask = model.precompute("text", **batch)
        speech, speech_mask = model.precompute("speech", **batch)
        with torch.no_grad():
            expected = model(**batch)
            output = model(
                text_features=text, attention_mask=text_mask, speech_features=speech, audio_attention_mask=speech_mask
            )
        torch.testing.assert_close(output.logits, expected.logits)
        trained = make_model()
        with pytest.raises(ValueError, match="speech: only states of no modality"):
            trained.precompute("speech", **batch)


class TestFromEncoders:
    def test_weights_and_widths(self, tmp_path):
        config = make_config()
        BertModel(config.text_config).save_pretrained(tmp_path / "text")
        speech = Wav2Vec2Model(tiny_speech_config())
        model = MgcmaForEmotionClassification.from_encoders(
            tmp_path / "text", speech, labels=LABELS, num_attention_heads=2, num_token_blocks=1
        )
        assert torch.equal(
            model.speech_encoder.encoder.layers[0].attention.q_proj.weight,
            speech.encoder.layers[0].attention.q_proj.weight,
        )
        assert model.config.id2label == dict(enumerate(LABELS))
        assert model.text_projection.weight.shape == (16, 12)
        assert isinstance(model.speech_projection, torch.nn.Identity)
        logits = model(**make_batch(model.config)).logits
        alone = model(**rows_of(make_batch(model.config), 0)).logits
        torch.testing.assert_close(alone[0], logits[0], rtol=0, atol=1e-5)
