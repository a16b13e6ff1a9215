import pytest
import torch
from model_tester import (
    LABELS,
    checkpoint_activations,
    feature_extractor_for,
    save_tiny_checkpoint,
    tiny_settings,
    tiny_speech_config,
    tiny_text_config,
    tiny_tokenizer,
    tone,
)
from safetensors.torch import load_file, save_file
from transformers import (
    BertModel,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
    WhisperForConditionalGeneration,
    WhisperModel,
    pipeline,
)

from hf_mer.models import (
    PIPELINE_TASK,
    LeMerConfig,
    LeMerForEmotionClassification,
    MerProcessor,
    WavFusionConfig,
)
from hf_mer.models.fitting_mer import check_fit
from hf_mer.models.speech_checkpoints_mer import load_speech_checkpoint
from hf_mer.models.whisper_mer import NativeWhisperEncoder

KINDS = {
    "WhisperModel": WhisperModel,
    "with its decoder's head": WhisperForConditionalGeneration,
    "of a classifier": WhisperForAudioClassification,
}


def tiny_encoder(**settings):
    torch.manual_seed(0)
    return NativeWhisperEncoder(tiny_speech_config("whisper", **settings)).eval()


def make_model(**settings):
    torch.manual_seed(0)
    return LeMerForEmotionClassification(LeMerConfig(**{**tiny_settings("whisper"), **settings})).eval()


def make_processor(**settings):
    return MerProcessor(feature_extractor_for("whisper"), tiny_tokenizer(), **settings)


@pytest.fixture
def folder(tmp_path):
    """`folder(kind, dtype)`: a checkpoint as transformers writes it, with its feature extractor, and its model."""

    def make(kind="WhisperModel", dtype=torch.float16, **settings):
        torch.manual_seed(1)
        config = tiny_speech_config("whisper", num_labels=3, use_weighted_layer_sum=True, **settings)
        model = KINDS[kind](config).to(dtype)
        model.save_pretrained(tmp_path / "whisper")
        feature_extractor_for("whisper").save_pretrained(tmp_path / "whisper")
        return str(tmp_path / "whisper"), model

    return make


class TestEncoder:
    @pytest.mark.parametrize("implementation", ["eager", "sdpa"])
    def test_as_the_librarys_at_its_full_length(self, implementation):
        settings = {"max_source_positions": 12, "attn_implementation": implementation}
        encoder = tiny_encoder(**settings)
        torch.manual_seed(0)
        plain = WhisperModel(tiny_speech_config("whisper", **settings)).encoder.eval()
        plain.load_state_dict(encoder.state_dict())
        features = torch.randn(2, 80, 24)
        with torch.no_grad():
            given, expected = (one(features, output_hidden_states=True) for one in (encoder, plain))
        torch.testing.assert_close(given.last_hidden_state, expected.last_hidden_state, rtol=0, atol=1e-6)
        torch.testing.assert_close(given.hidden_states, expected.hidden_states, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("implementation", ["eager", "sdpa"])
    @pytest.mark.parametrize("length", [1, 2, 3, 16, 17])
    def test_padding_changes_nothing_at_odd_and_even_lengths(self, length, implementation):
        encoder = tiny_encoder(attn_implementation=implementation)
        features = torch.randn(2, 80, 23)  # of which noise fills the padding
        mask = (torch.arange(23) < torch.tensor([length, 23])[:, None]).long()
        with torch.no_grad():
            together = encoder(features, attention_mask=mask).last_hidden_state
            alone = encoder(features[:1, :, :length]).last_hidden_state
        assert alone.shape == (1, (length + 1) // 2, 16)
        torch.testing.assert_close(together[:1, : alone.shape[1]], alone, rtol=0, atol=1e-5)

    def test_positions_count_from_the_beginning_and_are_never_trained(self, tmp_path):
        encoder = tiny_encoder()
        features = torch.randn(1, 80, 12)
        with torch.no_grad():
            before = encoder(features).last_hidden_state
            encoder.embed_positions.weight[6:] = 7.0  # of no frame
            torch.testing.assert_close(encoder(features).last_hidden_state, before, rtol=0, atol=0)
            encoder.embed_positions.weight[5] = 7.0
            assert (encoder(features).last_hidden_state - before).abs().max() > 1e-3
        model = make_model()
        model.save_pretrained(tmp_path)
        for one in (model, LeMerForEmotionClassification.from_pretrained(tmp_path)):
            assert not one.speech_encoder.embed_positions.weight.requires_grad
            assert one.speech_encoder.conv1.weight.requires_grad

    def test_more_frames_than_positions(self):
        encoder = tiny_encoder(max_source_positions=8)
        assert encoder(torch.zeros(1, 80, 16)).last_hidden_state.shape[1] == 8
        with pytest.raises(ValueError, match=r"17 log-mel frames .* 16 .* positions .*max_audio_seconds.*window"):
            encoder(torch.zeros(1, 80, 17))

    def test_layers_are_left_out_in_training_as_the_configuration_says(self):
        encoder = tiny_encoder(encoder_layerdrop=1.0).train()
        features = torch.randn(1, 80, 12)
        without = encoder(features).last_hidden_state
        for parameter in encoder.layers.parameters():
            torch.nn.init.normal_(parameter)
        torch.testing.assert_close(encoder(features).last_hidden_state, without, rtol=0, atol=0)

    def test_reentrant_checkpointing_behind_frozen_convolutions(self):
        model = make_model(freeze=["speech_feature_encoder", "speech_layers:1"], modalities=["speech"]).train()
        checkpoint_activations(model, use_reentrant=True)
        audio = make_processor()(audio=[tone(0.2), tone(0.31)])
        model(**audio, labels=torch.tensor([0, 1])).loss.backward()
        trained = {name for name, parameter in model.speech_encoder.named_parameters() if parameter.grad is not None}
        assert "layers.1.fc1.weight" in trained
        assert not [name for name in trained if name.startswith(("conv", "layers.0", "embed_positions"))]


class TestCheckpoints:
    @pytest.mark.parametrize("kind", list(KINDS))
    def test_the_encoder_alone_is_taken(self, folder, tmp_path, kind):
        name, whisper = folder(kind)
        torch.manual_seed(2)
        BertModel(tiny_text_config()).save_pretrained(tmp_path / "bert")
        for source in (name, whisper):
            model = LeMerForEmotionClassification.from_encoders(tmp_path / "bert", source, labels=LABELS)
            given = (whisper.encoder if hasattr(whisper, "encoder") else whisper.model.encoder).state_dict()
            assert set(model.speech_encoder.state_dict()) == set(given)
            for key, tensor in model.speech_encoder.state_dict().items():
                assert tensor.dtype == torch.float32
                torch.testing.assert_close(tensor, given[key].float(), rtol=0, atol=0)
        model.save_pretrained(tmp_path / "model")
        stored = load_file(tmp_path / "model" / "model.safetensors")
        assert not [key for key in stored if "decoder" in key]
        assert "speech_encoder.layers.1.fc1.weight" in stored

    def test_without_weights_of_an_encoder(self, folder, tmp_path):
        name, whisper = folder()
        save_file({f"decoder.{key}": value for key, value in whisper.decoder.state_dict().items()},
                  tmp_path / "whisper" / "model.safetensors", {"format": "pt"})  # fmt: skip
        with pytest.raises(ValueError, match=r"whisper' lacks weights .*encoder \(conv1\.bias.*openai/whisper-small"):
            load_speech_checkpoint(name)

    def test_has_no_quantizer(self, folder):
        with pytest.raises(ValueError, match=r"has no quantizer.*discretizer='kmeans'"):
            load_speech_checkpoint(folder()[0], with_quantizer=True)

    def test_wavfusion_refuses_it_by_name(self):
        speech = tiny_speech_config("whisper")
        with pytest.raises(ValueError, match="num_deep_layers=2: the layers of speech encoder 'whisper' cannot be"):
            WavFusionConfig(speech_config=speech, text_config=tiny_text_config(), num_deep_layers=2)


class TestProcessor:
    @pytest.mark.parametrize("samples", [3200, 3359, 4960, 4961])
    def test_frames_are_the_clips_own(self, samples):
        """Channel first, without 30 s of padding, and normalised before the padding of the batch."""
        processor, frames = make_processor(), samples // 160
        alone = processor(audio=tone()[:samples])
        assert alone["input_features"].shape == (1, 80, frames)
        assert alone["audio_attention_mask"].tolist() == [[1] * frames]
        loud = 20 * tone(0.4, pitch=330.0)
        batch = processor(audio=[tone()[:samples], loud])
        assert batch["input_features"].shape == (2, 80, 40)
        assert torch.equal(batch["input_features"][0, :, :frames], alone["input_features"][0])
        assert batch["audio_attention_mask"].sum(dim=1).tolist() == [frames, 40]
        plain = WhisperFeatureExtractor(feature_size=80)(
            tone()[:samples], sampling_rate=16000, padding="do_not_pad", return_tensors="pt"
        )
        assert torch.equal(plain["input_features"], alone["input_features"])

    def test_rows_that_were_processed_before(self):
        processor = make_processor()
        clips = [tone(0.31), tone(0.2)]
        rows = [processor(audio=clip, text="yes") for clip in clips]
        expected = processor(audio=clips, text=["yes", "yes"])
        one_row = [{key: value[0] for key, value in row.items()} for row in rows]
        for given in (rows, one_row):
            padded = processor.pad(given)
            for key, value in expected.items():
                assert torch.equal(padded[key], value), key

    def test_lengths_of_the_batch(self):
        processor = make_processor()
        batch = processor(audio=tone(0.31), audio_kwargs={"padding": "max_length", "max_length": 50})
        assert batch["input_features"].shape == (1, 80, 50)
        cut = processor(audio=tone(0.31), audio_kwargs={"truncation": True, "max_length": 20})
        assert cut["input_features"].shape == (1, 80, 20)
        assert torch.equal(cut["input_features"], processor(audio=tone(0.31)[:3200])["input_features"])

    def test_saved_and_loaded(self, tmp_path):
        make_processor().save_pretrained(tmp_path)
        again = MerProcessor.from_pretrained(tmp_path)
        assert torch.equal(again(audio=tone())["input_features"], make_processor()(audio=tone())["input_features"])

    def test_another_extractor_of_frames(self):
        from transformers import ClapFeatureExtractor

        with pytest.raises(
            ValueError, match="ClapFeatureExtractor makes input_features, which no supported speech encoder"
        ):
            MerProcessor(ClapFeatureExtractor(), tiny_tokenizer())


class TestFit:
    @pytest.mark.parametrize(
        ("speech", "extractor", "message"),
        [
            ("whisper", WhisperFeatureExtractor(128), "feature_size=128 .*is not speech_config.num_mel_bins=80"),
            ("whisper", feature_extractor_for("wav2vec2"), "makes input_values, but the whisper encoder"),
            (
                "whisper",
                feature_extractor_for("wav2vec2-bert"),
                "SeamlessM4TFeatureExtractor .* not those of the whisp",
            ),
            (
                "wav2vec2-bert",
                feature_extractor_for("whisper"),
                "WhisperFeatureExtractor .* not those of the wav2vec2",
            ),
        ],
    )
    def test_extractors_of_other_encoders(self, speech, extractor, message):
        config = LeMerConfig(**tiny_settings(speech))
        with pytest.raises(ValueError, match=message):
            check_fit(config, MerProcessor(extractor, tiny_tokenizer(), max_text_tokens=40))

    @pytest.mark.parametrize("seconds", [30.5, None, 30.0])
    def test_audio_longer_than_the_positions(self, seconds):
        config, processor = make_model().config, make_processor(max_audio_seconds=seconds, max_text_tokens=40)
        if seconds == 30.0:
            check_fit(config, processor)
            return
        with pytest.raises(
            ValueError, match=rf"max_audio_seconds={seconds}: .* positions for 30 s .*=30 or less.*wind"
        ):
            check_fit(config, processor)

    def test_pipeline_and_its_windows(self, tmp_path):
        recognise = pipeline(PIPELINE_TASK, model=save_tiny_checkpoint(tmp_path, "whisper")[0])
        items = [{"audio": tone(0.41), "text": "so"}, {"audio": tone(0.2, pitch=330.0), "text": "yes no"}]
        for given, item in zip(recognise(items, batch_size=2), items, strict=True):
            alone = recognise(item)
            assert {one["label"]: one["score"] for one in given} == pytest.approx(
                {one["label"]: one["score"] for one in alone}, abs=1e-5
            )
        result = recognise(tone(0.41), text="so", return_attention=True)
        assert len(result["frames"]["seconds"]) == 21
        assert len(recognise(tone(31.0), window_seconds=16.0, hop_seconds=15.0)) >= 2
