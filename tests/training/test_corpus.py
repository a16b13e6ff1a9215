"""The corpus of a run, as its settings say."""

import shutil

import datasets
import numpy as np
import pytest
import soundfile

from hf_mer.data.protocols.folds import Fold
from hf_mer.data.schema import CorpusError
from hf_mer.training import DataArguments
from hf_mer.training.corpus import chosen_folds, corpus_language, load_rows, protocol_folds, read_rows
from hf_mer.training.settings.roles import Role, deciding, values_with


@pytest.mark.parametrize(
    ("given", "sides"),
    [
        ({}, {"F": "left", "M": "right"}),
        ({"split_screen": "named_right"}, {"F": "right", "M": "left"}),
        ({"split_screen": "whole"}, {"F": None, "M": None}),
    ],
)
def test_half_of_the_films(corpus, tmp_path, given, sides):
    """A setting that decides results where it is given; usual ones are those of runs made before there was any."""
    tree = tmp_path / "corpus"
    shutil.copytree(corpus, tree)
    films = tree / "Session1" / "dialog" / "avi" / "DivX"
    films.mkdir(parents=True)
    (films / "Ses01F_impro01.avi").write_bytes(b"RIFF")
    arguments = DataArguments(data_dir=str(tree), **given)
    filmed = [row for row in read_rows(arguments).with_format(None) if row["video"] is not None]
    assert {row["speaker"][-1]: row["video"]["side"] for row in filmed} == sides
    assert {"split_screen": deciding(arguments).get("split_screen")} == {"split_screen": None, **given}


def table(folder, name, labels, rows=8):
    lines = [f"r{i},hello there {i},{labels[i % len(labels)]},A{i // 2},{'FM'[i // 2 % 2]}" for i in range(rows)]
    path = folder / f"{name}.csv"
    path.write_text("\n".join(["id,text,label,speaker,sex", *lines]) + "\n")
    return str(path)


@pytest.fixture
def tables(tmp_path):
    """Two corpora that call the same two emotions by different names."""
    return [table(tmp_path, "north", ["happy", "sad"]), table(tmp_path, "south", ["joy", "sad", "calm"], rows=9)]


def test_several_corpora_with_one_map(tables):
    given = {"label_map": "happy=joy,calm=", "protocol": "leave_one_corpus_out", "validation": "none"}
    arguments = DataArguments(corpus="manifest,manifest", data_dir=",".join(tables), **given)
    rows = read_rows(arguments)
    assert rows.features["label"].names == ["joy", "sad"]
    assert (len(rows), rows["id"][0], rows["speaker"][-1]) == (8 + 6, "north.r0", "south.A3")
    assert [fold.name for fold in protocol_folds(rows, arguments, 0)] == ["north", "south"]
    listed = DataArguments(corpus=["manifest", "manifest"], data_dir=tables, **given)  # as YAML has it
    assert deciding(listed) == deciding(arguments)
    assert read_rows(listed)._fingerprint == rows._fingerprint


def test_names_of_classes_win(tables):
    given = {"label_map": {"happy": "joy"}, "labels": ["sad", "joy", "calm"]}
    rows = read_rows(DataArguments(corpus="manifest,manifest", data_dir=",".join(tables), **given))
    assert rows.features["label"].names == ["sad", "joy", "calm"]
    with pytest.raises(CorpusError, match="happy=joi: 'joi' is not a class of the run"):
        read_rows(DataArguments(corpus="manifest", data_dir=tables[0], label_map="happy=joi", labels=["joy", "sad"]))


def test_one_corpus_with_a_map(tables):
    arguments = DataArguments(corpus="manifest", data_dir=tables[1], label_map='{"joy": "happy", "calm": null}')
    rows = read_rows(arguments)
    assert rows.features["label"].names == ["happy", "sad"]
    assert rows["corpus"][:] == [None] * 6
    assert deciding(arguments)["label_map"] == {"joy": "happy", "calm": None}
    assert "label_map" not in deciding(DataArguments(corpus="manifest", data_dir=tables[1]))


def folds_of(data_dir, **given):
    arguments = DataArguments(corpus="manifest", data_dir=data_dir, protocol="groups", group_column="speaker", **given)
    rows = read_rows(arguments)
    ids = {fold.name: {part: [rows["id"][i] for i in places] for part, places in fold.parts.items()}
           for fold in protocol_folds(rows, arguments, 0)}  # fmt: skip
    return ids, arguments


def test_one_condition_is_trained_on_and_another_tested(tables):
    """Even rows are happy, odd ones sad: here by their numbers, which could as well be a sentence's."""
    everything, _ = folds_of(tables[0])
    assert everything["A0"] == {"train": ["r4", "r5", "r6", "r7"], "validation": ["r2", "r3"], "test": ["r0", "r1"]}
    some, arguments = folds_of(tables[0], train_ids="[0256]$", test_ids="^r[1357]$")
    assert some["A0"] == {"train": ["r5", "r6"], "validation": ["r2"], "test": ["r1"]}
    assert deciding(arguments)["test_ids"] == "^r[1357]$"
    assert not {"train_ids", "test_ids"} & set(deciding(DataArguments(corpus="manifest", data_dir=tables[0])))


def test_conditions_without_rows(tables):
    with pytest.raises(CorpusError, match=r"fold 'A0': no test row has an id like 'x\\d', such as r0"):
        folds_of(tables[0], test_ids=r"x\d")
    with pytest.raises(CorpusError, match=r"fold 'A3': no validation row has an id like 'r\[67\]', such as r0"):
        folds_of(tables[0], train_ids="r[67]")


def test_another_corpus_beside_iemocap(corpus, tables):
    arguments = DataArguments(
        corpus="iemocap,manifest", data_dir=f"{corpus},{tables[0]}", labels=["angry", "happy", "neutral", "sad"]
    )
    rows = read_rows(arguments)
    assert set(rows["corpus"][:]) == {"iemocap", "north"}
    assert {"iemocap.Ses01_F", "north.A0"} <= set(rows["speaker"][:])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"corpus": "manifest,manifest", "data_dir": "a.csv"}, r"data_dir: 1 given \(a.csv\), corpus names 2"),
        ({"corpus": "manifest,nowhere", "data_dir": "a.csv,b"}, "corpus: 'nowhere' is not one of"),
        ({"corpus": "iemocap,manifest", "data_dir": "a,b", "task": "emotion"}, "task: 'emotion' is not one of"),
        ({"corpus": "manifest", "data_dir": "a.csv", "label_map": "happy"}, "label_map: 'happy': write"),
        (
            {"corpus": "manifest", "data_dir": "a.csv", "test_ids": "a("},
            r"test_ids: 'a\(' is not a regular expression",
        ),
    ],
)
def test_settings_of_corpora_that_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        DataArguments(**given)


def test_names_of_corpora():
    same = DataArguments(corpus="manifest,manifest", data_dir="x/a.csv,y/a.csv")
    with pytest.raises(ValueError, match="two corpora are called a"):
        same.parts()
    parts = DataArguments(corpus="iemocap,meld,iemocap", data_dir="x,y,z", task="6class").parts()
    assert {name: part.task for name, part in parts.items()} == {"x": "6class", "meld": "emotion", "z": "6class"}


def test_language_of_a_corpus(corpus, tmp_path):
    """As the corpus states it, generated ones in their mark; a manifest states none."""
    assert corpus_language(DataArguments(data_dir=str(corpus))) == "en"
    (tmp_path / "generated.json").write_text('{"settings": {"language": "pl"}}', encoding="utf-8")
    assert corpus_language(DataArguments(data_dir=str(tmp_path))) == "pl"
    assert corpus_language(DataArguments(data_dir=str(tmp_path / "own.csv"), corpus="manifest", task=None)) is None
    assert corpus_language(DataArguments(data_dir=str(tmp_path / "meld"), corpus="meld")) == "en"


def test_words_of_fixed_sentences_are_read_only_with_a_warning(tmp_path, monkeypatch, write_wav, caplog):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for name in ("03a01Fa", "08b10Wc"):
        write_wav(f"wav/{name}.wav")
    arguments = DataArguments(corpus="emodb", data_dir=str(tmp_path))
    assert load_rows(arguments, ["speech"])["speaker"][:] == ["03", "08"]
    assert "fixed sentences" not in caplog.text
    load_rows(arguments, ["text", "speech"])
    assert "EmoDB has 10 fixed sentences, said in every emotion: the text carries no information" in caplog.text


@pytest.mark.parametrize(
    ("modalities", "heard"), [(["speech"], [True] * 3), (["text", "speech"], [True, True, False])]
)
def test_silence_beside_words_is_not_heard(tmp_path, write_wav, modalities, heard):
    files = [write_wav("a.wav"), write_wav("b.wav"), str(tmp_path / "c.wav")]
    soundfile.write(files[2], np.zeros(8000), 16000)
    lines = [f"{file},so it is,{label}" for file, label in zip(files, ("sad", "glad", "sad"), strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["audio,text,label", *lines]))
    rows = load_rows(DataArguments(corpus="manifest", data_dir=str(tmp_path / "t.csv")), modalities)
    assert [row["audio"] is not None for row in rows] == heard


def test_a_fold_that_is_named_twice():
    folds = [Fold(name, [0], [], [1]) for name in ("s0", "s1")]
    assert [fold.name for fold in chosen_folds(folds, DataArguments(data_dir="x", folds=["1", "s0"]))] == ["s1", "s0"]
    with pytest.raises(ValueError, match="folds: 's0' named twice, by name or by position"):
        chosen_folds(folds, DataArguments(data_dir="x", folds=["s0", "0", "s1"]))


def test_public_corpora_with_one_map(tmp_path, monkeypatch, write_wav):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for name in ("EmoDB/wav/03a01Fa", "EmoDB/wav/08b10Wc"):
        write_wav(f"{name}.wav")
    for actor, emotion in (("01", "03"), ("02", "05"), ("02", "02")):
        write_wav(f"RAVDESS/Actor_{actor}/03-01-{emotion}-01-01-01-{actor}.wav")
    arguments = DataArguments(
        corpus="ravdess,emodb",
        data_dir=f"{tmp_path / 'RAVDESS'},{tmp_path / 'EmoDB'}",
        label_map="happiness=happy,anger=angry,calm=",
    )
    rows = load_rows(arguments, ["speech"])
    names = rows.features["label"].names
    found = {(row["corpus"], row["speaker"], row["gender"], names[row["label"]]) for row in rows.with_format(None)}
    assert found == {
        ("ravdess", "ravdess.01", "male", "happy"),
        ("ravdess", "ravdess.02", "female", "angry"),
        ("emodb", "emodb.03", "male", "happy"),
        ("emodb", "emodb.08", "female", "angry"),
    }


def test_a_quiet_setting_changes_no_name_of_older_runs():
    """Folders of second stages are called after the settings that have this role."""
    assert "label_map" not in values_with(Role.HEARD, DataArguments(data_dir="x"))
    mapped = values_with(Role.HEARD, DataArguments(data_dir="x", label_map="excited=happy"))
    assert mapped["label_map"] == {"excited": "happy"}
