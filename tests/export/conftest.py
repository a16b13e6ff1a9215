"""Exports of tiny models, each made once for all workers: tracing takes longer than all that is asked of the graph."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from media_files import save_film_checkpoint
from model_tester import (
    mel_feature_extractor,
    save_tiny_checkpoint,
    tiny_settings,
    tiny_speech_config,
    tiny_text_config,
    tiny_tokenizer,
    tone,
)
from transformers import AutoModel

from hf_mer.export import export_onnx
from hf_mer.models import MerProcessor, MgcmaConfig, MgcmaForEmotionClassification


def one_layer(speech_type: str = "wav2vec2") -> dict[str, Any]:
    """Encoders of one layer: the time of tracing grows with their number."""
    return {
        "text_config": tiny_text_config(num_hidden_layers=1),
        "speech_config": tiny_speech_config(speech_type, num_hidden_layers=1),
    }


@dataclass
class Export:
    """A checkpoint, its model, the folder of its export and what was said about it."""

    checkpoint: str
    model: Any
    folder: Path
    description: dict[str, Any]


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Callable[[str, Callable[[Path, Path], Any]], Export]:
    """`exported("le_mer", make)`; `make` gets the folders of checkpoint and export."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # of all workers

    def share(name: str, make: Callable[[Path, Path], Any]) -> Export:
        checkpoint, out = root / name / "checkpoint", root / name / "exported"
        with FileLock(root / f"{name}.lock"):
            if not out.exists():
                torch.manual_seed(0)
                make(checkpoint, out)
        description = json.loads((out / "export.json").read_text())
        return Export(str(checkpoint), AutoModel.from_pretrained(checkpoint).eval(), out, description)

    return share


@pytest.fixture(scope="session")
def utterances() -> list[dict[str, Any]]:
    """Rows as corpora have them."""
    return [
        {"audio": {"array": tone(0.3 + 0.1 * index, pitch=110.0 * (index + 1)), "sampling_rate": 16000}, "text": text}
        for index, text in enumerate(["so glad you came", None, "what a awful day !"])
    ]


@pytest.fixture(scope="session")
def le_mer(exported, utterances) -> Export:
    """On the waveform, history out of the fusion, with its int8 graph."""

    def make(checkpoint: Path, out: Path) -> None:
        save_tiny_checkpoint(checkpoint, history_in_fusion=False, **one_layer())
        export_onnx(checkpoint, out, int8=True, utterances=utterances)

    return exported("le_mer", make)


@pytest.fixture(scope="session")
def mgcma(exported) -> Export:
    """On log-mel frames, in another opset."""

    def make(checkpoint: Path, out: Path) -> None:
        settings = {"num_attention_heads": 2, "num_token_blocks": 1, "intermediate_size": 24}
        config = MgcmaConfig(**{**tiny_settings(), **one_layer("wav2vec2-bert"), **settings})
        MgcmaForEmotionClassification(config).save_pretrained(checkpoint)
        MerProcessor(mel_feature_extractor(), tiny_tokenizer(), max_text_tokens=40).save_pretrained(checkpoint)
        export_onnx(checkpoint, out, opset=18)

    return exported("mgcma", make)


@pytest.fixture(scope="session")
def whisper(exported) -> Export:
    """On Whisper's log-mel frames, which come channel first."""

    def make(checkpoint: Path, out: Path) -> None:
        save_tiny_checkpoint(checkpoint, "whisper", speech_config=tiny_speech_config("whisper", encoder_layers=1))
        export_onnx(checkpoint, out)

    return exported("whisper", make)


@pytest.fixture(scope="session")
def wavfusion(exported) -> Export:
    """Text, speech and video."""

    def make(checkpoint: Path, out: Path) -> None:
        save_film_checkpoint(checkpoint)
        export_onnx(checkpoint, out)

    return exported("wavfusion", make)
