"""The pipeline around a graph gives the scores and explanations of the pipeline around the model."""

import pytest
import torch

from hf_mer.export import OnnxMerModel
from hf_mer.models import MerProcessor, MultimodalEmotionRecognitionPipeline
from hf_mer.prediction.load import load_recognizer


def scores(result):
    return {item["label"]: item["score"] for item in result}


def close(result, expected, tolerance=1e-4):
    assert scores(result) == pytest.approx(scores(expected), abs=tolerance)


@pytest.fixture
def items(write_wav):
    return [
        {"audio": write_wav("a.wav", 0.4), "text": "so glad", "history": ["who is it"]},
        {"audio": write_wav("b.wav", 0.2, pitch=330.0), "text": None},
        {"text": "awful day"},
        {"audio": write_wav("d.wav", 0.1, pitch=150.0), "text": "i am so glad you came"},
    ]


@pytest.mark.parametrize("name", ["le_mer", "mgcma"])
def test_scores_one_by_one_and_batched(name, request, items):
    export = request.getfixturevalue(name)
    plain, exported = load_recognizer(export.checkpoint, device="cpu"), load_recognizer(export.folder)
    assert isinstance(exported.model, OnnxMerModel)
    expected = [plain(item) for item in items]
    assert len({round(result[0]["score"], 4) for result in expected}) == len(items)
    for item, result in zip(items, expected, strict=True):
        close(exported(item), result)
    for mine, theirs in zip(exported(items, batch_size=3), expected, strict=True):
        close(mine, theirs)


@pytest.mark.slow
def test_films(wavfusion, write_video, write_wav):
    plain, exported = load_recognizer(wavfusion.checkpoint, device="cpu"), load_recognizer(wavfusion.folder)
    film = write_video()
    items = [
        {"video": film, "text": "so glad"},
        {"audio": write_wav()},
        {"audio": None, "video": film},
        {"text": "no"},
    ]
    for mine, item in zip(exported(items, batch_size=4), items, strict=True):
        close(mine, plain(item))
        close(exported(item), plain(item))


def test_words_and_frames_that_the_label_attention_finds(le_mer, items):
    plain, exported = load_recognizer(le_mer.checkpoint, device="cpu"), load_recognizer(le_mer.folder)
    for item in items:
        mine, theirs = exported(item, return_attention=True), plain(item, return_attention=True)
        close(mine["scores"], theirs["scores"])
        assert [word["word"] for word in mine["words"]] == [word["word"] for word in theirs["words"]]
        for word, other in zip(mine["words"], theirs["words"], strict=True):
            assert word["sad"] == pytest.approx(other["sad"], abs=1e-4)
        assert set(mine["frames"]) == set(theirs["frames"])
        for label in mine["frames"]:
            assert mine["frames"][label] == pytest.approx(theirs["frames"][label], abs=1e-4)


@pytest.mark.parametrize("name", ["le_mer", "mgcma"])
def test_what_explains_a_prediction(name, request, items):
    """The same values from forward passes of the graph, which takes no states of encoders."""
    export = request.getfixturevalue(name)
    plain, exported = load_recognizer(export.checkpoint, device="cpu"), load_recognizer(export.folder)
    mine, theirs = (one(items[0], explain={"budget": 100})["explanation"] for one in (exported, plain))
    assert mine["forward_passes"] == theirs["forward_passes"]
    assert mine["modalities"] == pytest.approx(theirs["modalities"], abs=1e-3)
    for kind in ("words", "segments"):
        values = [entry["value"] for entry in theirs[kind]]
        assert values
        assert [entry["value"] for entry in mine[kind]] == pytest.approx(values, abs=1e-3)


def test_the_eight_bit_graph_by_its_file(le_mer, items):
    exported = load_recognizer(le_mer.folder / "model_int8.onnx")
    assert len(exported.model.session.get_inputs()) == 5
    plain = load_recognizer(le_mer.folder)
    difference = abs(exported(items[0])[0]["score"] - plain(items[0])[0]["score"])
    assert 0 < difference < 0.2


def test_a_pipeline_by_hand(le_mer, items):
    model = OnnxMerModel.from_pretrained(le_mer.folder, threads=1)
    processor = MerProcessor.from_pretrained(le_mer.folder)
    recognise = MultimodalEmotionRecognitionPipeline(model=model, processor=processor)
    close(recognise(items[0]), load_recognizer(le_mer.folder)(items[0]))
    assert model.device == torch.device("cpu")
    assert model.dtype == torch.float32
    assert model.eval().to("cpu") is model


def test_what_a_graph_cannot_do(le_mer):
    with pytest.raises(ValueError, match=r"dtype 'bfloat16': the graph .* was exported in float32"):
        load_recognizer(le_mer.folder, dtype="bfloat16")
    with pytest.raises(ValueError, match="onnxruntime here runs on cpu only"):
        load_recognizer(le_mer.folder, device="cuda")
    with pytest.raises(ValueError, match="device .foo.: onnxruntime here runs on cpu only"):
        load_recognizer(le_mer.folder, device="foo")
    model = OnnxMerModel.from_pretrained(le_mer.folder)
    with pytest.raises(ValueError, match="has no input 'labels'; it has input_ids, attention_mask"):
        model(input_ids=torch.ones(1, 2, dtype=torch.long), labels=torch.zeros(1))
    with pytest.raises(ValueError, match="the model needs text or speech"):
        model(attention_mask=torch.ones(1, 2))
