import logging
from typing import ClassVar

import pytest
import torch
from model_tester import (
    LABELS,
    SPEECH_TYPES,
    gradients,
    make_batch,
    rows_of,
    save_tiny_checkpoint,
    tiny_settings,
    tiny_speech_config,
    tiny_store,
    tiny_text_config,
    tone,
)
from paper_checks import MerModelTests
from torch.nn import functional
from transformers import (
    AutoFeatureExtractor,
    AutoModel,
    BertModel,
    HubertModel,
    Trainer,
    TrainingArguments,
    Wav2Vec2ConformerForPreTraining,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
    pipeline,
)
from variant_checks import MerEncoderTests, MerVariantTests

from hf_mer.models import LeMerConfig, LeMerForEmotionClassification


def make_config(speech_type="wav2vec2", text_type="bert", **overrides):
    return LeMerConfig(**{**tiny_settings(speech_type, text_type), **overrides})


def make_model(**overrides):
    torch.manual_seed(0)
    return LeMerForEmotionClassification(make_config(**overrides)).eval()


class OfLeMer:
    model_class = LeMerForEmotionClassification
    speech_type = "wav2vec2"
    text_type = "bert"
    settings: ClassVar[dict] = {}

    def make_config(self, **overrides):
        return make_config(self.speech_type, self.text_type, **{**self.settings, **overrides})


class TestLeMer(OfLeMer, MerModelTests):
    """C1, the paper's model."""


class TestWav2Vec2Conformer(OfLeMer, MerEncoderTests):
    speech_type = "wav2vec2-conformer"
    unused_parameters = ("pos_conv_embed",)


class TestWav2Vec2Bert(OfLeMer, MerEncoderTests):
    speech_type = "wav2vec2-bert"


class TestMixedLayers(OfLeMer, MerEncoderTests):
    speech_type = "wav2vec2-conformer"
    unused_parameters = ("pos_conv_embed",)
    settings: ClassVar[dict] = {"text_layers": "mix", "speech_layers": "mix"}


class TestHubertAndRoberta(OfLeMer, MerEncoderTests):
    speech_type = "hubert"
    text_type = "roberta"


class TestWavLMAndDistilBert(OfLeMer, MerEncoderTests):
    speech_type = "wavlm"
    text_type = "distilbert"


class TestData2VecAudio(OfLeMer, MerEncoderTests):
    speech_type = "data2vec-audio"


class TestUniSpeech(OfLeMer, MerEncoderTests):
    speech_type = "unispeech"


class TestUniSpeechSat(OfLeMer, MerEncoderTests):
    speech_type = "unispeech-sat"


class TestWhisper(OfLeMer, MerEncoderTests):
    speech_type = "whisper"


class TestC2Sum(OfLeMer, MerVariantTests):
    settings: ClassVar[dict] = {"fusion": "sum", "guided_attention_norm": "softmax"}


class TestC3Guided(OfLeMer, MerVariantTests):
    settings: ClassVar[dict] = {"fusion": "guided"}


class TestC4VanillaWithoutLabels(OfLeMer, MerVariantTests):
    settings: ClassVar[dict] = {"fusion": "vanilla", "text_label_init": "none", "tonal_label_init": "none"}


class TestScoreFusion(OfLeMer, MerVariantTests):
    settings: ClassVar[dict] = {"fusion": "score"}


class TestA5Text(OfLeMer, MerEncoderTests):
    settings: ClassVar[dict] = {"modalities": ["text"]}


class TestB5SpeechContrastive(OfLeMer, MerEncoderTests):
    settings: ClassVar[dict] = {"modalities": ["speech"], "tonal_space": "contrastive", "tonal_dim": 10}


class TestCurrentUtteranceOnly(OfLeMer, MerVariantTests):
    speech_type = "wav2vec2-bert"
    settings: ClassVar[dict] = {"history_in_fusion": False, "guided_attention_norm": "softmax"}


SYSTEMS = {
    **{
        f"A{i}": {"modalities": ["text"], "text_label_init": init}
        for i, init in enumerate(["none", "none", "random", "label_words", "tfidf"], 1)
    },
    **{
        f"B{i}": {"modalities": ["speech"], "tonal_label_init": init}
        for i, init in enumerate(["none", "none", "random", "bert", "codebook"], 1)
    },
    "score": {"fusion": "score"},
    **{f"C{i}": {"fusion": fusion} for i, fusion in enumerate(["constraint", "sum", "guided", "vanilla"], 1)},
}
LOSSES = {
    "A1": {"classification"}, "A2": {"classification"}, "B1": {"classification"}, "B2": {"classification"},
    **dict.fromkeys(["A3", "A4", "A5"], frozenset({"classification", "text_label"})),
    **dict.fromkeys(["B3", "B4", "B5"], frozenset({"classification", "speech_label"})),
    **dict.fromkeys(["score", "C2", "C3", "C4"], frozenset({"classification", "text_label", "speech_label"})),
    "C1": {"classification", "constraint", "text_label", "speech_label"},
}  # fmt: skip


class TestSystems:
    @pytest.mark.parametrize("system", SYSTEMS)
    def test_every_system_of_the_tables_is_a_configuration(self, system):
        model = make_model(**SYSTEMS[system])
        output = model(**make_batch(model.config, labels=[0, 1, 2]))
        assert output.logits.shape == (3, 4)
        assert set(output.losses) == LOSSES[system]
        assert (model.cross_attention is not None) == (system in ("C1", "C2", "C4"))

    def test_defaults_are_the_papers(self):
        config = LeMerConfig()
        assert config.fusion == "constraint"
        assert config.loss_weights == {
            "classification": 1.0,
            "constraint": 0.5,
            "text_label": 0.2,
            "speech_label": 0.2,
        }
        assert (config.text_label_init, config.tonal_label_init) == ("tfidf", "codebook")
        assert config.guided_attention_norm == "none"
        assert config.history_in_fusion is True
        assert (config.text_config.hidden_size, config.speech_config.hidden_size) == (768, 768)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"fusion": "late"}, r"fusion: 'late' is not one of constraint, sum, guided, vanilla, score"),
            ({"text_label_init": "glove"}, r"text_label_init: 'glove' .*none, random, label_words, tfidf"),
            ({"tonal_label_init": "tfidf"}, r"tonal_label_init: 'tfidf' .*none, random, bert, codebook"),
            ({"tonal_space": "cosine"}, r"tonal_space: 'cosine' .*hidden, contrastive"),
            ({"guided_attention_norm": "l2"}, r"guided_attention_norm: 'l2' .*none, softmax"),
            ({"modalities": ["video"]}, r"modalities: 'video' .*text, speech"),
            ({"modalities": []}, r"must name one or more"),
            ({"modalities": ["text", "text"]}, r"each once"),
            ({"loss_weights": {"contrast": 1.0}}, r"loss_weights: 'contrast' .*classification, constraint"),
            ({"freeze": ["decoder"]}, r"freeze: 'decoder' .*text_encoder"),
            ({"freeze": ["text_layers"]}, r"'text_layers' .*text_layers:N"),
            ({"freeze": ["speech_layers:two"]}, r"speech_layers:two.*speech_layers:N"),
            ({"freeze": ["text_layers:3"]}, r"text_layers:3.*2 layers"),
            ({"freeze": ["text_encoder:3"]}, r"text_encoder:3"),
            ({"freeze": ["speech_encoder"], "modalities": ["text"]}, r"freeze: 'speech_encoder' .*branch"),
            ({"label_temperature": 0.0}, r"label_temperature=0.0 must be positive"),
            ({"text_label_init": "none"}, r"fusion='constraint' is guided by label embeddings of both branches"),
        ],
    )  # fmt: skip
    def test_invalid_configurations_name_the_valid_values(self, settings, message):
        with pytest.raises(ValueError, match=message):
            make_model(**settings)

    def test_unknown_speech_encoder(self):
        with pytest.raises(ValueError, match=r"'sew' is not one of wav2vec2, wav2vec2-conformer.*whisper"):
            LeMerConfig(text_config=tiny_text_config(), speech_config={"model_type": "sew"})

    def test_encoder_with_adapter(self):
        with pytest.raises(ValueError, match="add_adapter"):
            make_model(speech_config=tiny_speech_config("wav2vec2-bert", add_adapter=True))


class TestEquations:
    """Against loops that say what the paper's equations say."""

    @pytest.fixture
    def parts(self):
        model = make_model()
        batch = make_batch(model.config, labels=[0, 1, 2])
        with torch.no_grad():
            tokens, text_mask = model.encode_text(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
            frames, speech_mask = model.encode_speech(batch["input_values"], batch["audio_attention_mask"])
            output = model(**batch, output_attentions=True)
        return model, batch, tokens, frames, text_mask, speech_mask, output

    def test_masks_are_the_lengths(self, parts):
        *_, text_mask, speech_mask, output = parts
        assert text_mask.sum(dim=1).tolist() == [7, 4, 9]
        # a frame needs 40 samples
        assert speech_mask.sum(dim=1).tolist() == [12, 20, 8]
        assert torch.equal(output.text_mask, text_mask)
        assert torch.equal(output.speech_mask, speech_mask)

    def test_label_attention(self, parts):
        model, _, tokens, frames, text_mask, speech_mask, output = parts
        for hidden, labels, mask, given in (
            (tokens, model.text_label_embeddings.weight, text_mask, output.text_label_attention),
            (frames, model.tonal_label_embeddings.weight, speech_mask, output.speech_label_attention),
        ):
            for row in range(3):
                for position in range(mask.shape[1]):
                    for label in range(4):
                        expected = functional.cosine_similarity(hidden[row, position], labels[label], dim=0)
                        assert given[row, position, label] == pytest.approx(
                            float(expected) if mask[row, position] else 0, abs=1e-5
                        )

    def test_cross_attention_and_classifier(self, parts):
        model, _, tokens, frames, text_mask, speech_mask, output = parts
        weight = model.cross_attention.weight  # (d_s, d_t)
        for row in range(3):
            real_tokens, real_frames = tokens[row][text_mask[row]], frames[row][speech_mask[row]]
            attention = (real_tokens @ weight.T @ real_frames.T).softmax(dim=-1)  # equation 7
            given = output.cross_attention[row][text_mask[row]]
            torch.testing.assert_close(given[:, speech_mask[row]], attention, rtol=0, atol=1e-5)
            assert not given[:, ~speech_mask[row]].any()
            fused = torch.cat([real_tokens, attention @ real_frames], dim=-1)  # equation 8
            pooled = torch.stack([max(column) for column in fused.T])
            torch.testing.assert_close(output.embeddings[row], pooled, rtol=0, atol=1e-5)
            torch.testing.assert_close(output.logits[row], model.classifier(pooled), rtol=0, atol=1e-5)  # equation 11

    @pytest.mark.parametrize("norm", ["none", "softmax"])
    def test_losses(self, parts, norm):
        model, batch, *_, text_mask, speech_mask, output = parts
        model.config.guided_attention_norm = norm
        losses = model(**batch).losses
        constraint, text_label, speech_label, classification = [], [], [], []
        for row, label in enumerate(batch["labels"]):
            by_token = output.text_label_attention[row][text_mask[row]]
            by_frame = output.speech_label_attention[row][speech_mask[row]]
            guide = by_token @ by_frame.T  # equation 9
            guide = guide.softmax(dim=-1) if norm == "softmax" else guide
            attention = output.cross_attention[row][text_mask[row]][:, speech_mask[row]]
            squares = [
                (a - b) ** 2 for a, b in zip(guide.flatten().tolist(), attention.flatten().tolist(), strict=True)
            ]
            constraint.append(sum(squares) / len(squares))  # equation 10
            text_label.append(-by_token.mean(dim=0).log_softmax(-1)[label])  # equations 2 and 3
            speech_label.append(-by_frame.mean(dim=0).log_softmax(-1)[label])  # equations 5 and 6
            classification.append(-output.logits[row].log_softmax(-1)[label])
        assert float(losses["constraint"]) == pytest.approx(sum(constraint) / 3, abs=1e-5)
        assert float(losses["text_label"]) == pytest.approx(sum(text_label).item() / 3, abs=1e-5)
        assert float(losses["speech_label"]) == pytest.approx(sum(speech_label).item() / 3, abs=1e-5)
        assert float(losses["classification"]) == pytest.approx(sum(classification).item() / 3, abs=1e-5)
        assert list(losses) == ["classification", "constraint", "text_label", "speech_label"]

    @pytest.mark.parametrize("fusion", ["guided", "sum"])
    @pytest.mark.parametrize("norm", ["none", "softmax"])
    def test_guided_fusion_is_the_explicit_product(self, fusion, norm):
        """C3 and C2: `A_l H_s` is computed without forming `A_l`."""
        model = make_model(fusion=fusion, guided_attention_norm=norm)
        batch = make_batch(model.config)
        with torch.no_grad():
            tokens, text_mask = model.encode_text(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
            frames, speech_mask = model.encode_speech(batch["input_values"], batch["audio_attention_mask"])
            output = model(**batch, output_attentions=True)
            for row in range(3):
                real_frames, real_tokens = frames[row][speech_mask[row]], tokens[row][text_mask[row]]
                by_token = output.text_label_attention[row][text_mask[row]]
                guide = by_token @ output.speech_label_attention[row][speech_mask[row]].T  # A_l
                guide = guide.softmax(dim=-1) if norm == "softmax" else guide
                if fusion == "sum":
                    guide = guide + (real_tokens @ model.cross_attention.weight.T @ real_frames.T).softmax(dim=-1)
                pooled = torch.cat([real_tokens, guide @ real_frames], dim=-1).amax(dim=0)
                torch.testing.assert_close(output.embeddings[row], pooled, rtol=0, atol=1e-5)

    def test_contrastive_space(self):
        model = make_model(tonal_space="contrastive", tonal_dim=10)
        batch = make_batch(model.config)
        with torch.no_grad():
            frames, mask = model.encode_speech(batch["input_values"], batch["audio_attention_mask"])
            expected = functional.cosine_similarity(
                model.speech_projection(frames)[:, :, None], model.tonal_label_embeddings.weight, dim=-1
            )
            given = model(**batch, output_attentions=True).speech_label_attention
        torch.testing.assert_close(given, expected * mask[..., None], rtol=0, atol=1e-5)

    @pytest.mark.parametrize("pooling", ["max", "mean"])
    def test_unimodal_classifies_the_pooled_frames(self, pooling):
        model = make_model(modalities=["speech"], pooling=pooling)
        batch = make_batch(model.config)
        with torch.no_grad():
            frames, mask = model.encode_speech(batch["input_values"], batch["audio_attention_mask"])
            real = [frames[row][mask[row]] for row in range(3)]
            pooled = torch.stack([one.amax(dim=0) if pooling == "max" else one.mean(dim=0) for one in real])
            torch.testing.assert_close(model(**batch).logits, model.speech_classifier(pooled), rtol=0, atol=1e-5)

    def test_temperature_divides_the_scores(self):
        model = make_model()
        batch = make_batch(model.config, labels=[0, 1, 2])
        plain = model(**batch, output_attentions=True)
        model.config.label_temperature = 0.1
        scores = torch.stack([plain.text_label_attention[row][plain.text_mask[row]].mean(dim=0) for row in range(3)])
        expected = functional.cross_entropy(scores / 0.1, batch["labels"])
        torch.testing.assert_close(model(**batch).losses["text_label"], expected)


class TestHistory:
    def test_history_tokens_count_or_not(self):
        batch = make_batch(make_config())
        seen = make_model()(**batch, output_attentions=True)
        hidden = make_model(history_in_fusion=False)(**batch, output_attentions=True)
        assert torch.equal(seen.text_mask, batch["attention_mask"].bool())
        assert torch.equal(hidden.text_mask, batch["token_type_ids"].bool())
        assert (seen.logits - hidden.logits).abs().max() > 1e-4

    def test_history_still_acts_through_the_encoder(self):
        model = make_model(history_in_fusion=False)
        batch = make_batch(model.config)
        other = {**batch, "input_ids": batch["input_ids"].clone()}
        other["input_ids"][0, 1] = 5 if batch["input_ids"][0, 1] != 5 else 6
        assert (model(**batch).logits[0] - model(**other).logits[0]).abs().max() > 1e-5

    def test_an_utterance_without_history_keeps_all_its_tokens(self):
        model = make_model(history_in_fusion=False)
        batch = make_batch(model.config)
        batch["token_type_ids"][1] = 0
        assert (
            model(**batch, output_attentions=True).text_mask[1].tolist() == batch["attention_mask"][1].bool().tolist()
        )


class TestMasks:
    """A feature extractor calls its mask `attention_mask`, as a tokenizer does."""

    def test_a_feature_extractors_mask_is_the_audios(self, wave_extractor):
        model = make_model()
        clips = [tone(0.3), tone(0.1, pitch=300), tone(0.2, pitch=400)]
        inputs = wave_extractor(clips, sampling_rate=16000, padding=True, return_tensors="pt")
        assert set(inputs) == {"input_values", "attention_mask"}
        with torch.no_grad():
            together = model(**inputs).logits
            named = model(input_values=inputs["input_values"], audio_attention_mask=inputs["attention_mask"]).logits
            for row, clip in enumerate(clips):
                alone = model(**wave_extractor(clip, sampling_rate=16000, return_tensors="pt")).logits[0]
                torch.testing.assert_close(together[row], alone, rtol=0, atol=1e-5)
        torch.testing.assert_close(together, named, rtol=0, atol=0)

    def test_of_log_mel_frames(self):
        model = make_model(speech_type="wav2vec2-bert", modalities=["speech"])
        batch = make_batch(model.config)
        mask = batch.pop("audio_attention_mask")
        with torch.no_grad():
            torch.testing.assert_close(
                model(**batch, attention_mask=mask).logits, model(**batch, audio_attention_mask=mask).logits
            )

    def test_of_no_input_or_another_shape_is_refused(self):
        model = make_model()
        batch = make_batch(model.config)
        audio, mask = batch["input_values"], batch["audio_attention_mask"]
        with pytest.raises(
            ValueError, match=r"attention_mask has shape \(3, 9\), but the speech input has \(3, 800\)"
        ):
            model(input_values=audio, attention_mask=batch["attention_mask"])
        with pytest.raises(ValueError, match="both of the audio's shape"):
            model(input_values=audio, audio_attention_mask=mask, attention_mask=mask)
        with pytest.raises(ValueError, match=r"audio_attention_mask has shape \(3, 700\)"):
            model(**{**batch, "audio_attention_mask": mask[:, :700]})
        with pytest.raises(ValueError, match=r"attention_mask has shape \(3, 800\), but the text input has \(3, 9\)"):
            model(**{**batch, "attention_mask": mask})

    def test_padding_that_no_mask_tells_is_said(self, caplog):
        model = make_model()
        type(logging.getLogger()).warning_once.cache_clear()
        batch = make_batch(model.config)
        model(**batch)
        assert not caplog.messages
        del batch["audio_attention_mask"]
        model(**batch)
        assert "scores then depend on the batch" in caplog.text

    def test_transformers_own_pipeline_and_trainer(self, tmp_path):
        """`audio-classification` in batches as one by one, and `Trainer` with the feature extractor alone."""
        folder, model = save_tiny_checkpoint(tmp_path / "checkpoint")
        clips = [tone(0.1 + 0.07 * count, pitch=200 + 30 * count) for count in range(6)]
        classify = pipeline("audio-classification", model=folder, trust_remote_code=False)
        alone = [{one["label"]: one["score"] for one in classify(clip)} for clip in clips]
        for given, expected in zip(classify(clips, batch_size=4), alone, strict=True):
            assert {one["label"]: one["score"] for one in given} == pytest.approx(expected, abs=1e-5)
        extractor = AutoFeatureExtractor.from_pretrained(folder)
        rows = [
            {"input_values": extractor(clip, sampling_rate=16000)["input_values"][0], "labels": count % 4}
            for count, clip in enumerate(clips)
        ]
        arguments = TrainingArguments(
            tmp_path / "run", per_device_eval_batch_size=3, report_to="none", use_cpu=True, remove_unused_columns=False
        )
        logits = Trainer(model, arguments, processing_class=extractor).predict(rows).predictions
        scores = torch.tensor(logits[0] if isinstance(logits, tuple) else logits).softmax(-1)
        for row, expected in zip(scores, alone, strict=True):
            assert {LABELS[i]: value.item() for i, value in enumerate(row)} == pytest.approx(expected, abs=1e-5)


class TestFreezing:
    @pytest.mark.parametrize(
        ("part", "frozen", "text_type"),
        [
            ("text_layers:1", ("text_encoder.encoder.layer.0.",), "bert"),
            ("text_layers:1", ("text_encoder.transformer.layer.0.",), "distilbert"),
            ("text_embeddings", ("text_encoder.embeddings.",), "roberta"),
            ("speech_layers:2", ("speech_encoder.encoder.layers.0.", "speech_encoder.encoder.layers.1."), "bert"),
            ("speech_feature_encoder", ("speech_encoder.feature_extractor.",), "bert"),
        ],
    )
    def test_exactly_the_named_part_is_frozen(self, part, frozen, text_type):
        model = make_model(freeze=[part], text_config=tiny_text_config(text_type)).train()
        off = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
        assert off == {name for name, _ in model.named_parameters() if name.startswith(frozen)}
        assert off
        model(**make_batch(model.config, labels=[0, 1, 2])).loss.backward()
        assert not off & set(gradients(model))
        assert not any(module.training for name, module in model.named_modules() if f"{name}.".startswith(frozen))

    def test_feature_encoder_of_an_encoder_on_frames(self):
        with pytest.raises(ValueError, match="wav2vec2-bert encoder has no feature_extractor"):
            make_model(speech_config=tiny_speech_config("wav2vec2-bert"), freeze=["speech_feature_encoder"])


class TestSpeechEncoders:
    @pytest.mark.parametrize("speech_type", [name for name in SPEECH_TYPES if name != "whisper"])  # which has its own
    def test_same_as_the_library_without_padding(self, speech_type):
        """The masked norms and convolutions change nothing for a recording by itself."""
        model = make_model(speech_config=tiny_speech_config(speech_type))
        plain = AutoModel.from_config(tiny_speech_config(speech_type), attn_implementation="eager").eval()
        plain.load_state_dict(model.speech_encoder.state_dict())
        audio = rows_of(make_batch(model.config), 0)
        audio = audio.get("input_values", audio.get("input_features"))
        with torch.no_grad():
            expected = plain(audio).last_hidden_state
            torch.testing.assert_close(model.encode_speech(audio, None)[0], expected, rtol=0, atol=1e-5)
            model(**make_batch(model.config))
            torch.testing.assert_close(model.speech_encoder(audio).last_hidden_state, expected, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("norm", ["group", "layer"])
    def test_padding_with_either_feature_norm(self, norm):
        stable = {"do_stable_layer_norm": norm == "layer", "conv_bias": norm == "layer"}
        model = make_model(speech_config=tiny_speech_config("wav2vec2", feat_extract_norm=norm, **stable))
        batch, padded = make_batch(model.config), make_batch(model.config, padding=9)
        with torch.no_grad():
            torch.testing.assert_close(model(**padded).logits, model(**batch).logits, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("position", ["rotary", "relative"])
    def test_conformer_positions(self, position):
        model = make_model(speech_config=tiny_speech_config("wav2vec2-conformer", position_embeddings_type=position))
        batch, padded = make_batch(model.config), make_batch(model.config, padding=9)
        with torch.no_grad():
            torch.testing.assert_close(model(**padded).logits, model(**batch).logits, rtol=0, atol=1e-5)

    def test_hubert_with_a_batch_norm_before_its_positions(self):
        model = make_model(speech_config=tiny_speech_config("hubert", conv_pos_batch_norm=True)).train()
        losses = [model(**make_batch(model.config, padding=p, labels=[0, 1, 2])).loss for p in (0, 9)]
        torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=1e-5)

    @pytest.mark.parametrize("speech_type", SPEECH_TYPES)
    def test_spec_augment_acts_in_training_and_spares_short_batches(self, speech_type):
        masks = {"mask_time_prob": 0.5, "mask_time_length": 10, "mask_time_min_masks": 1}
        config = tiny_speech_config(speech_type, apply_spec_augment=True, **masks)
        model = make_model(speech_config=config, text_label_init="none", fusion="vanilla").train()
        long, short = (make_batch(model.config, frames=frames) for frames in ([30, 25, 28], [6, 5, 4]))
        assert not torch.equal(model(**long).logits, model(**long).logits)
        assert model(**short).logits.isfinite().all()
        model.eval()
        assert torch.equal(model(**long).logits, model(**long).logits)


@pytest.fixture
def encoder_folders(tmp_path):
    """Pretrained checkpoints as they lie on the Hub: `encoder_folders["wav2vec2-pretraining"]`."""
    torch.manual_seed(3)
    makers = {
        "bert": lambda: BertModel(tiny_text_config()),
        "wav2vec2": lambda: Wav2Vec2Model(tiny_speech_config()),
        "hubert": lambda: HubertModel(tiny_speech_config("hubert")),
        "wav2vec2-ctc": lambda: Wav2Vec2ForCTC(tiny_speech_config()),
        "wav2vec2-pretraining": lambda: Wav2Vec2ForPreTraining(tiny_speech_config()),
        "conformer-pretraining": lambda: Wav2Vec2ConformerForPreTraining(tiny_speech_config("wav2vec2-conformer")),
    }

    def folder(name, dtype=torch.float32):
        path = tmp_path / name
        model = makers[name]().to(dtype)
        model.save_pretrained(path)
        return str(path), model.eval()

    return folder


class TestBfloat16OnAmx:
    """Convolutions with 8 channels a group come out wrong there, by a fault of oneDNN; 16 are right."""

    @pytest.mark.parametrize(("groups", "says"), [(2, True), (1, False), (16, False)])
    @pytest.mark.parametrize("autocast", [True, False])
    def test_is_said(self, groups, says, autocast, monkeypatch, caplog):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
        type(logging.getLogger()).warning_once.cache_clear()
        speech = tiny_speech_config("wav2vec2", num_conv_pos_embedding_groups=groups)
        model = make_model(modalities=["speech"], speech_config=speech)
        batch = make_batch(model.config)
        model(**batch)
        assert not caplog.messages
        if autocast:
            with torch.autocast("cpu", torch.bfloat16):
                model(**batch)
        else:
            model.bfloat16()(**{**batch, "input_values": batch["input_values"].bfloat16()})
        told = [text for text in caplog.messages if "encoder.pos_conv_embed.conv has 8 channels a group" in text]
        assert bool(told) == says

    def test_not_on_other_processors(self, monkeypatch, caplog):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        speech = tiny_speech_config("wav2vec2", num_conv_pos_embedding_groups=2)
        model = make_model(modalities=["speech"], speech_config=speech)
        with torch.autocast("cpu", torch.bfloat16):
            model(**make_batch(model.config))
        assert not caplog.messages

    @pytest.mark.parametrize("speech_type", SPEECH_TYPES)
    def test_the_suites_own_encoders_have_no_such_convolution(self, speech_type):
        model = make_model(speech_type=speech_type)
        for name, module in model.speech_encoder.named_modules():
            if isinstance(module, torch.nn.Conv1d):
                assert module.groups == 1 or module.in_channels // module.groups in (1, 16), name


class TestFromEncoders:
    @pytest.mark.parametrize("speech", ["wav2vec2", "hubert", "wav2vec2-ctc", "conformer-pretraining"])
    def test_weights_are_the_checkpoints(self, encoder_folders, speech):
        (text_path, bert), (speech_path, encoder) = encoder_folders("bert"), encoder_folders(speech)
        model = LeMerForEmotionClassification.from_encoders(text_path, speech_path, labels=LABELS)
        given = encoder.base_model.state_dict()
        for name, tensor in model.speech_encoder.state_dict().items():
            torch.testing.assert_close(tensor, given[name])
        torch.testing.assert_close(
            model.text_encoder.embeddings.word_embeddings.weight, bert.embeddings.word_embeddings.weight
        )
        assert model.config.id2label == dict(enumerate(LABELS))
        assert model(**make_batch(model.config)).logits.shape == (3, 4)

    @pytest.mark.parametrize("speech", ["wav2vec2-pretraining", "conformer-pretraining"])
    def test_contrastive_space_takes_the_checkpoints_projection(self, encoder_folders, tmp_path, speech):
        (text_path, _), (speech_path, pretraining) = encoder_folders("bert"), encoder_folders(speech)
        store = tiny_store(tonal_dim=10)
        model = LeMerForEmotionClassification.from_encoders(
            text_path, speech_path, label_store=store, tonal_space="contrastive"
        ).eval()
        assert model.config.tonal_dim == 10
        torch.testing.assert_close(model.speech_projection.weight, pretraining.project_hid.weight)
        torch.testing.assert_close(model.tonal_label_embeddings.weight, store.tonal_embeddings)
        model.save_pretrained(tmp_path / "saved")
        again = LeMerForEmotionClassification.from_pretrained(tmp_path / "saved")
        batch = make_batch(model.config)
        torch.testing.assert_close(again(**batch).logits, model(**batch).logits, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("speech", ["wav2vec2-ctc", "hubert", "wav2vec2"])
    def test_a_checkpoint_without_quantizer(self, encoder_folders, speech):
        with pytest.raises(ValueError, match=r"no quantizer.*kmeans"):
            LeMerForEmotionClassification.from_encoders(
                speech=encoder_folders(speech)[0], labels=LABELS, tonal_space="contrastive"
            )

    def test_half_precision_checkpoint_trains_in_full_precision(self, encoder_folders):
        text, speech = encoder_folders("bert", torch.bfloat16)[0], encoder_folders("wav2vec2", torch.float16)[0]
        model = LeMerForEmotionClassification.from_encoders(text, speech, labels=LABELS)
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        model(**make_batch(model.config, labels=[0, 1, 2])).loss.backward()

    def test_one_branch(self, encoder_folders):
        model = LeMerForEmotionClassification.from_encoders(text=encoder_folders("bert")[0], labels=LABELS)
        assert model.config.modalities == ["text"]
        assert model.speech_encoder is None
        with pytest.raises(ValueError, match="a checkpoint for text or speech"):
            LeMerForEmotionClassification.from_encoders(labels=LABELS)
        with pytest.raises(ValueError, match=r"modalities.*no speech checkpoint"):
            LeMerForEmotionClassification.from_encoders(
                text=encoder_folders("bert")[0], labels=LABELS, modalities=["text", "speech"]
            )

    def test_freezing_survives(self, encoder_folders):
        model = LeMerForEmotionClassification.from_encoders(
            encoder_folders("bert")[0], encoder_folders("wav2vec2")[0], labels=LABELS, freeze=["speech_encoder"]
        )
        assert not any(parameter.requires_grad for parameter in model.speech_encoder.parameters())


class TestFromUnimodal:
    @pytest.fixture
    def folders(self, tmp_path):
        for name, settings in (
            ("text", {"modalities": ["text"], "loss_weights": {"text_label": 0.7}}),
            ("speech", {"modalities": ["speech"], "tonal_space": "contrastive", "tonal_dim": 10}),
            ("both", {}),
            ("other", {"modalities": ["speech"], "id2label": dict(enumerate("abcd")), "label2id": None}),
        ):
            make_model(**settings).save_pretrained(tmp_path / name)
        return tmp_path

    def test_logits_are_the_sum(self, folders):
        parts = [LeMerForEmotionClassification.from_pretrained(folders / name) for name in ("text", "speech")]
        fused = LeMerForEmotionClassification.from_unimodal(folders / "text", folders / "speech")
        batch = make_batch(fused.config)
        expected = sum(part(**make_batch(part.config)).logits for part in parts)
        assert fused.config.loss_weights["text_label"] == 0.7
        torch.testing.assert_close(fused(**batch).logits, expected, rtol=0, atol=1e-5)
        fused.save_pretrained(folders / "fused")
        again = LeMerForEmotionClassification.from_pretrained(folders / "fused")
        torch.testing.assert_close(again(**batch).logits, expected, rtol=0, atol=1e-5)

    def test_it_is_as_its_parts_are(self, tmp_path):
        shared = {"class_weights": [1.0, 2.0, 3.0, 4.0], "label_smoothing": 0.1}
        make_model(modalities=["text"], language="de", freeze=["text_encoder"], **shared).save_pretrained(
            tmp_path / "t"
        )
        for name, own in (("same", shared), ("other", {**shared, "label_smoothing": 0.2})):
            make_model(modalities=["speech"], freeze=["label_embeddings"], **own).save_pretrained(tmp_path / name)
            config = LeMerForEmotionClassification.from_unimodal(tmp_path / "t", tmp_path / name).config
            assert config.language == "de"
            assert config.freeze == ["text_encoder", "label_embeddings"]
            assert config.class_weights == shared["class_weights"]
            assert config.label_smoothing == (0.1 if name == "same" else 0.0)

    def test_refuses_what_does_not_fit(self, folders):
        with pytest.raises(ValueError, match=r"needs a speech-only checkpoint.*\['text', 'speech'\]"):
            LeMerForEmotionClassification.from_unimodal(folders / "text", folders / "both")
        with pytest.raises(ValueError, match="classes differ"):
            LeMerForEmotionClassification.from_unimodal(folders / "text", folders / "other")


class TestLabelEmbeddings:
    def test_taken_from_the_store_without_sharing_memory(self):
        model, store = make_model(), tiny_store()
        model.set_label_embeddings(store)
        torch.testing.assert_close(model.text_label_embeddings.weight.detach(), store.text_embeddings)
        torch.testing.assert_close(model.tonal_label_embeddings.weight.detach(), store.tonal_embeddings)
        assert model.text_label_embeddings.weight.requires_grad
        with torch.no_grad():
            model.text_label_embeddings.weight.zero_()
        assert store.text_embeddings.abs().sum() > 0

    def test_a_store_with_one_branch_leaves_the_other(self):
        model = make_model()
        before = model.tonal_label_embeddings.weight.detach().clone()
        model.set_label_embeddings(tiny_store(tonal_dim=None))
        assert torch.equal(model.tonal_label_embeddings.weight, before)

    def test_mismatches(self):
        model = make_model()
        with pytest.raises(ValueError, match=r"label store is for classes \['sad'.*the model for \['angry'"):
            model.set_label_embeddings(tiny_store(labels=LABELS[::-1]))
        with pytest.raises(ValueError, match=r"text_embeddings .* are 13 wide, the model's label embeddings 12"):
            model.set_label_embeddings(tiny_store(text_dim=13))
        with pytest.raises(ValueError, match=r"tonal_embeddings .* are 10 wide, the model's label embeddings 16"):
            model.set_label_embeddings(tiny_store(tonal_dim=10))


class TestTrainer:
    def test_plain_trainer_sees_logits_alone(self, tmp_path):
        """The library's Trainer evaluates on arrays: the scalars of `losses` cannot be joined over batches."""
        model = make_model()
        batch = make_batch(model.config, labels=[0, 1, 2])
        rows = [{name: value[row] for name, value in batch.items()} for row in range(3)]
        arguments = TrainingArguments(
            str(tmp_path),
            use_cpu=True,
            report_to=[],
            max_steps=1,
            per_device_eval_batch_size=2,
            remove_unused_columns=False,
            label_names=["labels"],
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, train_dataset=rows, eval_dataset=rows)
        trainer.train()
        prediction = trainer.predict(rows)
        assert prediction.predictions.shape == (3, 4)
        assert prediction.label_ids.tolist() == [0, 1, 2]
        assert trainer.model_accepts_loss_kwargs is False
