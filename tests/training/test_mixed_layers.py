"""A run whose frozen encoders are mixed: cached states, learned weights in results and figures."""

import json

import pytest

from hf_mer.models import LeMerForEmotionClassification
from hf_mer.models.layer_mixture_mer import layer_weights

SETTINGS = {
    "freeze": ["speech_encoder", "text_encoder"],
    "speech_layers": "mix",
    "kmeans_features": "hidden",
    "num_train_epochs": 1,
}


def test_the_weights_learn_and_are_told_and_a_second_run_finds_the_states(make_experiment, tmp_path, capsys):
    own = {"learning_rates": {"speech_mixture": 0.2}, "history_in_fusion": False, "linear_reference": True}
    make_experiment(**SETTINGS, **own, figures=True).run()
    (fold,) = [path.parent for path in (tmp_path / "run").glob("*/results.json")]
    results = json.loads((fold / "results.json").read_text())
    weights = results["layer_weights"]
    assert set(weights) == {"speech"}
    assert sum(weights["speech"]) == pytest.approx(1)
    equal = 1 / len(weights["speech"])
    assert max(abs(weight - equal) for weight in weights["speech"]) > 0.02
    model = LeMerForEmotionClassification.from_pretrained(fold / "model")
    assert layer_weights(model.state_dict())["speech"] == pytest.approx(weights["speech"])
    assert (fold / "figures" / "layer_weights.png").is_file()
    assert results["settings"]["model"]["speech_layers"] == "mix"
    assert "linear_reference" not in str(results["settings"])
    reference = results["linear_reference"]
    assert set(reference["layers"]) == {"speech", "text"}
    assert reference["by"] == "the validation split"
    told = capsys.readouterr().out
    assert "\nchance: UA 0.250\n" in told
    assert f"linear classifier on the same frozen states: WA {reference['scores']['wa']:.3f}" in told
    assert "text_layers" not in results["settings"]["model"]  # results of earlier versions lack it, too
    other = make_experiment(**SETTINGS, output_dir=str(tmp_path / "other"), max_steps=1).run()
    assert other["folds"][0]["stages"]["features"]["reused"] is True
