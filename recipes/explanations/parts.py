"""The parts of the measurement: corpora, trainings, and what is measured of each checkpoint, every one done once."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from agreement import measure_checkpoint
from kept import finished_or
from removal import measure_removal

from hf_mer.data.generated.corpus_settings import GeneratedCorpusConfig, GeneratedMeldConfig
from hf_mer.data.generated.generate import generate_corpus, generate_meld_corpus
from hf_mer.files import file_name
from hf_mer.training.run import run_system

SYSTEMS = ("le_mer", "wavfusion")
CORPUS_SEED = 18
"""Not the demo's, on which the methods were tried."""
_CONFIGS = Path(__file__).parents[1] / "configs"
_SHUFFLED = ("explain", "leave one out")
_REMOVED = ("explain", "leave one out", "label attention", "random")


def measured_generated(settings: argparse.Namespace, system: str, seed: int) -> dict[str, Any]:
    """What is measured of one training: `trained`, and `shuffled`, of the same model with shuffled weights."""
    corpus = generated_corpus(settings, system)
    fold = trained_fold(settings, system, seed, corpus)

    def measure(part: str, utterances: int | None, **more: Any) -> dict[str, Any]:
        path = settings.out / "measured" / f"{system}_seed{seed}_{part}.json"
        asked = {"utterances": utterances}
        return finished_or(path, asked, lambda kept: measure_checkpoint(fold, corpus, kept=kept, **asked, **more))

    shuffled = {"methods": _SHUFFLED, "with_modalities": False, "prepare": shuffle_weights}
    return {
        "trained": measure("trained", settings.utterances),
        "shuffled": measure("shuffled", settings.shuffled_utterances, **shuffled),
    }


def generated_corpus(settings: argparse.Namespace, system: str) -> Path:
    """Root of the corpus that a system is trained on, MELD's layout for WavFusion and IEMOCAP's for the others."""
    changed = json.loads(settings.corpus_settings.read_text()) if settings.corpus_settings else {}
    own = {"seed": CORPUS_SEED, **changed.get(system, {})}
    voice = own.pop("voice", {})
    if system == "wavfusion":
        meld, root = GeneratedMeldConfig(**own), settings.out / "corpora" / "meld"
        generate_meld_corpus(root, replace(meld, voice=replace(meld.voice, **voice)))
    else:
        iemocap, root = GeneratedCorpusConfig(**own), settings.out / "corpora" / "iemocap"
        generate_corpus(root, replace(iemocap, voice=replace(iemocap.voice, **voice)))
    return root


def trained_fold(settings: argparse.Namespace, system: str, seed: int, corpus: Path) -> Path:
    """Folder of the only fold of a finished training, which is trained now if it is not there."""
    run = settings.out / "runs" / f"{system}_seed{seed}"
    if not list(run.glob("*/predictions.csv")):
        config = _CONFIGS / f"{system}_generated.yaml"
        flags = ["--config", config, "--data_dir", corpus, "--output_dir", run, "--seed", seed]
        run_system(system, [str(flag) for flag in flags])
    (predictions,) = run.glob("*/predictions.csv")
    return predictions.parent


def measured_real(settings: argparse.Namespace, name: str, checkpoint: str, data_dir: str) -> dict[str, Any]:
    """What is measured of a checkpoint of real data."""
    asked = {"utterances": settings.real_utterances, "budget": settings.real_budget}
    path = settings.out / "measured" / f"real_{file_name(name)}.json"
    return finished_or(path, asked, lambda kept: measure_removal(checkpoint, data_dir, _REMOVED, kept=kept, **asked))


def shuffle_weights(model: torch.nn.Module) -> None:
    """Puts the values of every parameter into a random order: as large as before, and nothing learned.

    Source: J. Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018, section 4.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            order = torch.randperm(parameter.numel(), generator=generator)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
