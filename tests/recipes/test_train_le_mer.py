"""`recipes/train_le_mer.py`: two processes, one that is killed and started again, and input that cannot be used."""

import json
import os
import shutil
import time

import numpy as np
import pytest

from hf_mer.training.resume import last_complete_checkpoint


def results(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "flags", [["--modality_dropout", "0.4"], pytest.param(["--lora_rank", "2"], marks=pytest.mark.slow, id="lora")]
)
def test_two_processes_train_and_one_scores_their_checkpoint_the_same(recipe, main, config, tmp_path, flags):
    """The checkpoint that two processes trained and scored, scored again by one process."""
    status, output = recipe("--config", config(), *flags, processes=2)
    assert status == 0, output
    trained = results(tmp_path / "run" / "Ses03")
    assert trained["environment"]["processes"] == 2
    assert [entry["step"] for entry in trained["history"] if "eval_ua" in entry] == [3, 6]  # 24 rows, 2 * 4 a step
    parts = {"loss_classification", "loss_constraint", "loss_text_label", "loss_speech_label"}
    assert parts <= set(trained["history"][0])
    assert output.count("| Ses03 |") == 1  # one table, of the first process
    assert output.count(f"try it: hf-mer predict {tmp_path / 'run' / 'Ses03'} RECORDING.wav --text") == 1
    settings = config(output_dir=str(tmp_path / "evaluated"), per_device_eval_batch_size=3)
    checkpoint = str(tmp_path / "run" / "{fold}" / "model")
    main("--config", settings, "--do_train", "false", "--checkpoint", checkpoint)
    evaluated = results(tmp_path / "evaluated" / "Ses03")
    assert evaluated["environment"]["processes"] == 1
    divergences = [one["test"].pop("rater_divergence") for one in (evaluated, trained)]
    assert divergences[0] == {"mean": pytest.approx(divergences[1]["mean"], abs=1e-6), "n": divergences[1]["n"]}
    assert evaluated["test"] == trained["test"]
    one, two = (
        [line.split(",") for line in (tmp_path / name / "Ses03" / "predictions.csv").read_text().split()[1:]]
        for name in ("evaluated", "run")
    )
    assert [line[:3] for line in one] == [line[:3] for line in two]
    probabilities = [np.array([line[3:] for line in lines], dtype=float) for lines in (one, two)]
    np.testing.assert_allclose(*probabilities, atol=2e-6)


@pytest.mark.slow
def test_stopped_in_the_middle_of_a_fold_and_started_again(start, main, config, tmp_path, caplog):
    settings = config(num_train_epochs=40, modalities=["text"], learning_rates={})
    process = start("--config", settings)
    checkpoints = tmp_path / "run" / "Ses03" / "checkpoints"
    deadline = time.monotonic() + 200
    while last_complete_checkpoint(checkpoints) is None:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.terminate()
    said = process.communicate()[0]
    assert process.returncode == 143
    assert said.endswith("stopped by SIGTERM; run the same command again to continue\n")
    assert "Traceback" not in said
    assert not (tmp_path / "run" / "Ses03" / "results.json").exists()
    half = checkpoints / "checkpoint-100000"
    shutil.copytree(next(checkpoints.glob("checkpoint-*/trainer_state.json")).parent, half)
    weights = half / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])

    caplog.set_level("INFO")
    main("--config", settings)
    assert "checkpoint-100000 is half-written" in caplog.text
    assert "resuming from" in caplog.text
    found = results(tmp_path / "run" / "Ses03")
    assert len([entry for entry in found["history"] if "eval_ua" in entry]) == 40
    assert not checkpoints.exists()
    main("--config", settings)
    assert "fold Ses03 is finished" in caplog.text


@pytest.fixture
def manifest(write_wav, tmp_path):
    """`manifest(drop=..., **{row: line})`: a CSV of 24 recordings of six speakers, with lines replaced."""
    header, lines = "id,file,text,emotion,speaker,group", []
    for i in range(24):
        emotion = ("anger", "joy")[i % 2]
        lines.append(
            [f"u{i}", os.path.basename(write_wav(f"{i}.wav", 0.3)), f"word {i}", emotion, f"s{i // 4}", f"g{i // 8}"]
        )

    def write(changes=None, names=header):
        table = [list(line) for line in lines]
        for (row, column), value in (changes or {}).items():
            table[row][header.split(",").index(column)] = value
        path = tmp_path / "corpus.csv"
        path.write_text("\n".join([names, *(",".join(line) for line in table)]) + "\n")
        return str(path)

    return write


def test_input_that_cannot_be_used_ends_before_training(in_this_process, manifest, tmp_path):
    """One message, status 1, and nothing is written; all bad recordings are in one report."""
    import soundfile

    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "nan.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "short.wav", np.ones(300) / 2, 16000)
    (tmp_path / "text.wav").write_text("this is no recording")
    bad = {(1, "file"): "empty.wav", (5, "file"): "nan.wav", (9, "file"): "short.wav", (13, "file"): "text.wav"}
    single_class = {(i, "emotion"): "anger" for i in range(24) if i not in (1, 3)}
    cases = [
        (
            lambda: manifest({(4, "file"): "gone.wav", (7, "file"): "lost.wav"}),
            {},
            ["corpus.csv", "line 6", "gone.wav", "line 9", "lost.wav"],
        ),
        (
            lambda: manifest({(2, "emotion"): "boredom"}),
            {"labels": ["anger", "joy"]},
            ["line 4", "label 'boredom' is not one of anger, joy"],
        ),
        (lambda: manifest({(3, "id"): "u1"}), {}, ["line 5", "id 'u1' is already used in", "line 3"]),
        (
            lambda: manifest(names="id,file,text,mood,speaker,group"),
            {},
            ["no column with the label", "id, file, text, mood"],
        ),
        (lambda: manifest(), {"columns": {"label": "feeling"}}, ["no column for label='feeling'"]),
        (
            lambda: manifest(bad),
            {},
            ["row u1", "row u5", "row u9", "row u13", "empty.wav", "nan.wav", "0.019 s", "text.wav"],
        ),
        (lambda: manifest(single_class), {}, ["class 'joy' has no rows in the training split of fold s0"]),
        (
            lambda: manifest(),
            {"labels": ["anger", "joy", "fear"]},
            ["class 'fear' has no rows in the training split of fold"],
        ),
        (
            lambda: manifest({(0, "speaker"): "s5"}),
            {"group_column": "group", "protocol": "leave_one_session_out"},
            ["session"],
        ),
        (lambda: str(tmp_path / "nowhere.csv"), {}, ["nowhere.csv"]),
    ]
    for data_dir, settings, fragments in cases:
        status, output = in_this_process(data_dir(), **settings)
        assert status == 1, (fragments, output)
        for fragment in fragments:
            assert fragment in output, (fragment, output)
        assert "Traceback" not in output
        assert not (tmp_path / "run").exists()


@pytest.fixture
def in_this_process(main, config, capsys):
    """`in_this_process(data_dir, **settings)`: the recipe on a manifest that it refuses; status and what it says."""

    def run(data_dir, **settings):
        given = {"corpus": "manifest", "data_dir": data_dir, "protocol": "groups", "group_column": "speaker"}
        with pytest.raises(SystemExit) as ended:
            main("--config", config(**{**given, "validation": "none", **settings}))
        said, message = capsys.readouterr().err, ended.value.code
        return (1, message + said) if isinstance(message, str) else (message, said)  # as the interpreter does

    return run


def test_folds_that_share_speakers(in_this_process, manifest, tmp_path):
    """A protocol that promises other speakers, and a speaker who is in two sessions."""
    status, output = in_this_process(
        manifest({(0, "speaker"): "s5"}), columns={"session": "group"}, protocol="leave_one_session_out"
    )
    assert status == 1
    assert "share 1 speakers (s5)" in output
    assert not (tmp_path / "run").exists()


def test_bad_settings(main, config):
    with pytest.raises(SystemExit, match=r"unknown setting 'fushion'; did you mean fusion\?"):
        main("--config", config(fushion="sum"))
    with pytest.raises(SystemExit, match="error in the settings: do_train=false only evaluates: name a checkpoint"):
        main("--config", config(do_train=False))


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_bad_input_of_real_processes(recipe, config, manifest, processes):
    """The shell sees a status that is not 0 and one message, whatever the number of processes."""
    path = manifest({(4, "file"): "gone.wav"})
    settings = config(corpus="manifest", data_dir=path, protocol="groups", group_column="speaker", validation="none")
    status, output = recipe("--config", settings, processes=processes)
    assert status == 1, output
    assert output.count("gone.wav") == 1
    assert ("Traceback" in output) == (processes > 1)  # the launcher's own
