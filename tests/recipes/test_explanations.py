"""What explanations are measured by, on values made by hand, and the commands on tiny models of tiny corpora."""

import importlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "recipes" / "explanations"


@pytest.fixture(scope="module")
def part():
    """`part("truth")`: a module of the folder."""
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module
    sys.path.remove(str(FOLDER))
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_hit(part):
    hit = part("truth").hit
    salient = np.array([False, True, False, True])
    assert hit(np.array([0.1, 0.9, 0.2, -1.0]), salient) == 1
    assert hit(np.array([0.1, -0.9, 0.2, -1.0]), salient) == 0
    assert hit(np.array([0.5, 0.5, 0.1, 0.2]), salient) == 0.5  # two highest, one of them salient
    assert hit(np.zeros(4), salient) == 0.5  # says nothing: chance


def test_auc(part):
    from sklearn.metrics import roc_auc_score

    auc = part("truth").auc
    salient = np.array([False, True, False, True])
    assert auc(np.array([0.1, 0.9, 0.2, 0.15]), salient) == 0.75  # 3 of 4 pairs
    assert auc(np.zeros(4), salient) == 0.5
    assert auc(np.arange(4), np.ones(4, bool)) is None
    assert auc(np.arange(4), np.zeros(4, bool)) is None
    rng = np.random.default_rng(0)
    for _ in range(20):
        values, salient = rng.integers(0, 4, 9), np.arange(9) < rng.integers(1, 9)
        assert auc(values, salient) == pytest.approx(roc_auc_score(salient, values))


def test_salient_places(part):
    truth = part("truth")
    row = {"id": "a", "salient_words": [1, 3], "salient_spans": [(0.2, 0.55)], "face_spans": [(0.0, 0.3)]}
    entries = [{"start": start / 10, "end": (start + 3) / 10} for start in (0, 3, 6)]
    assert truth.salient_places(row, "text", [{}] * 4).tolist() == [False, True, False, True]
    assert truth.salient_places(row, "speech", entries).tolist() == [False, True, False]  # a third, five sixths, none
    assert truth.salient_places(row, "video", entries).tolist() == [True, False, False]
    with pytest.raises(ValueError, match=r"a: salient words \[1, 3\], but there are 3 words"):
        truth.salient_places(row, "text", [{}] * 3)


def test_cues_of_classes(part):
    class_cues = part("truth").class_cues
    assert class_cues(["sad", "angry", "happy", "neutral"])["angry"] == {"text": -1, "speech": 1}
    seven = class_cues(["joy", "surprise", "neutral", "anger", "fear", "disgust", "sadness"])
    assert seven["surprise"] == {"text": 1, "speech": 1, "video": -1}
    assert seven["neutral"] == {"text": 1, "speech": -1}  # with either face
    with pytest.raises(ValueError, match="class 'calm' is none of a generated corpus"):
        class_cues(["sad", "calm"])


def test_agreement_of_modalities(part):
    agreements = part("truth").agreements
    truth = {"valence_cue": -1, "arousal_cue": 1, "face_cue": 1}
    sad, angry = {"text": -1, "speech": -1}, {"text": -1, "speech": 1}
    assert agreements(truth, sad, {"text": 0.4, "speech": 0.1}) == {("text", "speech"): 1}
    assert agreements(truth, sad, {"text": -0.4, "speech": 0.1}) == {("text", "speech"): 0}
    assert agreements(truth, sad, {"text": 0.1, "speech": 0.1}) == {("text", "speech"): 0.5}
    assert agreements(truth, angry, {"text": 0.4, "speech": 0.1}) == {}  # both speak for it
    sadness = {"text": -1, "speech": -1, "video": -1}
    values = {"text": 0.3, "speech": 0.1, "video": 0.4}
    assert agreements(truth, sadness, values) == {("text", "speech"): 1, ("text", "video"): 0}


def test_means_of_runs(part):
    mean_of_runs = part("summary").mean_of_runs
    found = mean_of_runs([[("a", 1.0), ("b", 0.0)], [("a", 1.0), ("b", 1.0)]])
    assert found.mean == 0.75
    assert found.deviation == pytest.approx(np.std([0.5, 1.0], ddof=1))
    assert (found.low, found.high, found.n) == (0.5, 1.0, 4)  # only a, or only b
    assert str(mean_of_runs([[("a", 0.5)]])) == "0.50 [0.50, 0.50]"
    assert mean_of_runs([[], []]) is None
    wide = mean_of_runs([[(str(index), index % 2) for index in range(100)]])
    assert wide.low == pytest.approx(0.4, abs=0.03)  # 0.5 - 1.96 * 0.5 / sqrt(100)


def test_places_of_runs(part):
    summary = part("summary")

    def record(name, right, own_cue, value):
        places = {"words": {"chance": 0.2, "explain": {"hit": value, "auc": value}}} if own_cue else {}
        return {"id": name, "right": right, "own_cue": own_cue, "places": places}

    utterances = [record("a", True, True, 1.0), record("b", False, True, 0.0), record("c", True, False, 0.5)]
    right = summary.places_summary([{"utterances": utterances}], "words", "right")
    assert (right["explain"]["hit"].mean, right["explain"]["hit"].n) == (1.0, 1)
    everything = summary.places_summary([{"utterances": utterances}], "words", "all")
    assert (everything["explain"]["auc"].mean, everything["chance"]["hit"].mean) == (0.5, pytest.approx(0.2))
    assert summary.places_summary([{"utterances": utterances}], "face spans", "all") == {}


def test_stretches(part):
    stretches = part("summary").stretches
    assert [stretches(salient) for salient in ([0, 1, 1, 0], [1, 0, 0, 1], [1, 1], [0, 0])] == [1, 2, 1, 0]


def finished(folder: Path, save, rows, labels: list[str], corpus: str) -> Path:
    """A training's folder around an untrained checkpoint; the rows are its test part."""
    save(folder / "model")
    lines = [f"{row['id']},{labels[row['label']]},{labels[0]}" for row in rows]
    (folder / "predictions.csv").write_text("\n".join(["id,label,prediction", *lines]) + "\n")
    content = {"fold": "test", "settings": {"data": {"corpus": corpus}}}
    (folder / "results.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """A tiny LE-MER with six test utterances of the corpus in IEMOCAP's layout."""
    from model_tester import LABELS, save_tiny_checkpoint

    from hf_mer.data import load_iemocap

    rows = load_iemocap(corpus).select(range(6))
    return finished(tmp_path_factory.mktemp("le_mer"), save_tiny_checkpoint, rows, LABELS, "iemocap")


def test_label_attention_alone(part, trained, corpus, tmp_path, capsys):
    out = tmp_path / "attention.json"
    part("measure").main(["--label-attention", str(trained), str(trained), "--corpus", str(corpus), "--out", str(out)])
    runs = json.loads(out.read_text())["runs"]
    assert len(runs) == 2
    assert runs[0]["utterances"][0]["places"] == runs[1]["utterances"][0]["places"]
    assert len(runs[0]["utterances"]) == 6
    assert 0 <= runs[0]["ua"] <= 1
    segments = runs[0]["summary"]["segments"]["all"]
    values = [one["places"]["segments"] for one in runs[0]["utterances"] if "segments" in one["places"]]
    assert segments["label attention"]["auc"]["mean"] == np.mean([one["label attention"]["auc"] for one in values])
    assert set(segments) == {"label attention", "random", "chance"}
    assert "| checkpoint | UA | words, hit |" in capsys.readouterr().out


def test_without_the_files_of_a_training(part, trained, corpus, tmp_path):
    with pytest.raises(ValueError, match="its test split is unknown"):
        part("subject").tested_rows(tmp_path, corpus, [])
    with pytest.raises(SystemExit):
        part("measure").main(["--label-attention", str(trained), "--out", str(tmp_path / "attention.json")])


def test_values_by_removal(part):
    """Two of four places decide: with the right order a tenth to a half removed takes p from 0.9 to 0.3 or 0.1."""
    from types import SimpleNamespace

    def probability(chosen):
        return {0: 0.1, 1: 0.3, 2: 0.9}[int(chosen[1]) + int(chosen[3])]

    subject = SimpleNamespace(
        predicted=0,
        outcomes=np.log([0.9, 0.1]),
        with_left=lambda player, chosen: chosen,
        ask=lambda variants: np.log([[probability(chosen), 1 - probability(chosen)] for chosen in variants]),
    )
    scores = part("removal").removal_scores
    right = scores(subject, "text", np.array([0.0, 2.0, 0.1, 1.0]))  # one place is removed three times, then two
    assert right["comprehensiveness"] == pytest.approx((3 * (0.9 - 0.3) + (0.9 - 0.1)) / 4)
    assert right["sufficiency"] == pytest.approx((3 * (0.9 - 0.3) + 0) / 4)
    wrong = scores(subject, "text", np.array([2.0, 0.0, 1.0, 0.1]))
    assert wrong["comprehensiveness"] == pytest.approx(0)
    assert wrong["sufficiency"] == pytest.approx(0.9 - 0.1)


def test_shuffled_weights(part):
    import torch

    model = torch.nn.Linear(20, 3)
    before = model.weight.detach().clone()
    part("parts").shuffle_weights(model)
    assert not torch.equal(model.weight, before)
    assert torch.equal(model.weight.flatten().sort().values, before.flatten().sort().values)


def test_a_finished_part_is_not_measured_again(part, tmp_path, capsys):
    finished_or, calls = part("kept").finished_or, []

    def measure(kept):
        calls.append(1)
        return {"ua": 0.5}

    path = tmp_path / "measured" / "part.json"
    first = finished_or(path, {"utterances": 3}, measure)
    assert finished_or(path, {"utterances": 3}, measure) == first
    assert len(calls) == 1
    finished_or(path, {"utterances": 4}, measure)
    assert len(calls) == 2
    assert "was measured with {'utterances': 3}, and is now with {'utterances': 4}" in capsys.readouterr().out


def test_a_stopped_part_goes_on(part, tmp_path):
    kept, measured = part("kept").Kept(tmp_path / "part.jsonl", {"utterances": 3}), []
    rows = [{"id": name} for name in "abc"]

    def measure(row):
        if row["id"] == "b" and not measured[1:]:
            measured.append("stopped")
            raise KeyboardInterrupt
        measured.append(row["id"])
        return {"id": row["id"], "value": len(measured)}

    with pytest.raises(KeyboardInterrupt):
        kept.records(rows, measure)
    with (tmp_path / "part.jsonl").open("a") as stream:
        stream.write('{"id": "b", "va')  # as a kill leaves it
    assert [record["id"] for record in kept.records(rows, measure)] == ["a", "b", "c"]
    assert measured == ["a", "stopped", "b", "c"]
    part("kept").Kept(tmp_path / "part.jsonl", {"utterances": 2}).records(rows[:1], measure)  # with other settings
    assert measured == ["a", "stopped", "b", "c", "a"]


@pytest.mark.skipif(find_spec("captum") is None, reason="needs captum")
def test_integrated_gradients_are_complete(part, trained, corpus):
    """Attributions of an input add up to what log p gains between the ends of the path."""
    import torch

    from hf_mer.models.places_mer import faint_noise
    from hf_mer.prediction.load import load_recognizer

    recognizer = load_recognizer(trained, device="cpu")
    rows = part("subject").tested_rows(trained, corpus, ["angry", "happy", "neutral", "sad"])
    subject = part("subject").Subject(recognizer, rows[0])
    found = part("gradients").path_integrals(subject, subject.predicted, 64)
    noise = subject.processor.features_of(faint_noise(subject.utterance.sound, 16000))
    nothing = subject.processor.collate([noise], [subject.whole.text], [subject.whole.history])
    temperature = recognizer.model.config.temperature_of(["text", "speech"])
    with torch.no_grad():
        start = (recognizer.model(**nothing).logits / temperature).log_softmax(-1)[0, subject.predicted]
    gained = subject.outcomes[subject.predicted] - float(start)
    assert found["speech"].sum() == pytest.approx(gained, abs=0.02 + 0.05 * abs(gained))
    values = part("rivals").integrated_gradients(subject, subject.predicted)
    assert values["speech"].sum() == pytest.approx(found["speech"].sum(), rel=0.2, abs=0.02)
    assert len(values["text"]) == len(subject.whole.text.split())
    assert len(values["speech"]) == len(subject.places["speech"])


@pytest.mark.skipif(find_spec("captum") is None, reason="needs captum")
def test_everything_once(part, trained, corpus, tmp_path, capsys):
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "iemocap").symlink_to(corpus)
    (tmp_path / "runs" / "le_mer_seed1").mkdir(parents=True)
    (tmp_path / "runs" / "le_mer_seed1" / "Ses01").symlink_to(trained)
    made = {"num_utterances": 48, "sessions": 3, "words_per_utterance": [4, 5], "salient_words": [1, 1]}
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"le_mer": {**made, "utterances_per_dialogue": 6, "seed": 0}}))
    command = ["--out", str(tmp_path), "--systems", "le_mer", "--seeds", "1", "--utterances", "3"]
    command += ["--shuffled-utterances", "2", "--corpus-settings", str(settings), "--real-utterances", "2"]
    command += ["--real", "tones", str(trained), str(corpus), "--real-budget", "100"]
    numbers = part("measure").main(command)
    assert set(numbers) == {"le_mer", "tones"}
    assert set(numbers["le_mer"]["places"]["all"]["segments"]) >= {"explain", "integrated gradients", "chance"}
    assert numbers["le_mer"]["seconds"]["explain"] > numbers["le_mer"]["seconds"]["prediction"] > 0
    assert set(numbers["tones"]["words"]) == {"explain", "leave one out", "label attention", "random"}
    text = (tmp_path / "report.md").read_text()
    assert "| values | words, hit | words, AUC | segments, hit | segments, AUC | seconds |" in text
    assert "### Shuffled weights" in text
    assert "| text and speech | explain |" in text
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "measured").glob("*.json")}
    assert len(before) == 3
    assert part("measure").main(command) == numbers
    assert {path: path.stat().st_mtime_ns for path in before} == before
