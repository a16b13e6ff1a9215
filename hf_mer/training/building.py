"""Model and processor of a fold, from pretrained checkpoints or from configurations."""

import logging
from pathlib import Path
from typing import Any

from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoTokenizer,
    EfficientNetImageProcessorPil,
    PreTrainedModel,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from hf_mer.models import MerProcessor
from hf_mer.models.fitting_mer import check_speech
from hf_mer.models.image_mer import load_image_processor
from hf_mer.models.language_mer import unread_tokens, warn_of_unread
from hf_mer.models.speech_checkpoints_mer import load_speech_checkpoint
from hf_mer.training.encoder_weights import load_encoder
from hf_mer.training.settings.arguments import DataArguments
from hf_mer.training.settings.model_arguments import ModelArguments
from hf_mer.training.tokenizer import train_tokenizer

logger = logging.getLogger(__name__)

MEL_BINS = 80
FRAME_SIZE = 64  # pixels, of a video encoder that starts from a configuration without `image_size`


def build_processor(
    model_arguments: ModelArguments, data_arguments: DataArguments, texts: list[str], fold: str
) -> MerProcessor:
    """Feature extractor and tokenizer that belong to the encoders, or the processor of a trained checkpoint.

    An encoder that starts from a configuration has neither: then the tokenizer is a WordPiece vocabulary learned from
    the training texts of the fold, and the feature extractor the one of the encoder's kind.

    Args:
        model_arguments: Names the encoders.
        data_arguments: Lengths and history.
        texts: Training texts of the fold.
        fold: Name of the fold.
    """
    trained = _trained_processor(model_arguments, fold)
    if trained is not None:
        for name in ("max_history", "max_text_tokens", "max_audio_seconds"):
            given, own = getattr(data_arguments, name), getattr(trained, name)
            if given != own:
                logger.warning("%s=%s, as the checkpoint was trained; %s is not used", name, own, given)
        return trained
    video = {}
    if "video" in model_arguments.modalities:
        video = {name: getattr(data_arguments, name) for name in ("num_frames", "max_video_seconds", "face_crop")}
        video["image_processor"] = _image_processor(model_arguments, fold)
    return MerProcessor(
        feature_extractor_of(model_arguments, fold),
        _tokenizer(model_arguments, texts, fold),
        max_history=data_arguments.max_history,
        max_text_tokens=data_arguments.max_text_tokens,
        max_audio_seconds=data_arguments.max_audio_seconds,
        **video,
    )


def _trained_processor(arguments: ModelArguments, fold: str) -> MerProcessor | None:
    """The processor of the checkpoint that is evaluated; of a score fusion, the parts of its two."""
    if arguments.checkpoint:
        return MerProcessor.from_pretrained(fill(arguments.checkpoint, fold))
    if not arguments.trained:
        return None
    unimodal: Any = arguments
    text = MerProcessor.from_pretrained(fill(unimodal.unimodal_text, fold))
    speech = MerProcessor.from_pretrained(fill(unimodal.unimodal_speech, fold))
    store = text.label_store
    if store is not None and speech.label_store is not None:
        for name in ("tonal_codes", "discretizer", "tonal_embeddings", "centroids"):
            setattr(store, name, getattr(speech.label_store, name))
    return MerProcessor(
        speech.feature_extractor,
        text.tokenizer,
        label_store=store,
        max_history=text.max_history,
        max_text_tokens=text.max_text_tokens,
        max_audio_seconds=speech.max_audio_seconds,
        min_audio_seconds=speech.min_audio_seconds,
    )


def fill(name: str, fold: str) -> str:
    """A checkpoint's name with the fold in the place of `{fold}`."""
    return name.replace("{fold}", fold)


def feature_extractor_of(arguments: ModelArguments, fold: str) -> Any:
    """The feature extractor of a system's speech encoder."""
    source = arguments.feature_extractor or arguments.speech_encoder
    if isinstance(source, str) and "speech" in arguments.modalities:
        return AutoFeatureExtractor.from_pretrained(fill(source, fold))
    if isinstance(source, dict) and source.get("model_type") == "whisper":
        return WhisperFeatureExtractor(source.get("num_mel_bins", MEL_BINS))
    if isinstance(source, dict) and source.get("model_type") == "wav2vec2-bert":
        stride, rest = divmod(source.get("feature_projection_input_dim", 160), MEL_BINS)
        if rest:
            width = source["feature_projection_input_dim"]
            raise ValueError(f"feature_projection_input_dim={width} is not a multiple of {MEL_BINS} mel bins")
        return SeamlessM4TFeatureExtractor(stride=stride)
    return Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)


def _image_processor(arguments: ModelArguments, fold: str) -> Any:
    source: Any = arguments.image_processor or arguments.video_encoder
    if isinstance(source, str):
        return load_image_processor(fill(source, fold))
    side = source.get("image_size", FRAME_SIZE)
    return EfficientNetImageProcessorPil(size={"height": side, "width": side}, do_center_crop=False)


def _tokenizer(arguments: ModelArguments, texts: list[str], fold: str) -> Any:
    source = arguments.tokenizer or arguments.text_encoder
    needs_text = "text" in arguments.modalities or getattr(arguments, "tonal_label_init", None) == "bert"
    if isinstance(source, str) and (needs_text or arguments.tokenizer):
        tokenizer = AutoTokenizer.from_pretrained(fill(source, fold))
        if "text" in arguments.modalities:
            warn_of_unread(*unread_tokens(tokenizer, texts), f"training texts ({source})")
        return tokenizer
    size = source.get("vocab_size", 2000) if isinstance(source, dict) else 100
    return train_tokenizer(texts, size)


def build_model(
    arguments: ModelArguments, labels: list[str], processor: MerProcessor, fold: str, with_quantizer: bool = False
) -> tuple[Any, PreTrainedModel | None]:
    """The model with its encoders, still without label embeddings.

    Args:
        arguments: The system.
        labels: Class names.
        processor: Gives the vocabulary size of a text encoder that starts from a configuration.
        fold: Name of the fold.
        with_quantizer: Whether the label store of LE-MER needs the speech checkpoint's quantizer.

    Returns:
        model: Its parameters are those of the checkpoints where these are pretrained, random elsewhere.
        pretraining: The speech checkpoint with its quantizer, or None.
    """
    trained = _trained_model(arguments, fold)
    if trained is not None:
        _check_trained(trained, arguments, labels)
        return trained, None
    encoders: dict[str, Any] = {}
    configs: dict[str, Any] = {}
    pretraining: Any = None
    for name in arguments.modalities:
        source, overrides = getattr(arguments, f"{name}_encoder"), getattr(arguments, f"{name}_overrides")
        if name == "speech" and with_quantizer and isinstance(source, str):
            encoder, pretraining = load_speech_checkpoint(fill(source, fold), True, **(overrides or {}))
            encoders[name], configs[name] = encoder, encoder.config
        else:
            encoders[name], configs[name] = _load(source, overrides, fold, name, len(processor.tokenizer))
    if "text" in configs:
        _fit_text_length(processor, configs["text"])
    if "speech" in configs:
        check_speech(configs["speech"], processor.feature_extractor, processor.max_audio_seconds)
    fields = arguments.config_fields()
    if pretraining is not None:
        fields["tonal_dim"] = pretraining.project_hid.out_features
    config = arguments.model_class.config_class(
        **{f"{name}_config": config for name, config in configs.items()},
        modalities=arguments.modalities,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        **fields,
    )
    model = arguments.model_class(config)
    model.load_encoders(**{f"{name}_encoder": encoder for name, encoder in encoders.items()})
    if pretraining is not None:
        if hasattr(model, "speech_projection"):
            model.speech_projection.load_state_dict(pretraining.project_hid.state_dict())
        setattr(pretraining, pretraining.base_model_prefix, None)  # the model has its own copy; the heads are small
    return model, pretraining


def _trained_model(arguments: ModelArguments, fold: str) -> Any:
    if arguments.checkpoint:
        return arguments.model_class.from_pretrained(fill(arguments.checkpoint, fold))
    if arguments.trained:
        unimodal: Any = arguments
        paths = [fill(unimodal.unimodal_text, fold), fill(unimodal.unimodal_speech, fold)]
        return unimodal.model_class.from_unimodal(*paths)
    return None


def _check_trained(model: Any, arguments: ModelArguments, labels: list[str]) -> None:
    """A checkpoint must know the corpus' classes in their order, and the modalities that are asked for."""
    own = [model.config.id2label[index] for index in range(model.config.num_labels)]
    if own != labels:
        raise ValueError(f"the checkpoint is for classes {', '.join(own)}, the corpus has {', '.join(labels)}")
    lacking = sorted(set(arguments.modalities) - set(model.config.modalities))
    if lacking:
        raise ValueError(
            f"the checkpoint has no {', '.join(lacking)} branch; pass --modalities {' '.join(model.config.modalities)}"
        )


def _fit_text_length(processor: MerProcessor, text_config: Any) -> None:
    """No more tokens than the text encoder has positions for."""
    positions = getattr(text_config, "max_position_embeddings", None) or processor.max_text_tokens
    if any(name in text_config.model_type for name in ("roberta", "camembert", "mpnet", "data2vec-text")):
        positions -= text_config.pad_token_id + 1  # their positions are counted from there
    if positions < processor.max_text_tokens:
        logger.warning("max_text_tokens=%d: the text encoder has no more positions", positions)
        processor.max_text_tokens = positions


def label_text_encoder(arguments: ModelArguments, fold: str, processor: MerProcessor) -> PreTrainedModel | None:
    """The text encoder that embeds the labels of a speech-only model (system B4)."""
    if getattr(arguments, "tonal_label_init", None) != "bert" or "text" in arguments.modalities:
        return None
    size = len(processor.tokenizer)
    encoder, config = _load(arguments.text_encoder, arguments.text_overrides, fold, "text", size)
    return encoder if encoder is not None else AutoModel.from_config(config)


def _load(
    source: Any, overrides: Any, fold: str, modality: str, vocab_size: int
) -> tuple[PreTrainedModel | None, Any]:
    """A pretrained encoder, or None, and its configuration."""
    if isinstance(source, dict):
        own = {"vocab_size": vocab_size} if modality == "text" else {}
        return None, _config({**source, **own}, overrides)
    model = load_encoder(fill(source, fold), modality, **(overrides or {}))
    return model, model.config


def _config(settings: dict, overrides: Any) -> Any:
    settings = {**settings, **(overrides or {})}
    if "model_type" not in settings:
        raise ValueError(f"an encoder that starts from a configuration needs a model_type, got {sorted(settings)}")
    return AutoConfig.for_model(settings.pop("model_type"), **settings)


def model_folder(fold_folder: Path) -> Path:
    """Where a fold's final model and processor lie."""
    return fold_folder / "model"
