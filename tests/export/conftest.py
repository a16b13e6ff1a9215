"""Exports of tiny models, each made once: tracing takes longer than everything that is asked of the graph."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from media_files import save_film_checkpoint
from model_tester import mel_feature_extractor, save_tiny_checkpoint, tiny_settings, tiny_tokenizer

from hf_mer.export import export_onnx, export_torch


@dataclass
class Export:
    """A checkpoint, its model, the folder of its export and what was said about it."""

    checkpoint: str
    model: Any
    folder: Path
    description: dict[str, Any]


def real_utterances() -> list[dict[str, Any]]:
    from model_tester import tone

    return [
        {"audio": {"array": tone(0.3 + 0.1 * index, pitch=110.0 * (index + 1)), "sampling_rate": 16000}, "text": text}
        for index, text in enumerate(["so glad you came", None, "what a awful day !"])
    ]


@pytest.fixture(scope="session")
def le_mer(tmp_path_factory) -> Export:
    """On the waveform, history out of the fusion, with its int8 graph."""
    folder = tmp_path_factory.mktemp("le_mer")
    checkpoint, model = save_tiny_checkpoint(folder / "checkpoint", history_in_fusion=False)
    out = folder / "exported"
    return Export(checkpoint, model, out, export_onnx(checkpoint, out, int8=True, utterances=real_utterances()))


@pytest.fixture(scope="session")
def mgcma(tmp_path_factory) -> Export:
    """On log-mel frames."""
    from hf_mer.models import MerProcessor, MgcmaConfig, MgcmaForEmotionClassification

    folder = tmp_path_factory.mktemp("mgcma")
    settings = {"num_attention_heads": 2, "num_token_blocks": 1, "intermediate_size": 24}
    model = MgcmaForEmotionClassification(MgcmaConfig(**tiny_settings("wav2vec2-bert"), **settings)).eval()
    checkpoint, out = folder / "checkpoint", folder / "exported"
    model.save_pretrained(checkpoint)
    MerProcessor(mel_feature_extractor(), tiny_tokenizer(), max_text_tokens=40).save_pretrained(checkpoint)
    return Export(str(checkpoint), model, out, export_onnx(checkpoint, out, opset=18))


@pytest.fixture(scope="session")
def wavfusion(tmp_path_factory) -> Export:
    """Text, speech and video, with GRUs of two directions."""
    from hf_mer.models import WavFusionForEmotionClassification

    folder = tmp_path_factory.mktemp("wavfusion")
    checkpoint = save_film_checkpoint(folder / "checkpoint", gru_bidirectional=True, gru_layers=2)
    model = WavFusionForEmotionClassification.from_pretrained(checkpoint)
    out = folder / "exported"
    return Export(checkpoint, model, out, export_onnx(checkpoint, out))


@pytest.fixture(scope="session")
def program(tmp_path_factory) -> Export:
    """LE-MER of speech alone as a program of `torch.export`."""
    folder = tmp_path_factory.mktemp("program")
    checkpoint, model = save_tiny_checkpoint(folder / "checkpoint", modalities=["speech"], with_store=False)
    out = folder / "exported"
    return Export(checkpoint, model, out, export_torch(checkpoint, out))
