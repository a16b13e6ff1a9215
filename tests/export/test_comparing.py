"""Checks fail for a graph that is wrong in any of the cases."""

import pytest
import torch
from model_tester import save_tiny_checkpoint

from hf_mer.export.comparing import ExportError, compare, references
from hf_mer.export.onnx_model import OnnxMerModel
from hf_mer.export.source import Source
from hf_mer.export.utterances import RandomUtterances
from hf_mer.models.finite_mer import WeightsError


class ModelAsGraph(OnnxMerModel):
    """The model itself behind a graph's interface, with a flaw if so asked."""

    def __init__(self, source, flaw=lambda outputs, inputs: outputs):
        self.config, self.spec = source.model.config, source.spec
        self.model, self.flaw = source.model, flaw

    @torch.no_grad()
    def run(self, inputs):
        output = self.model(**inputs, output_attentions=True)
        return self.flaw({name: output[name] for name in self.spec.outputs}, inputs)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return Source.load(save_tiny_checkpoint(tmp_path_factory.mktemp("checks") / "checkpoint")[0])


@pytest.fixture(scope="module")
def expected(source):
    cases = RandomUtterances(source.model.config, source.spec).cases()
    return references(source.model, cases, source.spec.outputs)


def test_the_model_itself_passes(source, expected):
    """So that masked inputs of minimal length are the same as no inputs."""
    differences = compare(ModelAsGraph(source), expected)
    assert differences.cases == len(expected) == 9
    assert 0 <= differences.relative < 1e-6
    assert set(differences.outputs) == {"logits", "text_label_attention", "speech_label_attention"}


def test_a_difference_in_one_case_is_named(source, expected):
    def flaw(outputs, inputs):
        without_text = not inputs["attention_mask"].any()
        return {**outputs, "logits": outputs["logits"] + 0.01 * without_text}

    with pytest.raises(ExportError, match=r"differs from the model by 0\.01 for '(all without text|speech alone)'"):
        compare(ModelAsGraph(source, flaw), expected)
    assert compare(ModelAsGraph(source, flaw), expected, tolerance=0.1).outputs["logits"] == pytest.approx(0.01, 1e-3)


def test_a_model_that_is_damaged_itself(tmp_path):
    source = Source.load(save_tiny_checkpoint(tmp_path / "checkpoint")[0])
    with torch.no_grad():
        next(source.model.parameters()).fill_(float("nan"))
    cases = RandomUtterances(source.model.config, source.spec).cases()
    with pytest.raises(WeightsError, match=r"weights \S+ are NaN or infinite"):
        references(source.model, cases, source.spec.outputs)


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        (lambda outputs, inputs: {**outputs, "logits": outputs["logits"] * float("nan")}, "differs from the model by inf"),
        (lambda outputs, inputs: {**outputs, "text_mask": ~outputs["text_mask"]}, "differs from the model by 1"),
        (lambda outputs, inputs: {**outputs, "logits": outputs["logits"][:1]}, "logits has shape"),
        (lambda outputs, inputs: 1 / 0, "the graph fails for 'one utterance': division by zero"),
    ],
)  # fmt: skip
def test_graphs_that_are_wrong_in_other_ways(source, expected, flaw, message):
    with pytest.raises(ExportError, match=message):
        compare(ModelAsGraph(source, flaw), expected)


def test_cases_are_the_same_for_the_same_seed_and_of_every_kind(source):
    def make(seed):
        return RandomUtterances(source.model.config, source.spec, seed).cases()

    for mine, same, other in zip(make(1), make(1), make(2), strict=True):
        assert all(value.equal(same.batch[name]) for name, value in mine.batch.items())
        assert not all(
            value.shape == other.batch[name].shape and value.equal(other.batch[name])
            for name, value in mine.batch.items()
        )
    cases = {case.name: case.batch for case in make(0)}
    assert set(cases["speech alone"]) == {"input_values", "audio_attention_mask"}
    assert set(cases["all without speech"]) == {"input_ids", "attention_mask", "token_type_ids"}
    present = torch.stack(
        [cases["some without a modality"][name].any(dim=1) for name in ("attention_mask", "audio_attention_mask")]
    )
    assert present.tolist() == [[False, True, True, False, True], [True, False, False, True, True]]
    assert cases["shortest"]["input_ids"].shape == (2, 1)
