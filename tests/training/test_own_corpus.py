"""Which settings a training begins with, told by its source."""

from pathlib import Path

import pytest

from hf_mer.training.own_corpus import configuration, settings_for
from hf_mer.training.settings.arguments import DataArguments
from hf_mer.training.settings.parsing import parse_arguments
from hf_mer.training.settings.systems import argument_types

CONFIGS = Path(__file__).parents[2] / "recipes" / "configs"


@pytest.fixture
def table(tmp_path):
    def write(header, *rows):
        path = tmp_path / "calls.csv"
        path.write_text("\n".join([header, *rows]))
        return str(path)

    return write


def read(system, flags):
    """The settings that flags give, as a recipe reads them."""
    types = argument_types(system)
    flags = [part for part in flags if part != "--use_cpu"]
    return dict(zip(types, parse_arguments(types, [*flags, "--use_cpu", "true"]), strict=True))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*_corpus*.yaml")), ids=lambda path: path.stem)
def test_settings_for_own_recordings_are_understood(path, tmp_path):
    system = path.stem.partition("_corpus")[0]
    data = read(system, ["--config", str(path), "--data_dir", str(tmp_path)])[DataArguments]
    assert data.corpus == "manifest"
    assert data.protocol == "groups"


def test_speakers_make_the_folds(table):
    rows = [f"{i}.wav,hm,glad,s{i % 4}" for i in range(8)]
    source = table("audio,text,emotion,speaker", *rows)
    data = read("le_mer", settings_for("le_mer", source))[DataArguments]
    assert (data.protocol, data.group_column, data.num_groups, data.folds) == ("groups", "speaker", 4, ["0"])
    own = settings_for("le_mer", source, ["--num-groups", "3"])
    assert "--num_groups" not in own
    assert "--group_column" in own


def test_a_split_or_groups_of_its_own_come_first(table):
    source = table("audio,text,emotion,speaker,split", "a.wav,hm,glad,s1,train")
    assert read("mgcma", settings_for("mgcma", source))[DataArguments].protocol == "official"
    source = table("audio,text,emotion,speaker,group", *(f"{i}.wav,hm,glad,s{i},g{i % 3}" for i in range(9)))
    assert read("mgcma", settings_for("mgcma", source))[DataArguments].group_column == "group"


def test_without_speakers_there_is_a_warning(table, caplog):
    source = table("audio,emotion", *(f"{i}.wav,glad" for i in range(9)))
    flags = settings_for("le_mer", source)
    assert "a speaker may be in several splits and scores will be too high" in caplog.text
    assert flags[-8:] == [
        "--modalities",
        "speech",
        "--protocol",
        "groups",
        "--group_column",
        "id",
        "--num_groups",
        "5",
    ]


def test_modalities_are_those_of_the_columns(table):
    source = table("text,emotion,speaker", *(f"hm,glad,s{i}" for i in range(5)))
    assert settings_for("le_mer", source)[4:6] == ["--modalities", "text"]
    flags = settings_for("le_mer", source, ["--columns", '{"audio": "text", "text": null}'])
    assert flags[4:6] == ["--modalities", "speech"]


class TestCorpora:
    def test_are_told_by_their_trees(self, tmp_path):
        (tmp_path / "iemocap" / "Session1" / "dialog").mkdir(parents=True)
        assert settings_for("mgcma", str(tmp_path / "iemocap"))[1] == str(configuration("mgcma_iemocap"))
        assert settings_for("baseline", str(tmp_path / "iemocap"))[1] == str(configuration("le_mer_iemocap"))
        (tmp_path / "meld").mkdir()
        (tmp_path / "meld" / "train_sent_emo.csv").write_text("")
        assert settings_for("le_mer", str(tmp_path / "meld"))[1] == str(configuration("le_mer_meld_text"))
        for name in ("iemocap", "meld"):
            (tmp_path / name / "generated.json").write_text("{}")
        assert settings_for("le_mer", str(tmp_path / "iemocap"))[1] == str(configuration("le_mer_generated"))
        assert settings_for("wavfusion", str(tmp_path / "meld"))[1] == str(configuration("wavfusion_generated"))
        with pytest.raises(ValueError, match="in the layout of meld, for which mgcma has no settings"):
            settings_for("mgcma", str(tmp_path / "meld"))

    def test_public_ones_are_told_by_their_files(self, tmp_path, caplog):
        (tmp_path / "wav").mkdir()
        (tmp_path / "wav" / "03a01Fa.wav").touch()
        caplog.set_level("INFO")
        flags = settings_for("le_mer", str(tmp_path), variant="scratch")
        assert flags[1] == str(configuration("le_mer_corpus_scratch"))
        assert flags[-4:] == ["--corpus", "emodb", "--folds", "0"]
        assert "is read as EmoDB (--corpus emodb); --corpus manifest reads it as recordings of your own" in caplog.text
        data = read("le_mer", flags)[DataArguments]
        assert (data.corpus, data.protocol, data.group_column, data.folds) == ("emodb", "groups", "group", ["0"])
        given = [*settings_for("le_mer", str(tmp_path), ["--folds", "all"]), "--folds", "all"]
        assert read("le_mer", given)[DataArguments].folds is None
        named = settings_for("mgcma", str(tmp_path), ["--corpus", "emodb"])
        assert named[2:] == ["--data_dir", str(tmp_path), "--folds", "0"]
        own = settings_for("le_mer", str(tmp_path), ["--corpus", "manifest"])
        assert own[4:] == [
            "--modalities",
            "speech",
            "--protocol",
            "groups",
            "--group_column",
            "id",
            "--num_groups",
            "1",
        ]

    def test_where_to_get_a_public_one_that_is_missing(self, tmp_path):
        with pytest.raises(ValueError, match=r"no such settings file, table or folder\. EmoDB is available at http"):
            settings_for("le_mer", str(tmp_path / "nothing"), ["--corpus", "emodb"])

    def test_a_corpus_that_nobody_knows_is_told_first(self, tmp_path, caplog):
        with pytest.raises(ValueError, match="corpus: 'ravdes' is not one of iemocap, .*ravdess, or the path"):
            settings_for("le_mer", str(tmp_path), ["--corpus", "ravdes"])
        assert not caplog.text

    def test_what_cannot_be_trained_on(self, tmp_path):
        with pytest.raises(ValueError, match="no such settings file, table or folder"):
            settings_for("le_mer", str(tmp_path / "nothing"))
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "train-0.parquet").write_bytes(b"")
        with pytest.raises(ValueError, match="is a prepared corpus, for load_dataset; train on the table"):
            settings_for("le_mer", str(tmp_path))

    def test_settings_that_are_not_there(self, table):
        source = table("audio,text,emotion,speaker", *(f"{i}.wav,hm,glad,s{i}" for i in range(5)))
        with pytest.raises(ValueError, match="no settings mgcma_corpus_scratch; there are .*le_mer_corpus_scratch"):
            settings_for("mgcma", source, variant="scratch")
        assert settings_for("le_mer", source, variant="scratch")[1].endswith("le_mer_corpus_scratch.yaml")
        assert settings_for("le_mer", "mine.yaml") == ["--config", "mine.yaml"]

    def test_a_variant_that_a_source_does_not_have_is_refused(self, tmp_path):
        """It would train the whole model, and nobody would be told."""
        (tmp_path / "Session1" / "dialog").mkdir(parents=True)
        with pytest.raises(ValueError, match=r"--frozen is only for tables.*is iemocap.*le_mer_corpus_frozen.yaml"):
            settings_for("le_mer", str(tmp_path), variant="frozen")
        with pytest.raises(ValueError, match=r"--from-scratch is only for tables.*mine.yaml is a settings file"):
            settings_for("le_mer", "mine.yaml", variant="scratch")
