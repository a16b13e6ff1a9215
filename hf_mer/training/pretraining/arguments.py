"""Settings of the self-supervised second stage: which encoder, and how it is trained on."""

from dataclasses import dataclass
from typing import ClassVar

from hf_mer.training.settings.arguments import OwnTrainingArguments
from hf_mer.training.settings.model_arguments import from_json
from hf_mer.training.settings.roles import PLACE, Role, setting

OBJECTIVES = ("auto", "contrastive", "masked_units")


@dataclass
class SpeechEncoderArguments:
    """The encoder that is trained on: a checkpoint's name or folder, or a configuration to start from scratch.

    The same fields with the same meaning as in `ModelArguments`.
    """

    _argument_group_name: ClassVar[str] = "speech encoder"

    speech_encoder: dict | str | None = setting(
        "facebook/wav2vec2-base",
        "Pretrained checkpoint (Hub name or folder; {fold} stands for the fold's name), or a configuration as JSON to "
        "start from random weights.",
    )
    speech_overrides: dict | str | None = setting(
        None, 'Changes to the encoder\'s configuration, as JSON: {"num_negatives": 50}.'
    )
    feature_extractor: str | None = setting(None, "Feature extractor checkpoint; by default the encoder's.")

    def __post_init__(self) -> None:
        self.speech_encoder = from_json(self.speech_encoder)
        self.speech_overrides = from_json(self.speech_overrides)
        if self.speech_encoder is None:
            raise ValueError("speech_encoder is missing: a checkpoint, or a configuration to start from scratch")


@dataclass
class PretrainingArguments(OwnTrainingArguments):
    """`TrainingArguments` with the fields of the two objectives and defaults for a second stage.

    Masks, Gumbel temperature and optimizer are those of wav2vec 2.0 (Baevski et al., 2020, section 4.2), rate and
    epochs those of training on, not of starting. How many negatives there are, their temperature and the weight of the
    diversity are fields of the encoder's configuration: `num_negatives`, `contrastive_logits_temperature`,
    `diversity_loss_weight`.
    """

    output_dir: str | None = setting("runs/pretraining", "Folder for the encoders of all folds.", PLACE)
    objective: str = setting(
        "auto", "contrastive (needs a quantizer), masked_units, or auto: the one that fits the encoder."
    )
    mask_time_prob: float = setting(0.65, "Share of masked frames, if masked spans did not overlap.")
    mask_time_length: int = setting(10, "Frames per masked span; at most half of a short utterance.")
    mask_time_min_masks: int = setting(2, "Minimum number of masked spans per utterance.")
    max_gumbel_temperature: float = setting(2.0, "Gumbel temperature of the quantizer at the start.")
    min_gumbel_temperature: float = setting(0.5, "Lowest Gumbel temperature.")
    gumbel_temperature_decay: float = setting(0.999995, "Factor of the Gumbel temperature per step.")
    unit_clusters: int = setting(100, "Number of units to predict.")
    unit_frames: int = setting(100_000, "Number of frames that the units are fitted on.")
    unit_iterations: int = setting(
        1, "Rounds of fitting units and training: first on log-mel frames, then on the trained encoder's states."
    )
    unit_layer: int | None = setting(None, "Layer of these states, from 1; by default the middle one.")
    unit_temperature: float = setting(0.1, "Temperature of the similarity of a frame and a unit.")
    unmasked_weight: float = setting(0.0, "Weight of the loss on unmasked frames.")
    learning_rate: float = setting(5e-5, "Highest learning rate.")
    lr_scheduler_type: str = setting("linear", "Learning rate schedule after the warm-up.")
    warmup_steps: float = setting(0.1, "Warm-up steps; below 1, a share of all steps.")
    num_train_epochs: float = setting(20, "Number of epochs.")
    adam_beta2: float = setting(0.98, "Adam's beta2, as in wav2vec 2.0.")
    adam_epsilon: float = setting(1e-6, "Adam's epsilon, as in wav2vec 2.0.")
    weight_decay: float = setting(0.01, "Weight decay, as in wav2vec 2.0.")
    label_names: list[str] | None = setting([], "There are no labels.", Role.DECIDES | Role.QUIET)

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective: '{self.objective}' is not one of {', '.join(OBJECTIVES)}")
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
            raise ValueError(
                f"label_smoothing_factor={self.label_smoothing_factor}: these losses have no labels to smooth"
            )
        super().__post_init__()

    def gumbel_temperature(self, step: int) -> float:
        """Temperature of the codebook's choice after so many steps (wav2vec 2.0, section 4.2)."""
        return max(self.max_gumbel_temperature * self.gumbel_temperature_decay**step, self.min_gumbel_temperature)
