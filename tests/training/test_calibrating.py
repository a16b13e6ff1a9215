"""Which rows a temperature is fitted on, what the configuration gets, and which temperature a row has."""

import numpy as np
import pytest
from scipy.special import softmax

from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.metrics.calibration import fit_temperature
from hf_mer.models import WavFusionConfig
from hf_mer.training.calibrating import calibrate, modality_sets, row_temperatures

LABELS = ["anger", "joy"]


@pytest.fixture
def rows():
    """Twelve rows: text in all, speech in the first eight, video in the last six; history in the last."""
    records = [
        make_record(
            id=f"u{i}",
            text="so" if i < 11 else None,
            history=["hello"] if i == 11 else [],
            audio=f"{i}.wav" if i < 8 else None,
            video=f"{i}.mp4" if i >= 6 else None,
            label=i % 2,
        )
        for i in range(12)
    ]
    return records_to_dataset(records, LABELS)


@pytest.fixture
def config(text_config, speech_config):
    from model_tester import tiny_video_config

    encoders = {"text_config": text_config("bert"), "speech_config": speech_config("wav2vec2")}
    return WavFusionConfig(**encoders, video_config=tiny_video_config(), num_deep_layers=0, auxiliary_heads=2)


@pytest.fixture
def asked():
    return []


@pytest.fixture
def predict(asked):
    def logits(rows, modalities):
        asked.append((tuple(modalities), tuple(rows["id"])))
        rng = np.random.default_rng(len(modalities) + 10 * len(rows))
        truth = np.eye(2)[np.array(rows["label"])]
        return len(modalities) * (truth + rng.normal(size=truth.shape))

    return logits


def test_sets_from_all_to_each_alone():
    assert modality_sets(["text", "speech"]) == [("text", "speech"), ("text",), ("speech",)]
    assert [len(chosen) for chosen in modality_sets(["text", "speech", "video"])] == [3, 2, 2, 2, 1, 1, 1]
    assert modality_sets(["text"]) == [("text",)]


def test_every_set_is_fitted_on_the_rows_that_have_it(rows, config, predict, asked):
    found = calibrate(config, rows, predict, use_history=True)
    ids = {"+".join(chosen): [int(row_id[1:]) for row_id in given] for chosen, given in asked}
    assert ids["text+speech+video"] == [6, 7]
    assert ids["text+speech"] == ids["speech"] == list(range(8))
    assert ids["text+video"] == ids["video"] == list(range(6, 12))
    assert ids["text"] == list(range(12))
    assert config.temperatures == found["temperatures"]
    assert config.thresholds == found["thresholds"]
    assert set(found["thresholds"]) == set(ids)
    scaled = softmax(predict(rows, ("text",)) / config.temperature_of(["text"]), axis=1).max(axis=1)
    assert config.threshold_of(["text"]) == pytest.approx(sorted(scaled)[1])  # eleven of twelve
    assert set(found["validation"]) == set(found["temperatures"]) == set(ids)
    logits = predict(rows, ("text",))
    assert found["temperatures"]["text"] == fit_temperature(rows["label"][:], logits)
    assert found["validation"]["text"]["utterances"] == 12
    assert found["source"] == "validation"


def test_history_is_text_only_where_it_is_used(rows, config, predict, asked):
    calibrate(config, rows, predict, use_history=False)
    assert len(dict(asked)[("text",)]) == 11


def test_sets_that_no_row_has_get_no_temperature(rows, config, predict):
    found = calibrate(config, rows.select(range(6)), predict, use_history=True)
    assert set(found["temperatures"]) == {"text+speech", "text", "speech"}


def test_without_validation_nothing_is_fitted_and_nothing_old_is_left(config, predict, caplog):
    caplog.set_level("INFO")
    config.temperatures, config.thresholds = {"text": 3.0}, {"text": 0.5}
    assert calibrate(config, None, predict, use_history=True) == {
        "source": None,
        "temperatures": {},
        "thresholds": {},
    }
    assert config.temperatures == config.thresholds == {}
    assert "no validation split" in caplog.text


def test_a_checkpoint_that_is_only_evaluated_keeps_its_own(rows, config, predict):
    config.temperatures, config.thresholds = {"text": 3.0}, {"text": 0.4}
    found = calibrate(config, rows, predict, use_history=True, keep=True)
    assert found["source"] == "checkpoint"
    assert config.temperatures == found["temperatures"] == {"text": 3.0}
    assert config.thresholds == found["thresholds"] == {"text": 0.4}
    plain = found["validation"]["speech"]
    assert plain["nll"] == plain["nll_calibrated"]
    config.temperatures = {}
    assert calibrate(config, rows, predict, use_history=True, keep=True)["source"] == "validation"


def test_a_row_has_the_temperature_of_what_it_has(rows, config):
    config.temperatures = {"text": 2.0, "text+speech": 3.0, "text+speech+video": 4.0}
    np.testing.assert_array_equal(row_temperatures(rows, config, True), [3.0] * 6 + [4.0] * 2 + [1.0] * 4)
    config.temperatures = {"video": 5.0}
    assert row_temperatures(rows, config, False)[11] == 5.0  # its history is no text then
