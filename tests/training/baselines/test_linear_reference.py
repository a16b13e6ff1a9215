"""The linear classifier beside a system on frozen encoders."""

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hf_mer.training.baselines.linear_reference import linear_reference, state_statistics
from hf_mer.training.results import reference_line

CLASSES = 3


def part(size: int, seed: int, missing: int = 0) -> Dataset:
    """Rows of two layers, of which the second's mean tells the class and the first tells nothing."""
    rng = np.random.default_rng(seed)
    labels = np.arange(size) % CLASSES
    states = []
    for index, label in enumerate(labels):
        layers = rng.normal(size=(5 + index % 3, 2, 4)).astype(np.float32)
        layers[:, 1, 0] += 6.0 * label
        states.append([] if index < missing else layers.tolist())
    content = {"label": labels, "speaker": [f"s{index % 4}" for index in range(size)], "speech_states": states}
    features = {
        "label": ClassLabel(CLASSES),
        "speaker": Value("string"),
        "speech_states": List(List(List(Value("float32")))),
    }
    return Dataset.from_dict(content, features=Features(features))


@pytest.mark.parametrize("validated", [True, False])
def test_the_layer_that_tells_is_chosen_without_the_test_part(validated):
    parts = {"train": part(48, 1), "test": part(30, 2)}
    if validated:
        parts["validation"] = part(24, 3)
    found = linear_reference(parts, ["speech"], CLASSES, "ua", seed=1)
    assert found["layers"] == {"speech": 1}
    assert found["scores"]["ua"] == 1
    assert found["by"] == ("the validation split" if validated else "4 folds of the training split's 4 speakers")


def test_parts_that_lack_a_modality():
    """After training it is too late to fail: what no training row has is left out, what a part lacks is 0 there."""
    parts = {"train": part(48, 1), "validation": part(24, 3, missing=24), "test": part(30, 2, missing=30)}
    assert linear_reference(parts, ["speech"], CLASSES, "ua", seed=1)["scores"]["ua"] == pytest.approx(1 / CLASSES)
    parts = {name: rows.add_column("text_states", [[]] * len(rows)) for name, rows in parts.items()}
    assert set(linear_reference(parts, ["text", "speech"], CLASSES, "ua", seed=1)["layers"]) == {"speech"}


def test_statistics_are_mean_and_deviation_of_every_layer():
    rows = part(4, 1, missing=1)
    found = state_statistics(rows, "speech", (2, 8))
    assert found.shape == (4, 2, 8)
    assert not found[0].any()
    states = np.array(rows[2]["speech_states"])  # (L, K, D)
    np.testing.assert_allclose(found[2, 1], np.concatenate([states[:, 1].mean(0), states[:, 1].std(0)]), atol=1e-6)


def test_the_line():
    assert reference_line([{"fold": "1"}]) is None
    one = {"scores": {"wa": 0.5, "ua": 0.6, "wf1": 0.7}, "layers": {"speech": 3, "text": 0}}
    other = {"scores": {"wa": 0.7, "ua": 0.8, "wf1": 0.9}, "layers": {"speech": 2, "text": 0}}
    assert reference_line([{"linear_reference": one}, {"linear_reference": other}]) == (
        "linear classifier on the same frozen states: WA 0.600, UA 0.700 (speech layer 2, 3; text layer 0)"
    )
    deaf = {**other, "layers": {"text": 1}}  # the training part of that fold has no sound
    line = reference_line([{"linear_reference": one}, {"linear_reference": deaf}])
    assert line.endswith("(speech layer 3; text layer 0, 1)")
