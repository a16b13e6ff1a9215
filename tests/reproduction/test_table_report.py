"""Reports of tables with made-up runs whose numbers are computed by hand."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from hf_mer.reproduction.predictions import compare_predictions
from hf_mer.reproduction.table import Claim, Row, RowRuns, Run, SetUp, Table, TableRuns
from hf_mer.reproduction.table_report import read_report, report, summary, write_report

LABELS = ["angry", "happy", "sad"]
COMMAND = "accelerate launch recipes/reproduce.py --table le_mer/table1 --corpus generated --data_dir corpus --seeds 3"
TABLE = Table(
    name="le_mer/table1",
    title="Unimodal systems",
    source="LE-MER, Table 1",
    system="le_mer",
    scores=("wa", "ua"),
    setups={"generated": SetUp("generated", "le_mer_generated", {"max_history": 3}, "one_per_seed", seeds=3)},
    settings={},
    rows=(
        Row("A1", "BERT", "le_mer", published={"wa": 67.34, "ua": 67.66}),
        Row("A2", "BERT | history", "le_mer", published={"wa": 74.0}),
        Row("B1", "wav2vec 2.0", "le_mer"),
    ),
    published_only=({"title": "Chen (key-sparse)", "wa": 74.3, "ua": 75.3}, {"title": "Hou", "ua": 75.6}),
    claims=(
        Claim("A2", "A1", "history helps"),
        Claim("A1", "A2", "history hurts"),
        Claim("B1", "A1", "voice is more than words"),
    ),
)


def make_run(root, system, seed, fold, wa, ua, **more):
    results = {
        "fold": fold,
        "rows": {"train": 600, "validation": 200, "test": 200},
        "settings": {"data": {"protocol": "leave_one_session_out"}},
        "parameters": {"all": 1_234_567, "trained": 2_100},
        "test": {"scores": {"wa": wa, "ua": ua, "wf1": wa}},
        "history": [{"loss": 1.0}],
        "minutes": 2.5,
        "peak_memory_mib": {"host": 800.0 + seed},
        "environment": {
            "command": f"seed {seed}",
            "device": "x86_64 CPU, 1 threads",
            "processes": 1,
            "python": "3.11.7",
            "versions": {"hf_mer": "0.1.0", "torch": "2.11.0"},
        },
        **more,
    }
    return Run(seed, fold, root / "runs" / system / f"seed{seed}" / fold, results)


def write_predictions(run, ids, truth, predicted):
    run.folder.mkdir(parents=True, exist_ok=True)
    with (run.folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "prediction", *LABELS])
        for row_id, label, prediction in zip(ids, truth, predicted, strict=True):
            writer.writerow([row_id, LABELS[label], LABELS[prediction], 0.1, 0.2, 0.7])


def make_rows(expected=3, **runs):
    rows = [RowRuns(row, runs.get(row.name, []), expected) for row in TABLE.rows]
    return TableRuns(TABLE, "generated", rows)


A1 = {(1, "Ses01"): (0.60, 0.50), (2, "Ses02"): (0.62, 0.54), (3, "Ses03"): (0.64, 0.52)}
A2 = {(1, "Ses01"): (0.70, 0.50), (2, "Ses02"): (0.73, 0.55), (3, "Ses03"): (0.745, 0.53)}


@pytest.fixture
def table(tmp_path):
    """Three seeds with a fold of their own for A1 and A2; A2 is better by 10, 11 and 10.5 points in WA."""
    runs = {"A1": [], "A2": []}
    for name, scores in (("A1", A1), ("A2", A2)):
        for (seed, fold), (wa, ua) in scores.items():
            run = make_run(tmp_path, f"le_mer-{name}", seed, fold, wa, ua)
            rng = np.random.default_rng(seed)
            ids, truth = [f"{fold}F_impro{i // 5:02d}_F{i:03d}" for i in range(60)], rng.integers(0, 3, 60)
            right = np.arange(60) % 10 < (9 if name == "A2" else 5)
            order = rng.permutation(60)  # files are sorted by length, which systems may see differently
            write_predictions(run, np.array(ids)[order], truth[order], np.where(right, truth, (truth + 1) % 3)[order])
            runs[name].append(run)
    return make_rows(**runs)


def by_name(content):
    return {row["row"]: row for row in content["rows"]}


def test_rows_by_hand(table):
    content = report(table, COMMAND)
    assert content["protocol"] == {
        "name": "leave_one_session_out",
        "units": "runs",
        "seeds": [1, 2, 3],
        "folds": ["Ses01", "Ses02", "Ses03"],
        "test_share": pytest.approx(0.2),
    }
    row = by_name(content)["A1"]
    margin = stats.t.ppf(0.975, 2) * 2 * np.sqrt(1 / 3 + 1 / 4)
    assert row["scores"]["wa"] == {
        "mean": pytest.approx(62),
        "deviation": {"runs": pytest.approx(2)},
        "interval_95": pytest.approx([62 - margin, 62 + margin]),
        "units": 3,
    }
    assert (row["finished"], row["expected"], row["minutes"]) == (3, 3, 2.5)
    assert row["peak_memory_mib"] == {"host": 803.0}
    assert row["runs"][0]["run"] == "le_mer-A1/seed1/Ses01"
    assert by_name(content)["B1"]["scores"] is None
    assert content["environments"][0]["runs"] == 6
    assert "loss" not in json.dumps(content["rows"])  # the log of a training stays with its run
    json.dumps(content, allow_nan=False)


def test_claims_by_hand(table):
    helps, hurts, voice = report(table, COMMAND)["claims"]
    found, error = helps["scores"]["wa"], 0.5 * np.sqrt(1 / 3 + 1 / 4)
    p_value = 2 * stats.t.sf(10.5 / error, 2)
    assert found["difference"] == pytest.approx(10.5)
    assert found["deviation"] == pytest.approx(0.5)
    assert found["interval_95"] == pytest.approx([10.5 + sign * stats.t.ppf(0.975, 2) * error for sign in (-1, 1)])
    assert found["p"] == pytest.approx(p_value)
    assert found["p_holm"] == pytest.approx(2 * p_value)  # of the three claims two could be tested
    assert found["p_sign_flip"] == pytest.approx(2 / 8)
    assert found["p_uncorrected"] == pytest.approx(2 * stats.t.sf(10.5 / (0.5 / np.sqrt(3)), 2))
    assert found["verdict"] == "holds"
    assert helps["published"] == {"wa": pytest.approx(6.66)}  # no published UA of A2
    assert hurts["scores"]["wa"]["verdict"] == "does not hold"
    assert helps["scores"]["ua"]["verdict"] == "not decided"  # 0, 1 and 1 point
    assert voice["scores"] == {"wa": {"verdict": "not measured"}, "ua": {"verdict": "not measured"}}
    assert (helps["finished"], voice["finished"]) == (3, 0)


def test_bootstrap_pools_the_utterances_of_common_runs(table):
    found = report(table, COMMAND)["claims"][0]["scores"]["wa"]["utterances"]
    assert found["difference"] == pytest.approx(40)  # 9 of 10 against 5 of 10, whatever the order of the files
    assert found["interval_95"][0] > 20
    assert (found["utterances"], found["groups"]) == (180, 36)
    assert found["p"] == pytest.approx(2 / 1001)
    assert found["p_mcnemar"] == pytest.approx(2 * 0.5**72)


def test_utterances_that_several_seeds_test_stay_together(tmp_path):
    rng = np.random.default_rng(0)
    ids, truth = [f"utterance{i}" for i in range(100)], rng.integers(0, 3, 100)
    says = [np.where(rng.random(100) < share, truth, (truth + 1) % 3) for share in (0.6, 0.5)]
    pairs = []
    for seed in range(4):
        runs = [make_run(tmp_path, system, seed, "official", 0.5, 0.5) for system in ("a", "b")]
        for run, predicted in zip(runs, says, strict=True):
            write_predictions(run, ids, truth, predicted)
        pairs.append(tuple(run.folder / "predictions.csv" for run in runs))
    once, often = compare_predictions(pairs[:1], 1000)["wa"], compare_predictions(pairs, 1000)["wa"]
    assert often["interval_95"] == pytest.approx(once["interval_95"], abs=2.5)
    assert often["utterances"] == often["groups"] == 100
    assert "p_mcnemar" in once
    assert "p_mcnemar" not in often


def test_files_that_cannot_be_compared(tmp_path):
    runs = [make_run(tmp_path, system, 1, "Ses01", 0.5, 0.5) for system in ("a", "b")]
    paths = [run.folder / "predictions.csv" for run in runs]
    write_predictions(runs[0], ["u1", "u2"], [0, 1], [0, 1])
    assert compare_predictions([tuple(paths)], 100) == {}  # the other has none
    write_predictions(runs[1], ["u1", "u2"], [0, 2], [0, 1])
    with pytest.raises(ValueError, match=r"utterance 'u2' has one label in .*a/seed1.* and another in .*b/seed1"):
        compare_predictions([tuple(paths)], 100)
    write_predictions(runs[1], ["u1", "u3"], [0, 2], [0, 1])
    assert compare_predictions([tuple(paths)], 100) == {}  # one common utterance
    write_predictions(runs[1], ["u1", "u2", "u3"], [0, 1, 1], [1, 1, 1])  # a file that was written again is read again
    assert compare_predictions([tuple(paths)], 100)["wa"]["difference"] == 50
    write_predictions(runs[0], ["a", "u1", "u2"], [2, 0, 1], [0, 0, 1])  # and what only one of them has is left out
    found = compare_predictions([tuple(paths)], 100)["wa"]
    assert (found["difference"], found["utterances"]) == (50, 2)


def cross_validation(root, missing=()):
    """Two seeds over three folds: seed means 0.6 and 0.64, fold means 0.6, 0.62 and 0.64."""
    scores = {
        (1, "Ses01"): 0.59, (1, "Ses02"): 0.60, (1, "Ses03"): 0.61,
        (2, "Ses01"): 0.61, (2, "Ses02"): 0.64, (2, "Ses03"): 0.67,
    }  # fmt: skip
    return [
        make_run(root, "le_mer-A1", seed, fold, wa, wa)
        for (seed, fold), wa in scores.items()
        if (seed, fold) not in missing
    ]


def test_folds_are_the_units_where_every_seed_runs_all(tmp_path):
    content = report(make_rows(expected=6, A1=cross_validation(tmp_path)), COMMAND)
    assert content["protocol"]["units"] == "folds"
    score = by_name(content)["A1"]["scores"]["wa"]
    assert score["mean"] == pytest.approx(62)
    assert score["deviation"] == {"seeds": pytest.approx(np.sqrt(8)), "folds": pytest.approx(2)}
    margin = stats.t.ppf(0.975, 2) * 2 * np.sqrt(1 / 3 + 1 / 4)
    assert score["interval_95"] == pytest.approx([62 - margin, 62 + margin])
    assert score["units"] == 3


def test_a_seed_that_is_not_through_does_not_count_as_one(tmp_path):
    runs = make_rows(expected=6, A1=cross_validation(tmp_path, missing=[(2, "Ses03")]))
    score = by_name(report(runs, COMMAND))["A1"]["scores"]["wa"]
    assert score["deviation"] == {"seeds": None, "folds": pytest.approx(np.std([60, 62, 61], ddof=1))}
    assert score["mean"] == pytest.approx(61)


def test_seeds_are_the_units_of_one_fold(tmp_path):
    runs = [make_run(tmp_path, "le_mer-A1", seed, "official", wa, wa) for seed, wa in enumerate((0.6, 0.62, 0.64), 1)]
    flat = [make_run(tmp_path, "le_mer-A2", seed, "official", 0.7, 0.7) for seed in (1, 2, 3)]
    content = report(make_rows(A1=runs, A2=flat), COMMAND)
    assert (content["protocol"]["units"], content["protocol"]["test_share"]) == ("seeds", None)
    margin = stats.t.ppf(0.975, 2) * 2 / np.sqrt(3)  # another seed is another unit: nothing to correct
    assert by_name(content)["A1"]["scores"]["wa"]["interval_95"] == pytest.approx([62 - margin, 62 + margin])
    assert by_name(content)["A2"]["scores"]["wa"]["interval_95"] is None
    assert content["claims"][0]["scores"]["wa"]["utterances"] is None  # no predictions


def test_rows_that_are_one_system(table):
    runs = table.rows[0].runs[:2]
    content = report(TableRuns(TABLE, "generated", [RowRuns(row, runs, 3) for row in TABLE.rows]), COMMAND)
    assert content["claims"][0]["scores"]["wa"]["verdict"] == "not decided"  # a system is not better than itself
    assert "6 results come from 2 runs (5 min)" in summary([content])


def test_a_report_that_was_written_before_is_still_read(table, tmp_path):
    """Of an earlier version, which noted what runs had shared."""
    earlier = {**report(table, COMMAND), "sharing": {"stages": {}, "runs": []}}
    (tmp_path / "results.json").write_text(json.dumps(earlier))
    assert summary([read_report(tmp_path)]) == summary([report(table, COMMAND)])


@pytest.mark.parametrize("finished", [0, 1, 2])
def test_tables_that_have_just_begun(table, finished, tmp_path):
    for row in table.rows:
        del row.runs[finished:]
    write_report(table, tmp_path / "out", COMMAND)
    text = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    assert "nan" not in text
    assert "None" not in text
    assert f"- Runs: {2 * finished} of 9" in text
    assert ("No run is finished yet." in text) == (finished == 0)
    if finished == 1:
        assert "| A1 | BERT | 60.00 | 67.34 |" in text
        assert "WA +10.00 (no interval) (published: +6.66); bootstrap" in text
        assert "**not decided** so far" in text
    json.loads((tmp_path / "out" / "results.json").read_text(), parse_constant=pytest.fail)


def test_settings_files_of_several_systems_are_named_once(table, tmp_path):
    setup = SetUp("generated", {"le_mer": "small", "majority": "small", "mgcma": "other"})
    table = replace(table, table=replace(TABLE, setups={"generated": setup}))
    write_report(table, tmp_path / "out", COMMAND)
    assert "- Set-up: `generated`, settings `small`, `other`\n" in (tmp_path / "out" / "results.md").read_text()


PAGE = r"""# Unimodal systems

LE-MER, Table 1 \(`le_mer/table1`\), run again\.

- Set-up: `generated`, settings `le_mer_generated`
- Protocol: leave_one_session_out
- Seeds 1, 2, 3; folds Ses01, Ses02, Ses03
- Runs: 6 of 9

Scores are in %\. Every seed tests a fold of its own, so that a run is a unit: ± is the deviation over the runs, \[ \] the 95 % interval of the mean by the t distribution, corrected for the training rows that folds share \(Nadeau and Bengio, 2003; test share 0\.20\)\.

\|  \| System \| WA \| published \| UA \| published \| Runs \| Parameters \(trained\) \| Minutes a run \| Peak memory, MiB \|
(?:\| --- ){10}\|
\| A1 \| BERT \| 62\.00 ± 2\.00 \[55\.43, 68\.57\] \| 67\.34 \| 52\.00 ± 2\.00 \[45\.43, 58\.57\] \| 67\.66 \| 3 of 3 \| 1\.2 M \(2\.1 k\) \| 2\.5 \| host 803 \|
\| A2 \| BERT \\\| history \| 72\.50 ± 2\.29 \[64\.97, 80\.03\] \| 74\.00 \| 52\.67 ± 2\.52 \[44\.40, 60\.94\] \| - \| 3 of 3 \| 1\.2 M \(2\.1 k\) \| 2\.5 \| host 803 \|
\| B1 \| wav2vec 2\.0 \| not measured \| - \| not measured \| - \| 0 of 3 \| - \| - \| - \|

## Published systems of others

\| System \| WA \| UA \|
\| --- \| --- \| --- \|
\| Chen \(key-sparse\) \| 74\.30 \| 75\.30 \|
\| Hou \| - \| 75\.60 \|

## Claims

Differences of runs with the same seed and fold[^\n]+

- history helps: A2 \(BERT \| history\) over A1 \(BERT\), 3 of 3 runs
  - WA \+10\.50 \[8\.86, 12\.14\] \(published: \+6\.66\); p = 0\.001 \(Holm 0\.003\); sign flips p = 0\.250; bootstrap \+40\.00 \[\d\d\.\d\d, \d\d\.\d\d\], p = 0\.002; McNemar p < 0\.001; \*\*holds\*\*
  - UA \+0\.67 \[-1\.23, 2\.56\]; p = 0\.270 \(Holm 0\.539\); sign flips p = 0\.500; bootstrap \+\d\d\.\d\d \[\d\d\.\d\d, \d\d\.\d\d\], p = 0\.002; \*\*not decided\*\*
- history hurts: A1 \(BERT\) over A2 \(BERT \| history\), 3 of 3 runs
  - WA -10\.50 \[-12\.14, -8\.86\] \(published: -6\.66\); p = 0\.001 \(Holm 0\.003\); [^\n]+; \*\*does not hold\*\*
  - UA -0\.67 [^\n]+; \*\*not decided\*\*
- voice is more than words: B1 \(wav2vec 2\.0\) over A1 \(BERT\), 0 of 3 runs
  - WA not measured
  - UA not measured

## How it was made

```bash
accelerate launch recipes/reproduce\.py --table le_mer/table1 --corpus generated --data_dir corpus --seeds 3
```

6 runs on x86_64 CPU, 1 threads: Python 3\.11\.7, hf_mer 0\.1\.0, torch 2\.11\.0\.
"""


def test_the_whole_page(table, tmp_path):
    write_report(table, tmp_path / "out", COMMAND)
    text = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    for wanted, line in zip(PAGE.splitlines(), text.splitlines(), strict=True):  # says which line is wrong
        assert re.fullmatch(wanted, line), f"{line}\nis not\n{wanted}"
    assert re.fullmatch(PAGE, text)


def test_files(table, tmp_path):
    write_report(table, tmp_path / "out", COMMAND)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "results.csv",
        "results.json",
        "results.md",
        "runs.csv",
    ]
    assert read_report(tmp_path / "out") == json.loads(json.dumps(report(table, COMMAND)))
    lines = list(csv.DictReader((tmp_path / "out" / "results.csv").open(encoding="utf-8")))
    values = {(line["row"], line["title"], line["score"], line["statistic"]): line["value"] for line in lines}
    assert values["A1", "BERT", "wa", "mean"] == "62.0"
    assert values["A1", "BERT", "wa", "deviation_over_runs"] == "2.0"
    assert values["A1", "BERT", "ua", "published"] == "67.66"
    assert float(values["A1", "BERT", "wa", "interval_95_low"]) == pytest.approx(55.4276, abs=1e-4)
    assert values["", "Hou", "ua", "published"] == "75.6"
    assert {key[3] for key in values if key[0] == "B1"} == {"runs", "expected_runs"}
    runs = list(csv.DictReader((tmp_path / "out" / "runs.csv").open(encoding="utf-8")))
    assert len(runs) == 6
    assert runs[0] == {
        "row": "A1",
        "title": "BERT",
        "seed": "1",
        "fold": "Ses01",
        "wa": "60.0",
        "ua": "50.0",
        "test_utterances": "200",
        "minutes": "2.5",
        "host_mib": "801.0",
        "gpu_mib": "",
        "run": "le_mer-A1/seed1/Ses01",
    }


def test_summary_has_a_section_for_each_table(table):
    first = report(table, COMMAND)
    second = {**first, "table": "le_mer/table9", "source": "LE-MER, Table 9", "title": "Another"}
    text = summary([first, second])
    parts = re.split(r"^## ", text, flags=re.MULTILINE)
    assert [part.split("\n")[0] for part in parts[1:]] == [first["title"], "Another"]
    assert (
        "12 claims (one for each score) of 2 tables: 2 holds, 2 does not hold, 4 not decided, 4 not measured." in text
    )
    assert "12 results come from 6 runs (15 min)" in text
    assert "LE-MER, Table 9 (`le_mer/table9`), set-up `generated`: 6 of 9 runs, 15 min." in parts[2]
    lines = [line for line in parts[2].splitlines() if line.startswith("| history helps")]
    assert "| history helps | A2 over A1 | WA | **holds** | +10.5 [8.9, 12.1] |" in lines[0]
    assert lines[0].endswith("| +6.7 | 3 of 3 |")
    assert "| UA | not decided |" in lines[1]
    assert "| history hurts | A1 over A2 | WA | **does not hold** |" in parts[2]
    assert "| voice is more than words | B1 over A1 | UA | not measured | - | - | - | 0 of 3 |" in parts[2]
    assert "| A1 | BERT | 62.00 ± 2.00" in parts[2]
