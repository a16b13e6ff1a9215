"""Rules of single fields: what they keep, and what they say."""

import math

import numpy as np
import pytest

from hf_mer.models.fields_mer import (
    FieldError,
    choice,
    flag,
    in_file,
    list_of,
    number,
    optional,
    table_of,
    whole,
    word,
)


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (number(0, 1), 1),
        (number(), np.float64(-2.5)),
        (whole(), np.int64(3)),
        (whole(), 10**400),
        (optional(whole()), None),
        (flag, False),
        (choice("a", "b"), "b"),
        (table_of(number()), {"a": 1.0}),
    ],
)
def test_kept(rule, value):
    assert rule("field", value) == value


def test_a_tuple_becomes_a_list():
    assert list_of(word)("field", ("a", "b")) == ["a", "b"]


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        (number(), math.nan, "field=nan must be a finite number"),
        (number(), math.inf, "field=inf must be a finite number"),
        (number(), True, "field=True must be a finite number"),
        (number(), "x", "field='x' must be a finite number"),
        (whole(), 1.5, "field=1.5 must be a whole number"),
        (whole(), None, "field=None must be a whole number"),
        (whole(), 0, "field=0 must be at least 1"),
        (whole(1, 9), 10, "field=10 must be at most 9"),
        (whole(1, 9), 10**400, r"field=10{17}\.\.\.0+ must be at most 9"),
        (number(above=0), 0.0, "field=0.0 must be positive"),
        (number(below=1), 1, "field=1 must be below 1"),
        (flag, 1, "field=1 must be true or false"),
        (word, "", "field='' must be text"),
        (choice("a", "b"), ["a"], r"field: \['a'\] is not one of a, b"),
        (list_of(word), "ab", "field='ab' must be a list"),
        (list_of(word), [5], "field=5 must be text"),
        (table_of(number()), [1], r"field=\[1\] must be a dictionary"),
        (table_of(number()), {"a": None}, r"field\['a'\]=None must be a finite number"),
        (word, ["x" * 1000] * 1000, r"field=\[.{,300}\] must be text"),
    ],
)
def test_refused_in_one_sentence(rule, value, message):
    with pytest.raises(FieldError, match=f"^{message}[^\n]*$"):
        rule("field", value)


def test_the_file_is_named_once_and_not_for_what_was_given():
    def broken(**given):
        with in_file("runs/one", "config.json", given), in_file("runs/one", "config.json"):
            whole()("width", 0)

    with pytest.raises(FieldError, match=r"^runs/one/config\.json: width=0 must be at least 1$"):
        broken()
    with pytest.raises(FieldError, match=r"^width=0"), in_file("runs/one", "config.json", {"width": 0}):
        whole()("width", 0)
