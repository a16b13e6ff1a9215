"""`recipes/train_mgcma.py` under `accelerate launch`: two processes, and one that scores what they trained."""

import json

import pytest


def results(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_two_processes_train_and_one_scores_their_checkpoint_the_same(recipe, main, config, tmp_path):
    settings = config("mgcma", freeze=["text_encoder", "speech_feature_encoder"])
    status, output = recipe("--config", settings, processes=2, system="mgcma")
    assert status == 0, output
    trained = results(tmp_path / "run" / "Ses03")
    assert trained["environment"]["processes"] == 2
    assert {"loss_classification", "loss_distribution", "loss_instance"} <= set(trained["history"][0])
    assert "states of the frozen text encoder" in output
    assert output.count("| Ses03 |") == 1
    evaluated = config("mgcma", output_dir=str(tmp_path / "evaluated"), per_device_eval_batch_size=3)
    checkpoint = str(tmp_path / "run" / "{fold}" / "model")
    main("--config", evaluated, "--do_train", "false", "--checkpoint", checkpoint, system="mgcma")
    found = results(tmp_path / "evaluated" / "Ses03")["test"]
    assert found["confusion"] == trained["test"]["confusion"]
    assert found["scores_with_one_modality"] == trained["test"]["scores_with_one_modality"]


@pytest.mark.parametrize("flags", [("--alignment_order", "none"), ("--modalities", "speech")])
def test_systems_in_one_process(main, config, tmp_path, flags):
    main("--config", config("mgcma", num_train_epochs=1), *flags, system="mgcma")
    history = results(tmp_path / "run" / "Ses03")["history"]
    assert "loss_classification" in history[0]
    assert "loss_instance" not in history[0]


def test_bad_settings(main, config):
    with pytest.raises(SystemExit, match="alignment_order: 'tokens' is not one of distribution, token, instance"):
        main("--config", config("mgcma"), "--alignment_order", "tokens", system="mgcma")
    with pytest.raises(SystemExit, match="unknown setting 'fusion'"):
        main("--config", config("mgcma", fusion="sum"), system="mgcma")
