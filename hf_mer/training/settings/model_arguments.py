"""Settings of the systems: what every one has, and the fields of each paper's configuration."""

import json
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from hf_mer.models import (
    LeMerForEmotionClassification,
    MgcmaForEmotionClassification,
    WavFusionForEmotionClassification,
)
from hf_mer.training.settings.roles import Role, names_with, setting

_CONFIG = Role.DECIDES | Role.CONFIG
_PRETRAINED = Role.DECIDES | Role.PRETRAINED
_TRAINED = Role.DECIDES | Role.TRAINED | Role.FIXED

_QUIET_CONFIG = _CONFIG | Role.QUIET
_LAYERS = "Layers of the {} encoder to use: last, its last hidden state, or mix, a learned mixture of all layers."

_ENCODER = "Pretrained checkpoint (Hub name or folder), or a configuration as JSON to start from random weights."


@dataclass
class ModelArguments:
    """Encoders and modalities of a system; its subclasses have the fields of a model's configuration.

    An encoder is the name of a checkpoint on the Hub, a folder, or a dictionary with a `model_type` and its
    configuration, which is built with random weights. `{fold}` in a name stands for the fold, for checkpoints that
    belong to one (second-stage pretraining).

    Attributes:
        model_class: The model.
        training_defaults: What the paper, or its recipe, asks of `MerTrainingArguments`.
    """

    _argument_group_name: ClassVar[str] = "model"
    model_class: ClassVar[Any] = None
    training_defaults: ClassVar[dict[str, Any]] = {}

    text_encoder: dict | str | None = setting("bert-base-uncased", _ENCODER, _PRETRAINED)
    speech_encoder: dict | str | None = setting("facebook/wav2vec2-base", _ENCODER, _PRETRAINED)
    video_encoder: dict | str | None = setting(
        "google/efficientnet-b0", f"Image encoder for video frames. {_ENCODER}", _PRETRAINED
    )
    tokenizer: str | None = setting(None, "Tokenizer checkpoint; by default the text encoder's.", _PRETRAINED)
    feature_extractor: str | None = setting(
        None, "Feature extractor checkpoint; by default the speech encoder's.", _PRETRAINED
    )
    image_processor: str | None = setting(
        None, "Image processor checkpoint; by default the video encoder's.", _PRETRAINED
    )
    text_overrides: dict | str | None = setting(None, "Changes to the text encoder's configuration, as JSON.")
    speech_overrides: dict | str | None = setting(
        None, 'Changes to the speech encoder\'s configuration, as JSON: {"mask_time_prob": 0.05}.'
    )
    video_overrides: dict | str | None = setting(None, "Changes to the video encoder's configuration, as JSON.")
    modalities: list[str] = setting(
        ["text", "speech"], "Modalities of the model: any of text, speech and video.", Role.DECIDES | Role.LOADS
    )
    checkpoint: str | None = setting(None, "Trained checkpoint to evaluate or to train further.", _TRAINED)
    loss_weights: dict | str | None = setting(None, "Weights of the losses by name, as JSON.", _CONFIG)
    classifier_dropout: float = setting(0.0, "Dropout before the classifier.", _CONFIG)
    freeze: list[str] | None = setting(
        None,
        "Parts that are not trained, such as text_encoder; none trains all. By default the model's own choice.",
        _CONFIG,
    )
    lora_rank: int | None = setting(
        None,
        "Train low-rank adapters (LoRA) of this rank on the attention of the encoders that are not frozen, instead of "
        "their weights; merged after training. Their learning rate is learning_rate, or that of the prefix lora. "
        "Needs peft.",
        Role.DECIDES | Role.QUIET,
    )

    def __post_init__(self) -> None:
        rank = self.lora_rank
        if rank is not None and (isinstance(rank, bool) or not isinstance(rank, int) or rank < 1):
            raise ValueError(f"lora_rank={rank} must be a whole number of at least 1; leave it out for no adapters")
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "loss_weights" or item.name.endswith(("_encoder", "_overrides")):
                setattr(self, item.name, from_json(value))
            elif value == ["none"]:
                setattr(self, item.name, [])  # a flag cannot say an empty list otherwise

    @property
    def trained(self) -> bool:
        """Whether the settings name a trained system."""
        return self.checkpoint is not None

    @property
    def has_label_store(self) -> bool:
        """Whether the system starts from a label store."""
        return False

    def config_fields(self) -> dict[str, Any]:
        """The fields of the configuration; frozen parts of a branch that is left out count for nothing.

        One file of settings thus serves a multimodal system and its branches.
        """
        content = {name: getattr(self, name) for name in names_with(Role.CONFIG, self)}
        absent = tuple({"text", "speech", "video"} - set(self.modalities))
        if self.freeze is not None:
            content["freeze"] = [part for part in self.freeze if not part.startswith(absent or "-")]
        return content


@dataclass
class LeMerArguments(ModelArguments):
    """LE-MER, see `LeMerConfig`."""

    model_class: ClassVar[Any] = LeMerForEmotionClassification

    text_label_init: str | None = setting(
        None,
        "Initial text label embeddings (A1 to A5): none, random, label_words or tfidf; by default tfidf with text.",
        _CONFIG,
    )
    tonal_label_init: str | None = setting(
        None,
        "Initial tonal label embeddings (B1 to B5): none, random, bert or codebook; by default codebook with speech.",
        _CONFIG,
    )
    tonal_space: str = setting("hidden", "Space of the tonal label embeddings: hidden or contrastive.", _CONFIG)
    fusion: str = setting("constraint", "Fusion: constraint, sum, guided or vanilla (C1 to C4), or score.", _CONFIG)
    guided_attention_norm: str = setting(
        "none", "Normalisation of the guided attention: none (as in the paper) or softmax.", _CONFIG
    )
    history_in_fusion: bool = setting(True, "Let label attention and fusion see the history.", _CONFIG)
    label_temperature: float = setting(1.0, "Temperature of the label attention's mean.", _CONFIG)
    pooling: str = setting("max", "Pooling over tokens or frames: max or mean.", _QUIET_CONFIG)
    text_layers: str = setting("last", _LAYERS.format("text"), _QUIET_CONFIG)
    speech_layers: str = setting("last", _LAYERS.format("speech"), _QUIET_CONFIG)
    text_scale: float = setting(
        1.0, "Factor on a mixture of the text encoder's layers; below 1 text learns more slowly.", _QUIET_CONFIG
    )
    unimodal_text: str | None = setting(None, "Text-only checkpoint for score fusion.", _TRAINED)
    unimodal_speech: str | None = setting(None, "Speech-only checkpoint for score fusion.", _TRAINED)

    @property
    def trained(self) -> bool:
        """Whether the settings name a trained system."""
        return self.checkpoint is not None or self.unimodal_text is not None

    @property
    def has_label_store(self) -> bool:
        """Whether the system starts from a label store."""
        return not self.trained


@dataclass
class MgcmaArguments(ModelArguments):
    """MGCMA, see `MgcmaConfig`; batch, rate and epochs are the paper's (section III-B)."""

    model_class: ClassVar[Any] = MgcmaForEmotionClassification
    training_defaults: ClassVar[dict[str, Any]] = {
        "output_dir": "runs/mgcma",
        "learning_rate": 1e-5,
        "learning_rates": {},
        "per_device_train_batch_size": 4,
        "num_train_epochs": 100,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
    }

    alignment_order: list[str] | None = setting(
        None, "Order of the alignment modules: distribution, token, instance (default: all three), or none.", _CONFIG
    )
    hidden_size: int | None = setting(None, "Model width; by default the speech encoder's.", _CONFIG)
    num_attention_heads: int = setting(12, "Attention heads per layer.", _CONFIG)
    intermediate_size: int | None = setting(None, "Feed-forward width; by default 4 times the model width.", _CONFIG)
    num_token_blocks: int = setting(6, "Blocks of the token-based module.", _CONFIG)
    hidden_act: str = setting("gelu", "Activation function.", _CONFIG)
    dropout: float = setting(0.1, "Dropout of attention outputs and feed-forward layers.", _CONFIG)
    contrastive_temperature: float = setting(0.07, "Temperature tau of both contrastive losses.", _CONFIG)
    wasserstein_reduction: str = setting(
        "mean", "Reduction over the width in the Wasserstein distance: mean, or sum as printed in the paper.", _CONFIG
    )
    wasserstein_scale: float = setting(1.0, "Initial value of p in equation 5.", _CONFIG)
    wasserstein_bias: float = setting(0.0, "Initial value of q in equation 5.", _CONFIG)
    instance_normalize: bool = setting(True, "Normalise the vectors of the instance loss.", _CONFIG)
    text_layers: str = setting("last", _LAYERS.format("text"), _QUIET_CONFIG)
    speech_layers: str = setting("last", _LAYERS.format("speech"), _QUIET_CONFIG)
    text_scale: float = setting(
        1.0, "Factor on a mixture of the text encoder's layers; below 1 text learns more slowly.", _QUIET_CONFIG
    )


@dataclass
class WavFusionArguments(ModelArguments):
    """WavFusion, see `WavFusionConfig`; the paper states neither rate nor batch nor epochs."""

    model_class: ClassVar[Any] = WavFusionForEmotionClassification
    training_defaults: ClassVar[dict[str, Any]] = {
        "output_dir": "runs/wavfusion",
        "learning_rate": 1e-4,
        "learning_rates": {"deep_layers": 1e-5},
        "per_device_train_batch_size": 16,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0.1,
        "metric_for_best_model": "wf1",
    }

    text_encoder: dict | str | None = setting("roberta-base", _ENCODER, _PRETRAINED)
    modalities: list[str] = setting(
        ["text", "speech", "video"],
        "Modalities of the model: any of text, speech and video.",
        Role.DECIDES | Role.LOADS,
    )
    num_deep_layers: int = setting(3, "Number of last layers with gated cross-modal attention.", _CONFIG)
    fusion_gate: str = setting("learned", "Fusion gate: learned, or mean to average text and video.", _CONFIG)
    text_dim: int | None = setting(None, "Width of the text A-GRU; by default the encoder's.", _CONFIG)
    video_dim: int = setting(64, "Width of the video A-GRU and of LVC.", _CONFIG)
    auxiliary_heads: int = setting(8, "Self-attention heads of the A-GRU.", _CONFIG)
    auxiliary_dropout: float = setting(0.0, "Dropout of the A-GRU's self-attention.", _CONFIG)
    auxiliary_residual: bool = setting(
        False, "Add a residual connection and a norm around the A-GRU's self-attention.", _CONFIG
    )
    gru_layers: int = setting(1, "Layers of each GRU.", _CONFIG)
    gru_bidirectional: bool = setting(False, "Make the GRUs bidirectional.", _CONFIG)
    use_lvc: bool = setting(True, "Use the learnable visual centre, LVC (Table 4).", _CONFIG)
    lvc_codewords: int = setting(64, "Codebook entries of LVC.", _CONFIG)
    shared_dim: int = setting(64, "Width of the homogeneous features.", _CONFIG)
    margin: float = setting(0.1, "Margin alpha of equation 13.", _CONFIG)
    pooling: str = setting("mean", "Pooling over time: mean or max.", _CONFIG)


def from_json(value: Any) -> Any:
    """A flag's JSON text as what it says; a YAML value and plain text as they are."""
    if (isinstance(value, str) and value.strip()[:1] in ("{", "[")) or value in ("null", "none", "None"):
        try:
            return None if value in ("null", "none", "None") else json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"'{value}' is not JSON: {error}") from error
    return value
