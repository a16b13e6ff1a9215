"""What models make of utterances, from runs whose models were never trained."""

import csv

import numpy as np
import pytest
import torch
from model_tester import tiny_settings, tiny_tokenizer, tiny_video_config, wave_feature_extractor
from table_runs import make_run
from transformers import EfficientNetImageProcessorPil

from hf_mer.data.schema import CorpusError, make_record, records_to_dataset
from hf_mer.models import MerProcessor, WavFusionConfig, WavFusionForEmotionClassification
from hf_mer.reproduction.model_figures import class_silhouette
from hf_mer.reproduction.representations import (
    Representations,
    balanced,
    load_model,
    represent,
    rows_of_run,
    tsne_points,
)


@pytest.fixture
def wavfusion():
    """An untrained WavFusion of three modalities and two gated layers, and its processor."""
    torch.manual_seed(0)
    settings = {"video_config": tiny_video_config(), "num_deep_layers": 2, "auxiliary_heads": 2, "video_dim": 8}
    config = WavFusionConfig(**{**tiny_settings(), **settings, "lvc_codewords": 5, "shared_dim": 6})
    model = WavFusionForEmotionClassification(config).eval()
    images = EfficientNetImageProcessorPil(size={"height": 32, "width": 32}, do_center_crop=False)
    processor = MerProcessor(
        wave_feature_extractor(), tiny_tokenizer(), image_processor=images, num_frames=3, max_text_tokens=40
    )
    return model, processor


def test_test_rows_are_those_of_the_predictions(corpus, tmp_path):
    run = make_run(tmp_path, corpus, model=False)
    rows = rows_of_run(run, corpus)
    with (run.folder / "predictions.csv").open() as file:
        tested = [line["id"] for line in csv.DictReader(file)]
    assert sorted(rows["id"][:]) == sorted(tested)
    assert set(rows["session"][:]) == {"Ses05"}


def test_test_rows_have_the_errors_that_the_run_saw(corpus, tmp_path):
    right, wrong = make_run(tmp_path / "right", corpus, model=False), make_run(tmp_path / "wrong", corpus, model=False)
    wrong.results["settings"]["data"].update(word_error_rate=0.5, word_error_parts="test")
    texts = [rows_of_run(run, corpus)["text"][:] for run in (right, wrong, wrong)]
    assert texts[1] == texts[2] != texts[0]


def test_a_corpus_without_the_test_rows_is_refused(corpus, tmp_path):
    run = make_run(tmp_path, corpus, model=False)
    with (run.folder / "predictions.csv").open("a") as file:
        file.write("Ses09F_impro01_F000,sad,sad,0,0,0,1\n")
    with pytest.raises(
        CorpusError,
        match=r"1 of the 13 test rows .*predictions\.csv\) are not in this corpus, such as 'Ses09F_impro01",
    ):
        rows_of_run(run, corpus)


def test_a_run_without_a_model_is_refused(corpus, tmp_path):
    with pytest.raises(FileNotFoundError, match="no model"):
        load_model(make_run(tmp_path, corpus, model=False))


def test_representations_are_what_the_model_gives_one_by_one(corpus, tmp_path):
    run = make_run(tmp_path, corpus)
    model, processor = load_model(run, "cpu")
    assert not model.training
    rows = rows_of_run(run, corpus)
    together = represent(model, processor, rows, batch_size=8)
    alone = represent(model, processor, rows, batch_size=1)
    assert together.ids == rows["id"][:]
    assert set(together.embeddings) == {"text", "speech"}
    assert together.gates is None
    np.testing.assert_array_equal(together.classes, rows["label"][:])
    for name, vectors in together.embeddings.items():
        assert vectors.shape == (len(rows), model.config.hidden_size)
        assert vectors.std(axis=0).max() > 0
        np.testing.assert_allclose(vectors, alone.embeddings[name], atol=1e-4)


def test_history_is_read_only_where_the_model_was_trained_with_it(corpus, tmp_path):
    run = make_run(tmp_path, corpus)
    model, processor = load_model(run, "cpu")
    rows = rows_of_run(run, corpus)
    with_it, without = (represent(model, processor, rows, use).embeddings["text"] for use in (True, False))
    assert not np.allclose(with_it, without)


def test_gates_are_means_over_real_frames_and_missing_modalities_have_none(wavfusion, write_wav, write_video):
    model, processor = wavfusion
    full = {"audio": write_wav(seconds=0.3), "text": "good", "video": write_video(seconds=1.0), "label": 1}
    records = [
        make_record(id="all", **full),
        make_record(id="long", **{**full, "audio": write_wav("long.wav", seconds=0.8)}),
        make_record(id="no video", **{**full, "video": None, "label": 0}),
        make_record(id="no speech", **{**full, "audio": None}),
    ]
    rows = records_to_dataset(records, ["angry", "sad"])
    found = represent(model, processor, rows)
    assert found.gates.shape == (4, 2)
    assert np.isfinite(found.gates[:2]).all()
    assert np.isnan(found.gates[2:]).all()
    assert [bool(np.isnan(found.embeddings["video"][row]).all()) for row in range(4)] == [False, False, True, False]
    assert np.isnan(found.embeddings["speech"][3]).all()
    alone = represent(model, processor, rows.select([0]))
    np.testing.assert_allclose(found.gates[0], alone.gates[0], atol=1e-4)  # padding counts for nothing


def test_a_model_without_embeddings_by_modality_gives_the_fused_one(tiny_checkpoint, write_wav):
    folder, model = tiny_checkpoint()
    rows = records_to_dataset([make_record(id="a", audio=write_wav(), text="good", label=0)], ["angry", "sad"])
    found = represent(model, MerProcessor.from_pretrained(folder), rows)
    assert set(found.embeddings) == {"fused"}
    assert np.isfinite(found.embeddings["fused"]).all()


def test_chosen_utterances_are_balanced():
    classes = np.array([0] * 50 + [1] * 5 + [2] * 30)
    chosen = balanced(classes, 35)
    assert np.bincount(classes[chosen]).tolist() == [15, 5, 15]
    assert sorted(set(chosen.tolist())) == chosen.tolist()
    assert chosen[0] == 0  # evenly over the class, from its first to its last
    assert chosen[-1] == 84
    assert balanced(classes, 1000).tolist() == list(range(85))


def test_points_keep_neighbours_together():
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1], 15)
    centres = np.eye(8)[classes] * 5
    embeddings = {name: centres + 0.1 * rng.normal(size=(30, 8)) for name in ("text", "speech")}
    embeddings["text"][3] = np.nan
    points = tsne_points(embeddings, perplexity=10)
    assert np.isnan(points["text"][3]).all()
    assert np.isfinite(points["speech"]).all()
    found = Representations([""] * 30, classes, points)
    assert class_silhouette(Representations([""] * 30, classes, embeddings)) > 0.9
    middles = [np.nanmean(np.concatenate([part[classes == index] for part in points.values()]), 0) for index in (0, 1)]
    for part in found.embeddings.values():
        distances = np.stack([np.linalg.norm(part - middle, axis=1) for middle in middles])
        known = np.isfinite(distances[0])
        assert (distances.argmin(axis=0) == classes)[known].all()
    again = tsne_points(embeddings, perplexity=10)
    np.testing.assert_array_equal(points["speech"], again["speech"])
    with pytest.raises(ValueError, match="t-SNE needs at least 8 vectors, got 2"):
        tsne_points({"text": np.ones((2, 3))})


def test_no_silhouette_of_a_single_class():
    assert np.isnan(class_silhouette(Representations(["a", "b"], np.zeros(2), {"text": np.eye(2)})))
