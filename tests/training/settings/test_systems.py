"""Every system of the papers' tables, from the settings for IEMOCAP and the flags that the README names."""

import json
import shlex
from pathlib import Path

import pytest
import torch
from model_tester import make_batch, tiny_speech_config, tiny_video_config

from hf_mer.training import DataArguments, LabelStoreArguments, MerTrainingArguments, parse_arguments
from hf_mer.training.building import build_model, build_processor
from hf_mer.training.settings.checking import check_settings
from hf_mer.training.settings.systems import SYSTEMS, argument_types

CONFIGS = Path(__file__).parents[3] / "recipes" / "configs"
ALL = {"classification", "constraint", "text_label", "speech_label"}
LE_MER = {
    "A1": ("--modalities text --text_label_init none --use_history false", {"classification"}),
    "A2": ("--modalities text --text_label_init none --use_history true", {"classification"}),
    "A3": ("--modalities text --text_label_init random", {"classification", "text_label"}),
    "A4": ("--modalities text --text_label_init label_words", {"classification", "text_label"}),
    "A5": ("--modalities text --text_label_init tfidf", {"classification", "text_label"}),
    "B1": ("--modalities speech --tonal_label_init none", {"classification"}),
    "B2": ("--modalities speech --tonal_label_init none --speech_encoder {second}", {"classification"}),
    "B3": ("--modalities speech --tonal_label_init random", {"classification", "speech_label"}),
    "B4": ("--modalities speech --tonal_label_init bert", {"classification", "speech_label"}),
    "B5": (
        "--modalities speech --tonal_label_init codebook --speech_encoder {second}",
        {"classification", "speech_label"},
    ),
    "C1": ("--fusion constraint", ALL),
    "C2": ("--fusion sum", ALL - {"constraint"}),
    "C3": ("--fusion guided", ALL - {"constraint"}),
    "C4": ("--fusion vanilla", ALL - {"constraint"}),
    "without constraint": ("--fusion constraint --loss_weights '{\"constraint\": 0}'", ALL),
    "without label embeddings": (
        "--fusion vanilla --text_label_init none --tonal_label_init none",
        {"classification"},
    ),
}
ORDERS = {
    "S0": "distribution token instance",
    "S1": "token instance",
    "S2": "distribution instance",
    "S3": "distribution token",
    "S4": "none",
    "S5": "distribution instance token",
    "S6": "instance distribution token",
    "S7": "instance token distribution",
    "S8": "token distribution instance",
    "S9": "token instance distribution",
}
MODALITIES = {
    "A": "speech", "T": "text", "V": "video", "A+T": "text speech", "A+V": "speech video",
    "A+V+T": "text speech video",
}  # fmt: skip


@pytest.fixture
def built(pretrained, tmp_path):
    """`built("mgcma", flags)`: model and data arguments of a system, from its settings for IEMOCAP on tiny encoders."""

    def build(system, flags, **settings):
        types = argument_types(system)
        for name, value in {**pretrained, **settings}.items():
            flags = f"--{name} {shlex.quote(str(value))} {flags}"
        words = [
            word.replace("{second}", pretrained["speech_encoder"].replace("wav2vec2", "{fold}"))
            for word in shlex.split(flags)
        ]
        paths = ["--data_dir", "nowhere", "--output_dir", str(tmp_path), "--use_cpu", "true"]
        given = parse_arguments(types, ["--config", str(CONFIGS / f"{system}_iemocap.yaml"), *paths, *words])
        by_type = dict(zip(types, given, strict=True))
        arguments, data = by_type[SYSTEMS[system]], by_type[DataArguments]
        check_settings(arguments, data, by_type.get(LabelStoreArguments), by_type[MerTrainingArguments])
        processor = build_processor(arguments, data, ["a text"], "wav2vec2")
        codes = getattr(arguments, "tonal_space", None) == "contrastive" and "speech" in arguments.modalities
        model, _ = build_model(arguments, ["a", "b"], processor, "wav2vec2", with_quantizer=codes)
        assert model.config.modalities == arguments.modalities
        return model, data

    return build


def step(model):
    """A training step's outputs; what is trained has a finite gradient, what is frozen has none."""
    output = model.train()(**make_batch(model.config, labels=[0, 1, 0]))
    output.loss.backward()
    assert output.logits.shape == (3, 2)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values() if gradient is not None)
    assert all(gradients[name].any() for name in gradients if name.endswith("classifier.weight"))
    assert not [
        name
        for name, parameter in model.named_parameters()
        if not parameter.requires_grad and gradients[name] is not None
    ]
    return output


@pytest.mark.parametrize("system", LE_MER)
def test_le_mer(system, built):
    flags, losses = LE_MER[system]
    model, data = built("le_mer", flags)
    output = step(model)
    assert set(output.losses) == losses
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert bool(frozen) == ("speech" in model.config.modalities)  # the convolutions, where there are any
    assert data.use_history == (system != "A1")
    if system == "without constraint":
        weights = {**model.config.loss_weights, "constraint": 0.0}
        rest = sum(weights[name] * value for name, value in output.losses.items())
        torch.testing.assert_close(output.loss, rest)
        assert output.losses["constraint"] > 0


MGCMA = {"num_attention_heads": 2, "num_token_blocks": 1}


@pytest.mark.parametrize("system", ORDERS)
def test_mgcma(system, built):
    model, _ = built("mgcma", f"--alignment_order {ORDERS[system]}", **MGCMA)
    order = [] if system == "S4" else ORDERS[system].split()
    assert list(model.alignment) == model.config.alignment_order == order
    assert set(step(model).losses) == {"classification", *order} - {"token"}


def test_mgcma_without_modules_is_concatenation_of_pooled_encoder_states(built):
    model, _ = built("mgcma", "--alignment_order none", hidden_size=12, **MGCMA)
    new = {name for name, _ in model.named_parameters() if "_encoder." not in name}
    linear = {"speech_projection.weight", "speech_projection.bias"}  # speech is 16 wide and not 12
    assert new == {"classifier.weight", "classifier.bias"} | linear
    batch = make_batch(model.eval().config)
    words, text_mask = model.encode_text(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
    frames, speech_mask = model.encode_speech(batch["input_values"], batch["audio_attention_mask"])
    frames = model.speech_projection(frames)
    pooled = torch.stack(
        [torch.cat([words[i][text_mask[i]].mean(dim=0), frames[i][speech_mask[i]].mean(dim=0)]) for i in range(3)]
    )
    torch.testing.assert_close(model(**batch).logits, model.classifier(pooled), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("modality", ["text", "speech"])
def test_mgcma_of_one_modality(modality, built):
    model, _ = built("mgcma", f"--modalities {modality}", **MGCMA)
    assert set(step(model).losses) == {"classification"}


LAYERS = 5
WAVFUSION = {
    "auxiliary_heads": 2, "video_dim": 8, "lvc_codewords": 4, "shared_dim": 6,
    "speech_encoder": json.dumps(tiny_speech_config("wav2vec2", num_hidden_layers=LAYERS).to_dict()),
    "video_encoder": json.dumps(tiny_video_config().to_dict()),
}  # fmt: skip


@pytest.mark.parametrize("system", MODALITIES)
def test_wavfusion_modalities(system, built):
    model, _ = built("wavfusion", f"--modalities {MODALITIES[system]}", **WAVFUSION)
    losses = {"classification"} if len(system) == 1 else {"classification", "margin"}
    assert set(step(model).losses) == losses
    assert len(model.deep_layers) == (3 if "A" in system else 0)


@pytest.mark.parametrize("deep", range(5))
def test_wavfusion_layers(deep, built):
    model, _ = built("wavfusion", f"--num_deep_layers {deep}", **WAVFUSION)
    output = step(model)
    assert len(model.speech_encoder.encoder.layers) == LAYERS - deep
    assert len(model.deep_layers) == deep
    assert output.embeddings.shape == (3, 16 if deep else 12 + 16 + 16)  # concatenation of the pooled modalities


@pytest.mark.parametrize("weight", [0, 0.01, 0.1, 1, 10])
def test_wavfusion_lambda(weight, built):
    model, _ = built("wavfusion", f"--loss_weights '{{\"margin\": {weight}}}'", **WAVFUSION)
    losses = step(model).losses
    assert model.config.loss_weights == {"classification": 1.0, "margin": weight}
    assert set(losses) == {"classification", "margin"}


def test_wavfusion_without_visual_centre_or_gate(built):
    for flags, part in (("--use_lvc false", "visual_centre."), ("--fusion_gate mean", "attention.gate.")):
        model, _ = built("wavfusion", flags, **WAVFUSION)
        step(model)
        whole, _ = built("wavfusion", "", **WAVFUSION)
        assert not [name for name, _ in model.named_parameters() if part in name]
        assert [name for name, _ in whole.named_parameters() if part in name]
