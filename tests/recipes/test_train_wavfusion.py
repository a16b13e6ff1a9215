"""`recipes/train_wavfusion.py` under `accelerate launch` on clips with sound and a face."""

import json

import pytest


def results(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.fixture
def settings(config, films):
    def write(**changes):
        on_films = {
            "corpus": "meld",
            "data_dir": str(films),
            "protocol": "official",
            "validation": "official",
            "on_bad_audio": "skip",
            "num_frames": 3,
        }
        return config("wavfusion", **{**on_films, **changes})

    return write


@pytest.mark.slow
def test_two_processes_and_a_second_run_that_finds_the_states(recipe, main, settings, tmp_path, caplog):
    status, output = recipe("--config", settings(), processes=2, system="wavfusion")
    assert status == 0, output
    trained = results(tmp_path / "run" / "official")
    assert trained["environment"]["processes"] == 2
    assert {"loss_classification", "loss_margin"} <= set(trained["history"][0])
    assert set(trained["test"]["scores_with_one_modality"]) == {"text", "speech", "video"}
    states = [f"states of the frozen {name} encoder of " for name in ("text", "speech", "video")]
    assert all(output.count(text) == 1 for text in states)
    assert output.count("utterances computed") == 3

    caplog.set_level("INFO")
    other = settings(output_dir=str(tmp_path / "other"), loss_weights={"margin": 0.0}, use_lvc=False)
    main("--config", other, system="wavfusion")
    said = [record.getMessage() for record in caplog.records if "frozen" in record.getMessage()]
    assert len(said) == 3
    assert all("found in the cache" in message for message in said)


def test_the_checkpoint_takes_a_film(main, settings, films, tmp_path):
    from transformers import pipeline

    main("--config", settings(num_train_epochs=1, num_deep_layers=0), system="wavfusion")
    recognise = pipeline("multimodal-emotion-recognition", model=str(tmp_path / "run" / "official" / "model"))
    film = next((films / "test" / "output_repeated_splits_test").glob("final_videos_testdia*.mp4"), None)
    film = film or next((films / "test" / "output_repeated_splits_test").glob("dia*.mp4"))
    alone = recognise(str(film))
    assert len(alone) == 7
    assert sum(item["score"] for item in alone) == pytest.approx(1, abs=1e-4)
    assert recognise(str(film), text="so what") != alone


def test_a_broken_film_ends_before_training(main, settings, films, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main("--config", settings(on_bad_audio="raise", modalities=["video"]), system="wavfusion")
    assert "no video" in str(ended.value.code)
    assert not (tmp_path / "run").exists()
