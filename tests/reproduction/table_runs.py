"""Finished runs for tests of tables: scores are made up, and models were never trained."""

import csv
import json
from dataclasses import fields

import numpy as np
import torch
from generated_corpus import SPEECH, TEXT

from hf_mer.data.corpora.iemocap import load_iemocap
from hf_mer.data.schema import column
from hf_mer.metrics.scores import bootstrap_intervals, confusion, emotion_scores
from hf_mer.reproduction.table import Run
from hf_mer.training.building import build_model, build_processor
from hf_mer.training.settings.arguments import DataArguments
from hf_mer.training.settings.model_arguments import LeMerArguments, MgcmaArguments

LABELS = ["angry", "happy", "neutral", "sad"]


def make_run(folder, corpus=None, seed=1, fold="Ses05", right=0.7, model=True, system="mgcma", **settings):
    """A run on a session of a generated corpus, or without one on 40 utterances that nobody has."""
    kind = {"mgcma": MgcmaArguments, "le_mer": LeMerArguments}[system]
    own = {name: value for name, value in settings.items() if name in {item.name for item in fields(kind)}}
    if system == "mgcma":
        own = {"num_attention_heads": 2, **own}
    arguments = kind(text_encoder=TEXT, speech_encoder=SPEECH, **own)
    folder = folder / f"seed{seed}" / fold
    folder.mkdir(parents=True)
    data = {"corpus": "iemocap", "task": "4class", "use_history": True, "max_history": 3, "max_text_tokens": 48}
    ids, truth, texts = [f"utterance{index}" for index in range(40)], np.arange(40) % 4, []
    if corpus is not None:
        rows = load_iemocap(corpus, "4class", max_history=3)
        texts = column(rows, "text")
        rows = rows.filter(lambda session: session == fold, input_columns="session")
        ids, truth = column(rows, "id"), np.array(column(rows, "label"))
    rng = np.random.default_rng([seed, *fold.encode(), int(100 * right)])
    predictions = np.where(rng.random(len(truth)) < right, truth, rng.integers(0, 4, len(truth)))
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "prediction", *LABELS])
        for row_id, label, prediction in zip(ids, truth, predictions, strict=True):
            writer.writerow([row_id, LABELS[label], LABELS[prediction], 0.25, 0.25, 0.25, 0.25])
    if model:
        torch.manual_seed(seed)
        processor = build_processor(arguments, DataArguments(data_dir=str(corpus), **data), texts, fold)
        made, _ = build_model(arguments, LABELS, processor, fold, False)
        made.save_pretrained(folder / "model")
        processor.save_pretrained(folder / "model")
    results = {
        "fold": fold,
        "rows": {"train": 4 * len(truth), "validation": 0, "test": len(truth)},
        "settings": {"model": {"modalities": arguments.modalities, **settings}, "data": data},
        "test": {
            "scores": emotion_scores(truth, predictions, 4),
            "intervals_95": bootstrap_intervals(truth, predictions, 4, num_resamples=50),
            "confusion": {"labels": LABELS, "matrix": confusion(truth, predictions, 4).tolist()},
        },
        "minutes": 1.0,
    }
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    return Run(seed, fold, folder, json.loads(json.dumps(results)))
