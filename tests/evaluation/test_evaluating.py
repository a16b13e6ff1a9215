"""A checkpoint under all conditions, by the command, on manifests of short recordings and films."""

import contextlib
import csv
import io
import json
import os

import datasets
import numpy as np
import pytest
import soundfile
import torch
from media_files import save_film_checkpoint
from model_tester import LABELS, save_tiny_checkpoint, tiny_settings, tiny_tokenizer, tone, wave_feature_extractor

from hf_mer.cli import main
from hf_mer.data.corpora.manifest import load_corpus
from hf_mer.evaluation import ConditionSettings, all_conditions
from hf_mer.evaluation.logits import encoded_once, predict_conditions, transcripts_with_errors
from hf_mer.models import (
    LeMerForEmotionClassification,
    MerProcessor,
    MgcmaConfig,
    MgcmaForEmotionClassification,
)
from hf_mer.prediction.load import load_recognizer

SHORT = ["--word_error_rates", "0.3", "--snrs", "5", "--seconds", "0.2", "--resamples", "20", "--batch_size", "3"]
NO_NOISE = ["--noises", "--seconds", "--word_error_rates"]  # where the conditions do not matter


def write_manifest(folder):
    """Eight rows of four speakers: the seventh without sound, the eighth without words."""
    lines = ["id,file,text,emotion,speaker"]
    for i in range(8):
        path = "" if i == 6 else folder / f"{i}.wav"
        if path:
            soundfile.write(path, tone(0.25 + 0.05 * i, 16000, 200 + 40 * i), 16000)
        text = "" if i == 7 else f"hello there you are {'good' if i % 2 else 'bad'} {' '.join('abcdefgh'[: i + 1])}"
        lines.append(f"u{i},{path},{text},{LABELS[i % len(LABELS)]},s{i // 2}")
    path = folder / "corpus.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_manifest(tmp_path_factory.mktemp("manifest"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A folder of model, processor and store."""
    folder, model = save_tiny_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint")
    model.config.temperatures = {"text+speech": 2.0}
    model.config.save_pretrained(folder)
    return folder


def run_command(checkpoint, corpus, out, *flags):
    """The exit status, and the report or None."""
    arguments = ["evaluate", checkpoint, "--corpus", "manifest", "--data_dir", corpus, "--out", str(out)]
    status, path = main([*arguments, *SHORT, *flags]), out / "conditions.json"
    return status, json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


@pytest.fixture(scope="module")
def evaluated(checkpoint, manifest, tmp_path_factory):
    """The checkpoint on the manifest, evaluated once: folder, report and what was printed."""
    out, printed = tmp_path_factory.mktemp("evaluated") / "out", io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.MonkeyPatch.context() as patched:
        patched.setattr(datasets.config, "HF_DATASETS_CACHE", str(out.parent / "datasets"))
        status, report = run_command(checkpoint, manifest, out)
    assert status == 0
    return out, report, printed.getvalue()


@pytest.fixture
def evaluate(manifest, tmp_path, capsys):
    """`evaluate(checkpoint, "--flag", ...)`: the exit status, the report and what was printed."""

    def run(checkpoint, *flags, corpus=manifest, out="out"):
        return *run_command(checkpoint, corpus, tmp_path / out, *flags), capsys.readouterr()

    return run


def test_everything_that_the_command_leaves(evaluated):
    out, report, printed = evaluated
    found = {entry["name"]: entry for entry in report["conditions"]}
    assert list(found) == [
        "everything",
        "text alone",
        "speech alone",
        "30 % of the words wrong",
        "white noise, 5 dB",
        "babble, 5 dB",
        "first 0.2 s",
    ]
    assert {name: entry["utterances"] for name, entry in found.items() if entry["utterances"] != 8} == {
        "text alone": 7,
        "speech alone": 7,
    }
    assert found["30 % of the words wrong"]["realised"] == pytest.approx(0.3, abs=0.03)
    for entry in report["conditions"]:
        low, high = entry["intervals_95"]["ua"]
        assert low <= entry["scores"]["ua"] <= high
        assert 0 <= entry["ece"] <= 1
        assert ("difference" in entry) == (entry["kind"] != "all")
    assert report["model"]["temperatures"] == {"text+speech": 2.0}
    table = (out / "conditions.md").read_text(encoding="utf-8")
    conditions, _, groups = table.partition("## Groups")
    assert conditions.count("\n| ") == len(found) + 2
    assert "| 4 speakers, lowest / median / highest | 2 each |" in groups
    assert "| 30 % of the words wrong (measured " in printed
    with (out / "conditions.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == list(found)
    assert float(lines[1]["ua"]) == found["text alone"]["scores"]["ua"]
    assert float(lines[1]["difference_ua"]) == found["text alone"]["difference"]["ua"]["value"]
    figures = {"modalities", "word_errors", "white_noise", "babble", "seconds"}
    assert {name for name in os.listdir(out) if name.endswith(".pdf")} == {f"{name}.pdf" for name in figures}
    assert (out / "seconds.csv").read_text().startswith("checkpoint,value,score,low,high\nLE-MER,everything,")


def test_the_same_as_the_pipeline_says(checkpoint, manifest):
    """Unchanged utterances, and each modality alone, against one pipeline call for each."""
    recognizer = load_recognizer(checkpoint)
    rows = load_corpus(manifest)
    conditions = all_conditions(["text", "speech"], ConditionSettings((), (0.2, 0.6, 0.2), (), (), ()))
    predicted = predict_conditions(
        recognizer, rows, conditions, ConditionSettings(), wrong_words={}, batch_size=3, progress=False
    )
    for condition, one in zip(conditions, predicted, strict=True):
        for index, row in enumerate(rows):
            given = {"text": row["text"] if "text" in condition.modalities else None, "history": row["history"]}
            given["history"] = row["history"] if "text" in condition.modalities else None
            given["audio"] = row["audio"] if "speech" in condition.modalities else None
            if not given["text"] and given["audio"] is None:
                assert not one.seen[index]
                assert np.isnan(one.logits[index]).all()
                continue
            scores = {item["label"]: item["score"] for item in recognizer(given)}
            logits = one.logits[index] / one.temperatures[index]
            chances = np.exp(logits) / np.exp(logits).sum()
            np.testing.assert_allclose(chances, [scores[label] for label in LABELS], atol=1e-5)


def test_errors_and_noise_change_what_is_said_and_seeds_repeat_it(checkpoint, manifest):
    recognizer = load_recognizer(checkpoint)
    rows, settings = load_corpus(manifest), ConditionSettings((0.5,), snrs=(0,), noises=("white",), seconds=(0.2,))
    conditions = all_conditions(["text", "speech"], settings)

    def predict():
        wrong = transcripts_with_errors(rows, conditions, settings)
        found = predict_conditions(recognizer, rows, conditions, settings, wrong_words=wrong, progress=False)
        return [one.logits for one in found]

    first, second = predict(), predict()
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    for changed in first[3:]:
        assert not np.allclose(changed[:6], first[0][:6], atol=1e-4)


def test_an_encoder_runs_once_for_the_same_tensors(checkpoint):
    model = LeMerForEmotionClassification.from_pretrained(checkpoint).eval()
    ids, runs = torch.tensor([[2, 7, 8, 3]]), []
    model.text_encoder.register_forward_hook(lambda *_: runs.append(1))
    plain = model(input_ids=ids).logits
    with torch.inference_mode(), encoded_once(model):
        torch.testing.assert_close(model(input_ids=ids).logits, plain)
        model(input_ids=ids)
        assert len(runs) == 2
        model(input_ids=ids.clone())
        assert len(runs) == 3
    model(input_ids=ids)
    assert len(runs) == 4  # nothing is remembered any more


def test_three_modalities(evaluate, write_video, tmp_path):
    checkpoint = save_film_checkpoint(tmp_path / "films")
    lines = ["id,video,text,emotion,speaker"]
    for i in range(4):
        lines.append(f"u{i},{write_video(f'{i}.mp4', seconds=0.6)},hello you,{LABELS[i % len(LABELS)]},s{i}")
    path = tmp_path / "films.csv"
    path.write_text("\n".join(lines) + "\n")
    status, report, printed = evaluate(checkpoint, corpus=str(path))
    assert status == 0, printed.err
    found = {entry["name"]: entry for entry in report["conditions"]}
    assert found["video missing"]["modalities"] == ["text", "speech"]
    assert all(entry["utterances"] == 4 for entry in found.values())
    assert {"video alone", "speech missing", "first 0.2 s", "babble, 5 dB"} <= set(found)


def test_mgcma(evaluate, tmp_path):
    config = MgcmaConfig(**tiny_settings(), num_attention_heads=2, num_token_blocks=1)
    MgcmaForEmotionClassification(config).save_pretrained(tmp_path / "mgcma")
    MerProcessor(wave_feature_extractor(), tiny_tokenizer(), max_text_tokens=40).save_pretrained(tmp_path / "mgcma")
    status, report, printed = evaluate(str(tmp_path / "mgcma"))
    assert status == 0, printed.err
    assert report["model"]["type"] == "mgcma"
    assert len(report["conditions"]) == 7


def test_text_alone_needs_no_recording(evaluate, tmp_path):
    checkpoint, _ = save_tiny_checkpoint(tmp_path / "text", modalities=["text"])
    lines = ["text,emotion", *(f"hello there {word},{LABELS[i % len(LABELS)]}" for i, word in enumerate("abcdef"))]
    path = tmp_path / "texts.csv"
    path.write_text("\n".join(lines) + "\n")
    status, report, printed = evaluate(checkpoint, corpus=str(path))
    assert status == 0, printed.err
    assert [entry["kind"] for entry in report["conditions"]] == ["all", "words"]


def write_training(folder, corpus, ids):
    """What a training leaves beside its model."""
    results = {"fold": "s1", "settings": {"data": {"corpus": corpus, "use_history": False}}}
    (folder / "results.json").write_text(json.dumps(results))
    labels = [LABELS[int(row_id[1:]) % len(LABELS)] if row_id[1:].isdecimal() else "a" for row_id in ids]
    lines = ["id,label,prediction", *(f"{row_id},{label},a" for row_id, label in zip(ids, labels, strict=True))]
    (folder / "predictions.csv").write_text("\n".join(lines) + "\n")


def test_the_test_part_of_the_checkpoints_own_fold(evaluate, tmp_path):
    checkpoint, _ = save_tiny_checkpoint(tmp_path / "s1" / "model")
    write_training(tmp_path / "s1", "manifest", ["u2", "u3", "u5"])
    _, report, _ = evaluate(str(tmp_path / "s1"), *NO_NOISE)
    assert report["rows"] == {
        "name": "test split of fold s1, as in training", "utterances": 3, "corpus": "manifest", "use_history": False,
        "classes_without_rows": ["angry"],
    }  # fmt: skip
    _, report, _ = evaluate(checkpoint, "--split", "all", *NO_NOISE)
    assert report["rows"]["utterances"] == 8
    _, report, _ = evaluate(checkpoint, "--protocol", "groups", "--group_column", "speaker", "--fold", "s1", *NO_NOISE)
    assert report["rows"]["utterances"] == 2
    write_training(tmp_path / "s1", "meld", ["dia0_utt0"])  # another corpus: all rows
    _, report, printed = evaluate(checkpoint, *NO_NOISE)
    assert report["rows"]["name"] == "all rows"
    write_training(tmp_path / "s1", "manifest", ["u2", "elsewhere"])
    status, _, printed = evaluate(checkpoint, *NO_NOISE)
    assert status == 1
    assert "1 of the 2 test rows of the checkpoint" in printed.err
    assert "'elsewhere'" in printed.err
    write_training(tmp_path / "s1", "manifest", ["u2", "u3"])
    predictions = tmp_path / "s1" / "predictions.csv"
    predictions.write_text(predictions.read_text().replace(f"u3,{LABELS[3]}", f"u3,{LABELS[0]}"))
    status, _, printed = evaluate(checkpoint, *NO_NOISE)  # another table whose rows are called alike
    assert status == 1
    assert "1 of the 2 test rows of the checkpoint" in printed.err
    assert f"'u3': {LABELS[3]} instead of {LABELS[0]}" in printed.err


def test_a_corpus_without_one_of_the_modalities(checkpoint, evaluate, write_wav, tmp_path):
    """Conditions of what no row has are left out."""
    silent = "".join(f"hello there {word},{LABELS[i % len(LABELS)]}\n" for i, word in enumerate("abcd"))
    (tmp_path / "texts.csv").write_text(f"text,emotion\n{silent}")
    spoken = "".join(f"{write_wav(f'{i}.wav')},{label}\n" for i, label in enumerate(LABELS))
    (tmp_path / "sounds.csv").write_text(f"audio,emotion\n{spoken}")
    for name, kinds in (("texts", ["all", "words"]), ("sounds", ["all", "white", "babble", "seconds"])):
        status, report, printed = evaluate(checkpoint, corpus=str(tmp_path / f"{name}.csv"))
        assert status == 0, printed.err
        assert [entry["kind"] for entry in report["conditions"]] == kinds


def test_every_row_counts(tiny_checkpoint, checkpoint, evaluate, tmp_path):
    """One recording cannot be decoded; a model that only hears cannot be scored on all rows."""
    corpus = write_manifest(tmp_path)
    (tmp_path / "2.wav").write_bytes(b"no sound at all")
    status, _, printed = evaluate(checkpoint, corpus=corpus)
    assert status == 1
    assert "row u2: " in printed.err
    _, report, _ = evaluate(checkpoint, "--skip-bad", *NO_NOISE, corpus=corpus)
    assert report["rows"]["utterances"] == 8
    assert report["rows"]["without"] == {"text": 1, "speech": 2}
    deaf, _ = tiny_checkpoint("speech", modalities=["speech"])
    status, _, printed = evaluate(deaf, "--skip-bad", corpus=corpus)
    assert status == 1
    assert "row u2: no speech that can be used" in printed.err
    assert "row u6: no speech that can be used" in printed.err


def test_evaluations_side_by_side(checkpoint, evaluated, evaluate, tmp_path):
    status, _, printed = evaluate(checkpoint, "--name", "again", "--beside", f"before={evaluated[0]}")
    assert status == 0, printed.err
    assert "| condition (UA) | before | again |" in printed.out
    assert "before,20.0" not in (tmp_path / "out" / "babble.csv").read_text()
    assert "before,5.0" in (tmp_path / "out" / "babble.csv").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--noises", "pink"], "'pink' is not one of white, babble"),
        (["--split", "dev"], "split 'dev' has no rows; splits: none in this corpus"),
        (["--protocol", "groups"], "a protocol and a fold belong together"),
        (["--beside", "x"], "--beside x: must be NAME=FOLDER"),
        (["--batch_size", "0"], "must be at least 1"),
        (["--task", "4class"], "task: '4class' is not one of those of manifest"),
    ],
)
def test_wrong_flags_end_with_one_line(checkpoint, evaluate, flags, message):
    status, report, printed = evaluate(checkpoint, *flags)
    assert status == 1
    assert report is None
    assert message in printed.err.strip().splitlines()[-1]


def test_other_classes_are_refused_and_another_order_is_not(tiny_checkpoint, checkpoint, evaluated, evaluate):
    names = {"id2label": {0: "joy", 1: "fear"}, "label2id": {"joy": 0, "fear": 1}}
    other, _ = tiny_checkpoint("other", with_store=False, **names)
    status, _, printed = evaluate(other)
    assert status == 1
    assert "classes of the checkpoint (joy, fear): " in printed.err
    assert f"label '{LABELS[0]}' (" in printed.err
    _, turned, _ = evaluate(checkpoint, "--labels", *reversed(LABELS), *NO_NOISE)
    assert turned["conditions"][0]["scores"] == evaluated[1]["conditions"][0]["scores"]
