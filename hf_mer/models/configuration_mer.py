"""What the configurations of the package's models share: encoders, modalities, losses and frozen parts."""

from collections.abc import Iterable
from typing import Any, ClassVar

from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedConfig

from .encoder_configuration_mer import check_speech_encoder, checked_encoder, dtype, encoder_of
from .fields_mer import (
    FieldError,
    Rule,
    anything,
    choice,
    flag,
    in_file,
    list_of,
    number,
    of_wrong_kind,
    optional,
    shown,
    table_of,
    whole,
    word,
)

MODALITIES = ("text", "speech", "video")
ENCODER_TYPES = {"text": "bert", "speech": "wav2vec2", "video": "efficientnet"}
FREEZABLE_PARTS = ("text_encoder", "text_embeddings", "speech_encoder", "speech_feature_encoder", "video_encoder")
PROBLEM_TYPE = "single_label_classification"
FREEZABLE_LAYERS = ("text_layers", "speech_layers")
MOST_CLASSES = 100_000
_OF_CLASSES = ("class_weights", "class_prior")  # fields with a number for every class


def _classes(name: str, value: Any) -> dict[int, str]:
    """Names of two classes or more by their places, which JSON has as text."""
    labels = {_place(name, place): label for place, label in table_of(word, key=anything)(name, value).items()}
    if len(labels) < 2:
        given = ", ".join(labels.values()) or "none"
        raise FieldError(f"id2label names {len(labels)} class ({given}); num_labels must be 2 or more")
    if len(labels) > MOST_CLASSES or set(labels) != set(range(len(labels))):
        raise FieldError(f"{name}={shown(value)} must number its classes 0 to {len(labels) - 1}")
    return labels


def _place(name: str, value: Any) -> int:
    """Number of a class, which may be text of digits."""
    return whole(0)(name, int(value) if isinstance(value, str) and value.isdecimal() else value)


def _one_class(name: str, value: Any) -> str:
    if value != PROBLEM_TYPE:
        raise FieldError(
            f"problem_type: '{value}' is not {PROBLEM_TYPE}: the models predict one class per utterance (labels "
            "may be shares of the classes)"
        )
    return value


def _layers(name: str, value: Any) -> Any:
    """All layers, none, or some by their numbers."""
    return value if isinstance(value, int) else list_of(number(whole=True))(name, value)


class MerConfig(PreTrainedConfig):
    """Base of the package's configurations.

    A subclass says which modalities its model can have, which losses it returns and what else can be frozen, and ends
    its `__init__` with `super().__init__(...)`.

    Args:
        text_config: Configuration of the text encoder (a dictionary or an object); None without that modality.
        speech_config: Configuration of the speech encoder; None without that modality.
        video_config: Configuration of the encoder of video frames; None without that modality.
        modalities: Of `known_modalities`, each once.
        loss_weights: Weights that differ from `known_losses`, by the names of the losses.
        freeze: Parts that are not trained.
        initializer_range: Standard deviation of the initial values of new layers.
        temperatures: What logits are divided by before the softmax that gives scores, fitted on validation, by the
            modalities that an utterance has, joined with `+` in the order text, speech, video (`text+speech`); 1 for
            what is not there. They belong to the weights that they were fitted for, see `calibrated_weights`.
        thresholds: By the modalities that an utterance has, as `temperatures`: the score that the best class of nine
            in ten validation utterances reaches. They come and go with the temperatures.
        calibrated_weights: What the weights were that the temperatures were fitted for, see `calibration_mer`; written
            when a model is saved, and taken back when other temperatures are set.
        label_smoothing: Share of every label that the cross-entropies spread evenly over all classes: that of the
            classification, and those of label attention. In training and in evaluation.
        class_weights: Weights of the classes in the same losses, one for each in the order of `id2label`, in training
            and in evaluation; all equal if not given.
        class_prior: Share of every class among the training rows, in the order of `id2label`: what a model knows of an
            utterance of which nothing is left, see `explain`; None where it is not known. Goes with the temperatures
            when the weights change, and when classes are renamed.
        language: ISO 639 code of the words that the model was trained on; None where its corpus does not state it.

    Raises:
        ValueError: If a field has no valid value; also if there are fewer than two classes, of which a softmax says 1
            whatever it is given, not as many weights or shares as classes, or `problem_type` asks for another loss
            than that of one class per utterance.
    """

    sub_configs = {  # noqa: RUF012 - as transformers reads it
        "text_config": AutoConfig,
        "speech_config": AutoConfig,
        "video_config": AutoConfig,
    }
    # `Trainer` gathers logits alone; the others differ in width from batch to batch
    keys_to_ignore_at_inference = [  # noqa: RUF012
        "losses", "embeddings", "modality_embeddings", "gates", "cross_attention", "hidden_states", "attentions",
        *(f"{name}_label_attention" for name in ("text", "speech")),
        *(f"{name}_cross_attentions" for name in ("text", "video")),
        *(f"{name}_{what}" for name in MODALITIES for what in ("mask", "hidden_states", "attentions")),
    ]  # fmt: skip
    known_modalities: ClassVar[tuple[str, ...]] = ("text", "speech")
    known_losses: ClassVar[dict[str, float]] = {"classification": 1.0}
    known_parts: ClassVar[tuple[str, ...]] = ()
    rules: ClassVar[dict[str, Rule]] = {
        "modalities": list_of(word),
        "loss_weights": table_of(number(0)),
        "freeze": list_of(word),
        "initializer_range": number(0),
        "temperatures": table_of(number(above=0)),
        "thresholds": table_of(number(0)),
        "calibrated_weights": optional(table_of(word)),
        "label_smoothing": number(0, below=1),
        "class_weights": optional(list_of(number(above=0))),
        "class_prior": optional(list_of(number(above=0, below=1))),
        "language": optional(word),
        "num_labels": whole(0, MOST_CLASSES),
        "id2label": optional(_classes),
        "label2id": optional(table_of(_place)),
        "problem_type": optional(_one_class),
        "dtype": optional(dtype),
        "output_hidden_states": optional(_layers),
        "_output_attentions": optional(flag),
        "return_dict": optional(flag),
        "chunk_size_feed_forward": whole(0),
        "architectures": optional(list_of(word)),
    }

    def __init__(
        self,
        text_config: dict | PreTrainedConfig | None = None,
        speech_config: dict | PreTrainedConfig | None = None,
        video_config: dict | PreTrainedConfig | None = None,
        modalities: list[str] | None = None,
        loss_weights: dict[str, float] | None = None,
        freeze: list[str] | None = None,
        initializer_range: float = 0.02,
        temperatures: dict[str, float] | None = None,
        thresholds: dict[str, float] | None = None,
        calibrated_weights: dict[str, str] | None = None,
        label_smoothing: float = 0.0,
        class_weights: list[float] | None = None,
        class_prior: list[float] | None = None,
        language: str | None = None,
        **kwargs: Any,
    ):
        self.modalities = list(self.known_modalities) if modalities is None else modalities
        self._check_modalities()
        self.text_config: Any = self._encoder_config("text", text_config)
        self.speech_config: Any = self._encoder_config("speech", speech_config)
        self.video_config: Any = self._encoder_config("video", video_config)
        self.loss_weights = {} if loss_weights is None else loss_weights
        self.loss_weights = {**self.known_losses, **self.loss_weights}
        self.freeze = [] if freeze is None else freeze
        self.initializer_range = initializer_range
        self.temperatures = {} if temperatures is None else temperatures
        self.thresholds = {} if thresholds is None else thresholds
        self.calibrated_weights = calibrated_weights
        self._check_calibration()
        self.label_smoothing = label_smoothing
        self.class_weights: list[float] | None = None  # the classes are not there yet
        self.class_prior: list[float] | None = None
        self.language = language
        for name in self.loss_weights:
            choice(*self.known_losses)("loss_weights", name)
        self._check_freeze()
        if not type(self).__module__.startswith("transformers_modules."):
            kwargs.pop("custom_pipelines", None)  # the installed package has registered its own, which needs no trust
        super().__init__(**kwargs)
        if self.label2id and self.label2id != {name: place for place, name in self.id2label.items()}:
            raise FieldError(
                f"label2id={shown(self.label2id)} is not id2label={shown(self.id2label)} the other way round"
            )
        self.class_weights = class_weights
        self.class_prior = class_prior

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Loads a configuration; a field that cannot be is said with the file it stands in."""
        with in_file(pretrained_model_name_or_path, "config.json", kwargs):
            return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Makes a configuration of a dictionary, which Auto classes have read from the file that they name.

        Where other classes are asked for (`num_labels=`, `id2label=`), what the dictionary says of its own goes.
        """
        asked = len(kwargs["id2label"]) if kwargs.get("id2label") else kwargs.get("num_labels")
        if asked is not None:
            given = {name: config_dict.get(name) for name in _OF_CLASSES}
            others = {name for name, value in given.items() if isinstance(value, list) and len(value) != asked}
            config_dict = {name: value for name, value in config_dict.items() if name not in others}
        with in_file(kwargs.get("name_or_path"), "config.json", kwargs):
            return super().from_dict(config_dict, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        """Checks fields whenever they are set, as `from_pretrained(..., num_labels=)` does afterwards."""
        if name in self.rules:
            value = self.rules[name](name, value)
        if name in _OF_CLASSES and value is not None and len(value) != self.num_labels:
            raise FieldError(
                f"{name}={shown(value)} must be {self.num_labels} numbers, one for each of "
                f"{', '.join(self.id2label.values())}"
            )
        if name == "class_prior" and value is not None and abs(sum(value) - 1) > 1e-3:
            raise FieldError(f"class_prior={shown(value)} must sum to 1, and sums to {sum(value):.4g}")
        if name == "id2label" and value is not None:
            for field in _OF_CLASSES:
                if len(value) != len(self.__dict__.get(field) or value):
                    setattr(self, field, None)  # those of other classes
            if value != self.__dict__.get("id2label", value):
                self.class_prior = None  # nothing says which of the old classes a new name means
        if name == "temperatures":  # fitted anew, for the weights as they are now
            self.calibrated_weights = None
        try:
            super().__setattr__(name, value)
        except StrictDataclassError as error:
            raise of_wrong_kind("", error, {name: value}) from error

    @property
    def label_options(self) -> dict[str, Any]:
        """How every cross-entropy with labels is taken; arguments of `masked_cross_entropy`."""
        return {"label_smoothing": self.label_smoothing, "class_weights": self.class_weights}

    @property
    def is_multimodal(self) -> bool:
        """Whether the model has more than one modality."""
        return len(self.modalities) > 1

    def temperature_of(self, modalities: Iterable[str]) -> float:
        """What the logits of an utterance with these modalities are divided by; 1 where nothing was fitted."""
        return self.temperatures.get(modality_key(modalities), 1.0)

    def threshold_of(self, modalities: Iterable[str]) -> float | None:
        """The score that the best class of most such validation utterances reaches; None where none was fitted."""
        return self.thresholds.get(modality_key(modalities))

    def encoder_config(self, modality: str) -> Any:
        """Configuration of a modality's encoder, None if the model lacks it."""
        return getattr(self, f"{modality}_config")

    def _encoder_config(self, modality: str, value: dict | PreTrainedConfig | None) -> PreTrainedConfig | None:
        if modality not in self.modalities:
            return None
        field = f"{modality}_config"
        config = encoder_of(field, value, ENCODER_TYPES[modality])
        if modality == "speech":
            check_speech_encoder(config)
        return checked_encoder(field, config)

    def _check_modalities(self) -> None:
        for modality in self.modalities:
            choice(*self.known_modalities)("modalities", modality)
        if not self.modalities or len(set(self.modalities)) != len(self.modalities):
            raise ValueError(
                f"modalities={self.modalities} must name one or more of {', '.join(self.known_modalities)}, each once"
            )

    def _check_calibration(self) -> None:
        for field in ("temperatures", "thresholds"):
            for modality in {modality for key in getattr(self, field) for modality in key.split("+")}:
                choice(*self.modalities)(field, modality)

    def _check_freeze(self) -> None:
        parts = [part for part in FREEZABLE_PARTS if part.split("_")[0] in self.known_modalities]
        valid = (*parts, *self.known_parts)
        for part in self.freeze:
            name, _, count = part.partition(":")
            if not (name in FREEZABLE_LAYERS and count.isdecimal()):
                choice(*valid, *(f"{layers}:N" for layers in FREEZABLE_LAYERS))("freeze", part)


def modality_key(modalities: Iterable[str]) -> str:
    """`text+speech` of any order of the two."""
    given = set(modalities)
    return "+".join(modality for modality in MODALITIES if modality in given)
