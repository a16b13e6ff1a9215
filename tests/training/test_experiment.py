"""Whole experiments on a small generated corpus: what lies in the folder, what is trained again, what is refused."""

import csv
import json
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from datasets import Dataset

from hf_mer.data.schema import CorpusError
from hf_mer.metrics.calibration import expected_calibration_error
from hf_mer.metrics.raters import rater_divergences
from hf_mer.models import LeMerForEmotionClassification, MerProcessor
from hf_mer.training import MerTrainer
from hf_mer.training.corpus import chosen_folds, has_modality, load_rows
from hf_mer.training.settings.deciding import data_hash


def read(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def unimodal(tmp_path_factory):
    return tmp_path_factory.mktemp("unimodal")


def test_results_of_a_run(finished):
    run, report = finished
    results = read(run / "Ses05" / "results.json")
    assert read(run / "results.json")["folds"] == [results] == report["folds"]
    assert results["rows"] == {"train": 42, "validation": 6, "test": 12}
    scores = results["test"]["scores"]
    assert set(scores) == {"wa", "ua", "wf1"}
    for name, (low, high) in results["test"]["intervals_95"].items():
        assert low <= scores[name] <= high
    assert set(results["test"]["scores_with_one_modality"]) == {"text", "speech"}
    assert results["parameters"]["trained"] == results["parameters"]["all"] > 1000
    assert results["environment"]["processes"] == 1
    assert report["summary"]["wa"] == {"mean": scores["wa"], "std": None, "n": 1}
    epochs = [entry for entry in results["history"] if "eval_ua" in entry]
    assert len(epochs) == 2
    assert list(results["stages"]) == ["features", "label_store", "training", "test"]
    assert all(stage["seconds"] > 0 for stage in results["stages"].values())
    assert not results["stages"]["training"]["reused"]
    assert results["peak_memory_mib"]["host"] > 50


def test_predictions_and_calibration_of_a_run(finished):
    folder = finished[0] / "Ses05"
    results = read(folder / "results.json")
    lines = list(csv.DictReader((folder / "predictions.csv").open(encoding="utf-8")))
    assert len(lines) == 12
    labels = results["test"]["confusion"]["labels"]
    assert sum(line["label"] == line["prediction"] for line in lines) == round(12 * results["test"]["scores"]["wa"])
    for line in lines:
        probabilities = [float(line[label]) for label in labels]
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        assert labels[int(np.argmax(probabilities))] == line["prediction"]
    calibration = results["calibration"]
    assert calibration["source"] == "validation"
    temperatures = read(folder / "model" / "config.json")["temperatures"]
    assert temperatures == calibration["temperatures"]
    assert set(temperatures) == set(calibration["validation"]) == {"text+speech", "text", "speech"}
    for one in calibration["validation"].values():
        assert one["utterances"] == 6
        assert one["nll_calibrated"] <= one["nll"] + 1e-6
    assert set(calibration["test_with_one_modality"]) == {"text", "speech"}
    chances = np.array([[float(line[label]) for label in labels] for line in lines])  # calibrated ones
    truth = [labels.index(line["label"]) for line in lines]
    measured = expected_calibration_error(truth, np.log(chances.clip(1e-9)))
    assert measured == pytest.approx(calibration["test"]["ece_calibrated"], abs=1e-4)


def test_figures_and_model_of_a_run(finished):
    folder = finished[0] / "Ses05"
    figures = {path.name for path in (folder / "figures").iterdir()}
    drawn = {
        f"{name}.{suffix}"
        for name in ("confusion_matrix", "reliability", "training_curves")
        for suffix in ("png", "csv")
    }
    assert {*drawn, "label_keywords_and_key_frames.png"} <= figures
    assert len([name for name in figures if name.startswith("label_attention_")]) == 4
    assert not (folder / "checkpoints").exists()  # optimizer states are of no use any more
    assert not list(folder.glob(".*"))
    prior = read(folder / "model" / "config.json")["class_prior"]
    assert len(prior) == 4
    assert sum(prior) == pytest.approx(1)
    processor = MerProcessor.from_pretrained(folder / "model")
    assert processor.label_store.keywords.keys() == {"angry", "happy", "neutral", "sad"}


def test_a_finished_run_is_kept_refused_or_overwritten(make_experiment, finished_copy, trainings):
    assert make_experiment(figures=True).run() == finished_copy
    with pytest.raises(
        ValueError,
        match=r"contains results with other settings \(training\.learning_rate\); choose another output_dir",
    ):
        make_experiment(figures=True, learning_rate=0.5).run()
    other = {"eval_strategy": "steps", "eval_steps": 3, "eval_delay": 100, "dataloader_drop_last": True}
    with pytest.raises(ValueError, match="other settings") as refused:
        make_experiment(**other).run()
    assert all(f"training.{name}" in str(refused.value) for name in other)
    assert make_experiment(logging_steps=3, dataloader_num_workers=1).run() == finished_copy
    assert not trainings
    make_experiment(learning_rate=2e-3, overwrite=True, max_steps=1).run()
    assert trainings == [None]


def test_the_same_seed_gives_the_same_results(make_experiment, tmp_path):
    reports = []
    for name in ("one", "two"):
        report = make_experiment(
            output_dir=str(tmp_path / name), modality_dropout=0.3, train_sampling_strategy="random", num_train_epochs=1
        ).run()
        report["folds"][0].pop("minutes")
        reports.append(report["folds"][0])
    assert reports[0]["test"] == reports[1]["test"]
    untimed = [
        [{k: v for k, v in e.items() if "runtime" not in k and "per_second" not in k} for e in r["history"][:-1]]
        for r in reports
    ]
    assert untimed[0] == untimed[1]
    one, two = ((tmp_path / name / "Ses05" / "predictions.csv").read_text() for name in ("one", "two"))
    assert one == two


def test_the_test_part_is_looked_at_once_after_training(make_experiment, monkeypatch, tmp_path):
    """A spy on every row that is read, in order: label store and training see train, selection and temperatures
    see validation."""
    experiment = make_experiment()
    rows = load_rows(experiment.data_arguments, ["text", "speech"])
    session, ids = rows["session"][:], rows["id"][:]
    test_ids = {row_id for row_id, name in zip(ids, session, strict=True) if name == "Ses05"}
    seen, stage = [], ["training"]
    original_getitem, original_predict = Dataset.__getitems__, MerTrainer.predict
    original_evaluate = MerTrainer.evaluate

    def getitems(self, keys):
        found = original_getitem(self, keys)
        seen.extend((stage[0], row["id"]) for row in found)
        return found

    def during(name, original):
        def call(self, *args, **kwargs):
            before, stage[0] = stage[0], kwargs.get("metric_key_prefix", name)
            try:
                return original(self, *args, **kwargs)
            finally:
                stage[0] = before

        return call

    monkeypatch.setattr(Dataset, "__getitems__", getitems)
    monkeypatch.setattr(MerTrainer, "predict", during("predict", original_predict))
    monkeypatch.setattr(MerTrainer, "evaluate", during("eval", original_evaluate))
    experiment.run()
    by_stage = {
        name: {row_id for where, row_id in seen if where == name}
        for name in ("training", "eval", "calibration", "test")
    }
    assert {where for where, _ in seen} == set(by_stage)
    assert by_stage["test"] == test_ids
    assert len(by_stage["eval"]) == 6
    assert by_stage["calibration"] == by_stage["eval"]
    assert len(by_stage["training"]) == 42
    assert not (by_stage["training"] | by_stage["eval"]) & test_ids
    assert not by_stage["training"] & by_stage["eval"]
    first_test = [where for where, _ in seen].index("test")
    assert {where for where, _ in seen[first_test:]} == {"test"}


def test_history_changes_the_inputs(make_experiment, tmp_path):
    lengths = []
    original = MerTrainer.compute_loss
    for use_history in (True, False):
        seen = []

        class Watching(MerTrainer):
            def compute_loss(self, model, inputs, seen=seen, **kwargs):
                seen.append(int(inputs["attention_mask"].sum()))
                return original(self, model, inputs, **kwargs)

        experiment = make_experiment(
            use_history=use_history,
            modalities=["text"],
            num_train_epochs=1,
            output_dir=str(tmp_path / str(use_history)),
        )
        import hf_mer.training.fold_training as module

        kept, module.MerTrainer = module.MerTrainer, Watching
        try:
            experiment.run()
        finally:
            module.MerTrainer = kept
        lengths.append(sum(seen))
    assert lengths[0] > 1.5 * lengths[1]


def test_unimodal_systems_and_their_score_fusion(make_experiment, tmp_path, unimodal):
    for name in ("text", "speech"):
        report = make_experiment(modalities=[name], output_dir=str(unimodal / name), num_train_epochs=1).run()
        assert "scores_with_one_modality" not in report["folds"][0]["test"]
    fused = make_experiment(
        unimodal_text=str(unimodal / "text" / "{fold}" / "model"),
        unimodal_speech=str(unimodal / "speech" / "{fold}" / "model"),
        do_train=False,
    ).run()
    test = fused["folds"][0]["test"]
    for name in ("text", "speech"):
        alone = read(unimodal / name / "Ses05" / "results.json")["test"]["scores"]
        assert test["scores_with_one_modality"][name] == {**alone, "n": 12}
    assert fused["folds"][0]["calibration"]["source"] == "validation"  # the sum of two has temperatures of its own
    processor = MerProcessor.from_pretrained(tmp_path / "run" / "Ses05" / "model")
    assert processor.label_store.text_embeddings is not None
    assert processor.label_store.tonal_codes
    text_tokenizer = MerProcessor.from_pretrained(unimodal / "text" / "Ses05" / "model").tokenizer
    assert processor.tokenizer.get_vocab() == text_tokenizer.get_vocab()


def test_what_is_only_evaluated_is_said_to_be_trained_on_nothing(make_experiment, finished_copy, tmp_path):
    """Neither on the words of the corpus at hand, nor on states that its encoders do not keep."""
    folder = tmp_path / "run" / "Ses05" / "model"
    config = read(folder / "config.json")
    assert config.pop("language") == "en"
    config["class_weights"] = [1.0, 2.0, 3.0, 4.0]
    (folder / "config.json").write_text(json.dumps(config))
    settings = {"do_train": False, "checkpoint": str(folder), "output_dir": str(tmp_path / "evaluated")}
    with pytest.raises(ValueError, match="linear_reference: the checkpoint freezes no encoder"):
        make_experiment(**settings, linear_reference=True).run()
    make_experiment(**settings).run()
    assert read(tmp_path / "evaluated" / "Ses05" / "model" / "config.json")["language"] is None
    # its losses are weighted all the same
    weights = read(tmp_path / "evaluated" / "Ses05" / "results.json")["class_weights"]
    assert list(weights.values()) == config["class_weights"]


def test_votes_are_wanted_by_training_alone(make_experiment):
    """Settings of a training serve to evaluate its checkpoint on a corpus without raters."""
    experiment = make_experiment(soft_targets=True, do_train=False, checkpoint="its/model")
    rows = experiment.load().remove_columns("votes")
    experiment.check(rows, experiment.folds(rows))
    with pytest.raises(ValueError, match=r"soft_targets=true: no row of the training split of fold Ses05"):
        make_experiment(soft_targets=True).check(rows, experiment.folds(rows))


@pytest.mark.slow
def test_a_checkpoint_is_evaluated_with_its_own_processor(make_experiment, finished_copy, tmp_path):
    """Its tokenizer's numbering must be kept: a tokenizer that is learned anew would give other ids."""
    folder = tmp_path / "run" / "Ses05" / "model"
    reversed_words = read(folder / "tokenizer.json")
    words = reversed_words["model"]["vocab"]
    special = {word: index for word, index in words.items() if word.startswith("[") and word != "["}
    rest = sorted((word for word in words if word not in special), key=words.get)
    order = torch.arange(len(words))
    for position, word in enumerate(reversed(rest)):
        order[len(special) + position] = words[word]  # new id -> old id
    reversed_words["model"]["vocab"] = {**special, **{w: len(special) + i for i, w in enumerate(reversed(rest))}}
    (folder / "tokenizer.json").write_text(json.dumps(reversed_words))
    model = LeMerForEmotionClassification.from_pretrained(folder)
    embedding = model.text_encoder.embeddings.word_embeddings
    embedding.weight.data = embedding.weight.data[order]
    model.config.temperatures = dict(model.config.temperatures)  # for other weights, which say the same
    model.save_pretrained(folder)
    settings = {"do_train": False, "checkpoint": str(tmp_path / "run" / "{fold}" / "model")}
    evaluated = make_experiment(
        **settings, max_text_tokens=20, output_dir=str(tmp_path / "evaluated")
    ).run()  # the checkpoint's 48 are used
    assert evaluated["folds"][0]["test"] == finished_copy["folds"][0]["test"]
    one, two = (report["folds"][0]["calibration"] for report in (evaluated, finished_copy))
    assert (one["source"], two["source"]) == ("checkpoint", "validation")
    assert one["temperatures"] == two["temperatures"] != {}
    assert evaluated["folds"][0]["history"] == []
    for name in ("label_store.json", "label_store.safetensors"):
        (folder / name).unlink()  # a checkpoint without a store can be evaluated, too
    bare = make_experiment(**settings, output_dir=str(tmp_path / "bare"), figures=True).run()
    assert bare["folds"][0]["test"]["scores"] == finished_copy["folds"][0]["test"]["scores"]


def test_a_checkpoint_of_other_classes_or_modalities_is_refused(make_experiment, tiny_checkpoint):
    text_only, _ = tiny_checkpoint("text_only", modalities=["text"])
    with pytest.raises(ValueError, match="the checkpoint has no speech branch; pass --modalities text"):
        make_experiment(checkpoint=text_only, do_train=False).run()
    names = {"id2label": {0: "joy", 1: "fear"}, "label2id": {"joy": 0, "fear": 1}}
    other, _ = tiny_checkpoint("other", with_store=False, **names)
    with pytest.raises(ValueError, match="the checkpoint is for classes joy, fear, the corpus has angry, happy"):
        make_experiment(checkpoint=other, do_train=False).run()


def test_without_validation_the_last_epoch_is_tested(make_experiment):
    results = make_experiment(validation="none", early_stopping_patience=None, num_train_epochs=1).run()["folds"][0]
    assert results["rows"] == {"train": 48, "validation": 0, "test": 12}
    calibration = results["calibration"]
    assert (calibration["source"], calibration["temperatures"]) == (None, {})
    assert calibration["test"]["ece"] == calibration["test"]["ece_calibrated"]
    assert not [entry for entry in results["history"] if any(name.startswith("eval_") for name in entry)]


def test_validation_in_steps(make_experiment):
    results = make_experiment(eval_strategy="steps", eval_steps=4, max_steps=8, modalities=["text"]).run()["folds"][0]
    assert [entry["step"] for entry in results["history"] if "eval_ua" in entry] == [4, 8]


def test_max_steps_below_an_epoch_are_validated_too(make_experiment):
    results = make_experiment(max_steps=3, modalities=["text"]).run()["folds"][0]
    assert [entry["step"] for entry in results["history"] if "eval_ua" in entry] == [3]


def test_early_stopping_goes_by_validation(make_experiment):
    results = make_experiment(
        num_train_epochs=9, early_stopping_patience=2, learning_rate=0.0, modalities=["text"]
    ).run()["folds"][0]
    assert len([entry for entry in results["history"] if "eval_ua" in entry]) == 3  # the first, and two no better


def test_folds_by_name_and_position(make_experiment, tmp_path):
    settings = {"protocol": "leave_one_session_out", "modalities": ["text"], "max_steps": 1}
    report = make_experiment(**settings, folds=["Ses02", "0"]).run()
    assert [fold["fold"] for fold in report["folds"]] == ["Ses02", "Ses01"]
    assert report["summary"]["ua"]["n"] == 2
    with pytest.raises(ValueError, match="'Ses09' does not exist"):
        make_experiment(**settings, folds=["Ses09"]).run()


def test_runs_share_what_they_have_in_common(make_experiment, monkeypatch, tmp_path):
    """Two systems that differ in fusion share features and label store; whose store is another, `test_stores.py` tells."""
    short = {"max_steps": 2, "validation": "none"}

    def run(name, cache="cache", **settings):
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / cache))
        return make_experiment(output_dir=str(tmp_path / name), **short, **settings).run(rows)["folds"][0]

    rows = make_experiment().load()
    first, second = run("first"), run("second", fusion="sum", learning_rate=2e-3)
    assert not first["stages"]["label_store"]["reused"]
    for name in ("features", "label_store"):
        assert second["stages"][name]["reused"]
    stores = [path for path in (tmp_path / "cache" / "hf_mer_label_stores").iterdir() if path.is_dir()]
    assert len(stores) == 1

    alone = run("alone", "another cache", fusion="sum", learning_rate=2e-3)
    assert not alone["stages"]["label_store"]["reused"]
    assert alone["test"] == second["test"]
    one, two = (tmp_path / name / "Ses05" / "predictions.csv" for name in ("alone", "second"))
    assert one.read_text() == two.read_text()


def test_every_fold_has_its_own_precision(make_experiment, tmp_path, monkeypatch):
    """Accelerate keeps one precision for the process; here both experiments are there before either runs."""
    used = []
    original = MerTrainer.train

    def train(self, **kwargs):
        used.append((self.accelerator.mixed_precision, self.accelerator.state.mixed_precision))
        return original(self, **kwargs)

    monkeypatch.setattr(MerTrainer, "train", train)
    short = {"modalities": ["text"], "max_steps": 2, "validation": "none"}
    settings = [
        {"output_dir": str(tmp_path / str(index)), "bf16": bf16, **short}
        for index, bf16 in enumerate([False, True, False])
    ]
    experiments = [make_experiment(**given) for given in settings]
    results = [experiment.run()["folds"][0] for experiment in experiments]
    assert used == [("no", "no"), ("bf16", "bf16"), ("no", "no")]
    assert results[0]["test"] == results[2]["test"]  # after another fold as alone
    files = [(tmp_path / str(index) / "Ses05" / "predictions.csv").read_text() for index in range(3)]
    assert files[0] == files[2] != files[1]


GRID = {
    "modalities": ["text"],
    "max_steps": 2,
    "validation": "none",
    "grid": {"learning_rate": [1e-3, 5e-3], "text_top_k": [4]},
    "grid_folds": 2,
}


@pytest.fixture
def no_test_rows(monkeypatch):
    """Fails as soon as a row of the outer test is read while settings are chosen; gives the ids that were."""
    import hf_mer.training.experiment as module
    from hf_mer.training import building

    choosing, read = [], set()
    original, original_texts, choose = Dataset.__getitems__, building.build_processor, module.select_candidate

    def getitems(self, keys):
        found = original(self, keys)
        if choosing:
            read.update(row["id"] for row in found)
            assert not [row["id"] for row in found if row["session"] == "Ses05"]
        return found

    def build_processor(model_arguments, data_arguments, texts, fold):
        assert not choosing or len(texts) == 36  # four sessions of twelve but for the one held out
        return original_texts(model_arguments, data_arguments, texts, fold)

    def select_candidate(*args, **kwargs):
        choosing.append(1)
        try:
            return choose(*args, **kwargs)
        finally:
            choosing.clear()

    monkeypatch.setattr(Dataset, "__getitems__", getitems)
    monkeypatch.setattr(building, "build_processor", build_processor)
    monkeypatch.setattr(module, "select_candidate", select_candidate)
    return read


def test_a_setting_is_chosen_without_a_look_at_the_test(
    make_experiment, tmp_path, no_test_rows, trainings, monkeypatch
):
    """Killed in the third training, it goes on with that one."""
    counted = MerTrainer.train

    def train(self, **kwargs):
        if len(trainings) == 2:
            raise KeyboardInterrupt
        return counted(self, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(MerTrainer, "train", train)
        with pytest.raises(KeyboardInterrupt):
            make_experiment(**GRID).run()
    results = make_experiment(**GRID).run()["folds"][0]
    nested = results["nested"]
    names = ["learning_rate=0.001,text_top_k=4", "learning_rate=0.005,text_top_k=4"]
    assert [candidate["name"] for candidate in nested["candidates"]] == names
    assert nested["folds"] == ["Ses01", "Ses03"]
    assert len(no_test_rows) == 48  # the first and the third session were tested, and the others trained on
    best = max(nested["candidates"], key=lambda candidate: candidate["mean"])
    assert nested["choice"] == best["name"]
    for candidate in nested["candidates"]:
        scores = [scores["ua"] for scores in candidate["scores"].values()]
        assert candidate["mean"] == pytest.approx(sum(scores) / 2)
    assert results["settings"]["training"]["learning_rate"] == best["settings"]["learning_rate"]
    inner = tmp_path / "run" / "Ses05" / "nested" / names[0] / "Ses03"
    assert read(inner / "results.json")["rows"] == {"train": 36, "validation": 0, "test": 12}
    assert not (inner / "model").exists()
    assert (tmp_path / "run" / "Ses05" / "model").exists()

    assert len(trainings) == 5  # the first two were not run again
    assert make_experiment(**GRID).run()["folds"][0] == results
    assert len(trainings) == 5
    with pytest.raises(ValueError, match=r"other settings \(training\.grid\)"):
        make_experiment(**{**GRID, "grid": {"learning_rate": [1e-3, 5e-3, 1e-2], "text_top_k": [4]}}).run()
    with pytest.raises(ValueError, match=r"other settings \(.*training\.grid"):
        make_experiment(**{**GRID, "grid": None, "learning_rate": best["settings"]["learning_rate"]}).run()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"grid": {"tonal_topk": [1]}}, "grid: 'tonal_topk' is not known; did you mean tonal_top_k"),
        ({"grid": {"protocol": ["official"]}}, "grid: 'protocol' must be the same for all candidates"),
        ({"grid": {"text_top_k": [4, 0]}}, "grid, candidate text_top_k=0: text_top_k=0 must be at least 1"),
        ({"grid": {"fusion": ["mean"]}}, "grid, candidate fusion=mean: fusion: 'mean' is not one of"),
        ({"grid": {"fusion": "sum"}}, "grid: fusion needs a list of values, not 'sum'"),
        ({"grid": ["fusion"]}, "is not a mapping"),
        ({"grid": {"fusion": ["sum"]}, "grid_folds": 0}, "grid_folds=0 must be at least 1"),
        ({"grid": {"fusion": ["sum"]}, "checkpoint": "x"}, "a trained checkpoint has seen the rows"),
    ],
)
def test_grids_that_cannot_be(make_experiment, settings, message):
    with pytest.raises(ValueError, match=message):
        make_experiment(**settings)


def test_candidates_may_read_the_corpus_differently(make_experiment, monkeypatch):
    loaded = []
    experiment = make_experiment(**{**GRID, "grid": {"max_history": [10, 2], "learning_rate": [1e-3]}})
    rows = experiment.load()
    original = type(experiment).load
    monkeypatch.setattr(type(experiment), "load", lambda self: loaded.append(1) or original(self))
    (one, two) = (experiment._with(candidate) for candidate in experiment.candidates.values())
    assert experiment._rows_for(one, rows) is rows
    theirs = experiment._rows_for(two, rows)
    assert max(map(len, theirs["history"])) == 2 < max(map(len, rows["history"]))
    assert loaded == [1]
    with pytest.raises(ValueError, match="other rows are left out"):
        experiment._rows_for(two, rows.select(range(10)))


@pytest.fixture
def manifest(write_wav, tmp_path):
    """Forty rows of four speakers; some without audio, some without words."""
    lines = ["id,file,text,emotion,speaker"]
    for i in range(40):
        audio = "" if i % 4 == 3 else write_wav(f"{i}.wav", 0.3 + 0.01 * i, pitch=200 + 30 * (i % 2))
        text = "" if i % 4 == 1 else f"{'good' if i % 2 else 'bad'} word {i}"
        lines.append(f"u{i},{audio},{text},{'joy' if i % 2 else 'anger'},s{i // 10}")
    path = tmp_path / "corpus.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


OWN = {"corpus": "manifest", "protocol": "groups", "group_column": "speaker", "folds": ["0"], "validation": "none"}


def test_rows_that_lack_a_modality(make_experiment, manifest):
    settings = {**OWN, "data_dir": manifest}
    results = make_experiment(
        **settings,
        modality_dropout=0.5,
        num_train_epochs=1,
        per_device_eval_batch_size=2,
        logging_steps=1,
        logging_strategy="steps",
    ).run()["folds"][0]
    alone = results["test"]["scores_with_one_modality"]
    assert {name: scores["n"] for name, scores in alone.items()} == {"speech": 8, "text": 7}
    with pytest.raises(CorpusError, match="10 problems|row u1: no text"):
        make_experiment(**settings, modalities=["text"]).run()
    rows = load_rows(make_experiment(**settings, on_bad_audio="skip").data_arguments, ["text"])
    assert len(rows) == 30
    assert has_modality(rows, "text", use_history=False).all()


def test_no_test_row_is_left_out_of_the_score(make_experiment, manifest, tmp_path, caplog):
    """Two recordings that cannot be decoded: one of the test part, one that is trained on."""
    for name in ("2.wav", "12.wav"):
        (Path(manifest).parent / name).write_bytes(b"no sound at all")
    settings = {**OWN, "data_dir": manifest, "on_bad_audio": "skip", "num_train_epochs": 1}
    results = make_experiment(**settings).run()["folds"][0]
    assert results["rows"]["test"] == 10
    assert np.sum(results["test"]["confusion"]["matrix"]) == 10
    assert results["test"]["rows_without"] == {"text": 3, "speech": 3}  # of them two rows that never had any
    assert "u2," in (tmp_path / "run" / "s0" / "predictions.csv").read_text()
    assert "2 of 40 rows are used without their audio, such as row u2" in caplog.text
    alone = {**settings, "modalities": ["speech"], "output_dir": str(tmp_path / "alone")}
    with pytest.raises(
        CorpusError, match=r"(?s)3 problems.*row u2: no speech that.*every test row counts in the scores"
    ):
        make_experiment(**alone).run()
    rows = make_experiment(**{**alone, "folds": ["3"]}).load
    with pytest.raises(CorpusError, match="row u31"):
        rows()
    lines = [line for line in Path(manifest).read_text().splitlines() if not line.startswith(("u31,", "u35,", "u39,"))]
    Path(manifest).write_text("\n".join(lines))
    assert len(make_experiment(**{**alone, "folds": ["3"]}).load()) == 28  # what is trained on may be left out


@pytest.mark.parametrize("space", ["contrastive", "hidden"])
def test_pretrained_encoders(make_experiment, pretrained, space, tmp_path):
    settings = {
        **pretrained,
        "tonal_space": space,
        "discretizer": "codebook",
        "max_audio_seconds": 1.0,
        "max_steps": 2,
    }
    experiment = make_experiment(
        **settings, learning_rates={"text_encoder": 1e-5, "speech_encoder": 1e-5}, figures=space == "hidden"
    )
    results = experiment.run()["folds"][0]
    store = MerProcessor.from_pretrained(tmp_path / "run" / "Ses05" / "model").label_store
    assert store.discretizer["kind"] == "codebook"
    assert results["settings"]["model"]["tonal_space"] == space
    drawn = (tmp_path / "run" / "Ses05" / "figures" / "label_keywords_and_key_frames.png").exists()
    assert drawn == (space == "hidden")


def test_no_more_tokens_than_positions(make_experiment, caplog):
    experiment = make_experiment(max_text_tokens=500, modalities=["text"], max_steps=1)
    experiment.run()
    assert "max_text_tokens=64" in caplog.text


SKEWED = {
    "class_weights": "balanced",
    "label_smoothing_factor": 0.1,
    "train_sampling_strategy": "balanced",
    "soft_targets": True,
}


def test_skewed_labels_and_many_raters(make_experiment, monkeypatch, tmp_path):
    """Training sees shares of votes, all else the label; weights and divergence are those of the rows."""
    seen = {True: [], False: []}
    original = MerTrainer.compute_loss

    def compute_loss(self, model, inputs, *args, **kwargs):
        seen[model.training].append(inputs["labels"])
        return original(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(MerTrainer, "compute_loss", compute_loss)
    experiment = make_experiment(**SKEWED, num_train_epochs=1)
    rows = experiment.load()
    results = experiment.run(rows)["folds"][0]
    assert {name: results["settings"]["training"][name] for name in SKEWED} == SKEWED
    assert all(labels.ndim == 2 for labels in seen[True])
    assert any(0 < share < 1 for labels in seen[True] for share in labels.flatten().tolist())
    assert all(labels.ndim == 1 for labels in seen[False])
    shares = torch.cat(seen[True])
    assert len(shares) == results["rows"]["train"]
    fold = experiment.folds(rows)[0]
    counts = np.bincount(np.array(rows["label"])[fold.train], minlength=4)
    weights = (counts.sum() / (4 * counts)).tolist()
    config = read(tmp_path / "run" / "Ses05" / "model" / "config.json")
    assert config["class_weights"] == pytest.approx(weights)
    assert config["label_smoothing"] == 0.1
    assert list(results["class_weights"].values()) == pytest.approx(weights)
    lines = csv.DictReader((tmp_path / "run" / "Ses05" / "predictions.csv").open(encoding="utf-8"))
    said = {line["id"]: [float(line[label]) for label in rows.features["label"].names] for line in lines}
    voted = {row["id"]: row["votes"] for row in rows if row["id"] in said and row["votes"] is not None}
    divergences = rater_divergences(np.array([said[name] for name in voted]), np.array(list(voted.values())))
    found = results["test"]["rater_divergence"]
    assert found == {"mean": pytest.approx(divergences.mean(), abs=1e-5), "n": len(voted)}
    assert len(voted) == 12


def test_what_is_off_is_not_written_down(finished):
    results = read(finished[0] / "Ses05" / "results.json")
    assert not {"class_weights", "soft_targets", "label_smoothing_factor"} & set(results["settings"]["training"])
    assert "class_weights" not in results
    config = read(finished[0] / "Ses05" / "model" / "config.json")
    assert not config.get("class_weights")


def test_soft_targets_without_votes_are_refused_before_any_training(make_experiment, trainings):
    experiment = make_experiment(soft_targets=True)
    rows = experiment.load()
    voteless = rows.remove_columns("votes").add_column("votes", [None] * len(rows), feature=rows.features["votes"])
    for asked in (experiment, make_experiment(grid={"soft_targets": [False, True]})):
        with pytest.raises(CorpusError, match=r"^soft_targets=true: no row of the training split of fold Ses05 has"):
            asked.run(voteless)
    assert not trainings


def test_other_votes_are_other_rows_where_they_are_trained_towards(make_experiment):
    experiment = make_experiment()
    rows = experiment.load()
    other = rows.map(lambda row: {"votes": [0.25] * 4}, features=rows.features)
    assert data_hash(rows) == data_hash(other)
    assert data_hash(rows, soft_targets=True) != data_hash(other, soft_targets=True)
    fold = experiment.folds(rows)[0]
    soft = make_experiment(soft_targets=True)
    assert soft.settings(rows, fold)["data_hash"] == data_hash(rows, soft_targets=True)
    assert experiment.settings(rows, fold)["data_hash"] == data_hash(rows)


def test_a_figure_that_fails_loses_no_results(make_experiment, monkeypatch, tmp_path, caplog):
    import hf_mer.training.fold_figures as figures

    monkeypatch.setattr(figures, "draw_fold_figures", lambda *args: 1 / 0)
    make_experiment(figures=True, modalities=["text"], max_steps=1).run()
    assert (tmp_path / "run" / "Ses05" / "results.json").exists()
    assert "could not be drawn" in caplog.text


def test_a_fold_that_is_not_run_stops_none(make_experiment):
    """Of a class that one session alone has, that session's fold has nothing to learn from; the others do."""
    experiment = make_experiment(protocol="leave_one_session_out", folds=["Ses02"])
    rows = experiment.load()
    rows = rows.filter(lambda row: row["label"] != 0 or row["session"] == "Ses01")
    folds = {fold.name: fold for fold in experiment.folds(rows)}
    experiment.check(rows, chosen_folds(list(folds.values()), experiment.data_arguments))
    with pytest.raises(CorpusError, match="training split of fold Ses01"):
        experiment.check(rows, [folds["Ses01"]])
