"""Every system of the paper's tables, from the settings for IEMOCAP and the flags that the README names."""

from pathlib import Path

import pytest

from hf_mer.training import DataArguments, LabelStoreArguments, LeMerArguments, MerTrainingArguments, parse_arguments
from hf_mer.training.building import build_model, build_processor
from hf_mer.training.settings import check_settings

CONFIG = Path(__file__).parents[2] / "recipes" / "configs" / "le_mer_iemocap.yaml"
TYPES = (LeMerArguments, DataArguments, LabelStoreArguments, MerTrainingArguments)
SYSTEMS = {
    "A1": "--modalities text --text_label_init none --use_history false",
    "A2": "--modalities text --text_label_init none --use_history true",
    "A3": "--modalities text --text_label_init random",
    "A4": "--modalities text --text_label_init label_words",
    "A5": "--modalities text --text_label_init tfidf",
    "B1": "--modalities speech --tonal_label_init none",
    "B3": "--modalities speech --tonal_label_init random",
    "B4": "--modalities speech --tonal_label_init bert",
    "B5": "--modalities speech --tonal_label_init codebook",
    "C1": "--fusion constraint",
    "C2": "--fusion sum",
    "C3": "--fusion guided",
    "C4": "--fusion vanilla",
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_is_a_matter_of_flags(system, pretrained, tmp_path):
    flags = [*SYSTEMS[system].split(), "--data_dir", "nowhere", "--output_dir", str(tmp_path), "--use_cpu", "true"]
    encoders = [text for name, folder in pretrained.items() for text in (f"--{name}", folder)]
    arguments = parse_arguments(TYPES, ["--config", str(CONFIG), *encoders, *flags])
    check_settings(*arguments)
    model_arguments, data_arguments = arguments[:2]
    processor = build_processor(model_arguments, data_arguments, ["a text"], "Ses01")
    codes = model_arguments.tonal_space == "contrastive" and "speech" in model_arguments.modalities
    model, _ = build_model(model_arguments, ["a", "b"], processor, "Ses01", with_quantizer=codes)
    assert model.config.modalities == model_arguments.modalities
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert bool(frozen) == ("speech" in model.config.modalities)  # the convolutions, where there are any
    assert data_arguments.use_history == (system != "A1")
