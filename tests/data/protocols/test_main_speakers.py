"""Holding out one main speaker at a time, with everything that may hold the same voice."""

import pytest

from hf_mer.data.protocols.main_speakers import main_speaker_folds, voices
from hf_mer.data.protocols.make_folds import make_folds
from hf_mer.data.schema import CorpusError, make_record, records_to_dataset

SPEAKERS = [
    *("Ross", "Joey", "Phoebe", "Ross", "Joey", "Phoebe"),
    *("Ross and Joey", "Phoebe/Waitress", "All", "Ursula", "Waitress", "Gunther", "Joey's Hand Twin"),
]


def names(indices):
    return [SPEAKERS[index] for index in indices]


def test_a_row_holds_the_voices_that_its_speaker_names():
    assert voices("Ross") == {"ross"}
    assert voices("Rachel and  Phoebe") == {"rachel", "phoebe"}
    assert voices("Joey/Drake") == {"joey", "drake"}
    assert voices("Ursula") == {"phoebe"}  # both are played by one actress
    assert voices("Sandy") == {"sandy"}  # "and" as a word only
    assert voices("The Guys") == {""}
    assert voices("") == {""}


def test_a_main_speaker_who_is_called_like_another_role():
    speakers = [*("Ursula",) * 3, *("Bob",) * 2, "Cy", "Dan", "Ursula and Dan"]
    tested = next(fold for fold in main_speaker_folds(speakers, 2, "none") if fold.name == "Ursula")
    assert [speakers[index] for index in tested.train] == ["Bob", "Bob", "Cy", "Dan"]


def test_folds_of_the_main_speakers():
    folds = main_speaker_folds(SPEAKERS, 3, "main_speaker")
    assert [fold.name for fold in folds] == ["Joey", "Phoebe", "Ross"]
    joey = folds[0]
    assert set(names(joey.test)) == {"Joey"}
    assert set(names(joey.validation)) == {"Phoebe"}
    assert names(joey.train) == ["Ross", "Ross", "Waitress", "Gunther", "Joey's Hand Twin"]
    ross = folds[2]
    assert set(names(ross.validation)) == {"Joey"}  # after the last comes the first
    assert names(ross.train) == [
        *("Phoebe", "Phoebe", "Phoebe/Waitress", "Ursula", "Waitress", "Gunther", "Joey's Hand Twin")
    ]
    without = main_speaker_folds(SPEAKERS, 3, "none")[0]
    assert without.validation == []
    assert "Phoebe/Waitress" in names(without.train)


@pytest.fixture
def rows(tmp_path):
    records = [
        make_record(id=f"{index}-{label}", speaker=speaker, label=label)
        for index, speaker in enumerate(SPEAKERS)
        for label in (0, 1)
    ]
    return records_to_dataset(records, ["good", "bad"], tmp_path)


def test_the_protocol(rows):
    folds = make_folds(rows, "leave_one_main_speaker_out", num_main_speakers=3)
    assert [fold.name for fold in folds] == ["Joey", "Phoebe", "Ross"]
    assert set(rows.select(folds[1].validation)["speaker"]) == {"Ross"}
    tested = [index for fold in folds for index in fold.test]
    assert len(tested) == len(set(tested)) == 12


def test_what_cannot_be_held_out(rows):
    with pytest.raises(ValueError, match="choices: main_speaker, none"):
        make_folds(rows, "leave_one_main_speaker_out", validation="speakers:2")
    with pytest.raises(ValueError, match="it must be 2 or more"):
        make_folds(rows, "leave_one_main_speaker_out", num_main_speakers=1)
    with pytest.raises(CorpusError, match="with 30 main speakers needs 30 speakers"):
        make_folds(rows, "leave_one_main_speaker_out", num_main_speakers=30)
