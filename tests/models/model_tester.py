"""What every model of the package must do, and the tiny encoders to do it with.

`MerModelTests` is inherited by the tests of each model; a subclass names the model class and makes configurations:

    class TestMyModel(MerModelTests):
        model_class = MyForEmotionClassification

        def make_config(self, **overrides):
            return MyConfig(**{**tiny_settings("wav2vec2"), **overrides})
"""

import copy
import string

import numpy as np
import pytest
import torch
from accelerate import disk_offload
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    BertTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaTokenizer,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
)

from hf_mer.models import LabelEmbeddingStore, LeMerConfig, LeMerForEmotionClassification, MerProcessor
from hf_mer.models.mer_embeddings import BARE_NAMES

LABELS = ["angry", "happy", "neutral", "sad"]
SPEECH_TYPES = ["wav2vec2", "wav2vec2-conformer", "wav2vec2-bert", "hubert", "wavlm", "data2vec-audio"]
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
    """Two layers, 16 wide, without dropout; 40 samples (or one log-mel frame) per frame."""
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
    if model_type in ("wav2vec2", "wav2vec2-conformer"):
        settings.update(
            num_codevectors_per_group=6, num_codevector_groups=2, codevector_dim=12, proj_codevector_dim=10
        )
    if model_type == "wav2vec2":
        settings.update(feat_extract_norm="group")
    return AutoConfig.for_model(model_type, **{**settings, **overrides})


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


def save_tiny_checkpoint(folder, speech_type: str = "wav2vec2", with_store: bool = True, **config):
    """Writes LE-MER with processor and store into a folder; gives the folder and the model."""
    torch.manual_seed(0)
    model = LeMerForEmotionClassification(LeMerConfig(**{**tiny_settings(speech_type), **config})).eval()
    store = tiny_store() if with_store else None
    if store is not None:
        model.set_label_embeddings(store)
    extractor = mel_feature_extractor() if speech_type == "wav2vec2-bert" else wave_feature_extractor()
    model.save_pretrained(folder)
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
        on_mel = config.speech_config.model_type == "wav2vec2-bert"
        lengths = [count if on_mel else HOP * count for count in frames]
        width = max(lengths) + padding * (1 if on_mel else HOP)
        audio = torch.zeros(len(tokens), width, *((160,) if on_mel else ()))
        mask = torch.zeros(len(tokens), width, dtype=torch.long)
        for row in rows:
            if row not in no_audio:
                generator = torch.Generator().manual_seed(1000 * seed + row + 500)
                audio[row, : lengths[row]] = torch.randn(lengths[row], *audio.shape[2:], generator=generator)
                mask[row, : lengths[row]] = 1
        batch.update({"input_features" if on_mel else "input_values": audio, "audio_attention_mask": mask})
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
    if "labels" in batch:
        alone["labels"] = batch["labels"][row : row + 1]
    return alone


def checkpoint_activations(model: torch.nn.Module, **settings) -> None:
    """By the name that the installed transformers has for it."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False, **settings})


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


class MerModelTests:
    """Inherited by every model's tests. Everything runs on the CPU with random tiny encoders."""

    model_class: type
    tolerance = 1e-5
    unused_parameters: tuple[str, ...] = ()  # parts of names of parameters that an encoder has and never uses

    def make_config(self, **overrides) -> PreTrainedConfig:
        raise NotImplementedError

    def make_model(self, **overrides):
        torch.manual_seed(0)
        model = self.model_class(self.make_config(**overrides)).eval()
        with torch.no_grad():  # trained norms have statistics and scales of their own
            for name, buffer in model.named_buffers():
                if name.endswith("running_mean"):
                    buffer.normal_(std=0.1)
        return model

    @torch.no_grad()
    def logits(self, model, batch) -> torch.Tensor:
        return model(**batch).logits

    def test_checkpoints_from_before_learned_vectors_were_modules(self, tmp_path):
        """They name the same tensors without `.weight`, and load by every way; what is saved then has today's names."""
        model = self.make_model()
        batch = make_batch(model.config, no_audio=(1,) if model.config.is_multimodal else ())
        model.save_pretrained(tmp_path)
        today = load_file(tmp_path / "model.safetensors")
        once = {
            name.removesuffix(".weight") if name.startswith(BARE_NAMES) else name: tensor
            for name, tensor in today.items()
        }
        save_file(once, tmp_path / "model.safetensors", metadata={"format": "pt"})
        again, info = self.model_class.from_pretrained(tmp_path, output_loading_info=True)
        assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        torch.testing.assert_close(self.logits(again, batch), self.logits(model, batch), rtol=0, atol=1e-6)
        again.save_pretrained(tmp_path / "again")
        assert load_file(tmp_path / "again" / "model.safetensors").keys() == today.keys()
        other = self.model_class(model.config).eval()
        other.load_state_dict(once)
        torch.testing.assert_close(self.logits(other, batch), self.logits(model, batch), rtol=0, atol=1e-6)

    def test_every_learned_vector_can_be_saved_by_an_adapter(self):
        """Adapters name modules; a parameter of the model itself would be left out without a word."""
        assert not list(self.make_model().named_parameters(recurse=False))

    def test_save_and_load(self, tmp_path):
        model = self.make_model()
        batch = make_batch(model.config)
        model.save_pretrained(tmp_path)
        assert not [path.name for path in tmp_path.iterdir() if path.suffix in (".bin", ".pt", ".pth", ".pkl")]
        again, info = self.model_class.from_pretrained(tmp_path, output_loading_info=True)
        assert not info["missing_keys"]
        assert not info["unexpected_keys"]
        assert not again.training
        torch.testing.assert_close(self.logits(again, batch), self.logits(model, batch), rtol=0, atol=1e-6)
        stored = load_file(tmp_path / "model.safetensors")
        assert len(stored) == len(model.state_dict())

    def test_new_parameters_are_initialised_when_a_checkpoint_lacks_them(self, tmp_path):
        """A raw parameter that no file holds is whatever lay in memory, unless the model initialises it."""
        model = self.make_model()
        own = {
            name: tensor
            for name, tensor in model.state_dict().items()
            if name.startswith(("text_encoder.", "speech_encoder.", "video_encoder."))
        }
        model.save_pretrained(tmp_path, state_dict=own)
        again = self.model_class.from_pretrained(tmp_path)
        for name, tensor in again.state_dict().items():
            if name not in own:
                assert tensor.float().isfinite().all(), name
                if name.endswith(("embeddings", "weight")) and tensor.dim() > 1:
                    assert 0 < tensor.std() < 2, name

    def test_config_round_trip(self, tmp_path):
        config = self.make_config()
        config.save_pretrained(tmp_path)
        again = type(config).from_pretrained(tmp_path)
        assert again.to_dict() == config.to_dict()
        assert type(copy.deepcopy(config)) is type(config)

    def test_padding_never_changes_a_logit(self):
        model = self.make_model()
        batch = make_batch(model.config)
        expected = self.logits(model, batch)
        padded = make_batch(model.config, padding=11)
        torch.testing.assert_close(self.logits(model, padded), expected, rtol=0, atol=self.tolerance)

    def test_an_utterance_does_not_depend_on_its_batch(self):
        model = self.make_model()
        batch = make_batch(model.config)
        together = self.logits(model, batch)
        for row in range(3):
            alone = self.logits(model, rows_of(batch, row))
            assert alone.shape == (1, model.config.num_labels)
            torch.testing.assert_close(alone[0], together[row], rtol=0, atol=self.tolerance)
        assert (together[0] - together[1]).abs().max() > 100 * self.tolerance

    def test_padding_never_changes_a_loss_or_gradient(self):
        """In training mode too, where batch norm would take its statistics from the padding."""
        model = self.make_model()
        results = []
        for padding in (0, 11):
            model.train().zero_grad()
            output = model(**make_batch(model.config, padding=padding, labels=[0, 1, 2]))
            output.loss.backward()
            results.append((output.losses, gradients(model)))
        torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=self.tolerance)
        torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-3, atol=1e-4)

    def test_missing_modality_in_a_mixed_batch(self):
        model = self.make_model()
        if len(model.config.modalities) < 2:
            pytest.skip("one modality")
        size = {"tokens": [7, 4, 9, 5, 6, 5, 8], "frames": [12, 20, 8, 9, 11, 10, 13]}
        missing = {"no_text": (1,), "no_audio": (2,), "no_video": (4,)}
        if len(model.config.modalities) == 3:
            missing = {"no_text": (1, 5, 6), "no_audio": (2, 6), "no_video": (4, 5)}
        whole, mixed = make_batch(model.config, **size), make_batch(model.config, **size, **missing)
        together, complete = self.logits(model, mixed), self.logits(model, whole)
        torch.testing.assert_close(together[[0, 3]], complete[[0, 3]], rtol=0, atol=self.tolerance)
        with torch.no_grad():
            fused = model(**mixed).embeddings
            for row in range(7):
                output = model(**rows_of(mixed, row))
                torch.testing.assert_close(output.logits[0], together[row], rtol=0, atol=self.tolerance)
                torch.testing.assert_close(output.embeddings[0], fused[row], rtol=0, atol=self.tolerance)

    def test_missing_modality_keeps_gradients_finite(self):
        model = self.make_model().train()
        if len(model.config.modalities) < 2:
            pytest.skip("one modality")
        everyone = (0, 1, 2)
        for missing in (
            {"no_text": (1,), "no_audio": (2,), "no_video": (0,)},
            *({name: everyone} for name in ("no_text", "no_audio", "no_video")),
        ):
            model.zero_grad()
            output = model(**make_batch(model.config, **missing, labels=[0, 1, 2]))
            output.loss.backward()
            assert output.loss.isfinite()
            for name, grad in gradients(model).items():
                assert grad.isfinite().all(), name

    def test_deterministic_in_evaluation(self):
        model = self.make_model()
        batch = make_batch(model.config)
        assert torch.equal(self.logits(model, batch), self.logits(model, batch))
        assert torch.equal(self.logits(copy.deepcopy(model), batch), self.logits(model, batch))

    def test_gradients_reach_everything_that_is_trained(self):
        model = self.make_model().train()
        model(**make_batch(model.config, labels=[0, 1, 2])).loss.backward()
        unreached = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
        unused = ("masked_spec_embed", *self.unused_parameters)
        assert not [name for name in unreached if not any(part in name for part in unused)]

    @pytest.mark.parametrize("part", ["text_encoder", "speech_encoder", "video_encoder", "label_embeddings"])
    def test_frozen_parts_get_no_gradient(self, part, tmp_path):
        model = self.make_model()
        names = [name for name, _ in model.named_parameters() if part in name]
        if not names:
            pytest.skip(f"no {part}")
        model = self.make_model(freeze=[part])
        model.save_pretrained(tmp_path)
        for candidate in (model, self.model_class.from_pretrained(tmp_path)):
            candidate.train()
            candidate(**make_batch(model.config, labels=[0, 1, 2])).loss.backward()
            got = set(gradients(candidate))
            assert not [name for name in names if name in got]
            assert got
            if part.endswith("encoder"):
                assert not getattr(candidate, part).training
                assert candidate.training

    def test_attention_implementations_agree(self):
        model = self.make_model()
        batch = make_batch(model.config)
        results = {}
        for implementation in ("eager", "sdpa"):
            model.set_attn_implementation(implementation)
            results[implementation] = self.logits(model, batch)
            assert model.text_encoder is None or model.text_encoder.config._attn_implementation == implementation
        torch.testing.assert_close(results["eager"], results["sdpa"], rtol=0, atol=self.tolerance)

    @pytest.mark.parametrize("implementation", ["eager", "sdpa"])
    def test_loads_with_an_attention_implementation(self, implementation, tmp_path):
        model = self.make_model()
        model.save_pretrained(tmp_path)
        again = self.model_class.from_pretrained(tmp_path, attn_implementation=implementation)
        batch = make_batch(model.config)
        torch.testing.assert_close(self.logits(again, batch), self.logits(model, batch), rtol=0, atol=self.tolerance)

    def test_asking_for_attention_does_not_change_the_logits(self):
        model = self.make_model()
        batch = make_batch(model.config)
        with torch.no_grad():
            asked = model(**batch, output_attentions=True).logits
        torch.testing.assert_close(asked, self.logits(model, batch), rtol=0, atol=self.tolerance)

    def test_bfloat16_forward_and_backward(self, tmp_path):
        self.make_model().save_pretrained(tmp_path)
        model = self.model_class.from_pretrained(tmp_path, dtype=torch.bfloat16).train()
        assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
        batch = make_batch(model.config, labels=[0, 1, 2])
        batch = {name: value.bfloat16() if value.is_floating_point() else value for name, value in batch.items()}
        loss = model(**batch).loss
        loss.backward()
        assert loss.isfinite()
        assert all(grad.isfinite().all() for grad in gradients(model).values())

    def test_autocast_is_close_to_full_precision(self):
        model = self.make_model()
        batch = make_batch(model.config, labels=[0, 1, 2])
        with torch.no_grad():
            expected = model(**batch)
            with torch.autocast("cpu", torch.bfloat16):
                output = model(**batch)
        torch.testing.assert_close(output.loss, expected.loss, rtol=0.05, atol=0.05)
        torch.testing.assert_close(output.logits.float(), expected.logits, rtol=0.1, atol=0.1)

    @pytest.mark.parametrize("reentrant", [False, True])
    def test_activation_checkpointing_gives_the_same_gradients(self, reentrant):
        model = self.make_model().train()
        batch = make_batch(model.config, labels=[0, 1, 2])
        model(**batch).loss.backward()
        expected = gradients(model)
        model.zero_grad()
        speech = model.config.speech_config
        if reentrant and speech is not None and speech.model_type == "wavlm":
            with pytest.raises(ValueError, match="wavlm"):
                checkpoint_activations(model, use_reentrant=True)
            return
        checkpoint_activations(model, use_reentrant=reentrant)
        model(**batch).loss.backward()
        torch.testing.assert_close(gradients(model), expected, rtol=1e-4, atol=1e-5)

    def test_every_loss_has_a_weight(self):
        model = self.make_model()
        output = model(**make_batch(model.config, labels=[0, 1, 2]))
        weights = model.config.loss_weights
        assert set(output.losses) <= set(weights)
        total = sum(weights[name] * value for name, value in output.losses.items())
        torch.testing.assert_close(output.loss, total)
        assert model(**make_batch(model.config)).loss is None

    def test_an_unlabelled_utterance_adds_nothing_to_the_label_losses(self):
        model = self.make_model()
        batch = make_batch(model.config, labels=[0, 1, 2])
        before = model(**{**batch, "labels": torch.tensor([0, -100, -100])}).losses["classification"]
        alone = model(**rows_of(batch, 0)).losses["classification"]
        torch.testing.assert_close(before, alone)

    def losses(self, labels, **overrides):
        model = self.make_model(**overrides)
        with torch.no_grad():
            return model(**make_batch(model.config, no_text=(1,)), labels=labels).losses

    def test_soft_and_one_hot_labels_are_those_of_class_indices(self):
        """Also where an utterance has no text, and none has a label of its own."""
        hard = self.losses(torch.tensor([2, 1, -100]))
        one_hot = torch.zeros(3, 4, dtype=torch.long)
        one_hot[0, 2] = one_hot[1, 1] = 1
        one_hot[2] = -100
        for labels in (one_hot, one_hot.float(), one_hot.bfloat16()):
            soft = self.losses(labels)
            assert soft.keys() == hard.keys()
            for name in hard:
                torch.testing.assert_close(soft[name], hard[name], rtol=0, atol=1e-6, msg=name)

    def test_shares_of_classes_weigh_the_losses(self):
        one, other = torch.tensor([2, 1, 0]), torch.tensor([3, 0, 0])
        shares = 0.75 * torch.eye(4)[one] + 0.25 * torch.eye(4)[other]
        found, first, second = self.losses(shares), self.losses(one), self.losses(other)
        for name in found:
            if name != "margin":  # which compares classes: those of the largest shares
                torch.testing.assert_close(found[name], 0.75 * first[name] + 0.25 * second[name])
            else:
                assert found[name] == first[name]

    def test_smoothing_is_of_the_classification_loss_alone(self):
        labels = torch.tensor([2, 1, 0])
        plain, smoothed = self.losses(labels), self.losses(labels, label_smoothing=0.1)
        even = self.losses(torch.full((3, 4), 0.25))["classification"]
        torch.testing.assert_close(smoothed["classification"], 0.9 * plain["classification"] + 0.1 * even)
        assert all(torch.equal(smoothed[name], plain[name]) for name in plain if name != "classification")

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (torch.tensor([0, 4, 1]), r"4 in row 1 .* from 0 to 3 of shape \(3,\)"),
            (torch.tensor([0, -1, 1]), "-1 in row 1"),
            (torch.tensor([0.0, 1.0, 2.0]), r"torch.float32, no class indices"),
            (torch.tensor([True, False, True]), r"torch.bool, no class indices"),
            (torch.tensor([[0], [1], [2]]), r"shape \(3, 1\)"),
            (torch.tensor([0, 1]), r"shape \(2,\)"),
            (torch.zeros(3, 5), r"shape \(3, 5\).*\(3, 4\)"),
            (torch.ones(3, 4), r"row 0 .* \[1.0, 1.0, 1.0, 1.0\].*add up to 1"),
            (torch.tensor([[1.0, 0, 0, 0], [1.5, -0.5, 0, 0], [1, 0, 0, 0]]), "row 1"),
            (torch.tensor([[1.0, 0, 0, 0], [float("nan"), 1, 0, 0], [1, 0, 0, 0]]), "row 1"),
        ],
    )
    def test_labels_that_are_none_are_refused(self, labels, message):
        with pytest.raises(ValueError, match=message):
            self.losses(labels)

    def test_layers_of_the_encoders_by_modality(self):
        """States and attention are those that the encoders give, at the batch's own lengths."""
        model = self.make_model()
        model.set_attn_implementation("eager")
        batch = make_batch(model.config)
        with torch.no_grad():
            output = model(**batch, output_hidden_states=True, output_attentions=True)
            plain = model(**batch)
        torch.testing.assert_close(output.logits, plain.logits, rtol=0, atol=self.tolerance)
        assert not [name for name in plain if name.endswith(("hidden_states", "attentions"))]
        widths = {"text": 12, "speech": 16}
        for modality in [name for name in ("text", "speech") if name in model.config.modalities]:
            states, attentions = output[f"{modality}_hidden_states"], output.get(f"{modality}_attentions", ())
            layers = model.config.encoder_config(modality).num_hidden_layers
            assert len(states) == layers + 1
            assert {tuple(layer.shape) for layer in states} == {(3, states[0].shape[1], widths[modality])}
            assert len(attentions) == layers - getattr(model.config, "num_deep_layers", 0) * (modality == "speech")
            for weights in attentions:
                assert weights.shape == (3, 2, states[0].shape[1], states[0].shape[1])
        main = next(name for name in ("speech", "text", "video") if name in model.config.modalities)
        assert output.hidden_states is output[f"{main}_hidden_states"]
        assert output.attentions is getattr(output, f"{main}_attentions")

    def test_some_layers_by_number(self):
        model = self.make_model()
        if model.config.modalities == ["video"]:
            pytest.skip("EfficientNet gives all of its layers or none")
        batch = make_batch(model.config)
        with torch.no_grad():
            every = model(**batch, output_hidden_states=True).hidden_states
            some = model(**batch, output_hidden_states=[0, -1]).hidden_states
        assert [layer is not None for layer in some] == [True, *[False] * (len(every) - 2), True]
        torch.testing.assert_close((some[0], some[-1]), (every[0], every[-1]), rtol=0, atol=0)

    def test_the_configuration_says_what_is_returned(self, tmp_path):
        config = self.make_config(output_hidden_states=True, return_dict=False)
        config.output_attentions = True
        model = self.model_class(config).eval()
        assert isinstance(model(**make_batch(config)), tuple)
        model.save_pretrained(tmp_path)
        model = self.model_class.from_pretrained(tmp_path, attn_implementation="eager")
        batch = make_batch(model.config)
        assert isinstance(model(**batch), tuple)
        output = model(**batch, return_dict=True)
        assert output.hidden_states is not None
        assert [name for name in output if name.endswith("_mask")]
        if not {"text", "speech"}.isdisjoint(model.config.modalities):
            assert [name for name in output if name.endswith("_attentions")]
        asked = model(**batch, return_dict=True, output_hidden_states=False, output_attentions=False)
        assert not [name for name in asked if name.endswith(("hidden_states", "attentions", "mask"))]

    def test_token_embeddings_grow_with_the_vocabulary(self, tmp_path):
        model = self.make_model()
        if model.text_encoder is None:
            with pytest.raises(NotImplementedError, match="no token embeddings"):
                model.get_input_embeddings()
            return
        batch = make_batch(model.config)
        expected = self.logits(model, batch)
        assert model.get_input_embeddings() is model.text_encoder.get_input_embeddings()
        model.resize_token_embeddings(VOCAB_SIZE + 6)
        assert model.config.text_config.vocab_size == VOCAB_SIZE + 6
        torch.testing.assert_close(self.logits(model, batch), expected, rtol=0, atol=self.tolerance)
        model.save_pretrained(tmp_path)
        again = self.model_class.from_pretrained(tmp_path)
        assert again.get_input_embeddings().weight.shape[0] == VOCAB_SIZE + 6
        model.set_input_embeddings(torch.nn.Embedding(VOCAB_SIZE, 12))
        assert (self.logits(model, batch) - expected).abs().max() > 1e-4

    def test_the_feature_encoder_freezes_for_good(self, tmp_path):
        model = self.make_model(freeze=[])
        speech = model.config.speech_config
        if speech is None or speech.model_type == "wav2vec2-bert":
            with pytest.raises(ValueError, match="speech_feature_encoder"):
                model.freeze_feature_encoder()
            assert model.config.freeze == []
            return
        model.freeze_feature_encoder()
        model.save_pretrained(tmp_path)
        for one in (model, self.model_class.from_pretrained(tmp_path)):
            one.train()
            one(**make_batch(one.config, labels=[0, 1, 2])).loss.backward()
            got = set(gradients(one))
            assert not [name for name in got if "feature_extractor" in name]
            assert [name for name in got if "speech_encoder.feature_projection" in name]

    def test_weights_that_no_file_holds_begin_as_new_ones_do(self, monkeypatch):
        """Each module with the same random numbers: from memory without content, and in `__init__`."""
        initialise = PreTrainedModel._initialize_weights

        def seeded(*args, **kwargs):
            torch.manual_seed(0)
            initialise(*args, **kwargs)

        monkeypatch.setattr(PreTrainedModel, "_initialize_weights", seeded)
        config = self.make_config()
        new = self.model_class(copy.deepcopy(config)).state_dict()
        loaded = self.model_class.from_pretrained(None, config=copy.deepcopy(config), state_dict={}).state_dict()
        assert new.keys() == loaded.keys()
        for name, weight in new.items():
            if ".parametrizations." in name:  # drawn by PyTorch itself
                torch.testing.assert_close(loaded[name].mean(), weight.mean(), rtol=0.1, atol=0.01, msg=name)
                torch.testing.assert_close(loaded[name].std(), weight.std(), rtol=0.3, atol=0.0, msg=name)
            else:
                assert torch.equal(loaded[name], weight), name

    def test_weights_on_disk(self, tmp_path):
        """Explicit offloading, which brings in the weights of one module at a time."""
        model = self.make_model()
        if "speech" in model.config.modalities and model.config.speech_config.model_type == "wavlm":
            pytest.skip("transformers' WavLM takes the weights of its attention's parts without running them")
        batch = make_batch(model.config)
        expected = self.logits(model, batch)
        disk_offload(model, str(tmp_path), execution_device=torch.device("cpu"))
        torch.testing.assert_close(self.logits(model, batch), expected, rtol=0, atol=self.tolerance)

    def test_tuple_output(self):
        model = self.make_model()
        batch = make_batch(model.config, labels=[0, 1, 2])
        loss, logits = model(**batch, return_dict=False)[:2]
        torch.testing.assert_close(logits, model(**batch).logits)
        assert loss.dim() == 0

    def test_learns_eight_utterances_by_heart(self):
        model = self.make_model().train()
        batch = make_batch(
            model.config,
            tokens=[5, 7, 4, 6, 8, 5, 7, 6],
            frames=[8, 12, 10, 9, 14, 8, 11, 10],
            labels=[0, 1, 2, 3] * 2,
        )
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
        for step in range(150):
            loss = model(**batch).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 10 == 9 and (self.logits(model.eval(), batch).argmax(-1) == batch["labels"]).all():
                break
            model.train()
        model.eval()
        assert self.logits(model, batch).argmax(-1).tolist() == batch["labels"].tolist()

    def test_nothing_to_classify(self):
        with pytest.raises(ValueError, match="needs.*remove_unused_columns=False.*MerDataCollator"):
            self.make_model()()
