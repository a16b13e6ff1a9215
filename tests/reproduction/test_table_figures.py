"""Figures of tables from made-up runs: which files, which numbers, and what is said of what is missing."""

import csv
import logging

import numpy as np
import pytest
from table_runs import LABELS, make_run

from hf_mer.reproduction import table_figures as figures
from hf_mer.reproduction.table import Row, RowRuns, SetUp, Table, TableRuns, check_figure
from hf_mer.reproduction.table_figures import draw_table_figures

SUFFIXES = {".csv", ".pdf", ".png"}


def make_table(figures, *rows, published_only=()):
    """A table of `(row, runs)`, in a set-up that is called `generated`."""
    table = Table(
        name="le_mer/table9",
        title="Systems",
        source="nobody",
        system="le_mer",
        scores=("wa", "ua"),
        setups={"generated": SetUp("generated", "le_mer_generated")},
        settings={},
        rows=tuple(row for row, _ in rows),
        published_only=published_only,
        figures=tuple(figures),
    )
    return TableRuns(table, "generated", [RowRuns(row, list(runs), max(2, len(runs))) for row, runs in rows])


def row(name, published=None, **settings):
    return Row(name, f"system {name}", "le_mer", settings, published=published)


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def runs(tmp_path):
    """`runs("A", 0.8)`: two seeds of two folds each, without models."""

    def make(name, right, **settings):
        return [
            make_run(tmp_path / name, None, seed, fold, right, model=False, system="le_mer", **settings)
            for seed in (1, 2)
            for fold in ("Ses01", "Ses02")
        ]

    return make


def test_scores_have_intervals_published_figures_and_ceilings(runs, corpus, tmp_path, caplog):
    made = runs("A", 0.8)
    table = make_table(
        [{"kind": "scores"}],
        (row("A", {"wa": 67.34}), made),
        (row("B"), []),
        published_only=({"title": "Chen", "ua": 75.3},),
    )
    with caplog.at_level(logging.WARNING):
        written = draw_table_figures(table, tmp_path / "figures", {"": corpus})
    assert {path.name for path in written} == {f"scores{suffix}" for suffix in SUFFIXES}
    assert "figure scores: no finished run of B" in caplog.text
    lines = read(tmp_path / "figures" / "scores.csv")
    a, b, chen = [line for line in lines if line["score"] == "wa"]
    scores = [run.results["test"]["scores"]["wa"] for run in made]
    assert float(a["mean"]) == pytest.approx(np.mean(scores))
    assert float(a["low"]) < float(a["mean"]) < float(a["high"])
    assert float(a["published"]) == pytest.approx(0.6734)
    assert float(a["ceiling"]) == pytest.approx(0.81)
    assert (a["runs"], b["runs"], b["mean"], chen["title"], chen["published"]) == ("4", "0", "", "Chen", "")


def test_a_single_run_has_the_interval_over_its_utterances(tmp_path):
    run = make_run(tmp_path / "A", model=False, system="le_mer")
    draw_table_figures(make_table([{"kind": "scores"}], (row("A"), [run])), tmp_path / "figures")
    line = read(tmp_path / "figures" / "scores.csv")[0]
    assert [float(line[name]) for name in ("low", "high")] == run.results["test"]["intervals_95"]["wa"]


def test_a_sweep_is_over_the_rows_that_set_it(runs, tmp_path):
    figure = {"kind": "sweep", "setting": "loss_weights.guide", "scale": "symlog", "xlabel": "weight"}
    table = make_table(
        [figure],
        (row("none", loss_weights={"guide": 0}), runs("none", 0.5)),
        (row("base"), runs("base", 0.5)),
        (row("one", {"wa": 80.0}, loss_weights={"guide": 1.0}), runs("one", 0.9)),
    )
    written = draw_table_figures(table, tmp_path / "figures")
    assert {path.name for path in written} == {f"sweep_loss_weights_guide{suffix}" for suffix in SUFFIXES}
    lines = read(tmp_path / "figures" / "sweep_loss_weights_guide.csv")
    assert [(line["row"], line["loss_weights.guide"], line["score"]) for line in lines] == [
        ("none", "0", "wa"), ("one", "1.0", "wa"), ("none", "0", "ua"), ("one", "1.0", "ua")
    ]  # fmt: skip
    assert [line["published"] for line in lines] == ["", "0.8", "", ""]
    assert float(lines[0]["mean"]) < float(lines[1]["mean"])


def test_a_named_row_of_a_sweep_may_have_the_setting_from_elsewhere(runs, tmp_path, caplog):
    rows = (row("base"), runs("base", 0.5, tonal_top_k=100)), (row("ten", tonal_top_k=10), runs("ten", 0.5))
    figure = {"kind": "sweep", "setting": "tonal_top_k", "name": "k"}
    draw_table_figures(make_table([{**figure, "rows": ["base", "ten"]}], *rows), tmp_path)
    assert [line["tonal_top_k"] for line in read(tmp_path / "k.csv")] == ["100", "10"] * 2
    same = (row("other", tonal_top_k=10), runs("other", 0.5))
    assert not draw_table_figures(make_table([figure], rows[1], same), tmp_path / "none")
    assert "rows ten, other all have tonal_top_k=10; name the rows" in caplog.text


def test_confusions_are_sums_over_folds_and_means_over_seeds(runs, tmp_path):
    made = runs("A", 0.6)
    draw_table_figures(make_table([{"kind": "confusion", "rows": ["A"]}], (row("A"), made)), tmp_path / "figures")
    lines = read(tmp_path / "figures" / "confusion.csv")
    matrices = [np.array(run.results["test"]["confusion"]["matrix"]) for run in made]
    seeds = [matrices[0] + matrices[1], matrices[2] + matrices[3]]
    shares = np.stack([matrix / matrix.sum(axis=1, keepdims=True) for matrix in seeds])
    np.testing.assert_allclose([float(line["share"]) for line in lines], shares.mean(axis=0).ravel())
    np.testing.assert_allclose([float(line["deviation"]) for line in lines], shares.std(axis=0, ddof=1).ravel())
    assert [(line["true"], line["predicted"]) for line in lines[:2]] == [("angry", "angry"), ("angry", "happy")]


def test_rows_of_other_classes_get_a_figure_of_their_own(runs, tmp_path):
    made = runs("A", 0.6)
    others = runs("B", 0.6)
    for run in others:
        run.results["test"]["confusion"]["labels"] = ["anger", *LABELS[1:]]
    written = draw_table_figures(make_table([{"kind": "confusion"}], (row("A"), made), (row("B"), others)), tmp_path)
    assert {path.stem for path in written} == {"confusion_A", "confusion_B"}


def test_representations_of_the_same_utterances_side_by_side(corpus, tmp_path, caplog):
    one, two = (make_run(tmp_path / name, corpus, alignment_order=order) for name, order in (("S0", None), ("S4", [])))
    other_fold = make_run(tmp_path / "S1", corpus, fold="Ses04", model=False)
    no_model = make_run(tmp_path / "S2", corpus, model=False)
    made = {"S0": one, "S4": two, "S1": other_fold, "S2": no_model}
    table = make_table([{"kind": "tsne"}], *((row(name), [run]) for name, run in made.items()))
    with caplog.at_level(logging.WARNING):
        written = draw_table_figures(table, tmp_path / "figures", {"": corpus}, "cpu")
    assert {path.name for path in written} == {f"tsne{suffix}" for suffix in SUFFIXES}
    assert "S1 left out, without a run of seed 1 and fold Ses05" in caplog.text
    assert "row S2 left out" in caplog.text
    lines = read(tmp_path / "figures" / "tsne.csv")
    ids = {name: [line["id"] for line in lines if line["row"] == name] for name in ("S0", "S4")}
    assert ids["S0"] == ids["S4"]
    assert len(ids["S0"]) == 2 * one.results["rows"]["test"]
    assert {line["modality"] for line in lines} == {"text", "speech"}
    assert len({line["silhouette"] for line in lines}) == 2


def test_models_need_to_know_where_the_corpus_is(corpus, tmp_path, caplog):
    run = make_run(tmp_path / "A", corpus)
    figures = [{"kind": "tsne"}, {"kind": "gates"}, {"kind": "attention"}]
    with caplog.at_level(logging.WARNING):
        assert draw_table_figures(make_table(figures, (row("A"), [run])), tmp_path / "figures", device="cpu") == []
    assert "row A: the folder of its corpus is not known" in caplog.text
    assert "no row has a model with label embeddings" in caplog.text


def test_gates_need_three_modalities(corpus, tmp_path, caplog):
    run = make_run(tmp_path / "A", corpus)
    written = draw_table_figures(
        make_table([{"kind": "gates"}], (row("A"), [run])), tmp_path / "f", {"A": corpus}, "cpu"
    )
    assert written == []
    assert "no row has a model with gates" in caplog.text


@pytest.mark.slow
def test_label_attention_of_every_class(corpus, tmp_path):
    run = make_run(tmp_path / "A", corpus, system="le_mer", text_label_init="random", tonal_label_init="random")
    table = make_table([{"kind": "attention"}], (row("C1"), [run]))
    written = draw_table_figures(table, tmp_path / "figures", {"": corpus}, "cpu")
    assert {path.stem for path in written} == {f"attention_C1_{label}" for label in LABELS}
    lines = read(tmp_path / "figures" / "attention_C1_sad.csv")
    assert {line["unit"] for line in lines} == {"word", "frame"}
    assert all(-1 <= float(line[label]) <= 1 for line in lines for label in LABELS)


def test_a_figure_that_fails_loses_nothing_else(runs, tmp_path, monkeypatch, caplog):
    def fail(source, figure):
        raise RuntimeError("out of ink")

    monkeypatch.setitem(figures.DRAWN_BY, "confusion", fail)
    table = make_table([{"kind": "confusion"}, {"kind": "scores"}, {"kind": "scores"}], (row("A"), runs("A", 0.6)))
    written = draw_table_figures(table, tmp_path / "figures")
    assert {path.stem for path in written} == {"scores", "scores_2"}
    assert "out of ink" in caplog.text
    again = draw_table_figures(table, tmp_path / "again")
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]  # to the last byte


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ({"kind": "swep"}, "figures: kind: 'swep' is not known; did you mean sweep?"),
        ({"kind": "violin"}, "choices: scores, sweep, confusion, tsne, gates, attention"),
        ({"kind": "sweep"}, "figure sweep: setting is missing"),
        ({"kind": "sweep", "setting": "tonal_topk"}, "'tonal_topk' is not known; did you mean tonal_top_k"),
        ({"kind": "sweep", "setting": "tonal_top_k", "scale": "lg"}, "figure sweep: scale: 'lg' is not known"),
        ({"kind": "tsne", "rows": "S0"}, "figure tsne: rows must be a list of rows' names, not 'S0'"),
        ({"kind": "tsne", "setting": "tonal_top_k"}, "figure tsne: 'setting' is not known"),
        ({"kind": "scores", "published": "no"}, "published must be true or false, not 'no'"),
    ],
)
def test_figures_that_cannot_be_are_refused_before_any_work(figure, message, runs, tmp_path):
    with pytest.raises(ValueError) as found:  # noqa: PT011
        check_figure(figure)
    assert message in str(found.value)
    with pytest.raises(ValueError):  # noqa: PT011
        draw_table_figures(make_table([{"kind": "scores"}, figure], (row("A"), runs("A", 0.6))), tmp_path / "figures")
    assert not (tmp_path / "figures").exists()
