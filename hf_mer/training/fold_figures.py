"""Draws and saves the figures of a finished fold, those included for which its model is run again."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from hf_mer.data.corpora.iemocap_words import word_times
from hf_mer.files import Drawn, file_name, save_figure
from hf_mer.models import LabelEmbeddingStore, MultimodalEmotionRecognitionPipeline
from hf_mer.models.audio_mer import load_audio
from hf_mer.models.layer_mixture_mer import LayerMixture
from hf_mer.models.notes_mer import collected_notes
from hf_mer.models.segments_mer import audio_of
from hf_mer.plots import label_keywords_and_key_frames
from hf_mer.plots.prediction import prediction_figure, shown_words
from hf_mer.training.label_store.discretizer import CodebookDiscretizer, KMeansDiscretizer
from hf_mer.training.label_store.overlap import overlap_summary
from hf_mer.training.result_figures import confusion_figure, curves_figure, layers_figure, reliability_figure

KEY_FRAME_SECONDS = 2.0  # of waveform per class in figure 1
KEY_FRAME_ROWS = 40  # training rows per class that are searched for key frames, more only while there are none


def draw_fold_figures(
    folder: Path,
    model: Any,
    processor: Any,
    results: dict[str, Any],
    parts: dict[str, Dataset],
    collator: Any,
    pretraining: Any = None,
) -> None:
    """Confusion matrix, reliability, training curves, layers, figure 1, and figure 4 for one utterance per class."""
    model.eval()
    figures = (confusion_figure, reliability_figure, curves_figure, layers_figure)
    for drawn in (make(results) for make in figures):
        if drawn is not None:
            drawn.save(folder, formats=("png",))
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
        labels = results["test"]["confusion"]["labels"]
        for drawn in attention_examples(model, processor, parts["test"], labels, use_history):
            save_figure(drawn.figure, folder / f"{drawn.name}.png")


def attention_examples(
    model: Any, processor: Any, test: Dataset, labels: list[str], use_history: bool = True
) -> Iterator[Drawn]:
    """Figure 4 with its numbers, `label_attention_<class>`, for one test utterance of every class.

    It shows similarity to the labels' embeddings and does not explain the decision.

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
    """Per class, the segments of training audio that bear its tonal codes, one after the other (figure 1).

    A segment is two frames or more. Of a codebook with very many codes two that are wanted may never follow one
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
    audio, mask = model.audio_of(inputs).to(model.device), inputs["audio_attention_mask"].to(model.device)
    if isinstance(discretizer, CodebookDiscretizer):
        frames = model.conv_features(audio, mask)[0]
    elif discretizer.features == "input":
        frames = model.frames_of(audio)
    else:
        frames = _states_as_coded(model, audio, mask)
    return discretizer.codes(frames)[0].cpu().numpy()


def _states_as_coded(model: Any, audio: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Hidden states `(B, S, D)`, layers mixed in equal shares as when codes were made of them, before training."""
    mixture = model.mixture("speech")
    states = model.encode_speech(audio, mask, apart=mixture is not None)[0]
    return states if mixture is None else LayerMixture(len(mixture.weight)).to(states.device)(states.unbind(dim=2))


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
