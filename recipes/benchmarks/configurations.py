"""Configurations that the benchmarks of several models share; weights are random, as time does not depend on them."""

from typing import Any

from step_time import SIZES, encoder_configs
from transformers import EfficientNetConfig, RobertaConfig, Wav2Vec2Config, WhisperConfig

from hf_mer.models import LeMerConfig, MgcmaConfig, WavFusionConfig

WAVFUSION_SIZES = {  # hidden size, layers, heads, deep layers, width of convolutions; scale and side of EfficientNet
    "tiny": (32, 2, 2, 1, 32, 0.1, 32),
    "shallow": (768, 2, 12, 1, 32, 0.1, 64),
    "base": (768, 12, 12, 3, 512, 1.0, 224),
}
WHISPER_SIZES = {"tiny": (32, 2, 2), "base": (512, 6, 8)}  # width, layers, heads; as the checkpoint is called
LABELS = ["angry", "happy", "neutral", "sad"]


def le_mer_config(size: str) -> LeMerConfig:
    """LE-MER of BERT and wav2vec 2.0."""
    return LeMerConfig(**encoder_configs(size), fusion="constraint", id2label=dict(enumerate(LABELS)))


def le_mer_whisper_config(size: str) -> LeMerConfig:
    """LE-MER of BERT and Whisper's encoder."""
    width, layers, heads = WHISPER_SIZES[size]
    speech = WhisperConfig(
        d_model=width, encoder_layers=layers, encoder_attention_heads=heads, encoder_ffn_dim=4 * width
    )
    fields: dict[str, Any] = {**encoder_configs(size), "speech_config": speech}
    return LeMerConfig(**fields, fusion="constraint", id2label=dict(enumerate(LABELS)))


def mgcma_config(size: str) -> MgcmaConfig:
    """MGCMA of BERT and wav2vec 2.0."""
    return MgcmaConfig(**encoder_configs(size), num_attention_heads=SIZES[size][2], id2label=dict(enumerate(LABELS)))


def wavfusion_config(size: str, vocabulary: int, labels: list[str]) -> WavFusionConfig:
    """WavFusion of RoBERTa, wav2vec 2.0 and EfficientNet, all frozen."""
    width, layers, heads, deep, conv_width, scale, side = WAVFUSION_SIZES[size]
    shape = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
    }
    video = EfficientNetConfig(
        width_coefficient=scale, depth_coefficient=scale, image_size=side, hidden_dim=round(1280 * scale)
    )
    return WavFusionConfig(
        text_config=RobertaConfig(**shape, vocab_size=vocabulary, pad_token_id=0, max_position_embeddings=514),
        speech_config=Wav2Vec2Config(**shape, conv_dim=[conv_width] * 7, layerdrop=0.0),
        video_config=video,
        num_deep_layers=deep,
        id2label=dict(enumerate(labels)),
    )
