"""A checkpoint on another corpus than its own: labels are mapped, and what a reader must know is said."""

import json

import pytest
from model_tester import LABELS, save_tiny_checkpoint

from hf_mer.cli import main
from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.evaluation.other_corpus import corpus_facts, told, warn_of_training_rows
from hf_mer.hub.cards.facts import CORPORA
from hf_mer.training import DataArguments

FEW = ["--noises", "--seconds", "--word_error_rates", "--resamples", "20"]
THEIRS = [f"so {name}" for name in LABELS]  # what the corpus calls the checkpoint's classes
MAP = ",".join(f"{theirs}={ours}" for theirs, ours in zip(THEIRS, LABELS, strict=True))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint", modalities=["text"])[0]


@pytest.fixture
def table(tmp_path):
    """Texts with other labels, a label that no class is, and speakers of two genders."""
    labels = [*THEIRS, THEIRS[0], "bored", "bored"]
    lines = [f"hello you {i},{label},s{i % 3},{'FM'[i % 3 == 0]}" for i, label in enumerate(labels)]
    path = tmp_path / "calls.csv"
    path.write_text("\n".join(["text,emotion,speaker,sex", *lines]) + "\n")
    return str(path)


@pytest.fixture
def evaluate(checkpoint, table, tmp_path, capsys):
    def run(*flags, given=checkpoint):
        out = tmp_path / "out"
        data = ["--corpus", "manifest", "--data-dir", table, "--out", str(out)]
        status, path = main(["evaluate", given, *data, *FEW, *flags]), out / "conditions.json"
        return status, json.loads(path.read_text()) if path.exists() else None, capsys.readouterr()

    return run


def test_labels_are_mapped_and_it_is_said(evaluate, tmp_path):
    status, report, printed = evaluate("--label-map", f"{MAP},bored=")
    assert status == 0, printed.err
    assert report["rows"]["utterances"] == len(LABELS) + 1
    assert report["rows"]["left_out"] == {"bored": 2}
    assert report["rows"]["label_map"]["bored"] is None
    assert "classes_without_rows" not in report["rows"]
    assert report["model"]["labels"] == LABELS
    assert {name: one["n"] for name, one in report["by_group"]["gender"].items()}.keys() == {"female", "male"}
    text = (tmp_path / "out" / "conditions.md").read_text()
    assert f"Labels of the corpus are read as classes of the checkpoint: {THEIRS[0]}={LABELS[0]}" in text
    assert "Rows left out by the label map: 2 of bored." in text
    assert "| gender female | " in text
    assert "| 3 speakers, lowest / median / highest | " in text
    assert "| gender male | " in printed.out
    assert "| s0" not in text + printed.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "calls: label 'bored' (2 rows) is not a class of the checkpoint; map it, bored=CLASS"),
        (["--label-map", f"{MAP},bored=nothing"], "bored=nothing: 'nothing' is not a class of the checkpoint"),
        (["--label-map", f"{MAP},bord="], "bord=: 'bord' is not a label of calls"),
        (["--label-map", "bored"], "label_map: 'bored': write CORPUS_LABEL=CLASS"),
        (
            ["--label-map", MAP, "--labels", *LABELS],
            "--labels cannot be used with --label-map: the classes are those of the checkpoint",
        ),
    ],
)
def test_what_is_refused(evaluate, flags, said):
    status, report, printed = evaluate(*flags)
    assert (status, report) == (1, None)
    assert said in printed.err


def test_trained_on_another_corpus(evaluate, tmp_path):
    model, _ = save_tiny_checkpoint(tmp_path / "s1" / "model", modalities=["text"])
    results = {"fold": "s1", "settings": {"data": {"corpus": "meld", "task": "emotion"}}}
    (tmp_path / "s1" / "results.json").write_text(json.dumps(results))
    status, report, printed = evaluate("--label-map", f"{MAP},bored={LABELS[0]}", given=model)
    assert status == 0, printed.err
    assert report["rows"]["trained_on"] == "meld"
    assert report["rows"]["utterances"] == len(LABELS) + 3
    text = (tmp_path / "out" / "conditions.md").read_text()
    assert "The checkpoint was trained on another corpus: meld." in text


def rows_of(labels):
    return records_to_dataset([make_record(id=str(i), label=i) for i in range(len(labels) - 1)], labels)


def test_classes_that_never_occur():
    facts = corpus_facts(rows_of(["sad", "joy", "fear"]), DataArguments(corpus="manifest", data_dir="x"), {}, {})
    assert facts == {"classes_without_rows": ["fear"]}
    assert told(facts)[0].startswith("No utterance is fear: UA and WF1 are over the classes that occur")


def test_languages_that_differ(monkeypatch):
    monkeypatch.setitem(CORPORA, "iemocap", {"language": "de"})
    data = DataArguments(corpus="meld", data_dir="x")
    trained = {"settings": {"data": {"corpus": "iemocap"}}}
    facts = corpus_facts(rows_of(["a", "b"]), data, trained, {})
    assert facts["languages"] == [["de"], ["en"]]
    assert "trained on de speech, these rows are en" in told(facts)[-1]
    assert "languages" not in corpus_facts(rows_of(["a", "b"]), data, {**trained, "generated_corpus": True}, {})
    for unknown in ("manifest", "described/on/another/machine.yaml"):
        own = {"settings": {"data": {"corpus": unknown}}}
        assert "languages" not in corpus_facts(rows_of(["a", "b"]), data, own, {})


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        ("iemocap", "all 9 rows of meld; the checkpoint was trained on iemocap"),
        ("iemocap,meld", "on some of which the checkpoint was trained (iemocap,meld)"),
        ("meld", "whether any were trained on is not known"),
        (None, "whether any were trained on is not known"),
    ],
)
def test_what_is_known_of_all_rows(trained, said, caplog):
    results = {"settings": {"data": {"corpus": trained}}} if trained else {}
    with caplog.at_level("INFO"):
        warn_of_training_rows(9, results, DataArguments(corpus="meld", data_dir="x"))
    assert said in caplog.text
