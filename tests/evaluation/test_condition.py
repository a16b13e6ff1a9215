import pytest

from hf_mer.evaluation import Condition, ConditionSettings, all_conditions

SETTINGS = ConditionSettings(word_error_rates=(0.4, 0.2), snrs=(0, 10), seconds=(1, 2))


def names(*modalities):
    return [condition.name for condition in all_conditions(modalities, SETTINGS)]


def test_two_modalities_are_listed_alone_once():
    assert names("text", "speech") == [
        "everything",
        "text alone",
        "speech alone",
        "20 % of the words wrong",
        "40 % of the words wrong",
        "white noise, 10 dB",
        "white noise, 0 dB",
        "babble, 10 dB",
        "babble, 0 dB",
        "first 2 s",
        "first 1 s",
    ]


def test_of_three_each_is_missing_once():
    found = all_conditions(("text", "speech", "video"), SETTINGS)
    missing = {one.name: one.modalities for one in found if one.kind == "missing"}
    assert missing == {
        "text missing": ("speech", "video"),
        "speech missing": ("text", "video"),
        "video missing": ("text", "speech"),
    }
    assert sum(one.kind == "alone" for one in found) == 3


def test_a_single_modality_has_the_conditions_that_concern_it():
    assert names("text") == ["everything", "20 % of the words wrong", "40 % of the words wrong"]
    assert [name for name in names("speech") if "words" in name or "alone" in name] == []
    assert names("video") == ["everything", "first 2 s", "first 1 s"]


def test_what_a_condition_changes():
    both = ("text", "speech")
    assert Condition("words", both, 0.2).changes == ("text",)
    assert Condition("babble", both, 5.0).changes == ("speech",)
    assert Condition("seconds", both, 1.0).changes == both
    assert Condition("alone", ("text",)).changes == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"word_error_rates": (1.2,)}, "word_error_rate=1.2 must be between 0 and 1"),
        ({"word_error_rates": (0,)}, "0 is the transcript as it is"),
        ({"word_error_shares": (1, 2)}, "must be three numbers"),
        ({"noises": ("pink",)}, "'pink' is not one of white, babble"),
        ({"snrs": (200,)}, "200 dB must be between"),
        ({"seconds": (0,)}, "0 must be at least 0.1"),
    ],
)
def test_strengths_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        ConditionSettings(**settings)
