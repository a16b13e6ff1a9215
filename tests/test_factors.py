import math

import pytest
from explained import explanation, place

from hf_mer.factors import LEAST_LIMIT, factor_text, prior_text, shown_value, value_limit


def test_one_limit_for_all_parts():
    assert value_limit(explanation([place(0.4)], [place(-0.9)], [place(0.1)], [2.0])) == 0.9
    assert value_limit(explanation(modalities=[0.5, -2.0])) == 2.0
    assert value_limit(explanation([place(0.02), place(-0.01)])) == LEAST_LIMIT  # small values stay pale


def test_what_is_within_its_error_is_not_shown():
    assert shown_value(place(-0.5, error=0.4)) == -0.5
    assert shown_value(place(-0.5, error=0.5)) == 0.0
    assert shown_value(place(0.2)) == 0.2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.log(2), "×2.0"),
        (-math.log(2), "÷2.0"),
        (math.log(1.25), "×1.25"),
        (-math.log(30), "÷30"),
        (0.0, "×1"),
        (-0.001, "×1"),
        (math.log(9.96), "×10"),
        (900.0, "×5184705528587072045056"),
    ],
)
def test_values_as_factors(value, text):
    assert factor_text(value) == text


def test_a_prior_that_is_not_known_is_said():
    found = {"prior": 0.25, "score": 0.731, "prior_source": "training"}
    assert prior_text(found) == "from 0.25, before anything is seen, to 0.73"
    assert "equal for all classes" in prior_text({**found, "prior_source": "uniform"})
