"""Eight bits: what is stored in them, and that the reported differences are those that a user sees."""

from collections import Counter

import onnx
import pytest
import torch
from model_tester import make_batch

from hf_mer.export import OnnxMerModel
from hf_mer.models import MerProcessor


@pytest.fixture(scope="module")
def graph(le_mer):
    return OnnxMerModel.from_pretrained(le_mer.folder, "model_int8.onnx")


def test_matrix_products_are_in_eight_bits_and_convolutions_are_not(le_mer):
    kinds = {}
    for name in ("model.onnx", "model_int8.onnx"):
        kinds[name] = Counter(node.op_type for node in onnx.load(le_mer.folder / name).graph.node)
    plain, eight_bits = kinds.values()
    assert plain["MatMulInteger"] == 0
    assert eight_bits["MatMulInteger"] >= 12  # six products in each of the two layers
    assert eight_bits["Conv"] == plain["Conv"] > 0
    assert eight_bits["ConvInteger"] == 0


def test_what_is_reported_about_real_utterances(le_mer, graph, utterances):
    processor = MerProcessor.from_pretrained(le_mer.checkpoint)
    batch = processor(audio=[row["audio"] for row in utterances], text=[row["text"] for row in utterances])
    with torch.no_grad():
        expected = le_mer.model(**batch).logits
    logits = graph(**batch).logits
    reported = le_mer.description["int8"]["given"]
    assert reported["utterances"] == 3
    assert reported["largest_logit_difference"] == pytest.approx(float((logits - expected).abs().max()), abs=1e-5)
    assert reported["same_label"] == float((logits.argmax(-1) == expected.argmax(-1)).float().mean())
    assert 0 < reported["mean_logit_difference"] <= reported["largest_logit_difference"]
    assert 0 < reported["largest_score_difference"] < 1


def test_random_utterances_keep_most_of_their_labels(le_mer):
    reported = le_mer.description["int8"]["random"]
    assert reported["utterances"] == 32
    assert reported["same_label"] >= 0.75
    assert 0 < reported["largest_logit_difference"] < 1


def test_an_utterance_is_near_what_the_model_says(le_mer, graph):
    batch = make_batch(le_mer.model.config, seed=8)
    with torch.no_grad():
        expected = le_mer.model(**batch).logits
    difference = (graph(**batch).logits - expected).abs().max()
    assert 0 < difference < 0.5
