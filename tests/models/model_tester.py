"""Tiny encoders, tokenizers, label stores and checkpoints, and batches for the models that are made of them."""

import string

import numpy as np
import torch
from transformers import (
    AutoConfig,
    BertTokenizer,
    PreTrainedConfig,
    RobertaTokenizer,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from hf_mer.models import LabelEmbeddingStore, LeMerConfig, LeMerForEmotionClassification, MerProcessor

LABELS = ["angry", "happy", "neutral", "sad"]
SPEECH_TYPES = [
    "wav2vec2",
    "wav2vec2-conformer",
    "wav2vec2-bert",
    "hubert",
    "wavlm",
    "data2vec-audio",
    "unispeech",
    "unispeech-sat",
    "whisper",
]
WORDS = [
    "i",
    "am",
    "so",
    "glad",
    "you",
    "came",
    "who",
    "is",
    "it",
    "the",
    "report",
    "awful",
    "lovely",
    "what",
    "a",
    "day",
    "yes",
    "no",
    ".",
    ",",
    "!",
    "?",
]
HOP = 40  # samples from one frame of the tiny encoders to the next
VOCAB_SIZE = 90


def tiny_speech_config(model_type: str = "wav2vec2", **overrides) -> PreTrainedConfig:
    """Two layers, 16 wide, without dropout; 40 samples (or one log-mel frame, of Whisper two) per frame."""
    if model_type == "whisper":
        return tiny_whisper_config(**overrides)
    settings: dict = dict(  # noqa: C408
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, vocab_size=8,
        hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0, final_dropout=0.0,
        conformer_conv_dropout=0.0, layerdrop=0.0, mask_time_prob=0.0, mask_feature_prob=0.0,
        conv_depthwise_kernel_size=7, num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=1,  # 8 channels a group are computed wrongly in bfloat16 on processors with AMX
    )  # fmt: skip
    if model_type == "wav2vec2-bert":
        settings.update(
            feature_projection_input_dim=160, left_max_position_embeddings=8, right_max_position_embeddings=4
        )
    else:
        settings.update(conv_dim=[8, 8], conv_kernel=[10, 4], conv_stride=[10, 4], num_feat_extract_layers=2)
    if model_type == "data2vec-audio":
        settings.update(conv_pos_kernel_size=5, num_conv_pos_embeddings=2)
    if model_type in ("wav2vec2", "wav2vec2-conformer", "unispeech", "unispeech-sat"):
        settings.update(
            num_codevectors_per_group=6, num_codevector_groups=2, codevector_dim=12, proj_codevector_dim=10
        )
    if model_type == "wav2vec2":
        settings.update(feat_extract_norm="group")
    return AutoConfig.for_model(model_type, **{**settings, **overrides})


def tiny_whisper_config(**overrides) -> PreTrainedConfig:
    """Two layers, 16 wide, without dropout, 80 mel bins; 1500 positions, two log-mel frames each, as every Whisper."""
    settings = dict(  # noqa: C408
        d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=24, decoder_layers=1,
        decoder_attention_heads=2, decoder_ffn_dim=24, vocab_size=8, num_mel_bins=80, dropout=0.0, init_std=0.1,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, max_target_positions=8,
    )  # fmt: skip
    return AutoConfig.for_model("whisper", **{**settings, **overrides})


def tiny_text_config(model_type: str = "bert", **overrides) -> PreTrainedConfig:
    """Two layers, 12 wide, without dropout."""
    settings: dict = {"vocab_size": VOCAB_SIZE, "max_position_embeddings": 64}
    if model_type == "distilbert":
        settings.update(dim=12, n_layers=2, n_heads=2, hidden_dim=24, dropout=0.0, attention_dropout=0.0)
    else:
        settings.update(hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
        settings.update(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    if model_type == "roberta":
        settings.update(pad_token_id=1, bos_token_id=0, eos_token_id=2, type_vocab_size=1)
    return AutoConfig.for_model(model_type, **{**settings, **overrides})


def tiny_video_config(**overrides) -> PreTrainedConfig:
    """EfficientNet of two blocks on pictures of 16 x 16, whose pooled features are 128 wide."""
    settings: dict = dict(  # noqa: C408
        image_size=16, width_coefficient=0.1, depth_coefficient=0.1, hidden_dim=128, in_channels=[8, 8],
        out_channels=[8, 8], kernel_sizes=[3, 3], strides=[2, 1], num_block_repeats=[1, 1], expand_ratios=[1, 2],
        drop_connect_rate=0.0, dropout_rate=0.0, initializer_range=1.0,
    )  # fmt: skip
    return AutoConfig.for_model("efficientnet", **{**settings, **overrides})


def tiny_settings(speech_type: str = "wav2vec2", text_type: str = "bert") -> dict:
    """Fields of a configuration that every model of the package shares."""
    return {
        "speech_config": tiny_speech_config(speech_type),
        "text_config": tiny_text_config(text_type),
        "id2label": dict(enumerate(LABELS)),
        "label2id": {label: index for index, label in enumerate(LABELS)},
        "initializer_range": 0.3,
    }


def tiny_tokenizer() -> BertTokenizer:
    """BERT's tokenizer over `WORDS`; other lower-case words are spelled out."""
    letters = [*string.ascii_lowercase, *("##" + letter for letter in string.ascii_lowercase)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys([*WORDS, *letters])]
    assert len(vocabulary) <= VOCAB_SIZE
    return BertTokenizer(vocab={word: index for index, word in enumerate(vocabulary)})


def tiny_byte_tokenizer() -> RobertaTokenizer:
    """RoBERTa's byte-level tokenizer with two merges (" g" and " gl"), so that words have several tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    symbols = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet()), "Ġg", "Ġgl"]
    return RobertaTokenizer(vocab={symbol: i for i, symbol in enumerate(symbols)}, merges=[("Ġ", "g"), ("Ġg", "l")])


def wave_feature_extractor() -> Wav2Vec2FeatureExtractor:
    return Wav2Vec2FeatureExtractor(sampling_rate=16000, do_normalize=True, return_attention_mask=True)


def mel_feature_extractor(stride: int = 2) -> SeamlessM4TFeatureExtractor:
    return SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80, stride=stride)


def whisper_feature_extractor() -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor(feature_size=80)


def feature_extractor_for(speech_type: str):
    """What makes the inputs of a tiny encoder."""
    made = {"wav2vec2-bert": mel_feature_extractor, "whisper": whisper_feature_extractor}
    return made.get(speech_type, wave_feature_extractor)()


def tone(seconds: float = 0.4, rate: int = 16000, pitch: float = 220.0) -> np.ndarray:
    """A sine with a little noise. Shape `(N,)`, float32."""
    time = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(int(pitch)).normal(size=time.shape)
    return (0.5 * np.sin(2 * np.pi * pitch * time) + 0.01 * noise).astype(np.float32)


def tiny_store(
    text_dim: int | None = 12, tonal_dim: int | None = 16, labels: list[str] = LABELS
) -> LabelEmbeddingStore:
    generator = torch.Generator().manual_seed(1)
    size = len(labels)
    return LabelEmbeddingStore(
        labels,
        keywords={label: [(label + "!", 0.5), ("so", 0.25)] for label in labels},
        tonal_codes={label: [(7, 0.5), (3, 0.125)] for label in labels},
        discretizer={"kind": "codebook", "groups": 2, "entries": 6},
        settings={"utterances": 8},
        text_embeddings=None if text_dim is None else torch.randn(size, text_dim, generator=generator),
        tonal_embeddings=None if tonal_dim is None else torch.randn(size, tonal_dim, generator=generator),
    )


def tiny_checkpoint_model(speech_type: str = "wav2vec2", with_store: bool = True, **config):
    """LE-MER with the weights that `save_tiny_checkpoint` writes."""
    torch.manual_seed(0)
    model = LeMerForEmotionClassification(LeMerConfig(**{**tiny_settings(speech_type), **config})).eval()
    if with_store:
        model.set_label_embeddings(tiny_store())
    return model


def save_tiny_checkpoint(folder, speech_type: str = "wav2vec2", with_store: bool = True, **config):
    """Writes LE-MER with processor and store into a folder; gives the folder and the model."""
    model = tiny_checkpoint_model(speech_type, with_store, **config)
    store = tiny_store() if with_store else None
    model.save_pretrained(folder)
    extractor = feature_extractor_for(speech_type)
    MerProcessor(extractor, tiny_tokenizer(), label_store=store, max_text_tokens=40).save_pretrained(folder)
    return str(folder), model


def make_batch(
    config: PreTrainedConfig,
    tokens: list[int] = (7, 4, 9),
    frames: list[int] = (12, 20, 8),
    no_text: tuple[int, ...] = (),
    no_audio: tuple[int, ...] = (),
    no_video: tuple[int, ...] = (),
    padding: int = 0,
    seed: int = 0,
    labels: list[int] | None = None,
) -> dict[str, torch.Tensor]:
    """Random inputs that depend on seed and row, not on the batch. Lengths in tokens and encoder frames.

    A video has 2 to 5 pictures, by the number of its tokens.
    """
    rows = range(len(tokens))
    batch: dict[str, torch.Tensor] = {}
    if "text" in config.modalities and len(no_text) < len(tokens):
        width = max(tokens) + padding
        ids, mask, types = (torch.zeros(len(tokens), width, dtype=torch.long) for _ in range(3))
        ids += getattr(config.text_config, "pad_token_id", None) or 0
        for row in rows:
            if row not in no_text:
                generator = torch.Generator().manual_seed(1000 * seed + row)
                ids[row, : tokens[row]] = torch.randint(5, VOCAB_SIZE, (tokens[row],), generator=generator)
                mask[row, : tokens[row]] = 1
                types[row, tokens[row] // 2 : tokens[row]] = 1
        batch.update(input_ids=ids, attention_mask=mask, token_type_ids=types)
    if "speech" in config.modalities and len(no_audio) < len(tokens):
        kind = config.speech_config.model_type
        bins = {"wav2vec2-bert": (160,), "whisper": (80,)}.get(kind, ())
        hop = 1 if kind == "wav2vec2-bert" else 2 if kind == "whisper" else HOP
        lengths = [hop * count - (kind == "whisper" and count % 3 == 0) for count in frames]  # some odd
        width = max(lengths) + padding * hop
        audio = torch.zeros(len(tokens), width, *bins)
        mask = torch.zeros(len(tokens), width, dtype=torch.long)
        for row in rows:
            if row not in no_audio:
                generator = torch.Generator().manual_seed(1000 * seed + row + 500)
                audio[row, : lengths[row]] = torch.randn(lengths[row], *audio.shape[2:], generator=generator)
                mask[row, : lengths[row]] = 1
        audio = audio.transpose(1, 2).contiguous() if kind == "whisper" else audio
        batch.update({"input_features" if bins else "input_values": audio, "audio_attention_mask": mask})
    if "video" in config.modalities and len(no_video) < len(tokens):
        counts = [2 + count % 4 for count in tokens]
        pictures = torch.zeros(len(tokens), max(counts) + padding, 3, 16, 16)
        mask = torch.zeros(pictures.shape[:2], dtype=torch.long)
        for row in rows:
            if row not in no_video:
                generator = torch.Generator().manual_seed(1000 * seed + row + 750)
                pictures[row, : counts[row]] = torch.randn(counts[row], *pictures.shape[2:], generator=generator)
                mask[row, : counts[row]] = 1
        batch.update(pixel_values=pictures, video_attention_mask=mask)
    if labels is not None:
        batch["labels"] = torch.tensor(labels)
    return batch


def rows_of(batch: dict[str, torch.Tensor], row: int) -> dict[str, torch.Tensor]:
    """One utterance of a batch by itself, without padding and without the modalities that it lacks."""
    alone = {}
    for mask_name, names in (
        ("attention_mask", ("input_ids", "attention_mask", "token_type_ids")),
        ("audio_attention_mask", ("input_values", "input_features", "audio_attention_mask")),
        ("video_attention_mask", ("pixel_values", "video_attention_mask")),
    ):
        if mask_name in batch and batch[mask_name][row].any():
            length = int(batch[mask_name][row].sum())
            alone.update({name: batch[name][row : row + 1, :length] for name in names if name in batch})
            if "input_features" in names and "input_features" in alone and batch["input_features"].shape[1] == 80:
                alone["input_features"] = batch["input_features"][row : row + 1, :, :length]  # Whisper's
    if "labels" in batch:
        alone["labels"] = batch["labels"][row : row + 1]
    return alone


def checkpoint_activations(model: torch.nn.Module, **settings) -> None:
    """By the name that the installed transformers has for it."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False, **settings})


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
