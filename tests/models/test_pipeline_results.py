"""Scores, abstention and explanations of the pipeline, and that nothing about running it changes them."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from media_files import save_film_checkpoint
from model_tester import (
    LABELS,
    save_tiny_checkpoint,
    tiny_settings,
    tiny_store,
    tiny_tokenizer,
    tone,
    wave_feature_extractor,
)
from transformers import pipeline
from transformers.utils.logging import enable_progress_bar

from hf_mer.models import PIPELINE_TASK, MerProcessor, MgcmaConfig, MgcmaForEmotionClassification

MODELS = ["le_mer", "mgcma", "wavfusion"]


def save_mgcma(folder):
    torch.manual_seed(0)
    settings = {"num_attention_heads": 2, "num_token_blocks": 1, "alignment_order": ["token", "distribution"]}
    MgcmaForEmotionClassification(MgcmaConfig(**{**tiny_settings(), **settings})).eval().save_pretrained(folder)
    MerProcessor(wave_feature_extractor(), tiny_tokenizer(), max_text_tokens=40).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    return {
        "le_mer": save_tiny_checkpoint(place / "le_mer")[0],
        "mgcma": save_mgcma(place / "mgcma"),
        "wavfusion": save_film_checkpoint(place / "wavfusion"),
    }


@pytest.fixture(scope="module")
def pipelines(folders):
    return {name: pipeline(PIPELINE_TASK, model=folder, device="cpu") for name, folder in folders.items()}


@pytest.fixture(scope="module")
def recognise(pipelines):
    return pipelines["le_mer"]


def scores(result):
    return {item["label"]: item["score"] for item in result}


@pytest.fixture
def mixes(write_wav, write_video):
    """Utterances of every mix of modalities, twice, of different lengths."""
    items = []
    for index, (speech, text, video) in enumerate([*itertools.product((True, False), repeat=3)] * 2):
        item = {}
        if speech:
            item["audio"] = write_wav(f"{index}.wav", 0.1 + 0.05 * index, pitch=100.0 + 20 * index)
        if text:
            item["text"] = "so glad you came"[: 4 + index]
            item["history"] = ["who is it"] * (index % 3)
        if video:
            item["video"] = {"path": write_video(f"{index}.mp4", seconds=0.2 + 0.1 * index, sound=False)}
        if item:
            items.append(item)
    return items


@pytest.mark.parametrize("model", MODELS)
def test_one_by_one_and_in_batches(model, pipelines, mixes):
    """Every mix of modalities in one list, in batches of every kind: the same scores and the same explanations."""
    recognise = pipelines[model]
    usable = [item for item in mixes if model == "wavfusion" or {"audio", "text"} & set(item)]
    single = [recognise(item, return_attention=True) for item in usable]
    assert np.ptp([result["scores"][0]["score"] for result in single]) > 1e-3
    for batch_size in (2, 8, 16):
        together = recognise(usable, batch_size=batch_size, return_attention=True)
        for given, alone in zip(together, single, strict=True):
            assert scores(given["scores"]) == pytest.approx(scores(alone["scores"]), abs=2e-6)
            assert given["frames"].keys() == alone["frames"].keys()
            for name, values in alone["frames"].items():
                assert given["frames"][name] == pytest.approx(values, abs=1e-5)
            for mine, theirs in zip(given["words"], alone["words"], strict=True):
                assert mine["word"] == theirs["word"]
                assert [mine[label] for label in LABELS] == pytest.approx(
                    [theirs[label] for label in LABELS], abs=1e-5
                )


class TestCalibration:
    @pytest.fixture
    def temperatures(self, pipelines):
        kept = []

        def set_temperatures(model, **values):
            config = pipelines[model].model.config
            kept.append((config, config.temperatures))
            config.temperatures = {name.replace("_", "+"): value for name, value in values.items()}
            return pipelines[model]

        yield set_temperatures
        for config, before in kept:
            config.temperatures = before

    @pytest.mark.parametrize("batch_size", [1, 8])
    def test_by_the_modalities_that_are_there(self, temperatures, mixes, batch_size):
        recognise = temperatures("wavfusion")
        plain = recognise(mixes)
        values = {"text": 2.0, "speech": 3.0, "video": 0.5, "text_speech": 1.5, "text_speech_video": 4.0}
        temperatures("wavfusion", **values)
        calibrated = recognise(mixes, batch_size=batch_size)
        for item, before, after in zip(mixes, plain, calibrated, strict=True):
            name = "_".join(
                kind for key, kind in (("text", "text"), ("audio", "speech"), ("video", "video")) if key in item
            )
            logits = np.log([scores(before)[label] for label in LABELS]) / values.get(name, 1.0)
            expected = np.exp(logits) / np.exp(logits).sum()
            assert [scores(after)[label] for label in LABELS] == pytest.approx(expected, abs=1e-5)

    def test_of_history_alone(self, temperatures):
        recognise = temperatures("le_mer")
        plain = recognise({"history": ["so glad"]})
        temperatures("le_mer", text=5.0)
        assert recognise({"history": ["so glad"]})[0]["score"] < plain[0]["score"]

    def test_what_the_model_has_no_use_for_does_not_count(self, folders, mixes):
        recognise = pipeline(PIPELINE_TASK, model=folders["le_mer"], device="cpu")
        item = next(item for item in mixes if len(item) == 4)
        plain = recognise(item)
        recognise.model.config.temperatures = {"text+speech": 1e6}
        assert [entry["score"] for entry in recognise(item)] == pytest.approx([0.25] * 4, abs=1e-5)
        assert plain[0]["score"] > 0.2501

    def test_travels_with_the_checkpoint(self, folders, tmp_path):
        recognise = pipeline(PIPELINE_TASK, model=folders["le_mer"], device="cpu")
        plain = recognise(text="so glad")
        recognise.model.config.temperatures = {"text": 4.0}
        recognise.save_pretrained(tmp_path / "calibrated")
        again = pipeline(PIPELINE_TASK, model=str(tmp_path / "calibrated"))
        assert again(text="so glad")[0]["score"] < plain[0]["score"]
        assert again(text="so glad") == recognise(text="so glad")

    def test_checkpoints_from_before(self, folders, tmp_path):
        recognise = pipeline(PIPELINE_TASK, model=folders["le_mer"], device="cpu")
        recognise.save_pretrained(tmp_path / "old")
        settings = json.loads((tmp_path / "old" / "config.json").read_text())
        settings.pop("temperatures", None)
        (tmp_path / "old" / "config.json").write_text(json.dumps(settings))
        assert pipeline(PIPELINE_TASK, model=str(tmp_path / "old"))(text="so glad") == recognise(text="so glad")


class TestAbstention:
    def test_threshold(self, recognise):
        plain = recognise(text="so glad")
        best = plain[0]
        for threshold, label in (
            (0.0, best["label"]),
            (best["score"] - 1e-6, best["label"]),
            (best["score"] + 1e-6, None),
        ):
            assert recognise(text="so glad", threshold=threshold) == {"label": label, "scores": plain}
        assert recognise(text="so glad", threshold=0.9, top_k=2) == {"label": None, "scores": plain[:2]}

    def test_refused(self, recognise):
        for threshold in (-0.1, 1.1):
            with pytest.raises(ValueError, match=f"threshold={threshold} must be from 0 to 1"):
                recognise(text="so", threshold=threshold)

    def test_at_construction(self, folders):
        recognise = pipeline(PIPELINE_TASK, model=folders["le_mer"], threshold=1.0, top_k=1, batch_size=2)
        assert recognise(text="so")["label"] is None
        assert recognise(text="so", threshold=0.0)["label"] is not None
        assert len(recognise([{"text": "so"}, {"text": "no"}])) == 2


class TestLabelAttention:
    def test_keywords(self, recognise, write_wav):
        result = recognise(write_wav(seconds=0.5), text="so glad you came what a day", return_attention=True)
        label = result["scores"][0]["label"]
        assert result["keywords"] == [{"word": f"{label}!", "score": 0.5}, {"word": "so", "score": 0.25}]
        json.dumps(result)

    def test_models_without_label_embeddings(self, pipelines):
        result = pipelines["mgcma"](tone(), text="so glad", return_attention=True)
        assert all(not result[name] for name in ("words", "frames", "keywords"))

    def test_figure_of_a_prediction(self, recognise, write_wav):
        from hf_mer.plots.prediction import prediction_figure

        result = recognise(write_wav(), text="so glad", return_attention=True, threshold=0.5)
        assert prediction_figure(result, LABELS, waveform=tone()).axes


class TestRunning:
    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_half_precision(self, model, dtype, folders, pipelines, write_video):
        half = pipeline(PIPELINE_TASK, model=folders[model], dtype=dtype, device="cpu")
        assert half.model.dtype == getattr(torch, dtype)
        items = [{"audio": write_video(), "text": "so glad"}, {"text": "no"}, tone(0.3)]
        for given, exact in zip(half(items, batch_size=3), pipelines[model](items), strict=True):
            assert scores(given) == pytest.approx(scores(exact), abs=0.1)
            assert sum(scores(given).values()) == pytest.approx(1, abs=1e-5)  # the softmax is in single precision

    def test_progress(self, recognise, capsys):
        enable_progress_bar()  # transformers' switch, which other tests turn off
        items = [{"text": "so"}, {"dialogue": [{"text": "no"}, {"text": "yes"}]}]
        assert recognise(items, progress=True) == recognise(items)
        assert "3/3" in capsys.readouterr().err
        recognise(tone(1.0), window_seconds=0.5, progress=True)
        assert "3 windows" in capsys.readouterr().err
        list(recognise((item for item in items), progress=True))
        assert "3 utterances" in capsys.readouterr().err
        recognise(items)
        assert not capsys.readouterr().err

    def test_results_of_a_generator_come_as_they_are_made(self, recognise):
        taken = []
        results = iter(recognise(taken.append(text) or {"text": text} for text in ("so", "no", "yes")))
        next(results)
        assert taken == ["so"]

    def test_an_iterator_is_an_input_of_many(self, recognise):
        results = list(recognise(iter([{"text": "so"}, {"text": "no"}]), batch_size=2))
        assert scores(results[1]) == pytest.approx(scores(recognise(text="no")), abs=1e-5)


class TestAddresses:
    @pytest.mark.parametrize("address", ["https://example.org/a.wav", "s3://bucket/a.wav", "file:///a.wav"])
    def test_are_not_opened(self, recognise, address):
        for item in (address, {"audio": address}, {"path": address}, {"text": "so", "video": address}):
            with pytest.raises(ValueError, match=f"{address}: addresses are not opened here; download it and give"):
                recognise(item)
            with pytest.raises(ValueError, match="addresses are not opened here"):
                recognise(item if "text" not in item else address, window_seconds=1.0)

    def test_bytes_of_one_are(self, recognise, write_wav):
        content = Path(write_wav()).read_bytes()
        assert recognise({"path": "https://example.org/a.wav", "bytes": content}) == recognise(content)


def test_a_label_store_of_the_processor_is_used_as_it_is(recognise):
    assert recognise.processor.label_store.labels == tiny_store().labels == recognise.labels
