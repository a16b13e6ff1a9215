"""What the model of a finished run makes of its test utterances: representations of the modalities, and gates."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from sklearn.manifold import TSNE
from transformers import AutoModel, BatchFeature

from hf_mer.data.collator import MerDataCollator
from hf_mer.data.protocols.folds import Fold
from hf_mer.data.schema import column
from hf_mer.data.word_errors import with_transcript_errors
from hf_mer.models import MerProcessor
from hf_mer.reproduction.table import Run
from hf_mer.training.building import model_folder
from hf_mer.training.corpus import read_rows
from hf_mer.training.results import rows_of_predictions
from hf_mer.training.settings.arguments import DataArguments


@dataclass
class Representations:
    """What a model made of some utterances.

    Attributes:
        ids: Of the utterances. Length `N`.
        classes: True class of each. Shape `(N,)`.
        embeddings: By modality, one vector per utterance, NaN where it lacks the modality; of a model that gives none
            by modality, the one that its classifier sees, as `fused`. Shape `(N, D)` each.
        gates: Of WavFusion, the mean of `P` over an utterance's frames, by deep layer, NaN where it lacks one of the
            three modalities; None for a model without gates. Shape `(N, layers)`.
    """

    ids: list[str]
    classes: np.ndarray
    embeddings: dict[str, np.ndarray] = field(default_factory=dict)
    gates: np.ndarray | None = None


def load_model(run: Run, device: torch.device | str | None = None) -> tuple[Any, Any]:
    """Model (in evaluation mode) and processor of a run.

    Args:
        run: A finished run.
        device: Where the model goes; the accelerator at hand if not given, else the CPU.

    Raises:
        FileNotFoundError: If the run has left none: it is a baseline's, or the folder was removed.
    """
    folder = model_folder(run.folder)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder}: no model")
    model = AutoModel.from_pretrained(folder, trust_remote_code=False)
    found = torch.accelerator.current_accelerator(check_available=True)
    return model.to(device or found or "cpu").eval(), MerProcessor.from_pretrained(folder)


def rows_of_run(run: Run, data_dir: str | Path, read: Callable[[DataArguments], Dataset] = read_rows) -> Dataset:
    """The rows that a run was tested on, in the order of the corpus, with the errors of its transcripts.

    Which ones they are its predictions tell: no fold is made again and no recording is checked again.

    Args:
        run: A finished run.
        data_dir: Root of the corpus, which the run's settings leave out.
        read: From `DataArguments` to the rows of the corpus; one that remembers them saves time over many runs.

    Raises:
        CorpusError: If the corpus lacks some of them.
    """
    known = {item.name for item in fields(DataArguments)}
    settings = {name: value for name, value in run.results["settings"]["data"].items() if name in known}
    arguments = DataArguments(**{**settings, "data_dir": str(data_dir)})
    rows = read(arguments)
    indices = rows_of_predictions(rows, run.folder / "predictions.csv", f"is {data_dir} another corpus?")
    heard = with_transcript_errors(rows, Fold(run.fold, [], [], indices), arguments, run.seed)
    return heard.select(indices)


def balanced(classes: np.ndarray, count: int) -> np.ndarray:
    """Positions of at most `count` utterances, as many of each class as there are, evenly over the corpus; ascending.

    Args:
        classes: Shape `(N,)`.
        count: Utterances at most.
    """
    chosen: list[int] = []
    names, counts = np.unique(classes, return_counts=True)
    order = names[np.argsort(counts, kind="stable")]  # rare classes first: what they lack goes to the others
    for position, index in enumerate(order):
        members = np.flatnonzero(classes == index)
        share = (count - len(chosen)) // (len(order) - position)
        places = np.linspace(0, len(members) - 1, min(share, len(members)))
        chosen += members[places.round().astype(int)].tolist()
    return np.array(sorted(chosen), dtype=np.int64)


@torch.no_grad()
def represent(
    model: Any, processor: Any, rows: Dataset, use_history: bool = True, batch_size: int = 16
) -> Representations:
    """Runs a model over rows and keeps what its outputs carry of every utterance.

    Args:
        model: In evaluation mode.
        processor: Of the model.
        rows: Of a corpus.
        use_history: Whether the model reads earlier utterances.
        batch_size: Utterances at once.
    """
    collator = MerDataCollator(processor, model.config.modalities, use_history=use_history)
    embeddings: dict[str, list[np.ndarray]] = {}
    gates: list[np.ndarray] = []
    for start in range(0, len(rows), batch_size):
        batch = collator([rows[index] for index in range(start, min(start + batch_size, len(rows)))])
        batch.pop("labels", None)
        inputs = BatchFeature(batch).to(device=model.device, dtype=model.dtype)
        output = model(**inputs, output_attentions=True, return_dict=True)
        masks = {name: getattr(output, f"{name}_mask") for name in model.config.modalities}
        for name, vectors in (output.modality_embeddings or {"fused": output.embeddings}).items():
            vectors = vectors.float()
            if name in masks:
                vectors = vectors.masked_fill(~masks[name].any(dim=1, keepdim=True), float("nan"))
            embeddings.setdefault(name, []).append(vectors.cpu().numpy())
        if output.gates is not None:
            gates.append(_mean_gates(output.gates, masks).cpu().numpy())
    return Representations(
        column(rows, "id"),
        np.array(column(rows, "label")),
        {name: np.concatenate(parts) for name, parts in embeddings.items()},
        np.concatenate(gates) if gates else None,
    )


def tsne_points(embeddings: dict[str, np.ndarray], perplexity: float = 30.0, seed: int = 0) -> dict[str, np.ndarray]:
    """All modalities' vectors together in one plane, by t-SNE from their principal components.

    Distances are those of directions (cosine), which is what the models align.

    Source: van der Maaten and Hinton, *Visualizing Data using t-SNE*, JMLR 9, 2008.

    Args:
        embeddings: By modality, vectors of one width, NaN where there is none. Shape `(N, D)` each.
        perplexity: How many neighbours count; at most a third of the vectors.
        seed: Of the random numbers.

    Returns:
        By modality, places. Shape `(N, 2)` each, NaN where there is no vector.

    Raises:
        ValueError: If there are fewer than eight vectors.
    """
    stacked = np.concatenate(list(embeddings.values())).astype(np.float64)  # (modalities * N, D)
    known = np.isfinite(stacked).all(axis=1)
    if known.sum() < 8:
        raise ValueError(f"t-SNE needs at least 8 vectors, got {known.sum()}")
    perplexity = min(perplexity, (known.sum() - 1) / 3)
    points = np.full((len(stacked), 2), np.nan)
    tsne = TSNE(perplexity=perplexity, metric="cosine", init="pca", random_state=seed)
    points[known] = tsne.fit_transform(stacked[known])
    parts = np.split(points, len(embeddings))
    return dict(zip(embeddings, parts, strict=True))


def _mean_gates(gates: tuple[torch.Tensor, ...], masks: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean over real frames of each layer, `(B, layers)`; NaN where there was nothing to weigh."""
    speech = masks["speech"]
    whole = torch.stack([mask.any(dim=1) for mask in masks.values()]).all(dim=0)  # (B,)
    frames = speech.sum(dim=1).clamp(min=1)
    means = torch.stack([(gate.float() * speech).sum(dim=1) / frames for gate in gates], dim=1)
    return means.masked_fill(~whole.unsqueeze(1), float("nan"))
