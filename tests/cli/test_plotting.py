"""`hf-mer plot`: figures out of files."""

import csv
import json

from hf_mer.cli import main

HEADS = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}


def test_everything_in_every_format(fold, tmp_path, capsys):
    out = tmp_path / "figures"
    assert main(["plot", str(fold), "--out", str(out), "--format", "png", "pdf", "svg"]) == 0
    names = {"confusion_matrix", "training_curves", "label_keywords", "layer_weights"}
    assert {path.name for path in out.iterdir()} == {
        f"{name}{suffix}" for name in names for suffix in (*HEADS, ".csv")
    }
    assert all(path.read_bytes().startswith(HEADS[path.suffix]) for path in out.iterdir() if path.suffix in HEADS)
    assert len(capsys.readouterr().out.splitlines()) == 12
    with (out / "confusion_matrix.csv").open() as file:
        assert list(csv.reader(file))[1] == ["angry", "5", "1", "0", "0"]
    with (out / "layer_weights.csv").open() as file:
        assert list(csv.reader(file))[:3] == [
            ["modality", "layer", "weight"],
            ["speech", "0", "0.25"],
            ["speech", "1", "0.5"],
        ]


def test_every_fold_of_a_folder(fold, tmp_path):
    (fold.parent / "Ses02").mkdir()
    (fold.parent / "Ses02" / "results.json").write_text((fold / "results.json").read_text())
    (fold.parent / "results.json").write_text(json.dumps({"folds": []}))  # of the experiment: no fold
    assert main(["plot", str(fold.parent), "--out", str(tmp_path / "out"), "--what", "confusion"]) == 0
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")}
    assert found == {"Ses01/confusion_matrix.png", "Ses02/confusion_matrix.png"}


def test_a_model_and_a_file(fold, tmp_path):
    for path, what in ((fold / "results.json", "curves"), (fold / "model", "keywords")):
        assert main(["plot", str(path), "--out", str(tmp_path / what), "--what", what]) == 0
        assert len(list((tmp_path / what).glob("*.png"))) == 1


def test_nothing_to_draw(fold, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["plot", str(tmp_path / "empty")]) == 1
    assert "no results.json of a fold and no label_store.json" in capsys.readouterr().err
    (fold / "results.json").write_text('{"fold": "Ses01", "test": {}}')
    assert main(["plot", str(fold), "--what", "confusion"]) == 1
    assert "nothing to plot for confusion" in capsys.readouterr().err
    (fold / "results.json").write_text("{")
    assert main(["plot", str(fold)]) == 1
    assert "results.json is damaged" in capsys.readouterr().err


def test_a_model_that_reads_no_words_has_no_keywords_to_draw(fold, tmp_path, capsys):
    path = fold / "model" / "label_store.json"
    store = json.loads(path.read_text())
    path.write_text(json.dumps({**store, "keywords": {label: [] for label in store["labels"]}}))
    assert main(["plot", str(fold), "--out", str(tmp_path / "figures")]) == 0
    assert "label_keywords" not in capsys.readouterr().out
    assert main(["plot", str(fold), "--what", "keywords"]) == 1
    assert "nothing to plot for keywords" in capsys.readouterr().err
