"""Model and processor of a fold, from pretrained checkpoints or from configurations."""

import logging
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoTokenizer,
    BertTokenizer,
    PreTrainedModel,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
)

from hf_mer.models import LeMerConfig, LeMerForEmotionClassification, MerProcessor
from hf_mer.models.modeling_mer import load_speech_checkpoint
from hf_mer.training.arguments import DataArguments, ModelArguments

logger = logging.getLogger(__name__)

MEL_BINS = 80
LE_MER_FIELDS = (
    "text_label_init",
    "tonal_label_init",
    "tonal_space",
    "fusion",
    "guided_attention_norm",
    "history_in_fusion",
    "loss_weights",
    "label_temperature",
    "classifier_dropout",
    "freeze",
)


def le_mer_fields(arguments: ModelArguments) -> dict[str, Any]:
    """The fields of `LeMerConfig` that the settings name; frozen parts of a branch that is left out count for nothing.

    One file of settings thus serves the multimodal system and its branches.
    """
    fields = {name: getattr(arguments, name) for name in LE_MER_FIELDS}
    absent = tuple({"text", "speech"} - set(arguments.modalities))
    fields["freeze"] = [part for part in arguments.freeze if not part.startswith(absent)]
    return fields


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
    return MerProcessor(
        _feature_extractor(model_arguments, fold),
        _tokenizer(model_arguments, texts, fold),
        max_history=data_arguments.max_history,
        max_text_tokens=data_arguments.max_text_tokens,
        max_audio_seconds=data_arguments.max_audio_seconds,
    )


def _trained_processor(arguments: ModelArguments, fold: str) -> MerProcessor | None:
    """The processor of the checkpoint that is evaluated; of a score fusion, the parts of its two."""
    if arguments.checkpoint:
        return MerProcessor.from_pretrained(fill(arguments.checkpoint, fold))
    if not arguments.unimodal_text:
        return None
    text = MerProcessor.from_pretrained(fill(arguments.unimodal_text, fold))
    speech = MerProcessor.from_pretrained(fill(str(arguments.unimodal_speech), fold))
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


def _feature_extractor(arguments: ModelArguments, fold: str) -> Any:
    source = arguments.feature_extractor or arguments.speech_encoder
    if isinstance(source, str) and "speech" in arguments.modalities:
        return AutoFeatureExtractor.from_pretrained(fill(source, fold))
    if isinstance(source, dict) and source.get("model_type") == "wav2vec2-bert":
        stride, rest = divmod(source.get("feature_projection_input_dim", 160), MEL_BINS)
        if rest:
            width = source["feature_projection_input_dim"]
            raise ValueError(f"feature_projection_input_dim={width} is no multiple of {MEL_BINS} mel bins")
        return SeamlessM4TFeatureExtractor(stride=stride)
    return Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)


def _tokenizer(arguments: ModelArguments, texts: list[str], fold: str) -> Any:
    source = arguments.tokenizer or arguments.text_encoder
    needs_text = "text" in arguments.modalities or arguments.tonal_label_init == "bert"
    if isinstance(source, str) and (needs_text or arguments.tokenizer):
        return AutoTokenizer.from_pretrained(fill(source, fold))
    size = source.get("vocab_size", 2000) if isinstance(source, dict) else 100
    return train_tokenizer(texts, size)


def train_tokenizer(texts: list[str], vocab_size: int) -> BertTokenizer:
    """A lower-case WordPiece tokenizer learned from texts; the same texts give the same vocabulary."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    wordpiece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    wordpiece.normalizer = normalizers.BertNormalizer(lowercase=True)
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words = [
        word
        for text in texts
        for word, _ in wordpiece.pre_tokenizer.pre_tokenize_str(wordpiece.normalizer.normalize_str(text))
    ]
    # named beforehand: the trainer numbers inner letters as they come out of a hash table, and breaks ties by number
    inner = sorted({f"##{letter}" for word in words for letter in word[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=special + inner, min_frequency=2, show_progress=False
    )
    wordpiece.train_from_iterator(texts, trainer)
    vocabulary = sorted(wordpiece.get_vocab().items(), key=lambda item: item[1])
    return BertTokenizer(vocab={token: index for index, (token, _) in enumerate(vocabulary)})


def build_model(
    arguments: ModelArguments, labels: list[str], processor: MerProcessor, fold: str, with_quantizer: bool
) -> tuple[LeMerForEmotionClassification, PreTrainedModel | None]:
    """LE-MER with its encoders, still without label embeddings.

    Args:
        arguments: The system.
        labels: Class names.
        processor: Gives the vocabulary size of a text encoder that starts from a configuration.
        fold: Name of the fold.
        with_quantizer: Whether the label store needs the speech checkpoint's quantizer.

    Returns:
        model: Ready for `set_label_embeddings`.
        pretraining: The speech checkpoint with its quantizer, or None.
    """
    trained = _trained_model(arguments, fold)
    if trained is not None:
        _check_trained(trained, arguments, labels)
        return trained, None
    text, text_config = None, None
    if "text" in arguments.modalities:
        text, text_config = _load(arguments.text_encoder, arguments.text_overrides, fold, len(processor.tokenizer))
        _fit_text_length(processor, text_config)
    speech, speech_config, pretraining = None, None, None
    if "speech" in arguments.modalities:
        if isinstance(arguments.speech_encoder, dict):
            speech_config = _config(arguments.speech_encoder, arguments.speech_overrides)
        else:
            source: Any = arguments.speech_encoder
            overrides: Any = arguments.speech_overrides or {}
            speech, pretraining = load_speech_checkpoint(fill(source, fold), with_quantizer, **overrides)
            speech_config = speech.config
    fields = le_mer_fields(arguments)
    if pretraining is not None:
        fields["tonal_dim"] = pretraining.project_hid.out_features
    config = LeMerConfig(
        text_config=text_config,
        speech_config=speech_config,
        modalities=arguments.modalities,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        **fields,
    )
    model = LeMerForEmotionClassification(config)
    model.load_encoders(text, speech)
    if pretraining is not None and hasattr(model, "speech_projection"):
        model.speech_projection.load_state_dict(pretraining.project_hid.state_dict())
    if pretraining is not None:
        setattr(pretraining, pretraining.base_model_prefix, None)  # the model has its own copy; the heads are small
    return model, pretraining


def _trained_model(arguments: ModelArguments, fold: str) -> LeMerForEmotionClassification | None:
    if arguments.checkpoint:
        return LeMerForEmotionClassification.from_pretrained(fill(arguments.checkpoint, fold))
    if arguments.unimodal_text and arguments.unimodal_speech:
        paths = [fill(arguments.unimodal_text, fold), fill(arguments.unimodal_speech, fold)]
        return LeMerForEmotionClassification.from_unimodal(*paths)
    return None


def _check_trained(model: LeMerForEmotionClassification, arguments: ModelArguments, labels: list[str]) -> None:
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
    if arguments.tonal_label_init != "bert" or "text" in arguments.modalities:
        return None
    encoder, config = _load(arguments.text_encoder, arguments.text_overrides, fold, len(processor.tokenizer))
    return encoder if encoder is not None else AutoModel.from_config(config)


def _load(source: Any, overrides: Any, fold: str, vocab_size: int) -> tuple[PreTrainedModel | None, Any]:
    if isinstance(source, dict):
        return None, _config({**source, "vocab_size": vocab_size}, overrides)
    model = AutoModel.from_pretrained(fill(source, fold), **(overrides or {}))
    return model, model.config


def _config(settings: dict, overrides: Any) -> Any:
    settings = {**settings, **(overrides or {})}
    if "model_type" not in settings:
        raise ValueError(f"an encoder that starts from a configuration needs a model_type, got {sorted(settings)}")
    return AutoConfig.for_model(settings.pop("model_type"), **settings)


def model_folder(fold_folder: Path) -> Path:
    """Where a fold's final model and processor lie."""
    return fold_folder / "model"
