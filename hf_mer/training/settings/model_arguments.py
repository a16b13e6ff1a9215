"""Settings of the systems: what every one has, and the fields of each paper's configuration."""

import json
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from hf_mer.models import (
    LeMerForEmotionClassification,
    MgcmaForEmotionClassification,
    WavFusionForEmotionClassification,
)


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

    model_class: ClassVar[Any] = None
    training_defaults: ClassVar[dict[str, Any]] = {}

    text_encoder: dict | str | None = field(
        default="bert-base-uncased", metadata={"help": "Checkpoint, or configuration to start from scratch."}
    )
    speech_encoder: dict | str | None = field(
        default="facebook/wav2vec2-base", metadata={"help": "Checkpoint, or configuration."}
    )
    video_encoder: dict | str | None = field(
        default="google/efficientnet-b0", metadata={"help": "Checkpoint of an image model, or configuration."}
    )
    tokenizer: str | None = field(default=None, metadata={"help": "Checkpoint; the text encoder's if not given."})
    feature_extractor: str | None = field(
        default=None, metadata={"help": "Checkpoint; the speech encoder's if not given."}
    )
    image_processor: str | None = field(
        default=None, metadata={"help": "Checkpoint; the video encoder's if not given."}
    )
    text_overrides: dict | str | None = field(
        default=None, metadata={"help": "Fields of the text encoder's configuration."}
    )
    speech_overrides: dict | str | None = field(
        default=None, metadata={"help": "Fields of the speech encoder's configuration (mask_time_prob, ...)."}
    )
    video_overrides: dict | str | None = field(
        default=None, metadata={"help": "Fields of the video encoder's configuration."}
    )
    modalities: list[str] = field(
        default_factory=lambda: ["text", "speech"], metadata={"help": "Of text, speech and video."}
    )
    checkpoint: str | None = field(
        default=None, metadata={"help": "A trained checkpoint to evaluate, or to go on from."}
    )
    loss_weights: dict | str | None = field(default=None, metadata={"help": "Weights of the losses by name."})
    classifier_dropout: float = field(default=0.0, metadata={"help": "Dropout before the classifier."})
    freeze: list[str] | None = field(
        default=None, metadata={"help": "Parts that are not trained; the model's own if not given, none for no part."}
    )

    def __post_init__(self) -> None:
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
        content = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in NOT_IN_THE_CONFIG}
        absent = tuple({"text", "speech", "video"} - set(self.modalities))
        if self.freeze is not None:
            content["freeze"] = [part for part in self.freeze if not part.startswith(absent or "-")]
        return content


@dataclass
class LeMerArguments(ModelArguments):
    """LE-MER, see `LeMerConfig`."""

    model_class: ClassVar[Any] = LeMerForEmotionClassification

    text_label_init: str | None = field(
        default=None, metadata={"help": "none, random, label_words or tfidf (A1 to A5)."}
    )
    tonal_label_init: str | None = field(default=None, metadata={"help": "none, random, bert or codebook (B1 to B5)."})
    tonal_space: str = field(default="hidden", metadata={"help": "hidden or contrastive."})
    fusion: str = field(
        default="constraint", metadata={"help": "constraint, sum, guided, vanilla (C1 to C4) or score."}
    )
    guided_attention_norm: str = field(default="none", metadata={"help": "none (the paper) or softmax."})
    history_in_fusion: bool = field(
        default=True, metadata={"help": "Whether label attention and fusion see the history."}
    )
    label_temperature: float = field(default=1.0, metadata={"help": "Divides the label attention's mean."})
    unimodal_text: str | None = field(default=None, metadata={"help": "Text-only checkpoint of the score fusion."})
    unimodal_speech: str | None = field(default=None, metadata={"help": "Speech-only checkpoint of the score fusion."})

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

    alignment_order: list[str] | None = field(
        default=None, metadata={"help": "Chain of distribution, token, instance; all three if not given, or none."}
    )
    hidden_size: int | None = field(default=None, metadata={"help": "Width; the speech encoder's if not given."})
    num_attention_heads: int = field(default=12, metadata={"help": "Heads of every attention layer."})
    intermediate_size: int | None = field(default=None, metadata={"help": "Feed-forward width; 4 times the width."})
    num_token_blocks: int = field(default=6, metadata={"help": "Blocks of the token-based module."})
    hidden_act: str = field(default="gelu", metadata={"help": "Activation."})
    dropout: float = field(default=0.1, metadata={"help": "Of attention outputs and feed-forward layers."})
    contrastive_temperature: float = field(default=0.07, metadata={"help": "tau of both contrastive losses."})
    wasserstein_reduction: str = field(default="mean", metadata={"help": "mean or sum (as printed) over the width."})
    wasserstein_scale: float = field(default=1.0, metadata={"help": "Where p of equation 5 starts."})
    wasserstein_bias: float = field(default=0.0, metadata={"help": "Where q of equation 5 starts."})
    instance_normalize: bool = field(default=True, metadata={"help": "Normalise the vectors of the instance loss."})


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

    text_encoder: dict | str | None = field(
        default="roberta-base", metadata={"help": "Checkpoint, or configuration to start from scratch."}
    )
    modalities: list[str] = field(
        default_factory=lambda: ["text", "speech", "video"], metadata={"help": "Of text, speech and video."}
    )
    num_deep_layers: int = field(default=3, metadata={"help": "Last layers with gated cross-modal attention."})
    fusion_gate: str = field(
        default="learned", metadata={"help": "learned, or mean: text and video averaged without a gate."}
    )
    text_dim: int | None = field(default=None, metadata={"help": "Width of the text's A-GRU; the encoder's."})
    video_dim: int = field(default=64, metadata={"help": "Width of the video's A-GRU and LVC."})
    auxiliary_heads: int = field(default=8, metadata={"help": "Heads of the self-attention in A-GRU."})
    auxiliary_dropout: float = field(default=0.0, metadata={"help": "Dropout of that self-attention."})
    auxiliary_residual: bool = field(default=False, metadata={"help": "Residual and norm around it."})
    gru_layers: int = field(default=1, metadata={"help": "Layers of each GRU."})
    gru_bidirectional: bool = field(default=False, metadata={"help": "Whether the GRUs read both ways."})
    use_lvc: bool = field(default=True, metadata={"help": "Learnable visual centre (Table 4)."})
    lvc_codewords: int = field(default=64, metadata={"help": "Entries of its codebook."})
    shared_dim: int = field(default=64, metadata={"help": "Width of the homogeneous features."})
    margin: float = field(default=0.1, metadata={"help": "alpha of equation 13."})
    pooling: str = field(default="mean", metadata={"help": "mean or max."})


NOT_IN_THE_CONFIG = {
    *(f"{modality}_{what}" for modality in ("text", "speech", "video") for what in ("encoder", "overrides")),
    *("tokenizer", "feature_extractor", "image_processor", "modalities"),
    *("checkpoint", "unimodal_text", "unimodal_speech"),
}


def from_json(value: Any) -> Any:
    """A flag's JSON text as what it says; a YAML value and plain text as they are."""
    if (isinstance(value, str) and value.strip()[:1] in ("{", "[")) or value in ("null", "none", "None"):
        try:
            return None if value in ("null", "none", "None") else json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"'{value}' is not JSON: {error}") from error
    return value
