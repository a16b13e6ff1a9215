import copy
from typing import ClassVar

import pytest
import torch
from model_tester import (
    LABELS,
    gradients,
    make_batch,
    rows_of,
    tiny_settings,
    tiny_speech_config,
    tiny_text_config,
    tiny_video_config,
)
from paper_checks import MerModelTests
from transformers import AutoModel, EfficientNetModel, RobertaModel
from variant_checks import MerEncoderTests, MerVariantTests

from hf_mer.models import WavFusionConfig, WavFusionForEmotionClassification
from hf_mer.models.mer_losses import margin_loss
from hf_mer.models.wavfusion_layers import GatedCrossModalLayer

TABLE_3 = {
    "A": ["speech"], "T": ["text"], "V": ["video"], "A+T": ["text", "speech"], "A+V": ["speech", "video"],
    "A+V+T": ["text", "speech", "video"],
}  # fmt: skip
LAYERED = ["wav2vec2", "hubert", "wavlm", "data2vec-audio"]


def make_config(speech_type="wav2vec2", text_type="bert", **overrides):
    settings = {
        "video_config": tiny_video_config(), "num_deep_layers": 1, "auxiliary_heads": 2, "video_dim": 8,
        "lvc_codewords": 5, "shared_dim": 6,
    }  # fmt: skip
    return WavFusionConfig(**{**tiny_settings(speech_type, text_type), **settings, **overrides})


def make_model(**overrides):
    torch.manual_seed(0)
    return WavFusionForEmotionClassification(make_config(**overrides)).eval()


class OfWavFusion:
    model_class = WavFusionForEmotionClassification
    settings: ClassVar[dict] = {}

    def make_config(self, **overrides):
        return make_config(**{**self.settings, **overrides})


class TestWavFusion(OfWavFusion, MerModelTests):
    """A+V+T, the paper's model, with all layers of the tiny encoder but one."""


class TestTextAndSpeech(OfWavFusion, MerEncoderTests):
    settings: ClassVar[dict] = {"modalities": TABLE_3["A+T"], "text_type": "roberta", "num_deep_layers": 2}


class TestSpeechAndVideo(OfWavFusion, MerVariantTests):
    settings: ClassVar[dict] = {"modalities": TABLE_3["A+V"], "pooling": "max"}


class TestSpeech(OfWavFusion, MerVariantTests):
    settings: ClassVar[dict] = {"modalities": ["speech"]}


class TestSpeechWavLM(OfWavFusion, MerEncoderTests):
    """Whose deep layers need the position bias of its first layer."""

    settings: ClassVar[dict] = {"modalities": ["speech"], "speech_type": "wavlm"}


@pytest.mark.parametrize("speech_type", ["wav2vec2", "wavlm"])
def test_an_utterance_without_speech_has_scores_all_the_same(speech_type):
    """Its deep layers have no frame to attend to, which gave NaN."""
    model = make_model(modalities=["speech"], speech_type=speech_type)
    batch = make_batch(model.config, no_audio=(1,))
    with torch.no_grad():
        together, complete = model(**batch).logits, model(**make_batch(model.config)).logits
    assert together.isfinite().all()
    torch.testing.assert_close(together[[0, 2]], complete[[0, 2]], rtol=0, atol=1e-5)


class TestText(OfWavFusion, MerEncoderTests):
    settings: ClassVar[dict] = {"modalities": ["text"], "gru_bidirectional": True}


class TestVideo(OfWavFusion, MerEncoderTests):
    settings: ClassVar[dict] = {"modalities": ["video"]}


class TestConcatenation(OfWavFusion, MerEncoderTests):
    settings: ClassVar[dict] = {"num_deep_layers": 0, "speech_type": "wav2vec2-bert"}


class TestConcatenationOnWhisper(OfWavFusion, MerVariantTests):
    """Which has no deep layers that would continue the encoder's."""

    settings: ClassVar[dict] = {"num_deep_layers": 0, "speech_type": "whisper"}


class TestTextAndVideo(OfWavFusion, MerVariantTests):
    settings: ClassVar[dict] = {"modalities": ["text", "video"]}


class TestWithoutLvc(OfWavFusion, MerVariantTests):
    settings: ClassVar[dict] = {"use_lvc": False, "gru_layers": 2, "auxiliary_residual": True}


class TestWithoutGate(OfWavFusion, MerVariantTests):
    settings: ClassVar[dict] = {"fusion_gate": "mean"}


class TestHubert(OfWavFusion, MerEncoderTests):
    settings: ClassVar[dict] = {"speech_type": "hubert", "num_deep_layers": 2}


class TestWavLM(OfWavFusion, MerEncoderTests):
    settings: ClassVar[dict] = {"speech_type": "wavlm", "text_type": "distilbert"}


class TestStableLayerNorm(OfWavFusion, MerEncoderTests):
    settings: ClassVar[dict] = {
        "speech_config": tiny_speech_config(do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True)
    }


class TestSystems:
    @pytest.mark.parametrize("deep", [0, 1, 2])
    @pytest.mark.parametrize("modalities", [*TABLE_3.values(), ["text", "video"]], ids="-".join)
    def test_every_subset_with_any_number_of_deep_layers(self, modalities, deep):
        model = make_model(modalities=modalities, num_deep_layers=deep).train()
        output = model(**make_batch(model.config, labels=[0, 1, 2]), output_attentions=True)
        output.loss.backward()
        assert output.logits.shape == (3, 4)
        assert set(output.losses) == ({"classification"} if len(modalities) == 1 else {"classification", "margin"})
        fused = deep > 0 and "speech" in modalities and len(modalities) > 1
        for name in ("text", "video"):
            weights = output[f"{name}_cross_attentions"] if fused and name in modalities else None
            assert (weights is not None) == (fused and name in modalities)
            assert weights is None or len(weights) == deep
        assert (output.gates is not None) == (fused and len(modalities) == 3)
        assert set(output.modality_embeddings or modalities) == set(modalities)
        if "speech" in modalities:
            assert len(model.speech_encoder.encoder.layers) == 2 - deep
            assert len(model.deep_layers) == deep
            assert model.config.speech_config.num_hidden_layers == 2

    def test_a_single_modality_has_neither_gated_attention_nor_margin_loss(self):
        for name in TABLE_3["A+V+T"]:
            model = make_model(modalities=[name])
            assert not hasattr(model, "shared_encoder")
            assert not [module for module in model.modules() if isinstance(module, GatedCrossModalLayer)]

    def test_defaults_are_the_papers(self):
        config = WavFusionConfig()
        assert config.modalities == ["text", "speech", "video"]
        assert config.speech_config.num_hidden_layers - config.num_deep_layers == 9
        assert config.num_deep_layers == 3
        assert config.widths == {"text": 768, "speech": 768, "video": 128}
        assert config.loss_weights == {"classification": 1.0, "margin": 1.0}
        assert config.use_lvc is True
        assert config.freeze == ["text_encoder", "speech_encoder", "video_encoder"]
        assert WavFusionConfig(modalities=["speech"]).freeze == ["speech_encoder"]

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"num_deep_layers": 3}, r"num_deep_layers=3 must be between 0 and the speech encoder's 2 layers"),
            ({"num_deep_layers": -1}, r"num_deep_layers=-1 must be between 0"),
            ({"speech_type": "wav2vec2-bert"}, r"'wav2vec2-bert' cannot be taken over.*num_deep_layers=0 or one of"),
            ({"auxiliary_heads": 5}, r"text_dim=12 must be a multiple of auxiliary_heads=5"),
            ({"auxiliary_heads": 3, "text_dim": 9}, r"video_dim=8 must be a multiple of auxiliary_heads=3"),
            ({"auxiliary_heads": 1, "text_dim": 9, "gru_bidirectional": True}, r"text_dim=9 .*and of 2"),
            ({"fusion_gate": "none"}, r"fusion_gate: 'none' is not one of learned, mean"),
            ({"pooling": "last"}, r"pooling: 'last' is not one of mean, max"),
            ({"lvc_codewords": 0}, r"lvc_codewords=0 must be at least 1"),
            ({"modalities": ["face"]}, r"modalities: 'face' is not one of text, speech, video"),
            ({"loss_weights": {"constraint": 1.0}}, r"'constraint' is not one of classification, margin"),
            ({"freeze": ["label_embeddings"]}, r"'label_embeddings' is not one of text_encoder"),
            ({"freeze": ["text_encoder"], "modalities": ["video"]}, r"freeze: 'text_encoder' .*branch"),
            ({"video_config": {"model_type": "mobilenet_v2"}}, r"'mobilenet_v2': .*does not say how wide"),
        ],
    )
    def test_invalid_configurations_name_the_valid_values(self, settings, message):
        with pytest.raises(ValueError, match=message):
            make_model(**settings)


class TestEquations:
    @pytest.mark.parametrize("stable", [False, True])
    def test_the_model_step_by_step(self, stable):
        speech = tiny_speech_config(do_stable_layer_norm=stable)
        model = make_model(speech_config=speech, num_deep_layers=2)
        batch = make_batch(model.config, labels=[0, 1, 2])
        with torch.no_grad():
            output = model(**batch, output_attentions=True)
            words, text_mask = model.encode_text(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
            frames, video_mask = model.encode_video(batch["pixel_values"], batch["video_attention_mask"])
            audio, speech_mask = model.encode_speech(batch["input_values"], batch["audio_attention_mask"])
            text = model.text_gru(words, text_mask)  # equation 6
            frames = model.video_projection(frames)
            joined = [model.video_gru(frames, video_mask), model.visual_centre(frames, video_mask)]
            video = torch.cat(joined, dim=-1)  # equations 2 to 4
            unfused = {"text": (text, text_mask), "speech": (audio, speech_mask), "video": (video, video_mask)}
            items = torch.zeros(3, 3, 6)
            for column, (name, (states, mask)) in enumerate(unfused.items()):
                for row in range(3):
                    pooled = states[row][mask[row]].mean(dim=0)
                    if name != "speech" and pooled.shape != (16,):
                        pooled = model.shared_projections[name](pooled)
                    items[row, column] = model.shared_encoder(pooled)  # equation 12
                    torch.testing.assert_close(output.modality_embeddings[name][row], items[row, column])
            for layer in model.deep_layers:
                audio, _ = layer(audio, text, text_mask, video, video_mask)  # equations 8 to 11
            audio = model.deep_norm(audio)
            for row in range(3):
                pooled = audio[row][speech_mask[row]].mean(dim=0)
                torch.testing.assert_close(output.embeddings[row], pooled, rtol=0, atol=1e-5)
        assert isinstance(model.deep_norm, torch.nn.LayerNorm) == stable
        everything = torch.ones(9, dtype=torch.bool)
        expected = margin_loss(
            items.flatten(0, 1), torch.arange(3).repeat(3), batch["labels"].repeat_interleave(3), everything, 0.1
        )
        torch.testing.assert_close(output.losses["margin"], expected)
        torch.testing.assert_close(output.loss, output.losses["classification"] + output.losses["margin"])

    def test_concatenation_of_pooled_modalities(self):
        model = make_model(num_deep_layers=0)
        batch = make_batch(model.config, no_audio=(1,))
        with torch.no_grad():
            output = model(**batch)
            audio, mask = model.encode_speech(batch["input_values"], batch["audio_attention_mask"])
        assert output.embeddings.shape == (3, 12 + 16 + 16)
        torch.testing.assert_close(output.embeddings[0, 12:28], audio[0][mask[0]].mean(dim=0))
        assert not output.embeddings[1, 12:28].any()

    @pytest.mark.parametrize("deep", [0, 1, 2])
    @pytest.mark.parametrize("stable", [False, True])
    @pytest.mark.parametrize("speech_type", LAYERED)
    def test_speech_alone_is_the_whole_encoder(self, speech_type, stable, deep):
        """Split or not: shallow and deep layers in a row are the library's encoder, padding or none."""
        stable = {} if speech_type == "data2vec-audio" else {"do_stable_layer_norm": stable}
        config = tiny_speech_config(speech_type, **stable)
        model = make_model(modalities=["speech"], speech_config=config, num_deep_layers=deep)
        plain = AutoModel.from_config(copy.deepcopy(config)).eval()
        if speech_type == "wavlm":  # whose bias starts small
            torch.nn.init.normal_(plain.encoder.layers[0].attention.rel_attn_embed.weight, std=2.0)
        model.load_encoders(speech_encoder=plain)
        batch = make_batch(model.config)
        with torch.no_grad():
            given = model(**batch).embeddings
            for row in range(3):
                audio = rows_of(batch, row)["input_values"]
                torch.testing.assert_close(
                    given[row], plain(audio).last_hidden_state[0].mean(dim=0), rtol=0, atol=1e-5
                )

    def test_margin_loss_leaves_out_missing_modalities_and_unlabelled_utterances(self):
        model = make_model()
        size = {"tokens": [7, 4, 9, 5], "frames": [12, 20, 8, 9]}
        torch.nn.init.normal_(model.shared_encoder.bias)  # what a missing modality's zeros would become
        batch = make_batch(model.config, **size, no_text=(0,), no_audio=(1,), labels=[0, 0, 1, -100])
        output = model(**batch)
        items = torch.stack([output.modality_embeddings[name] for name in ("text", "speech", "video")], dim=1)
        kept = torch.tensor([1, 2, 3, 5, 6, 7, 8])  # of rows 0 to 2
        expected = margin_loss(
            items.flatten(0, 1)[kept],
            torch.arange(3).repeat(4)[kept],
            torch.tensor([0, 0, 1, -100]).repeat_interleave(3)[kept],
            torch.ones(7, dtype=torch.bool),
            0.1,
        )
        assert float(expected.detach()) > 0
        torch.testing.assert_close(output.losses["margin"], expected)
        assert not output.modality_embeddings["text"][0].any()
        assert output.modality_embeddings["text"][1].any()

    def test_lambda_zero_trains_without_the_margin_loss(self):
        model = make_model(loss_weights={"margin": 0.0}).train()
        output = model(**make_batch(model.config, labels=[0, 1, 2]))
        output.loss.backward()
        assert torch.equal(output.loss, output.losses["classification"])
        assert not model.shared_encoder.weight.grad.any()

    def test_gates_and_attention(self):
        model = make_model(num_deep_layers=2)
        batch = make_batch(model.config, no_video=(1,), no_text=(2,))
        output = model(**batch, output_attentions=True)
        assert len(output.gates) == 2
        for gate, text, video in zip(
            output.gates, output.text_cross_attentions, output.video_cross_attentions, strict=True
        ):
            assert gate.shape == (3, 20)
            assert ((gate[0] > 0) & (gate[0] < 1)).all()
            assert (gate[1] == 1).all()
            assert (gate[2] == 0).all()
            torch.testing.assert_close(text[:2].sum(dim=-1), torch.ones(2, 20))
            assert not text[2].any()
            assert not video[1].any()
            assert not text[0][:, ~output.text_mask[0]].any()
        assert model(**batch).gates is None

    def test_the_ablation_of_the_gate_is_all_but_the_gate(self):
        model, plain = make_model(num_deep_layers=2), make_model(num_deep_layers=2, fusion_gate="mean")
        weights = {
            name: value for name, value in model.state_dict().items() if ".gate." not in name or "visual" in name
        }
        plain.load_state_dict(weights)  # strict: it has everything but the gates
        batch = make_batch(model.config)
        assert all((gate == 0.5).all() for gate in plain(**batch, output_attentions=True).gates)
        assert (plain(**batch).logits - model(**batch).logits).abs().max() > 1e-5
        for layer in model.deep_layers:
            for parameter in layer.attention.gate.parameters():
                torch.nn.init.zeros_(parameter)  # sigmoid(0)
        torch.testing.assert_close(model(**batch).logits, plain(**batch).logits)

    def test_without_speech_a_learned_frame_asks(self):
        model = make_model()
        batch = rows_of(make_batch(model.config, no_audio=(0,)), 0)
        before = model(**batch).logits
        torch.testing.assert_close(model(**rows_of(make_batch(model.config, no_audio=(0, 1, 2)), 0)).logits, before)
        with torch.no_grad():
            model.missing_speech.weight += 1
        assert (model(**batch).logits - before).abs().max() > 1e-3
        complete = make_batch(model.config)
        assert torch.equal(model(**complete).logits, model(**complete).logits)


class TestFrozenEncoders:
    def test_exactly_the_encoders_are_frozen(self):
        model = make_model().train()
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        encoders = ("text_encoder.", "speech_encoder.", "video_encoder.")
        assert trained == {name for name, _ in model.named_parameters() if not name.startswith(encoders)}
        assert model.deep_layers.training
        assert not model.speech_encoder.training

    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize("speech_type", ["wav2vec2", "wavlm"])
    def test_states_computed_beforehand_give_the_same(self, speech_type, training):
        """In training too: no SpecAugment and no dropout is in a frozen encoder."""
        config = tiny_speech_config(speech_type, mask_time_prob=0.5, mask_time_length=2, feat_proj_dropout=0.5)
        model = make_model(speech_config=config).train(training)
        assert model.cacheable_modalities == ["text", "speech", "video"]
        size = {"tokens": [7, 4, 9, 5], "frames": [12, 20, 8, 9]}
        batch = make_batch(model.config, **size, no_text=(1,), no_audio=(2,), no_video=(3,), labels=[0, 1, 2, 0])
        names = {"text": "attention_mask", "speech": "audio_attention_mask", "video": "video_attention_mask"}
        cached: dict = {"labels": batch["labels"]}
        for modality, mask_name in names.items():
            states, mask = model.precompute(modality, **batch)
            assert not states.requires_grad
            cached.update({f"{modality}_features": states, mask_name: mask.long()})
        expected, given = model(**batch), model(**cached)
        torch.testing.assert_close(given.logits, expected.logits)
        torch.testing.assert_close(given.losses, expected.losses)
        mixed = {name: value for name, value in cached.items() if "speech" not in name and "audio" not in name}
        mixed.update({name: batch[name] for name in ("input_values", "audio_attention_mask")})
        torch.testing.assert_close(model(**mixed).logits, expected.logits)

    def test_speech_alone_from_shallow_states(self):
        model = make_model(modalities=["speech"], speech_type="wavlm")
        batch = make_batch(model.config)
        states, mask = model.precompute("speech", **batch)
        given = model(speech_features=states, audio_attention_mask=mask)
        torch.testing.assert_close(given.logits, model(**batch).logits)

    def test_a_trained_encoder_cannot_be_computed_beforehand(self):
        model = make_model(freeze=["video_encoder", "speech_layers:1"])
        assert model.cacheable_modalities == ["video"]
        with pytest.raises(ValueError, match=r"speech.*video"):
            model.precompute("speech", **make_batch(model.config))

    def test_more_shallow_layers_than_there_are_cannot_be_frozen(self):
        with pytest.raises(ValueError, match=r"speech_layers:2.*1 layers"):
            make_model(freeze=["speech_layers:2"])


class TestInitialisation:
    @pytest.mark.parametrize("modalities", [TABLE_3["A+V+T"], ["speech"]])
    def test_what_a_checkpoint_lacks_starts_anew(self, tmp_path, modalities):
        model = make_model(speech_type="wavlm", modalities=modalities, initializer_range=0.02)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(7.0)
        kept = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("speech_encoder.")}
        model.save_pretrained(tmp_path, state_dict=kept)
        model = WavFusionForEmotionClassification.from_pretrained(tmp_path)
        for name, tensor in model.named_parameters():
            if name.startswith("speech_encoder.") or name.endswith("gru_rel_pos_const"):
                assert (tensor == (7 if name.startswith("speech_encoder.") else 1)).all(), name
            elif "gru.gru" in name:
                assert 0.5 < tensor.abs().max() / tensor.shape[0] ** -0.5 * 3**-0.5 <= 1.001, name
            elif tensor.dim() > 1 and not name.startswith("video_encoder.") and "conv" not in name:
                assert 0 < tensor.std() < 0.2, name
        if "video" in modalities:
            assert model.visual_centre.codewords.abs().max() <= 40**-0.5
            assert (model.visual_centre.smoothing < 0).all()
            assert 0 < model.missing_speech.weight.abs().max() < 0.1


class TestVideoEncoders:
    @pytest.mark.parametrize("model_type", ["vit", "resnet", "convnext"])
    def test_image_models_of_the_library(self, model_type):
        sizes = {
            "vit": {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
                    "image_size": 16, "patch_size": 8},
            "resnet": {"embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 1], "layer_type": "basic"},
            "convnext": {"hidden_sizes": [8, 12], "depths": [1, 1], "num_stages": 2},
        }[model_type]  # fmt: skip
        model = make_model(video_config={"model_type": model_type, **sizes})
        assert model(**make_batch(model.config)).logits.isfinite().all()

    def test_image_models_of_timm(self, tmp_path):
        pytest.importorskip("timm")
        settings = {"model_type": "timm_wrapper", "architecture": "test_efficientnet", "num_labels": 0}
        model = make_model(video_config=settings)
        batch = make_batch(model.config)
        model.save_pretrained(tmp_path)
        again = WavFusionForEmotionClassification.from_pretrained(tmp_path)
        assert model.video_projection.in_features == 256
        torch.testing.assert_close(again(**batch).logits, model(**batch).logits)


class TestFromEncoders:
    @pytest.mark.parametrize("stable", [False, True])
    @pytest.mark.parametrize("speech_type", LAYERED)
    def test_deep_layers_start_from_the_layers_they_replace(self, tmp_path, speech_type, stable):
        stable = {} if speech_type == "data2vec-audio" else {"do_stable_layer_norm": stable}
        speech = AutoModel.from_config(tiny_speech_config(speech_type, num_hidden_layers=3, **stable))
        text, video = RobertaModel(tiny_text_config("roberta")), EfficientNetModel(tiny_video_config())
        for parameter in speech.parameters():  # norms too have values of their own
            torch.nn.init.normal_(parameter, std=0.1)
        for name, encoder in (("text", text), ("speech", speech), ("video", video)):
            encoder.save_pretrained(tmp_path / name)
        model = WavFusionForEmotionClassification.from_encoders(
            tmp_path / "text", tmp_path / "speech", tmp_path / "video", labels=LABELS, num_deep_layers=2,
            auxiliary_heads=2, video_dim=8,
        )  # fmt: skip
        assert model.config.modalities == ["text", "speech", "video"]
        given = speech.state_dict()
        for name, tensor in model.speech_encoder.state_dict().items():
            assert torch.equal(tensor, given[name]), name
        for index, deep in enumerate(model.deep_layers):
            prefix = f"encoder.layers.{index + 1}."
            for name, tensor in deep.state_dict().items():
                if name.startswith("attention."):
                    continue
                assert torch.equal(tensor, given[prefix + name]), name
            for modality in ("text", "video"):
                attention = getattr(deep.attention, modality)
                assert torch.equal(attention.query.weight, given[prefix + "attention.q_proj.weight"])
                assert torch.equal(attention.output.bias, given[prefix + "attention.out_proj.bias"])
        if stable.get("do_stable_layer_norm"):
            assert torch.equal(model.deep_norm.weight, given["encoder.layer_norm.weight"])
        model.save_pretrained(tmp_path / "saved")
        again = WavFusionForEmotionClassification.from_pretrained(tmp_path / "saved")
        assert again.config.speech_config.num_hidden_layers == 3
        batch = make_batch(model.config)
        torch.testing.assert_close(again(**batch).logits, model.eval()(**batch).logits)

    def test_an_encoder_of_another_depth(self):
        model = make_model()
        with pytest.raises(ValueError, match="has 3 layers, the configuration 2"):
            model.load_encoders(speech_encoder=AutoModel.from_config(tiny_speech_config(num_hidden_layers=3)))

    def test_modalities_are_those_of_the_checkpoints(self, tmp_path):
        EfficientNetModel(tiny_video_config()).save_pretrained(tmp_path)
        model = WavFusionForEmotionClassification.from_encoders(
            video=tmp_path, labels=LABELS, video_dim=8, auxiliary_heads=2
        )
        assert model.config.modalities == ["video"]
        assert gradients(model) == {}
        assert model(**make_batch(model.config)).logits.shape == (3, 4)
