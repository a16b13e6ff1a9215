"""Folds of every protocol and validation rule, and the checks that refuse worthless ones."""

import logging

import numpy as np
import pytest

from hf_mer.data.protocols.make_folds import (
    Fold,
    check_folds,
    find_fold,
    make_folds,
    repeated_texts,
    select_fold,
    split_hash,
)
from hf_mer.data.protocols.nested import check_nested_folds, nested_folds
from hf_mer.data.schema import CorpusError, make_record, records_to_dataset

NAMES = ["angry", "sad"]


@pytest.fixture
def dataset(tmp_path):
    return lambda records: records_to_dataset(records, NAMES, tmp_path)


@pytest.fixture
def rows(dataset):
    """Three sessions with two speakers each, two rows a class and speaker."""
    return dataset(
        [
            make_record(
                id=f"{session}_{speaker}_{label}_{take}",
                session=session,
                speaker=f"{session}_{speaker}",
                label=label,
                text=f"Take {take} of {session}",
                group=speaker,
            )
            for session in ("Ses01", "Ses02", "Ses03")
            for speaker in "FM"
            for label in range(2)
            for take in range(2)
        ]
    )


def values(rows, indices, name):
    return {rows[index][name] for index in indices}


def parts(rows, fold, name):
    return tuple(values(rows, indices, name) for indices in (fold.train, fold.validation, fold.test))


def test_leave_one_session_out(rows):
    folds = make_folds(rows, "leave_one_session_out")
    assert [fold.name for fold in folds] == ["Ses01", "Ses02", "Ses03"]
    assert parts(rows, folds[0], "session") == ({"Ses03"}, {"Ses02"}, {"Ses01"})
    assert parts(rows, folds[2], "session") == ({"Ses02"}, {"Ses01"}, {"Ses03"})  # round the end
    assert sorted(index for fold in folds for index in fold.test) == list(range(len(rows)))
    assert all(len(fold.train) + len(fold.validation) + len(fold.test) == len(rows) for fold in folds)


def test_leave_one_speaker_out(rows):
    folds = make_folds(rows, "leave_one_speaker_out")
    assert [fold.name for fold in folds] == [f"Ses0{i}_{s}" for i in (1, 2, 3) for s in "FM"]
    train, validation, test = parts(rows, folds[1], "speaker")
    assert (validation, test) == ({"Ses01_F"}, {"Ses01_M"})
    assert train == {"Ses02_F", "Ses02_M", "Ses03_F", "Ses03_M"}
    fold = make_folds(rows, "leave_one_speaker_out", validation="session")[0]
    assert parts(rows, fold, "speaker") == (
        {"Ses01_M", "Ses03_F", "Ses03_M"},
        {"Ses02_F", "Ses02_M"},
        {"Ses01_F"},
    )


def test_fixed_session(rows):
    (fold,) = make_folds(rows, "fixed_session")
    assert parts(rows, fold, "session") == ({"Ses01"}, {"Ses02"}, {"Ses03"})
    (fold,) = make_folds(rows, "fixed_session", test_session="Ses01", validation="none")
    assert parts(rows, fold, "session") == ({"Ses02", "Ses03"}, set(), {"Ses01"})
    with pytest.raises(ValueError, match="'Ses09' is not one of Ses01, Ses02, Ses03"):
        make_folds(rows, "fixed_session", test_session="Ses09")


def actors(dataset, count):
    names = [f"A{number}" for number in range(1, count + 1)]
    return dataset(
        [make_record(id=f"{a}_{label}", speaker=a, label=label, text="Same") for a in names for label in range(2)]
    )


def test_contiguous_groups_of_speakers(dataset):
    rows = actors(dataset, 24)
    folds = make_folds(rows, "groups", group_column="speaker", num_groups=6)
    assert [fold.name for fold in folds] == [f"group{i}" for i in range(1, 7)]
    train, validation, test = parts(rows, folds[0], "speaker")
    assert test == {"A1", "A2", "A3", "A4"}  # not A1, A10, A11, A12
    assert validation == {"A5", "A6", "A7", "A8"}
    assert len(train) == 16
    assert parts(rows, folds[5], "speaker")[1] == {"A1", "A2", "A3", "A4"}


def test_given_groups(dataset):
    rows = actors(dataset, 4)
    folds = make_folds(rows, "groups", group_column="speaker", groups=[["A1", "A4"], ["A2"], ["A3"]])
    assert parts(rows, folds[0], "speaker") == ({"A3"}, {"A2"}, {"A1", "A4"})
    with pytest.raises(CorpusError, match=r"Unknown or repeated: \['A1', 'A9'\]; left out: \['A4'\]"):
        make_folds(rows, "groups", group_column="speaker", groups=[["A1", "A2"], ["A1", "A3", "A9"]])
    with pytest.raises(ValueError, match="must be 2 to 4"):
        make_folds(rows, "groups", group_column="speaker", num_groups=5)
    with pytest.raises(ValueError, match="not both"):
        make_folds(rows, "groups", group_column="speaker", num_groups=2, groups=[["A1"]])


def test_groups_by_another_column_say_when_speakers_are_shared(dataset, caplog):
    rows = dataset(
        [
            make_record(id=f"{group}{speaker}{label}", speaker=speaker, group=group, label=label)
            for group in "abc"
            for speaker in "xy"
            for label in range(2)
        ]
    )
    with caplog.at_level(logging.WARNING, logger="hf_mer"):
        folds = make_folds(rows, "groups")
    assert [fold.name for fold in folds] == ["a", "b", "c"]
    assert "train and test share 2 speakers (x, y)" in caplog.text


def test_groups_need_values(dataset):
    with pytest.raises(CorpusError, match=r"column 'group', which is empty in 8 of 8 rows"):
        make_folds(actors(dataset, 4), "groups")


def test_official(dataset, caplog):
    rows = dataset(
        [
            make_record(id=f"{split}{label}{i}", split=split, label=label, speaker=f"s{i}")
            for split in ("train", "dev", "Test")
            for label in range(2)
            for i in range(2)
        ]
    )
    with caplog.at_level(logging.WARNING, logger="hf_mer"):
        (fold,) = make_folds(rows, "official")
    assert parts(rows, fold, "split") == ({"train"}, {"dev"}, {"Test"})
    assert "not speaker-independent" in caplog.text
    (fold,) = make_folds(rows, "official", validation="none")
    assert fold.validation == []
    with pytest.raises(CorpusError, match="has no validation rows"):
        make_folds(rows.filter(lambda row: row["split"] != "dev"), "official")
    with pytest.raises(CorpusError, match=r"\['x'\]; known names are train"):
        make_folds(dataset([make_record(id="a", split="x", label=0)]), "official")


def test_speakers_are_drawn_from_the_training_rows(rows):
    folds = make_folds(rows, "leave_one_session_out", validation="speakers:2", seed=1)
    for fold in folds:
        train, validation, test = parts(rows, fold, "speaker")
        assert (len(train), len(validation), len(test)) == (2, 2, 2)
        assert not train & validation | train & test | validation & test
    again = make_folds(rows, "leave_one_session_out", validation="speakers:2", seed=1)
    assert again == folds
    drawn = {
        frozenset(make_folds(rows, "leave_one_session_out", validation="speakers:2", seed=s)[0].validation)
        for s in range(8)
    }
    assert len(drawn) > 1
    with pytest.raises(CorpusError, match="only 4 training speakers"):
        make_folds(rows, "leave_one_session_out", validation="speakers:4")
    with pytest.raises(ValueError, match="'speakers:N'"):
        make_folds(rows, "leave_one_session_out", validation="speakers:some")


@pytest.mark.parametrize(
    ("protocol", "options", "message"),
    [
        ("random", {}, "leave_one_session_out, leave_one_speaker_out, fixed_session, groups, official"),
        ("leave_one_session_out", {"validation": "test"}, "choices: session, other_speaker"),
        ("leave_one_session_out", {"validation": "other_speaker"}, "belongs to 'leave_one_speaker_out'"),
        ("leave_one_session_out", {"num_groups": 2}, "belong to the protocol 'groups'"),
        ("leave_one_session_out", {"test_session": "Ses01"}, "belongs to the protocol 'fixed_session'"),
        ("leave_one_speaker_out", {"validation": "group"}, "cannot be used with"),
    ],
)
def test_unknown_names(rows, protocol, options, message):
    with pytest.raises(ValueError, match=message):
        make_folds(rows, protocol, **options)


def test_columns_that_the_protocol_needs(rows, dataset):
    with pytest.raises(CorpusError, match=r"'leave_one_session_out' needs the column 'session'.*\(A1_0, A1_1,"):
        make_folds(actors(dataset, 3), "leave_one_session_out")
    two = rows.filter(lambda row: row["session"] != "Ses03")
    with pytest.raises(CorpusError, match="needs three or more of them"):
        make_folds(two, "leave_one_session_out")
    assert len(make_folds(two, "leave_one_session_out", validation="none")) == 2
    one = rows.filter(lambda row: row["session"] == "Ses01")
    with pytest.raises(CorpusError, match="two or more values of 'session'"):
        make_folds(one, "leave_one_session_out", validation="none")


def test_check_folds_names_everything(rows):
    half = list(range(0, 8))
    rest = list(range(8, 24))
    check_folds(rows, [Fold("good", rest, [], half)])
    angry = [index for index in rest if rows[index]["label"] == 0]
    bad = [
        Fold("rows", rest, [8], half),
        Fold("empty", rest, [], []),
        Fold("class", angry, [], [23]),
        Fold("again", rest[:8], [], [23]),
        Fold("outside", rest, [], [24]),
        Fold("twice", [*rest, 8], [], []),
    ]
    with pytest.raises(CorpusError) as caught:
        check_folds(rows, bad)
    assert caught.value.problems == [
        "fold 'rows': train and validation share 1 rows (such as row 8)",
        "fold 'rows': train and validation share 1 speakers (Ses02_F)",
        "fold 'empty': no test rows",
        "fold 'class': train and test share 1 speakers (Ses03_M)",
        "fold 'class': class 'sad' has no training rows",
        "folds 'class' and 'again' test the same 1 rows (such as row 23)",
        "fold 'outside': test has indices outside 0 to 23",
        "fold 'twice': train has 1 rows twice",
        "fold 'twice': no test rows",
    ]


def test_speakers_across_sessions_are_noticed(dataset):
    rows = dataset(
        [
            make_record(id=f"{session}{speaker}{label}", session=session, speaker=speaker, label=label)
            for session, speakers in (("1", "ab"), ("2", "cd"), ("3", "ae"))
            for speaker in speakers
            for label in range(2)
        ]
    )
    with pytest.raises(CorpusError, match=r"fold '1': train and test share 1 speakers \(a\)"):
        make_folds(rows, "leave_one_session_out")


def test_selecting(rows):
    folds = make_folds(rows, "leave_one_session_out")
    one = select_fold(rows, find_fold(folds, "Ses02"))
    assert set(one["test"]["session"]) == {"Ses02"}
    assert find_fold(folds, 1) is folds[1]
    assert set(select_fold(rows, make_folds(rows, "fixed_session", validation="none")[0])) == {"train", "test"}
    with pytest.raises(ValueError, match="give 0 to 2 or one of Ses01, Ses02, Ses03"):
        find_fold(folds, "Ses04")


def test_nested_sessions(rows):
    (outer, *_) = make_folds(rows, "leave_one_session_out", validation="none")
    folds = nested_folds(rows, outer, "leave_one_session_out")
    assert [fold.name for fold in folds] == ["Ses02", "Ses03"]
    assert parts(rows, folds[0], "session") == ({"Ses03"}, set(), {"Ses02"})
    (one,) = nested_folds(rows, outer, "leave_one_session_out", at_most=1)
    assert one == folds[0]
    (fixed,) = make_folds(rows, "fixed_session", validation="speakers:1")
    for fold in nested_folds(rows, fixed, "fixed_session"):
        train, validation, test = parts(rows, fold, "speaker")
        assert validation == values(rows, fixed.validation, "speaker")
        assert not train & validation | train & test | validation & test
        assert "Ses03" not in values(rows, [*fold.train, *fold.validation, *fold.test], "session")
    with pytest.raises(CorpusError, match=r"fold 'Ses01': .*there is only Ses03; pass validation='none'"):
        nested_folds(rows, make_folds(rows, "leave_one_session_out")[0], "leave_one_session_out")
    with pytest.raises(ValueError, match="at_most is 0"):
        nested_folds(rows, outer, "leave_one_session_out", at_most=0)


def test_nested_speakers_and_groups(rows, dataset):
    outer = make_folds(rows, "leave_one_speaker_out")[1]
    folds = nested_folds(rows, outer, "leave_one_speaker_out", at_most=2)
    assert [fold.name for fold in folds] == ["Ses02_F", "Ses03_F"]  # evenly over the four that are left
    assert parts(rows, folds[0], "speaker") == ({"Ses02_M", "Ses03_F", "Ses03_M"}, {"Ses01_F"}, {"Ses02_F"})
    many = actors(dataset, 24)
    options = {"group_column": "speaker", "num_groups": 6}
    outer = make_folds(many, "groups", **options)[0]
    folds = nested_folds(many, outer, "groups", **options)
    assert [fold.name for fold in folds] == ["group3", "group4", "group5"]
    assert parts(many, folds[0], "speaker")[2] == {"A9", "A10", "A11", "A12"}


def test_nested_main_speakers(dataset):
    names = ["Ross", "Joey", "Monica", "Phoebe", "Ross and Joey", "Monica, Ross"]
    rows = dataset(
        [make_record(id=f"{n}{label}{i}", speaker=n, label=label) for n in names for label in range(2) for i in (0, 1)]
        + [make_record(id=f"guest{label}", speaker="Guest", label=label) for label in range(2)]
    )
    options = {"num_main_speakers": 4}
    outer = make_folds(rows, "leave_one_main_speaker_out", **options)[3]
    assert outer.name == "Ross"
    folds = nested_folds(rows, outer, "leave_one_main_speaker_out", **options)
    assert [fold.name for fold in folds] == ["Monica", "Phoebe"]
    assert parts(rows, folds[0], "speaker") == ({"Phoebe", "Guest"}, {"Joey"}, {"Monica"})


def test_the_official_validation_decides(dataset):
    rows = dataset(
        [
            make_record(id=f"{split}{label}{i}", split=split, label=label, speaker=f"s{i}")
            for split in ("train", "dev", "test")
            for label in range(2)
            for i in range(2)
        ]
    )
    (outer,) = make_folds(rows, "official")
    (fold,) = nested_folds(rows, outer, "official")
    assert parts(rows, fold, "split") == ({"train"}, {"dev"}, {"dev"})
    with pytest.raises(CorpusError, match="no validation rows to choose settings by"):
        nested_folds(rows, make_folds(rows, "official", validation="none")[0], "official")


def test_inner_folds_that_know_the_test_are_refused(rows):
    outer = make_folds(rows, "leave_one_session_out", validation="none")[0]
    good = nested_folds(rows, outer, "leave_one_session_out")[0]
    check_nested_folds(rows, outer, [good])
    with pytest.raises(CorpusError) as caught:
        check_nested_folds(rows, outer, [Fold("bad", good.train, [0], good.test)])
    assert caught.value.problems == [
        "inner fold 'bad': validation and the test of fold 'Ses01' share 1 rows (such as row 0)",
        "inner fold 'bad': validation and the test of fold 'Ses01' share the speakers Ses01_F",
    ]
    half = Fold("half", [*range(2, 24)], [], [0, 1])  # tests the first speaker's first rows, and trains on the others
    with pytest.raises(CorpusError, match="train and the test of fold 'half' share the speakers Ses01_F"):
        check_nested_folds(rows, half, [Fold("inner", [*range(2, 16)], [], [*range(16, 24)])])
    with pytest.raises(CorpusError, match="train and validation share"):
        check_nested_folds(rows, outer, [Fold("inner", good.train, good.train[:1], good.test)])


def test_split_hash(rows):
    folds = make_folds(rows, "leave_one_session_out")
    reference = split_hash(rows, folds)
    assert len(reference) == 64
    shuffled = rows.shuffle(seed=3)
    assert split_hash(shuffled, make_folds(shuffled, "leave_one_session_out")) == reference
    assert split_hash(rows, make_folds(rows, "leave_one_session_out", validation="none")) != reference
    assert split_hash(rows, folds[:2]) != reference
    fewer = rows.select(range(1, len(rows)))
    assert split_hash(fewer, make_folds(fewer, "leave_one_session_out")) != reference


def test_validation_that_would_be_empty_is_refused(dataset):
    """It would neither choose an epoch nor fit a temperature, without a word."""
    records = [
        make_record(id=f"{s}{i}", session=f"S{s}", speaker=f"s{s}", group="ab"[s % 2], label=i % 2)
        for s in range(4)
        for i in range(4)
    ]
    rows = dataset(records)
    with pytest.raises(CorpusError, match="(?s)fold 's0': validation 'other_speaker' leaves no rows.*speakers:N"):
        make_folds(rows, "leave_one_speaker_out")
    assert not make_folds(rows, "leave_one_speaker_out", validation="none")[0].validation
    folds = make_folds(rows, "groups", validation="session")  # group a has the sessions 0 and 2, b has 1 and 3
    assert [parts(rows, fold, "session")[1] for fold in folds] == [{"S3"}, {"S0"}]


@pytest.mark.parametrize("name", ["/elsewhere", "a/b", "..", "a\\b"])
def test_names_that_no_folder_can_have(dataset, name):
    rows = dataset([make_record(id=f"{s}{i}", speaker=s, label=i) for s in (name, "x", "y") for i in range(2)])
    with pytest.raises(CorpusError, match="results are in a folder of this name"):
        make_folds(rows, "leave_one_speaker_out", validation="none")


def test_speakers_that_look_like_numbers(dataset):
    rows = dataset([make_record(id=f"{s}{i}", speaker=s, label=i) for s in ("\u00b2", "10", "9") for i in range(2)])
    names = [fold.name for fold in make_folds(rows, "leave_one_speaker_out", validation="none")]
    assert names == ["9", "10", "\u00b2"]


def test_repeated_texts(dataset):
    texts = ["Excuse  me.", "No.", None, "excuse me. ", "Yes.", "", None]
    rows = dataset([make_record(id=str(i), label=0, text=text) for i, text in enumerate(texts)])
    mask = repeated_texts(rows, Fold("f", [0, 1, 2, 5], [4], [3, 4, 5, 6]))
    assert mask.dtype == np.bool_
    assert mask.tolist() == [True, False, False, False]
    wrong = rows.remove_columns("text").add_column("text", list("abcdefg")).add_column("said", texts)
    assert repeated_texts(wrong, Fold("f", [0, 1, 2, 5], [4], [3, 4, 5, 6])).tolist() == mask.tolist()


def test_a_fold_by_name_or_by_position():
    folds = [Fold(name, [], [], []) for name in ("a", "2", "c")]
    assert [find_fold(folds, wanted).name for wanted in ("c", "2", 2, "0")] == ["c", "2", "c", "a"]
    with pytest.raises(ValueError, match="fold '7' does not exist; give 0 to 2 or one of a, 2, c"):
        find_fold(folds, "7")
