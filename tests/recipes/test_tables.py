"""The tables of `recipes/tables`: every one loads, resolves to settings that fit its systems, and shares its runs."""

import re
from pathlib import Path

import pytest

from hf_mer.reproduction.row_settings import Resolver
from hf_mer.reproduction.table import load_table, table_names
from hf_mer.training.settings.checking import check_settings
from hf_mer.training.settings.parsing import read_yaml

RECIPES = Path(__file__).parents[2] / "recipes"
TABLES, CONFIGS = RECIPES / "tables", RECIPES / "configs"
NAMES = table_names(TABLES)
DATA_DIRS = {name: f"corpora/{name}" for name in ("", "meld", "manifest", "en", "de", "pl", "zh")}


@pytest.fixture(scope="module")
def system():
    """`system("generated", "le_mer/table1:A5")`: what a row resolves to in a set-up."""
    resolvers = {}

    def resolve(setup, reference):
        name, _, row = reference.rpartition(":")
        table = load_table(name, TABLES)
        resolver = resolvers.setdefault(setup, Resolver(setup, DATA_DIRS, (), TABLES, CONFIGS))
        return resolver.system(table, table.row(row))

    return resolve


def test_the_papers_tables_are_there():
    assert {f"le_mer/{name}" for name in ("table1", "table2", "table3", "figure3")} <= set(NAMES)
    assert {f"mgcma/table{number}" for number in (1, 2, 3)} <= set(NAMES)
    assert {f"wavfusion/table{number}" for number in (1, 2, 3, 4, 5, 6)} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_rows_resolve_to_settings_that_go_together(name, system):
    table = load_table(name, TABLES)
    for setup in table.setups:
        for row in table.rows:
            arguments = system(setup, f"{name}:{row.name}").arguments(Path("out"), seed=2)
            assert arguments.training.seed == 2
            if arguments.model is not None:
                check_settings(arguments.model, arguments.data, arguments.store, arguments.training)


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_a_table_are_different_systems(name, system):
    table = load_table(name, TABLES)
    for setup in table.setups:
        keys = [system(setup, f"{name}:{row.name}").key for row in table.rows]
        assert len(set(keys)) == len(keys)


SAME = {
    "LE-MER": (
        "le_mer/table2:C1", "le_mer/table3:C1", "le_mer/modalities:C1", "le_mer/constraint_weight:mu0.5",
        "le_mer/transcripts:C1", "le_mer/classes:iemocap4", "baselines:le_mer",
    ),
    "A2": ("le_mer/table1:A2", "le_mer/modalities:A2", "baselines:text"),
    "A5": ("le_mer/table1:A5", "le_mer/table2:A5", "le_mer/modalities:A5", "le_mer/text_k:K9", "le_mer/transcripts:A5"),
    "B2": ("le_mer/table1:B2", "le_mer/modalities:B2", "baselines:speech"),
    "B5": ("le_mer/table1:B5", "le_mer/table2:B5", "le_mer/modalities:B5", "le_mer/figure3:K100"),
    "C4": ("le_mer/table3:C4", "le_mer/modalities:C4"),
    "MGCMA": ("mgcma/table1:S0", "mgcma/table2:S0", "mgcma/table3:S0", "mgcma/modalities:S0", "baselines:mgcma"),
    "S4": ("mgcma/table2:S4", "mgcma/modalities:S4", "baselines:concatenation"),
    "WavFusion": (
        "wavfusion/table1:A+V+T", "wavfusion/table3:A+V+T", "wavfusion/table4:with_LVC", "wavfusion/table5:lambda1",
        "wavfusion/table6:deep3", "wavfusion/gate:learned",
    ),
}  # fmt: skip


@pytest.mark.parametrize("setup", ["iemocap", "generated"])
@pytest.mark.parametrize("rows", SAME.values(), ids=SAME)
def test_rows_that_mean_the_same_are_one_run(setup, rows, system):
    assert len({system(setup, row).key for row in rows}) == 1


def test_rows_that_mean_the_same_in_one_set_up_alone(system):
    assert system("iemocap", "le_mer/history:H10").key == system("iemocap", "le_mer/table1:A5").key
    assert system("generated", "le_mer/history:H3").key == system("generated", "le_mer/table1:A5").key
    assert system("generated", "wavfusion/table2:A+V+T").key == system("generated", "wavfusion/table1:A+V+T").key
    assert system("meld", "wavfusion/table2:A+V+T").key == system("meld", "wavfusion/gate:learned").key


@pytest.mark.parametrize("setup", ["iemocap", "generated"])
def test_runs_of_one_fold_share_their_second_stage(setup, system):
    rows = [("le_mer/table1", name) for name in ("B2", "B3", "B4", "B5")]
    rows += [("le_mer/table3", name) for name in ("C1", "C2", "C3", "C4")]
    rows += [("le_mer/transcripts", "C1-trained-0.4"), ("le_mer/modalities", "C1-dropout")]
    assert len({system(setup, f"{table}:{row}").pretraining_key for table, row in rows}) == 1
    assert system(setup, "le_mer/table1:B1").pretraining_key is None


@pytest.mark.parametrize("name", NAMES)
def test_the_second_stage_is_that_of_its_settings_file(name):
    for setup in load_table(name, TABLES).setups.values():
        if setup.pretraining:
            settings = read_yaml(CONFIGS / f"pretrain_{setup.name}.yaml")
            assert setup.pretraining.items() <= settings.items()


def test_a_rows_settings_in_one_set_up_alone(system):
    """RAVDESS in `le_mer/classes` is trained as by its own settings file where the other rows are generated voices."""
    row = load_table("le_mer/classes", TABLES).row("manifest8")
    own, common = read_yaml(CONFIGS / "le_mer_ravdess.yaml"), read_yaml(CONFIGS / "tables_le_mer.yaml")
    assert row.setups.keys() == {"generated"}
    assert all(own[name] == value for name, value in row.setups["generated"].items())
    elsewhere = {"output_dir", "columns", "save_strategy", "dataloader_num_workers"}  # not how it is trained
    differing = {name for name, value in own.items() if common.get(name) != value}
    assert differing - elsewhere - row.settings.keys() <= row.setups["generated"].keys()
    generated, iemocap = (system(setup, "le_mer/classes:manifest8").settings for setup in ("generated", "iemocap"))
    assert all(generated[name] == value for name, value in row.setups["generated"].items())
    assert (generated["validation"], iemocap["validation"]) == ("none", "group")
    assert generated["num_train_epochs"] == own["num_train_epochs"] != iemocap["num_train_epochs"]


def test_models_of_other_rows(system):
    fusion = system("generated", "le_mer/table2:score_fusion")
    assert fusion.uses["unimodal_text"].key == system("generated", "le_mer/table2:A5").key
    assert fusion.uses["unimodal_speech"].key == system("generated", "le_mer/table2:B5").key
    for rate in ("0.05", "0.1", "0.2", "0.4"):
        for name, trained in (("C1", "le_mer/table3:C1"), ("A5", "le_mer/table1:A5")):
            heard = system("generated", f"le_mer/transcripts:{name}-{rate}")
            assert heard.uses["checkpoint"].key == system("generated", trained).key


def test_published_figures_are_those_of_one_system_everywhere(system):
    """A run that several tables ask for has one published figure; MELD's, with IEMOCAP's, has two."""
    found = {}
    for name in NAMES:
        table = load_table(name, TABLES)
        if "iemocap" not in table.setups:
            continue
        for row in table.rows:
            if row.published is not None:
                scores = found.setdefault(system("iemocap", f"{name}:{row.name}").key, (f"{name}:{row.name}", {}))
                for score, value in row.published.items():
                    assert scores[1].setdefault(score, value) == value, (scores[0], f"{name}:{row.name}")


COUNTS = {  # rows with published figures, and systems of others
    "le_mer/table1": (10, 0), "le_mer/table2": (4, 6), "le_mer/table3": (4, 0),
    "mgcma/table1": (1, 6), "mgcma/table2": (5, 0), "mgcma/table3": (6, 0),
    "wavfusion/table1": (1, 8), "wavfusion/table2": (1, 5), "wavfusion/table3": (6, 0),
    "wavfusion/table4": (2, 0), "wavfusion/table5": (5, 0), "wavfusion/table6": (5, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_every_figure_of_the_papers_is_there(name):
    table = load_table(name, TABLES)
    published = [row.published for row in table.rows if row.published]
    assert (len(published), len(table.published_only)) == COUNTS[name]
    assert all(set(scores) == set(table.scores) for scores in published)
    assert all(set(other) <= {"title", *table.scores} and len(other) > 1 for other in table.published_only)
    for scores in (*published, *table.published_only):
        assert all(20 < value < 100 for key, value in scores.items() if key != "title")  # in %


@pytest.mark.parametrize("name", NAMES)
def test_claims_hold_in_the_papers_own_figures(name):
    table = load_table(name, TABLES)
    for claim in table.claims:
        better, than = table.row(claim.better).published, table.row(claim.than).published
        if better is not None and than is not None:
            assert all(better[score] > than[score] for score in better), claim


@pytest.mark.parametrize("name", NAMES)
def test_a_table_says_how_it_is_run_and_what_is_whose(name):
    text = (TABLES / f"{name}.yaml").read_text(encoding="utf-8")
    header = " ".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    for setup in load_table(name, TABLES).setups:
        assert re.search(rf"recipes/reproduce\.py --table {re.escape(name)} --corpus {setup}\b", header)
    assert "this project" in header.lower()
    assert max(len(line) for line in text.splitlines()) <= 160
