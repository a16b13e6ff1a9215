"""Settings from a YAML file and flags; every file under recipes/configs is read to its last key."""

import contextlib
import dataclasses
import json
from pathlib import Path

import pytest

from hf_mer.training import DataArguments, LeMerArguments, MerTrainingArguments, WavFusionArguments, parse_arguments
from hf_mer.training.settings.checking import check_settings
from hf_mer.training.settings.label_store_arguments import LabelStoreArguments

TYPES = (LeMerArguments, DataArguments, LabelStoreArguments, MerTrainingArguments)
CONFIGS = sorted((Path(__file__).parents[3] / "recipes" / "configs").glob("le_mer_*.yaml"))


@pytest.fixture
def parse(tmp_path):
    def read(content: str = "", *flags: str):
        path = tmp_path / "settings.yaml"
        path.write_text("data_dir: corpus\nuse_cpu: true\n" + content)
        return parse_arguments(TYPES, ["--config", str(path), *flags])

    return read


def test_yaml_and_flags_on_top(parse):
    model, data, store, training = parse(
        "fusion: sum\nmodalities: [speech, text]\ntext_top_k: 5\nseed: 4\nvalidation: none\n",
        "--fusion",
        "guided",
        "--folds",
        "Ses01",
        "2",
        "--seed=7",
        "--figures",
        "false",
    )
    assert model.fusion == "guided"
    assert model.modalities == ["speech", "text"]
    assert data.folds == ["Ses01", "2"]
    assert data.validation == "none"
    assert store.text_top_k == 5
    assert training.seed == 7
    assert training.figures is False


def test_numbers_of_yaml(parse):
    training = parse("learning_rate: 1e-4\nlearning_rates: {text_encoder: 2e-5}\nearly_stopping_patience: null\n")[3]
    assert training.learning_rate == 1e-4
    assert training.learning_rates == {"text_encoder": 2e-5}
    assert training.early_stopping_patience is None


def test_json_flags(parse):
    model, data, _, training = parse(
        "",
        "--text_encoder",
        '{"model_type": "bert", "hidden_size": 8}',
        "--learning_rates",
        '{"text_encoder": 1e-5}',
        "--loss_weights",
        '{"constraint": 0}',
        "--columns",
        '{"label": "emotion"}',
        "--spec_augment",
        "null",
    )
    assert model.text_encoder == {"model_type": "bert", "hidden_size": 8}
    assert model.loss_weights == {"constraint": 0}
    assert data.columns == {"label": "emotion"}
    assert training.learning_rates == {"text_encoder": 1e-5}
    assert training.spec_augment is None


def test_encoders_by_name(parse):
    model = parse("text_encoder: some/bert\n", "--speech_encoder", "some/{fold}/wav2vec2")[0]
    assert (model.text_encoder, model.speech_encoder) == ("some/bert", "some/{fold}/wav2vec2")


def test_defaults_are_the_papers():
    training = parse_arguments(TYPES, ["--data_dir", "x", "--use_cpu", "true"])[3]
    assert training.learning_rates == {"speech_encoder": 1e-6, "text_encoder": 5e-6}
    assert training.warmup_steps == 0.32  # of le_mer_iemocap.yaml: the paper's 8000 steps in its 120 epochs
    assert training.per_device_train_batch_size == 16
    assert training.remove_unused_columns is False


@pytest.mark.parametrize(
    ("content", "flags", "message"),
    [
        ("fushion: sum\n", [], "unknown setting 'fushion'; did you mean fusion"),
        ("- a\n", [], "must contain settings"),
        ("", ["--loss_weights", "{constraint}"], "is not JSON"),
        ("corpus: cremad\n", [], "corpus: 'cremad' is not one of iemocap, meld, manifest"),
        ("split_screen: left\n", [], "split_screen: 'left' is not one of named_left, named_right, whole"),
        ("on_bad_audio: ignore\n", [], "is not one of raise, skip"),
        ("metric_for_best_model: loss\n", [], "is not one of wa, ua, wf1"),
        ("spec_augment: {masks: 2}\n", [], r"\['masks'\] are not among"),
        ("discretizer: vq\n", [], "is not one of codebook, kmeans"),
        ("tonal_top_k: 0\n", [], "tonal_top_k=0 must be at least 1"),
        ("label_smoothing_factor: 1.0\n", [], "label_smoothing_factor"),
        ("train_sampling_strategy: sorted\n", [], "is not one of group_by_length, random, balanced"),
        ("class_weights: inverse\n", [], "class_weights: 'inverse' is not one of none, balanced"),
        ("modality_dropout: 2\n", [], "between 0 and 1"),
    ],
)
def test_bad_settings(tmp_path, content, flags, message):
    path = tmp_path / "settings.yaml"
    path.write_text(content if content.startswith("-") else "data_dir: corpus\nuse_cpu: true\n" + content)
    with pytest.raises(ValueError, match=message):
        parse_arguments(TYPES, ["--config", str(path), *flags])


def test_missing_file_and_missing_corpus(tmp_path):
    with pytest.raises(ValueError, match=r"no\.yaml: no such configuration file"):
        parse_arguments(TYPES, ["--config", str(tmp_path / "no.yaml")])
    with pytest.raises(ValueError, match="--config needs the path"):
        parse_arguments(TYPES, ["--config"])
    with pytest.raises(ValueError, match="data_dir is missing"):
        parse_arguments(TYPES, ["--use_cpu", "true"])


def test_a_number_that_is_none_names_its_setting(tmp_path, capsys):
    path = tmp_path / "settings.yaml"
    path.write_text("data_dir: x\nuse_cpu: true\nnum_train_epochs: twelve\n")
    with pytest.raises((ValueError, SystemExit)):
        parse_arguments(TYPES, ["--config", str(path)])
    assert "num_train_epochs" in capsys.readouterr().err


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_complete(path):
    arguments = parse_arguments(TYPES, ["--config", str(path), "--data_dir", "x", "--use_cpu", "true"])
    check_settings(*arguments)
    assert len(CONFIGS) >= 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"do_train": False}, "name a checkpoint"),
        ({"unimodal_text": "a"}, "unimodal_speech is missing"),
        ({"unimodal_text": "a", "unimodal_speech": "b", "checkpoint": "c"}, "not both"),
        ({"speech_encoder": {"model_type": "wav2vec2"}}, "discretizer='codebook' needs a speech checkpoint"),
        ({"tonal_space": "contrastive", "discretizer": "kmeans"}, "tonal_space='contrastive' needs the codebook"),
        ({"fusion": "mean"}, "fusion: 'mean' is not one of"),
        ({"text_encoder": None}, "text_encoder is null"),
    ],
)
def test_settings_that_cannot_go_together(settings, message):
    wanted = {"data_dir": "x", "use_cpu": True, **settings}
    made = [
        cls(**{k: v for k, v in wanted.items() if k in {f.name for f in dataclasses.fields(cls)}}) for cls in TYPES
    ]
    with pytest.raises(ValueError, match=message):
        check_settings(*made)


KMEANS = {"discretizer": "kmeans"}


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("whisper", KMEANS, None),
        (
            "whisper",
            {},
            r"discretizer='codebook' needs .* \(wav2vec2, wav2vec2-conformer\).* is whisper: use .*'kmeans'",
        ),
        ("hubert", {}, r"discretizer='codebook' needs .* is hubert: use .*'kmeans'"),
        ("whisper", {"max_audio_seconds": 31.0, **KMEANS}, "max_audio_seconds=31.0: .* positions for 30 s"),
        ("whisper", {"speech_overrides": {"num_mel_bins": 128}, **KMEANS}, "feature_size=80 .*num_mel_bins=128"),
        ("sew", {}, r"'.*encoder': speech encoder 'sew' is not one of wav2vec2, .*whisper"),
        ("encodec", {}, r"'.*encoder': speech encoder 'encodec' is not one of wav2vec2, .*whisper"),
        ("wavelet", {}, r"checkpoint '.*encoder': speech encoder 'wavelet' is not one of wav2vec2, .*whisper$"),
        (None, {}, r"checkpoint '.*encoder': it has no config.json with a model_type; supported are wav2vec2"),
    ],
)
def test_what_a_speech_encoder_is_refused_for_is_said_before_any_work(tmp_path, kind, settings, message):
    """A folder with a configuration and no weights is enough to say it."""
    from transformers import WhisperFeatureExtractor

    folder = tmp_path / "encoder"
    WhisperFeatureExtractor().save_pretrained(folder) if kind == "whisper" else folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    wanted = {"data_dir": "x", "use_cpu": True, "speech_encoder": str(folder), "text_encoder": {"model_type": "bert"}}
    wanted |= settings
    made = [
        cls(**{k: v for k, v in wanted.items() if k in {f.name for f in dataclasses.fields(cls)}}) for cls in TYPES
    ]
    if message is None:
        check_settings(*made)
        return
    with pytest.raises(ValueError, match=message):
        check_settings(*made)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lora_rank": 2}, r"lora_rank=2: the text encoder \(fnet\) has no linear layers of attention to adapt"),
        ({"lora_rank": 2, "freeze": ["text_encoder"]}, None),
        ({"lora_rank": 32, "freeze": ["text_encoder"]}, "lora_rank=32 must be below the width"),
        ({"lora_rank": 2, "freeze": ["text_encoder", "speech_encoder"]}, "leaves no attention of an encoder to adapt"),
        ({"lora_rank": 2, "do_train": False, "checkpoint": "runs/a"}, None),
    ],
)
def test_adapters_that_an_encoder_cannot_have_are_told_before_any_work(settings, message):
    pytest.importorskip("peft")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 16, "num_attention_heads": 2}
    encoders = {
        "text_encoder": {"model_type": "fnet", **small},
        "speech_encoder": {
            "model_type": "wav2vec2",
            "conv_dim": [8],
            "conv_stride": [5],
            "conv_kernel": [10],
            **small,
        },
    }
    wanted = {"data_dir": "x", "use_cpu": True, **KMEANS, "tonal_space": "hidden", **encoders, **settings}
    made = [
        cls(**{k: v for k, v in wanted.items() if k in {f.name for f in dataclasses.fields(cls)}}) for cls in TYPES
    ]
    with pytest.raises(ValueError, match=message) if message else contextlib.nullcontext():
        check_settings(*made)


def test_what_depends_on_an_encoder_on_the_hub_is_left_to_the_look_at_it(tmp_path):
    """20 layers of a large encoder may be deep; the default has 12. A folder is looked at without the Hub."""
    from transformers import RobertaConfig

    data, training = DataArguments(data_dir="x"), MerTrainingArguments(use_cpu=True)
    check_settings(WavFusionArguments(num_deep_layers=20), data, None, training, hub=False)
    RobertaConfig(num_hidden_layers=2).save_pretrained(tmp_path)
    encoders = {"speech_encoder": {"model_type": "wav2vec2", "num_hidden_layers": 4}, "text_encoder": str(tmp_path)}
    deep = WavFusionArguments(num_deep_layers=20, modalities=["text", "speech"], **encoders)
    with pytest.raises(ValueError, match="num_deep_layers"):
        check_settings(deep, data, None, training, hub=False)
