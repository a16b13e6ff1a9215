"""Draws and saves the figures of a finished fold."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from matplotlib.figure import Figure

from hf_mer.data.corpora.iemocap_words import word_times
from hf_mer.files import write_atomically, write_csv
from hf_mer.models import LabelEmbeddingStore, MultimodalEmotionRecognitionPipeline
from hf_mer.models.audio_mer import load_audio
from hf_mer.models.notes_mer import collected_notes
from hf_mer.models.segments_mer import audio_of
from hf_mer.plots import confusion_matrix, history_series, label_keywords_and_key_frames, training_curves
from hf_mer.plots.prediction import prediction_figure, shown_words
from hf_mer.plots.reliability import reliability_diagram
from hf_mer.training.label_store.discretizer import CodebookDiscretizer, KMeansDiscretizer
from hf_mer.training.label_store.overlap import overlap_summary

logger = logging.getLogger(__name__)

KEY_FRAME_SECONDS = 2.0  # of waveform per class in figure 1
KEY_FRAME_ROWS = 40  # training rows per class that are searched for key frames, more only while there are none


@dataclass
class Drawn:
    """A figure and the numbers behind it.

    Attributes:
        name: Of its files, without suffix.
        figure: The figure.
        columns: Names of the numbers' columns.
        rows: The numbers.
    """

    name: str
    figure: Figure
    columns: Sequence[str]
    rows: list[Sequence[Any]] = field(repr=False)

    def save(self, folder: Path) -> list[Path]:
        """Writes it for the screen (PNG) and for print (PDF), and its numbers (CSV); gives the paths."""
        paths = [save_figure(self.figure, folder / f"{self.name}{suffix}") for suffix in (".png", ".pdf")]
        return [*paths, write_csv(folder / f"{self.name}.csv", self.columns, self.rows)]


def save_figure(figure: Figure, path: str | Path, dpi: int = 150) -> Path:
    """Saves a figure, whole or not at all; the format is the suffix'.

    The same figure gives the same file: a PDF does not say when it was made.
    """
    metadata = {"CreationDate": None} if Path(path).suffix == ".pdf" else None
    return write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=dpi, metadata=metadata))


def draw_fold_figures(
    folder: Path,
    model: Any,
    processor: Any,
    results: dict[str, Any],
    parts: dict[str, Dataset],
    collator: Any,
    pretraining: Any = None,
) -> None:
    """Training curves, confusion matrix, reliability, figure 1, and figure 4 for one test utterance per class."""
    model.eval()
    test, labels = results["test"], results["test"]["confusion"]["labels"]
    save_figure(confusion_matrix(np.array(test["confusion"]["matrix"]), labels), folder / "confusion_matrix.png")
    _draw_reliability(folder, results.get("calibration", {}))
    series = history_series(results["history"])
    if series:
        best = f"eval_{results['settings']['training']['metric_for_best_model']}"
        save_figure(training_curves(results["history"], best=best), folder / "training_curves.png")
        rows = [(name, epoch, value) for name, points in series.items() for epoch, value in points.tolist()]
        write_csv(folder / "training_curves.csv", ("name", "epoch", "value"), rows)
    if not hasattr(model.config, "has_text_labels"):
        return  # no label embeddings to draw
    store = processor.label_store
    keywords = store.keywords if model.config.has_text_labels else None
    waveforms = None
    if store.tonal_codes and "speech" in model.config.modalities:
        waveforms = key_frame_waveforms(model, processor, store, parts["train"], collator, pretraining)
    if keywords or waveforms:
        note = overlap_summary(store)
        figure = label_keywords_and_key_frames(keywords, waveforms, processor.sampling_rate, note=note)
        save_figure(figure, folder / "label_keywords_and_key_frames.png")
    if model.config.has_text_labels or model.config.has_tonal_labels:
        use_history = results["settings"]["data"]["use_history"]
        draw_attention_examples(folder, model, processor, parts["test"], labels, use_history)


def _draw_reliability(folder: Path, calibration: dict[str, Any]) -> None:
    """Confidence against accuracy on the test part, and the numbers behind it."""
    tested = calibration.get("test")
    if not tested:
        return
    panels = {"before": ("Before scaling", tested["ece"])}
    if calibration["temperatures"]:
        panels["after"] = ("Calibrated", tested["ece_calibrated"])
    bins = {title: (tested["reliability"][name], error) for name, (title, error) in panels.items()}
    save_figure(reliability_diagram(bins), folder / "reliability.png")
    rows = [
        (title, index / len(one["counts"]), *(one[name][index] for name in ("counts", "confidence", "accuracy")))
        for title, (one, _) in bins.items()
        for index in range(len(one["counts"]))
    ]
    columns = ("panel", "from", "utterances", "confidence", "accuracy")
    write_csv(folder / "reliability.csv", columns, rows)


def draw_attention_examples(
    folder: Path, model: Any, processor: Any, test: Dataset, labels: list[str], use_history: bool = True
) -> None:
    """Figure 4 for a test utterance of every class: one that the model recognises, if there is any."""
    for drawn in attention_examples(model, processor, test, labels, use_history):
        save_figure(drawn.figure, folder / f"{drawn.name}.png")


def attention_examples(
    model: Any, processor: Any, test: Dataset, labels: list[str], use_history: bool = True
) -> Iterator[Drawn]:
    """Figure 4 with its numbers, `label_attention_<class>`, for one test utterance of every class.

    Args:
        model: With label embeddings.
        processor: Of the model.
        test: Rows with their lengths.
        labels: Class names.
        use_history: Whether the model reads earlier utterances.
    """
    pipeline = MultimodalEmotionRecognitionPipeline(model=model, processor=processor, device=model.device)
    truth = np.array(test["label"])
    lengths = np.array(test["length"])
    for index, label in enumerate(labels):
        candidates = np.flatnonzero(truth == index)
        # utterances of middling length are drawn best
        candidates = candidates[np.argsort(np.abs(lengths[candidates] - np.median(lengths)), kind="stable")][:10]
        chosen: Any = None
        prediction: Any = None
        for candidate in candidates:
            row = test[int(candidate)]
            found = pipeline(_input(row, model, use_history), return_attention=True)
            if prediction is None or found["scores"][0]["label"] == label:
                chosen, prediction = row, found
            if found["scores"][0]["label"] == label:
                break
        if prediction is None or (not prediction["frames"] and not prediction["words"]):
            continue
        audio = audio_of(chosen) if "speech" in model.config.modalities else None
        seconds = processor.max_audio_seconds
        with collected_notes():  # the check of the corpus has counted them
            waveform = None if audio is None else load_audio(audio, processor.sampling_rate, max_seconds=seconds)
        times = word_times(audio, [word["word"] for word in shown_words(prediction)])
        figure = prediction_figure(
            prediction,
            labels,
            waveform=waveform,
            sampling_rate=processor.sampling_rate,
            word_times=times,
            true_label=label,
            title=chosen["id"],
        )
        columns = ("unit", "position", "word", "seconds", *labels)
        yield Drawn(f"label_attention_{file_name(label)}", figure, columns, _attention_rows(prediction, labels, times))


def _attention_rows(prediction: dict[str, Any], labels: list[str], times: np.ndarray | None) -> list[Sequence[Any]]:
    """Label attention of every word that is drawn and of every frame, with its centre in seconds where it is known."""
    words = shown_words(prediction)
    centres = [None] * len(words) if times is None else times.mean(axis=1).tolist()
    rows: list[Sequence[Any]] = [
        ("word", position, word["word"], centre, *(word[label] for label in labels))
        for position, (word, centre) in enumerate(zip(words, centres, strict=True))
    ]
    frames = prediction["frames"]
    if frames:
        for position, values in enumerate(zip(frames["seconds"], *(frames[label] for label in labels), strict=True)):
            rows.append(("frame", position, None, *values))
    return rows


def key_frame_waveforms(
    model: Any, processor: Any, store: LabelEmbeddingStore, train: Dataset, collator: Any, pretraining: Any = None
) -> dict[str, np.ndarray]:
    """Per class, the stretches of training audio that bear its tonal codes, one after the other (figure 1).

    A stretch is two frames or more. Of a codebook with very many codes two that are wanted may never follow one
    another: single frames are taken then.

    Returns:
        Samples at the processor's rate, at most `KEY_FRAME_SECONDS`, by class, none for a class without any; nothing
        if no class has any.
    """
    if store.discretizer["kind"] == "codebook":
        if pretraining is None:
            return {}
        discretizer: Any = CodebookDiscretizer(pretraining)
    else:
        discretizer = KMeansDiscretizer(features=store.discretizer["features"], centroids=store.centroids)
    truth = np.array(train["label"])
    most = int(KEY_FRAME_SECONDS * processor.sampling_rate)
    waveforms = {}
    for index, label in enumerate(store.labels):
        wanted = [code for code, _ in store.tonal_codes[label]]
        pieces: list[np.ndarray] = []
        single: list[np.ndarray] = []
        for searched, row_index in enumerate(np.flatnonzero(truth == index)):
            if sum(map(len, pieces)) >= most or (searched >= KEY_FRAME_ROWS and (pieces or single)):
                break
            row = train[int(row_index)]
            if row["audio"] is None:
                continue
            codes = _codes(model, processor, discretizer, collator.audio_features(row))
            for frames, samples in _stretches(audio_of(row), processor, np.isin(codes, wanted)):
                (pieces if frames > 1 else single).append(samples)
        waveforms[label] = np.concatenate([*(pieces or single), np.zeros(0, np.float32)])[:most]
    return waveforms if any(map(len, waveforms.values())) else {}


@torch.no_grad()
def _codes(model: Any, processor: Any, discretizer: Any, features: np.ndarray) -> np.ndarray:
    inputs = processor.collate([features], [None])
    audio, mask = inputs[processor.audio_input_name].to(model.device), inputs["audio_attention_mask"].to(model.device)
    if isinstance(discretizer, CodebookDiscretizer):
        frames = model.conv_features(audio, mask)[0]
    elif discretizer.features == "input":
        frames = audio
    else:
        frames = model.encode_speech(audio, mask)[0]
    return discretizer.codes(frames)[0].cpu().numpy()


def _stretches(audio: Any, processor: Any, chosen: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Runs of chosen frames: how many frames, and their samples."""
    with collected_notes():
        waveform = load_audio(audio, processor.sampling_rate, max_seconds=processor.max_audio_seconds)
    hop = len(waveform) / len(chosen)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    return [
        (int(end - start), waveform[int(start * hop) : int(end * hop)])
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def _input(row: dict[str, Any], model: Any, use_history: bool) -> dict[str, Any]:
    return {
        "audio": audio_of(row) if "speech" in model.config.modalities else None,
        "text": row["text"] if "text" in model.config.modalities else None,
        "history": row["history"] if use_history else [],
    }


def file_name(text: str) -> str:
    """Text as part of a file's name."""
    return "".join(character if character.isalnum() else "_" for character in text)
