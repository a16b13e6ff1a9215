"""Speech checkpoints as people publish them: other heads, other classes, other names of the same encoders."""

import json

import pytest
import torch
from model_tester import SPEECH_TYPES, make_batch, tiny_settings, tiny_speech_config
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    HubertForSequenceClassification,
    UniSpeechForPreTraining,
    UniSpeechSatForCTC,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2Model,
    WavLMForXVector,
)

from hf_mer.models import LeMerConfig, LeMerForEmotionClassification
from hf_mer.models.encoder_configuration_mer import SPEECH_MODEL_TYPES
from hf_mer.models.speech_checkpoints_mer import load_speech_checkpoint

LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}  # as XLS-R and MMS are
FOREIGN_HEAD = {"classifier.dense.weight": torch.ones(16, 16), "classifier.out_proj.weight": torch.ones(3, 16)}


class EmotionModel(Wav2Vec2Model):
    """Its weights under `wav2vec2.` and a head of its own, as emotion-tuned checkpoints have them."""

    def save_pretrained(self, folder, **kwargs):
        super().save_pretrained(folder, **kwargs)
        weights = load_file(folder / "model.safetensors")
        named = {f"wav2vec2.{name}": value for name, value in weights.items()}
        save_file({**named, **FOREIGN_HEAD}, folder / "model.safetensors", {"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        config.update(
            architectures=["Wav2Vec2ForSpeechClassification"], problem_type="regression", pooling_mode="mean"
        )
        (folder / "config.json").write_text(json.dumps(config))


PUBLISHED = {
    "a class of its own": lambda: EmotionModel(tiny_speech_config(**LARGE)),
    "with a classifier": lambda: Wav2Vec2ForSequenceClassification(tiny_speech_config(**LARGE)),
    "layer norms": lambda: Wav2Vec2Model(tiny_speech_config(**LARGE)),
    "adapters in the layers": lambda: Wav2Vec2Model(tiny_speech_config(**LARGE, adapter_attn_dim=4)),
    "hubert with a classifier": lambda: HubertForSequenceClassification(tiny_speech_config("hubert")),
    "wavlm of speaker recognition": lambda: WavLMForXVector(tiny_speech_config("wavlm")),
    "unispeech of pretraining": lambda: UniSpeechForPreTraining(tiny_speech_config("unispeech")),
    "unispeech-sat of recognition": lambda: UniSpeechSatForCTC(tiny_speech_config("unispeech-sat")),
}


def make_model(**settings):
    torch.manual_seed(0)
    settings = {**tiny_settings(), "modalities": ["speech"], "tonal_label_init": "none", **settings}
    return LeMerForEmotionClassification(LeMerConfig(**settings)).eval()


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_a_published_checkpoint_is_its_encoder(name, tmp_path):
    torch.manual_seed(1)
    published = PUBLISHED[name]()
    published.save_pretrained(tmp_path / "encoder")
    model = LeMerForEmotionClassification.from_encoders(speech=tmp_path / "encoder", labels=["a", "b"])
    expected = published.base_model.state_dict()
    mine = model.speech_encoder.state_dict()
    assert mine.keys() == expected.keys()
    for key, tensor in mine.items():
        torch.testing.assert_close(tensor, expected[key], rtol=0, atol=0)


@pytest.mark.parametrize("lost", ["feature_extractor.", "encoder.layers.1."])
def test_weights_that_are_not_there_do_not_begin_at_random(lost, tmp_path):
    Wav2Vec2Model(tiny_speech_config()).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith(lost)}
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=rf"lacks weights of its wav2vec2 encoder \({lost}"):
        load_speech_checkpoint(tmp_path)


class TestPaddingDecides:
    """An encoder serves where a recording's frames do not depend on its batch, at odd and at even numbers of them."""

    def worst(self, config):
        """The largest difference between a recording alone and in a padded batch, by the parity of its frames."""
        model = make_model(speech_config=config)
        found = {0: 0.0, 1: 0.0}
        for frames in (10, 11, 12, 15):
            batch = make_batch(model.config, tokens=[5], frames=[frames])
            padded = make_batch(model.config, tokens=[5], frames=[frames], padding=9)
            with torch.no_grad():
                alone, together = (
                    model.encode_speech(model.audio_of(one), one["audio_attention_mask"]) for one in (batch, padded)
                )
            count = int(alone[1].sum())
            assert int(together[1].sum()) == count
            difference = float((alone[0][0, :count] - together[0][0, :count]).abs().max())
            found[count % 2] = max(found[count % 2], difference)
        return found

    @pytest.mark.parametrize("kind", SPEECH_TYPES)
    def test_those_that_serve(self, kind):
        assert max(self.worst(tiny_speech_config(kind)).values()) < 1e-5

    def test_the_list_is_the_suites(self):
        assert set(SPEECH_TYPES) == set(SPEECH_MODEL_TYPES)

    def test_sew_depends_on_its_batch(self, monkeypatch):
        """Why it is refused: it joins two frames to one, and the last of an odd number has padding for its partner."""
        monkeypatch.setattr("hf_mer.models.encoder_configuration_mer.SPEECH_MODEL_TYPES", ("sew",))
        settings = tiny_speech_config("hubert").to_dict()
        names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "conv_dim",
                 "conv_kernel", "conv_stride", "num_feat_extract_layers", "layerdrop", "num_conv_pos_embeddings",
                 "num_conv_pos_embedding_groups")  # fmt: skip
        config = AutoConfig.for_model("sew", **{name: settings[name] for name in names})
        assert max(self.worst(config).values()) > 0.01

    @pytest.mark.parametrize(
        "kind", ["sew", "sew-d", "speech_to_text", "moonshine", "parakeet_encoder", "seamless_m4t", "encodec", "bert"]
    )
    def test_all_else_is_refused_by_name(self, kind, tmp_path):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        with pytest.raises(
            ValueError, match=rf"speech encoder '{kind}' is not one of wav2vec2, .*unispeech-sat, whisper"
        ):
            load_speech_checkpoint(tmp_path)
