"""`recipes/train_baseline.py` with the settings file of another system."""

import json

import pytest


def results(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_a_process_with_the_settings_of_le_mer(recipe, main, config, tmp_path):
    output_dir = str(tmp_path / "baseline")
    settings = config("le_mer")
    flags = ("--config", settings, "--output_dir", output_dir)
    status, output = recipe("--system", "log_mel_statistics", *flags, system="baseline")
    assert status == 0, output
    found = results(tmp_path / "baseline" / "Ses03")
    assert found["settings"]["model"]["type"] == "log_mel_statistics"
    assert found["settings"]["data"]["max_audio_seconds"] == 1.0
    assert found["selection"]["by"] == "the validation split"
    assert "is for another system; not used: " in output
    assert "output_dir, speech_encoder" in output
    assert output.count("| Ses03 |") == 1
    assert not (tmp_path / "run").exists()
    main("--config", settings, "--modalities", "speech", "--num_train_epochs", "1")
    other = results(tmp_path / "run" / "Ses03")
    assert {name: other["settings"][name] for name in ("split_hash", "data_hash")} == {
        name: found["settings"][name] for name in ("split_hash", "data_hash")
    }


@pytest.mark.slow
def test_two_processes_write_once(recipe, config, tmp_path):
    flags = ("--config", config("wavfusion"), "--output_dir", str(tmp_path / "baseline"))
    status, output = recipe("--system", "log_mel_statistics", *flags, processes=2, system="baseline")
    assert status == 0, output
    assert output.count("| Ses03 |") == 1
    assert results(tmp_path / "baseline" / "Ses03")["environment"]["processes"] == 2


def test_results_lie_in_a_folder_of_the_system_unless_told(main, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main("--system", "majority", "--config", config("mgcma"), system="baseline")
    found = results(tmp_path / "runs" / "majority" / "Ses03")
    assert found["test"]["scores"]["ua"] == 0.25
    own = tmp_path / "own.yaml"  # no model in it: all of it is the baseline's
    own.write_text(
        f"system: majority\ndata_dir: {tmp_path / 'nowhere'}\noutput_dir: {tmp_path / 'own'}\nuse_cpu: true\n"
    )
    with pytest.raises(SystemExit, match="nowhere"):
        main("--config", str(own), system="baseline")


def test_bad_settings(main, config):
    with pytest.raises(SystemExit, match="error in the settings: system: 'None' is not one of majority"):
        main("--config", config("le_mer"), system="baseline")
    with pytest.raises(SystemExit, match="unknown setting 'fussion'; did you mean fusion"):
        main("--system", "majority", "--config", config("le_mer", fussion="sum"), system="baseline")
    with pytest.raises(SystemExit, match="'loudest' is not one of majority, log_mel_statistics"):
        main("--system", "loudest", "--config", config("le_mer"), system="baseline")
