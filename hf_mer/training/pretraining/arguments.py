"""Settings of the self-supervised second stage: which encoder, and how it is trained on."""

from dataclasses import dataclass, field

from transformers import TrainingArguments

from hf_mer.training.settings.model_arguments import from_json

OBJECTIVES = ("auto", "contrastive", "masked_units")


@dataclass
class SpeechEncoderArguments:
    """The encoder that is trained on: a checkpoint's name or folder, or a configuration to start from scratch.

    The same fields with the same meaning as in `ModelArguments`.
    """

    speech_encoder: dict | str | None = field(
        default="facebook/wav2vec2-base", metadata={"help": "Checkpoint, or configuration; {fold} is filled in."}
    )
    speech_overrides: dict | str | None = field(
        default=None, metadata={"help": "Fields of the encoder's configuration (num_negatives, layerdrop, ...)."}
    )
    feature_extractor: str | None = field(default=None, metadata={"help": "Checkpoint; the encoder's if not given."})

    def __post_init__(self) -> None:
        self.speech_encoder = from_json(self.speech_encoder)
        self.speech_overrides = from_json(self.speech_overrides)
        if self.speech_encoder is None:
            raise ValueError("speech_encoder is missing: a checkpoint, or a configuration to start from scratch")


@dataclass
class PretrainingArguments(TrainingArguments):
    """`TrainingArguments` with the fields of the two objectives and defaults for a second stage.

    Masks, Gumbel temperature and optimizer are those of wav2vec 2.0 (Baevski et al., 2020, section 4.2), rate and
    epochs those of training on, not of starting. How many negatives there are, their temperature and the weight of the
    diversity are fields of the encoder's configuration: `num_negatives`, `contrastive_logits_temperature`,
    `diversity_loss_weight`.
    """

    output_dir: str | None = field(default="runs/pretraining", metadata={"help": "Where the folds' encoders go."})
    objective: str = field(
        default="auto",
        metadata={"help": "contrastive (needs a quantizer), masked_units, or auto: what fits the encoder."},
    )
    mask_time_prob: float = field(
        default=0.65, metadata={"help": "Masked share of the frames, if the spans did not overlap."}
    )
    mask_time_length: int = field(
        default=10, metadata={"help": "Frames of a masked span; at most half of a short utterance."}
    )
    mask_time_min_masks: int = field(default=2, metadata={"help": "Masked spans of an utterance at least."})
    max_gumbel_temperature: float = field(default=2.0, metadata={"help": "Of the codebook's choice, at the start."})
    min_gumbel_temperature: float = field(default=0.5, metadata={"help": "Where it ends."})
    gumbel_temperature_decay: float = field(default=0.999995, metadata={"help": "Its factor every step."})
    unit_clusters: int = field(default=100, metadata={"help": "Number of units that are predicted."})
    unit_frames: int = field(default=100_000, metadata={"help": "Frames the units are fitted on."})
    unit_iterations: int = field(
        default=1, metadata={"help": "1: units of log-mel frames; from 2 on, of the trained encoder's states."}
    )
    unit_layer: int | None = field(
        default=None, metadata={"help": "Layer of these states, from 1; the middle one if not given."}
    )
    unit_temperature: float = field(default=0.1, metadata={"help": "Divides the cosine of a frame and a unit."})
    unmasked_weight: float = field(default=0.0, metadata={"help": "Weight of the units of unmasked frames."})
    learning_rate: float = field(default=5e-5, metadata={"help": "Highest rate."})
    learning_rates: dict | str | None = field(
        default_factory=dict, metadata={"help": "Rates of their own by the beginning of parameter names."}
    )
    lr_scheduler_type: str = field(default="linear", metadata={"help": "Schedule after the warm-up."})
    warmup_steps: float = field(default=0.1, metadata={"help": "Steps of warm-up, or a share of all below 1."})
    num_train_epochs: float = field(default=20, metadata={"help": "Passes over the training rows."})
    per_device_train_batch_size: int = field(default=16, metadata={"help": "Utterances per device and step."})
    per_device_eval_batch_size: int = field(default=32, metadata={"help": "Utterances per device."})
    adam_beta2: float = field(default=0.98, metadata={"help": "As in wav2vec 2.0."})
    adam_epsilon: float = field(default=1e-6, metadata={"help": "As in wav2vec 2.0."})
    weight_decay: float = field(default=0.01, metadata={"help": "As in wav2vec 2.0."})
    train_sampling_strategy: str = field(default="group_by_length", metadata={"help": "group_by_length or random."})
    length_column_name: str = field(default="length", metadata={"help": "Column with the length of every row."})
    remove_unused_columns: bool | None = field(
        default=False, metadata={"help": "The collator needs the corpus' columns."}
    )
    label_names: list[str] | None = field(default_factory=list, metadata={"help": "There are no labels."})
    logging_strategy: str = field(default="epoch", metadata={"help": "no, steps or epoch."})
    save_strategy: str = field(default="epoch", metadata={"help": "no, steps or epoch."})
    save_total_limit: int | None = field(default=1, metadata={"help": "Checkpoints kept to go on from."})
    report_to: None | str | list[str] = field(  # noqa: RUF036 (HfArgumentParser fails with None last)
        default="none", metadata={"help": "Trackers of transformers."}
    )
    overwrite: bool = field(default=False, metadata={"help": "Train folds again that are finished."})

    def __post_init__(self) -> None:
        rates = from_json(self.learning_rates) or {}
        self.learning_rates = {name: float(value) for name, value in rates.items()}
        for name, known in (
            ("objective", OBJECTIVES),
            ("train_sampling_strategy", ("group_by_length", "random")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: '{getattr(self, name)}' is not one of {', '.join(known)}")
        if not 0 < self.mask_time_prob <= 1:
            raise ValueError(f"mask_time_prob={self.mask_time_prob} must be above 0 and at most 1")
        for name, least in (
            ("mask_time_length", 1),
            ("mask_time_min_masks", 1),
            ("unit_clusters", 2),
            ("unit_frames", 1),
            ("unit_iterations", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")
        for name in ("min_gumbel_temperature", "gumbel_temperature_decay", "unit_temperature"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be above 0")
        if self.max_gumbel_temperature < self.min_gumbel_temperature:
            raise ValueError(
                f"max_gumbel_temperature={self.max_gumbel_temperature} is below "
                f"min_gumbel_temperature={self.min_gumbel_temperature}"
            )
        if self.unmasked_weight < 0:
            raise ValueError(f"unmasked_weight={self.unmasked_weight} must not be negative")
        if self.label_smoothing_factor:
            raise ValueError(f"label_smoothing_factor={self.label_smoothing_factor}: these losses know none")
        super().__post_init__()

    def gumbel_temperature(self, step: int) -> float:
        """Temperature of the codebook's choice after so many steps (wav2vec 2.0, section 4.2)."""
        return max(self.max_gumbel_temperature * self.gumbel_temperature_decay**step, self.min_gumbel_temperature)
