"""Baselines: what they learn and from which rows, and that their files are those of any other system."""

import csv
import json

import numpy as np
import pytest
import torch
import torchaudio
from safetensors.numpy import load_file
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from hf_mer.data.schema import CorpusError
from hf_mer.models.audio_mer import AudioError
from hf_mer.training import DataArguments, MerTrainingArguments
from hf_mer.training.baselines.baseline_experiment import BaselineExperiment
from hf_mer.training.baselines.classifiers import PENALTIES, fit_linear, logits, save_linear
from hf_mer.training.baselines.log_mel import LogMelStatistics

SYSTEMS = ["majority", "log_mel_statistics"]


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def predictions(folder):
    return list(csv.DictReader((folder / "predictions.csv").open(encoding="utf-8")))


@pytest.fixture
def make_baseline(corpus, tmp_path):
    """`make_baseline("majority", validation="none")`: a baseline on the generated corpus."""

    def make(system, protocol="fixed_session", validation="speakers:1", data_dir=None, **settings):
        names = set(DataArguments.__dataclass_fields__)
        data = {name: settings.pop(name) for name in list(settings) if name in names}
        training = {"output_dir": str(tmp_path / "run"), "seed": 3, "bootstrap_resamples": 20, "use_cpu": True}
        training = MerTrainingArguments(**{**training, "figures": False, "disable_tqdm": True, **settings})
        arguments = DataArguments(
            data_dir=str(data_dir or corpus), protocol=protocol, validation=validation, max_audio_seconds=3.0, **data
        )
        return BaselineExperiment(system, arguments, training)

    return make


@pytest.fixture
def voices(write_wav, tmp_path):
    """`voices()`: a manifest of 48 recordings of six speakers whose pitch tells the emotion."""

    def write(**changed):
        lines = ["file,emotion,speaker"]
        for i in range(48):
            emotion = ("calm", "sad", "glad")[i % 3]
            audio = write_wav(f"{i}.wav", 0.3 + 0.01 * (i % 7), pitch=(200, 900, 2500)[i % 3] + 5 * (i % 8))
            lines.append(f"{audio},{changed.get(f's{i // 8}', emotion)},s{i // 8}")
        path = tmp_path / "voices.csv"
        path.write_text("\n".join(lines) + "\n")
        return {"corpus": "manifest", "data_dir": str(path), "protocol": "groups", "group_column": "speaker"}

    return write


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_files_are_those_of_any_system(make_baseline, make_experiment, tmp_path, system):
    neural = make_experiment(modalities=["text"], num_train_epochs=1, output_dir=str(tmp_path / "neural")).run()
    report = make_baseline(system, figures=True).run()
    folder, other = tmp_path / "run" / "Ses05", tmp_path / "neural" / "Ses05"
    results, expected = read(folder / "results.json"), neural["folds"][0]
    assert report["folds"] == [results] == read(tmp_path / "run" / "results.json")["folds"]
    assert set(neural) == set(report)
    assert set(results) - {"selection"} == set(expected)
    assert set(results["test"]) == set(expected["test"])
    assert set(results["settings"]) == {*expected["settings"], "recordings_hash"}  # texts alone have none
    for name in ("fold", "rows"):
        assert results[name] == expected[name]
    assert results["settings"]["split_hash"] == expected["settings"]["split_hash"]
    assert results["settings"]["model"]["type"] == system
    assert results["history"] == []
    mine, theirs = predictions(folder), predictions(other)
    assert [*mine[0]] == [*theirs[0]]
    assert {(line["id"], line["label"]) for line in mine} == {(line["id"], line["label"]) for line in theirs}
    right = sum(line["label"] == line["prediction"] for line in mine)
    assert right == round(12 * results["test"]["scores"]["wa"])
    assert (folder / "figures" / "confusion_matrix.png").exists()
    assert not list(folder.glob(".*"))
    assert not list(folder.rglob("*.pkl"))


def test_one_corpus_out_of_two(make_baseline, corpus, voices, capsys, tmp_path):
    """From made-up calls to a corpus in IEMOCAP's layout, and back: two folds, scores by corpus and gender."""
    own = voices()
    both = {
        "corpus": "iemocap,manifest",
        "data_dir": f"{corpus},{own['data_dir']}",
        "label_map": {"glad": "happy", "calm": "neutral", "angry": None},
    }
    make = {"protocol": "leave_one_corpus_out", "validation": "speakers:1", **both}
    report = make_baseline("log_mel_statistics", **make).run()
    assert [fold["fold"] for fold in report["folds"]] == ["iemocap", "voices"]
    first, second = report["folds"]
    assert first["test"]["confusion"]["labels"] == ["happy", "neutral", "sad"]
    assert first["rows"]["validation"] == 8  # one of six speakers
    assert second["rows"]["test"] == 48
    assert list(first["test"]["by_group"]["corpus"]) == ["iemocap"]
    assert set(first["test"]["by_group"]["gender"]) == {"female", "male"}
    assert report["by_group"]["corpus"]["voices"]["utterances"] == 48
    assert report["by_group"]["corpus"]["voices"]["ua"]["mean"] == second["test"]["scores"]["ua"]
    assert first["generated_corpus"]  # one of the two is
    settings = first["settings"]["data"]
    assert (settings["corpus"], settings["label_map"]["angry"]) == ("iemocap,manifest", None)
    printed = capsys.readouterr().out
    assert "| corpus voices | 48 | " in printed
    assert "| gender female | " in printed
    assert predictions(tmp_path / "run" / "voices")[0]["id"].startswith("voices.")
    assert make_baseline("log_mel_statistics", **make).run()["folds"] == report["folds"]  # found, not run again
    with pytest.raises(ValueError, match=r"other settings \(data\.label_map"):
        make_baseline(
            "log_mel_statistics", **{**make, "label_map": {**both["label_map"], "glad": "neutral", "calm": "happy"}}
        ).run()


def test_majority_says_the_most_frequent_class_of_the_training_part(make_baseline, tmp_path):
    experiment = make_baseline("majority")
    rows = experiment.load()
    fold = experiment.folds(rows)[0]
    labels = rows.features["label"].names
    counts = [sum(rows["label"][i] == index for i in fold.train) for index in range(len(labels))]
    results = experiment.run_fold(rows, fold)
    for line in predictions(tmp_path / "run" / "Ses05"):
        assert line["prediction"] == labels[counts.index(max(counts))]
        given = [float(line[label]) for label in labels]
        assert given == pytest.approx([count / len(fold.train) for count in counts], abs=1e-5)
    assert results["test"]["scores"]["ua"] == 1 / 4
    kept = read(tmp_path / "run" / "Ses05" / "model" / "config.json")
    assert kept == {"baseline": "majority", "labels": labels, "counts": counts}


def test_statistics_tell_voices_apart_and_come_back_from_disk(make_baseline, voices, tmp_path):
    experiment = make_baseline("log_mel_statistics", **voices(), num_groups=3)
    rows = experiment.load()
    report = experiment.run(rows)
    assert report["summary"]["ua"] == {"mean": 1.0, "std": 0.0, "n": 3}
    fold = experiment.folds(rows)[1]
    results = report["folds"][1]
    assert results["selection"]["by"] == "the validation split"
    assert set(results["selection"]["scores"]) == {f"{penalty:g}" for penalty in PENALTIES}
    assert results["stages"]["features"]["reused"] is True  # the fold before made them
    folder = tmp_path / "run" / fold.name / "model"
    kept, extractor = load_file(folder / "model.safetensors"), LogMelStatistics.from_pretrained(folder)
    features = np.stack([extractor.extract_audio(rows.with_format(None)[i]["audio"]) for i in fold.test])
    logits = (features.astype(np.float64) - kept["mean"]) / kept["scale"] @ kept["weight"].T + kept["bias"]
    labels = read(folder / "config.json")["labels"]
    written = [[float(line[label]) for label in labels] for line in predictions(tmp_path / "run" / fold.name)]
    np.testing.assert_allclose(softmax(logits, axis=1), written, atol=1e-6)
    assert results["parameters"] == {"all": 3 * 801 + 1600, "trained": 3 * 801}


def test_nothing_is_learned_from_validation_or_test(make_baseline, voices, tmp_path):
    weights = []
    for name, changed in (("plain", {}), ("test", {"s0": "sad"}), ("training", {"s5": "sad"})):
        settings = {**voices(**changed), "folds": ["0"], "output_dir": str(tmp_path / name)}  # tests s0, selects by s1
        experiment = make_baseline("log_mel_statistics", **settings, validation="group")
        rows = experiment.load()
        results = experiment.run(rows)["folds"][0]
        assert results["rows"] == {"train": 32, "validation": 8, "test": 8}
        weights.append(load_file(tmp_path / name / results["fold"] / "model" / "model.safetensors"))
    fold = experiment.folds(rows)[0]
    trained = [experiment.extractor.extract_audio(rows.with_format(None)[i]["audio"]) for i in fold.train]
    np.testing.assert_allclose(weights[0]["mean"], np.mean(trained, axis=0), rtol=1e-4, atol=1e-4)
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not np.array_equal(weights[0]["weight"], weights[2]["weight"])


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_finished_fold_is_kept(make_baseline, monkeypatch, system):
    report = make_baseline(system).run()
    with monkeypatch.context() as patched:
        patched.setattr(BaselineExperiment, "_fit", lambda *args: pytest.fail("fitted again"))
        assert make_baseline(system).run() == report
        assert make_baseline(system, folds=["Ses05"], num_proc=1).run()["folds"] == report["folds"]
    with pytest.raises(ValueError, match=r"results with other settings \(training\.seed"):
        make_baseline(system, seed=4).run()
    other = SYSTEMS[1 - SYSTEMS.index(system)]
    with pytest.raises(ValueError, match=r"results with other settings \(model\."):
        make_baseline(other).run()
    assert make_baseline(system, seed=4, overwrite=True).run()["folds"][0]["settings"]["training"]["seed"] == 4


def test_settings_that_cannot_be(make_baseline, write_wav, tmp_path):
    with pytest.raises(ValueError, match="system: 'minority' is not one of majority, log_mel_statistics"):
        make_baseline("minority")
    with pytest.raises(ValueError, match="do_train=false: a baseline is always trained"):
        make_baseline("majority", do_train=False)
    path = tmp_path / "texts.csv"
    path.write_text("text,emotion,speaker\nyes,glad,a\nno,sad,a\nyes,glad,b\nno,sad,b\n")
    settings = {"corpus": "manifest", "data_dir": str(path), "protocol": "groups", "group_column": "speaker"}
    with pytest.raises(CorpusError, match="no speech"):
        make_baseline("log_mel_statistics", **settings, validation="none").run()
    assert make_baseline("majority", **settings, validation="none").run()["summary"]["wa"]["mean"] == 0.5


class TestLogMelStatistics:
    def test_mean_deviation_and_percentiles_of_bins_and_slopes(self, write_wav):
        path = write_wav("a.wav", seconds=0.5)
        extractor = LogMelStatistics(num_mel_bins=20, percentiles=(25, 75))
        given = extractor.extract_audio(path)
        assert given.shape == (2 * 20 * 4,)
        samples = torchaudio.functional.resample(torch.from_numpy(_samples(path)), 16000, 16000)
        frames = torchaudio.compliance.kaldi.fbank(samples[None], num_mel_bins=20, dither=0.0).numpy()  # (S, M)
        padded = np.concatenate([frames[:1], frames[:1], frames, frames[-1:], frames[-1:]])
        count = len(frames)
        slopes = (padded[3 : 3 + count] - padded[1 : 1 + count] + 2 * (padded[4:] - padded[:count])) / 10
        expected = []
        for values in (frames, slopes):
            expected += [values.mean(0), values.std(0), *np.percentile(values, (25, 75), axis=0)]
        np.testing.assert_allclose(given, np.concatenate(expected), rtol=1e-4, atol=1e-4)

    def test_loudness_moves_the_level_and_nothing_else(self):
        samples = np.random.default_rng(0).normal(0, 0.02, 8000).astype(np.float32)
        extractor = LogMelStatistics(num_mel_bins=10)
        quiet, loud = (extractor.extract_audio(factor * samples).reshape(2, 5, 10) for factor in (1, 10))
        level = np.zeros((2, 5, 1))
        level[0, [0, 2, 3, 4]] = 2 * np.log(10)  # mean and percentiles of a power
        np.testing.assert_allclose(loud - quiet, np.broadcast_to(level, (2, 5, 10)), atol=1e-3)

    def test_silence_and_a_single_frame_are_finite(self):
        extractor = LogMelStatistics()
        assert np.isfinite(extractor.extract_audio(np.zeros(16000, dtype=np.float32))).all()
        shortest = LogMelStatistics(min_audio_seconds=0.025)
        assert np.isfinite(shortest.extract_audio(np.ones(400, dtype=np.float32))).all()
        with pytest.raises(AudioError, match=r"0\.025 s of audio is too short"):
            extractor.extract_audio(np.ones(400, dtype=np.float32))

    def test_longer_audio_is_cut(self):
        samples = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
        cut = LogMelStatistics(max_audio_seconds=1.0)
        np.testing.assert_array_equal(cut.extract_audio(samples), cut.extract_audio(samples[:16000]))

    def test_its_settings_come_back_from_disk(self, tmp_path):
        extractor = LogMelStatistics(num_mel_bins=12, percentiles=(50,), max_audio_seconds=2.0)
        extractor.save_pretrained(tmp_path)
        assert LogMelStatistics.from_pretrained(tmp_path).to_dict() == extractor.to_dict()
        assert LogMelStatistics(num_mel_bins=13).to_json_string() != LogMelStatistics(num_mel_bins=14).to_json_string()


class TestLinear:
    """The classifier on statistics, and how its penalty is chosen."""

    @pytest.mark.parametrize("classes", [2, 3])
    def test_is_scikit_learns_logistic_regression_of_the_training_part(self, classes, tmp_path):
        rng = np.random.default_rng(0)
        features, targets = rng.normal(3, 2, (60, 40)), np.arange(60) % classes
        validation = rng.normal(0, 9, (12, 40)), np.arange(12) % classes  # of other mean and scale
        pipeline, chosen = fit_linear((features, targets), validation, [], classes, "ua", seed=0)
        standardised = StandardScaler().fit_transform(features)
        plain = LogisticRegression(C=chosen["C"], max_iter=1000).fit(standardised, targets)
        found = logits(pipeline, features)
        np.testing.assert_allclose(softmax(found, axis=1), plain.predict_proba(standardised), atol=1e-6)
        save_linear(tmp_path, list("abc"[:classes]), pipeline, LogMelStatistics(num_mel_bins=4))
        kept = load_file(tmp_path / "model.safetensors")
        again = (features - kept["mean"]) / kept["scale"] @ kept["weight"].T + kept["bias"]
        np.testing.assert_allclose(again, found, atol=1e-12)
        assert read(tmp_path / "config.json")["labels"] == list("abc"[:classes])

    def choose(self, features, targets, validation=None, speakers=None, metric="ua"):
        speakers = speakers if speakers is not None else [None] * len(targets)
        return fit_linear((features, targets), validation, speakers, 2, metric, seed=0)[1]

    def test_inner_folds_share_no_speaker(self):
        """Features that know only the speaker say nothing of another one's emotion; drawn at random they say all."""
        speakers = [f"s{i // 6}" for i in range(60)]
        targets = np.repeat(np.arange(10) % 2, 6)
        features = np.repeat(np.eye(10), 6, axis=0)
        by_speaker, at_random = self.choose(features, targets, speakers=speakers), self.choose(features, targets)
        assert by_speaker["by"] == "5 folds of the training split's 10 speakers"
        assert at_random["by"] == "5 random folds of the training split"
        assert max(by_speaker["scores"].values()) <= 0.5
        assert at_random["scores"]["1"] == 1.0
        assert self.choose(features, targets, speakers=["one"] * 60)["by"] == "5 random folds of the training split"

    def test_speakers_of_one_class_each_make_no_inner_folds(self):
        targets = np.repeat([0, 1], 10)
        chosen = self.choose(np.eye(20), targets, speakers=[f"s{target}" for target in targets])
        assert chosen["by"] == "5 random folds of the training split"

    def test_the_best_on_the_validation_part_and_of_equal_ones_the_smallest(self):
        targets = np.arange(40) % 2
        features = (targets * 2.0 - 1)[:, None]
        equal = self.choose(features, targets, validation=(features, targets))
        assert equal["C"] == min(PENALTIES)
        assert set(equal["scores"].values()) == {1.0}
        skewed = np.array([0] * 36 + [1] * 4)  # the strongest penalty leaves the prior alone
        features = (skewed * 2.0 - 1)[:, None]
        chosen = self.choose(features, skewed, validation=(features, skewed))
        assert chosen["scores"]["0.0001"] == 0.5
        assert chosen["C"] > min(PENALTIES)
        assert chosen["scores"][f"{chosen['C']:g}"] == 1.0

    def test_a_class_with_one_row_and_no_speakers(self):
        with pytest.raises(ValueError, match=r"C cannot be chosen.*set validation"):
            self.choose(np.eye(4), np.array([0, 0, 0, 1]))


def _samples(path):
    import soundfile

    return soundfile.read(path, dtype="float32")[0]
