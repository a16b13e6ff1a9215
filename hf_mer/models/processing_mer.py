"""One call from audio, text, history and video to the inputs of a model."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from transformers import BatchFeature
from transformers.processing_utils import ProcessorMixin
from transformers.utils import cached_file

from .audio_features_mer import check_extractor, features_of, hop_of, is_channel_first, samples_for, stride_of
from .audio_mer import AudioError, load_audio
from .columns_mer import columns_of
from .fields_mer import FieldError, check_fields
from .image_mer import crop_faces, image_processor_from_dict, load_face_detector, normalize, resize
from .label_store import STORE_FILE, TENSORS_FILE, LabelEmbeddingStore
from .lengths_mer import BatchSettings, MerProcessorKwargs, pad_masked
from .notes_mer import note
from .processor_files_mer import EXTRACTOR_RULES, PROCESSOR_RULES, readable_processor
from .resampling_mer import plausible_rate
from .row_padding_mer import pad_rows
from .sources_mer import shown_name
from .text_mer import encode_texts, settle
from .video_mer import load_video
from .whisper_mer import STRIDE, is_whisper
from .words_mer import turns_with_words, words_of


class MerProcessor(ProcessorMixin):
    """Feature extractor, tokenizer, label store and, with video, image processor of an emotion recognition model.

    History is spliced as the paper does (LE-MER, section 3.2): `[CLS] history [SEP] current [SEP]`, token types 0 and
    1, at most `max_history` earlier utterances and `max_text_tokens` tokens. The oldest history is dropped first; the
    current utterance is never cut to keep history, and is itself cut at its end only when it alone is too long.

    Args:
        feature_extractor: Of the speech encoder (samples or log-mel frames).
        tokenizer: Of the text encoder; a fast one.
        label_store: What the label embeddings were made of; saved and loaded with the processor.
        max_history: Earlier utterances that are used, the latest ones.
        max_text_tokens: Longest token sequence, special tokens counted.
        max_audio_seconds: Longer audio is cut at its end; None keeps everything.
        min_audio_seconds: Shorter audio is refused: it has less than two frames of the feature extractors.
        image_processor: Of the video encoder, such as `load_image_processor` gives; None for models without video,
            which then know nothing of pictures.
        num_frames: Frames of a clip, evenly over it; a clip with fewer gives those it has.
        max_video_seconds: Longer clips are cut at their end, as audio is; None keeps everything.
        face_crop: Whether the largest face is cut out of every frame, which needs OpenCV.
    """

    valid_processor_kwargs = MerProcessorKwargs

    def __init__(
        self,
        feature_extractor: Any,
        tokenizer: Any,
        label_store: LabelEmbeddingStore | None = None,
        max_history: int = 10,
        max_text_tokens: int = 150,
        max_audio_seconds: float | None = 30.0,
        min_audio_seconds: float = 0.05,
        image_processor: Any = None,
        num_frames: int = 8,
        max_video_seconds: float | None = 30.0,
        face_crop: bool = False,
    ):
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError(
                f"{type(tokenizer).__name__} is not a fast tokenizer, which history and word alignment need"
            )
        given = {name: value for name, value in locals().items() if name in PROCESSOR_RULES}
        check_fields(PROCESSOR_RULES, given)
        if max_audio_seconds is not None and max_audio_seconds < min_audio_seconds:
            raise FieldError(
                f"max_audio_seconds={max_audio_seconds} is less than min_audio_seconds={min_audio_seconds}"
            )
        extractor = {f"feature_extractor.{name}": value for name, value in vars(feature_extractor).items()}
        check_fields(EXTRACTOR_RULES, extractor)
        check_extractor(feature_extractor)
        if face_crop:
            load_face_detector()  # what is missing is said now and not at the first clip
        settle(tokenizer)
        feature_extractor.return_attention_mask = True  # some are saved without: the models always want to be told
        self.label_store = label_store
        self.image_processor = image_processor
        self.num_frames = num_frames
        self.max_video_seconds = max_video_seconds
        self.face_crop = face_crop
        self.max_history = max_history
        self.max_text_tokens = max_text_tokens
        self.max_audio_seconds = max_audio_seconds
        self.min_audio_seconds = min_audio_seconds
        super().__init__(feature_extractor, tokenizer)
        _ = self.sampling_rate  # checked now and not at the first recording

    @classmethod
    def get_attributes(cls) -> list[str]:
        """Sub-processors that are always there; the base class knows of no optional one, such as `image_processor`."""
        return ["feature_extractor", "tokenizer"]

    @property
    def sampling_rate(self) -> int:
        """Hz that the feature extractor expects."""
        extractor = self.feature_extractor
        return plausible_rate(extractor.sampling_rate, f"processor_config.json: {type(extractor).__name__}")

    @property
    def audio_input_name(self) -> str:
        """`input_values` or `input_features`."""
        return self.feature_extractor.model_input_names[0]

    @property
    def audio_unit(self) -> str:
        """What lengths of audio are counted in: `samples`, or `frames` of `10 ms * stride`."""
        return "samples" if self.audio_input_name == "input_values" else "frames"

    @property
    def is_channel_first(self) -> bool:
        """Whether the model takes log-mel frames as `(B, F, S)`, as Whisper's do; rows are `(S, F)` all the same."""
        return is_channel_first(self.feature_extractor)

    @property
    def stride(self) -> int:
        """Log-mel frames of 10 ms that are stacked in one place of `input_features`."""
        return stride_of(self.feature_extractor)

    @property
    def most_places(self) -> int | None:
        """Samples or frames of the longest audio; None without a limit."""
        if self.max_audio_seconds is None:
            return None
        return int(self.max_audio_seconds * self.sampling_rate) // hop_of(self.feature_extractor)

    @property
    def model_input_names(self) -> list[str]:
        """Names of everything that a call can return."""
        names = ["input_ids", "attention_mask", "token_type_ids", self.audio_input_name, "audio_attention_mask"]
        return names if self.image_processor is None else [*names, "pixel_values", "video_attention_mask"]

    def __call__(
        self,
        audio: Any = None,
        text: str | list[str | None] | None = None,
        history: list[str] | list[list[str]] | None = None,
        *,
        return_words: bool | None = None,
        video: Any = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Makes a batch of model inputs; a modality that no item has is left out, one that some lack is masked there.

        Args:
            audio: One item or a list of items of what `load_audio` takes; None (or None in the list) where there is
                none.
            text: A transcript or a list of them; None or an empty string where there is none.
            history: Earlier utterances of the dialogue, oldest first; for a list of items a list of such lists.
            return_words: Also return `words`: per item, `(word, token positions, is current utterance)`.
            video: One item or a list of items of what `load_video` takes; its sound is not used, unless given as
                `audio` too.
            **kwargs: `sampling_rate`, Hz of audio given as arrays, the feature extractor's if not given;
                `return_tensors`, `"pt"` (default) or `"np"`; and how long rows become: to the longest, unless
                `padding="max_length"` and `max_length` make every batch of one shape. They count tokens; for audio
                they stand in `audio_kwargs` and count samples of `input_values` or frames (10 ms times the stride)
                of `input_features`, for video in `videos_kwargs` and count frames. Text is cut at `max_length` where
                that is below `max_text_tokens`, audio only with `audio_kwargs={"truncation": True, ...}`.
                `pad_to_multiple_of` and, for what tokens are said of, `text_kwargs` are known too.

        Returns:
            `input_ids`, `attention_mask`, `token_type_ids` of shape `(B, T)`; `input_values (B, N)` or `input_features
            (B, S, F)`, for Whisper `(B, F, S)`, with `audio_attention_mask`; `pixel_values (B, F, 3, H, W)` with
            `video_attention_mask (B, F)`.

        Raises:
            AudioError: If audio is unusable.
            VideoError: If video is unusable.
            TypeError: If a keyword is not known.
            ValueError: If an item has none of them, the lists differ in length, or a row has no room.
        """
        settings = BatchSettings.of(self, kwargs, has_text=text is not None or history is not None)
        audios, texts, histories, videos = columns_of(audio, text, history, video)
        for given in texts:
            if told := self.cut_of_text(given, settings.text.max_length):
                note(told)
        longest = settings.audio.max_length if settings.audio.cuts else None
        rate = settings.sampling_rate
        features = [None if item is None else self.extract_audio(item, rate, longest) for item in audios]
        pixels = [None if item is None else self.extract_video(item) for item in videos]
        return self.collate(features, texts, histories, bool(return_words), videos=pixels, settings=settings)

    def extract_audio(
        self, source: Any, sampling_rate: int | None = None, max_length: int | None = None
    ) -> np.ndarray:
        """Loads one utterance and computes its features, without padding.

        Args:
            source: What `load_audio` takes.
            sampling_rate: Hz of arrays; the feature extractor's if not given.
            max_length: Samples or frames after which it is cut, where that is before `max_audio_seconds`.

        Returns:
            Samples `(N,)` or log-mel frames `(S, F)`, normalised over the utterance as the feature extractor does.

        Raises:
            AudioError: If the audio is unusable or shorter than `min_audio_seconds`.
        """
        limits = [] if self.max_audio_seconds is None else [self.max_audio_seconds]
        if max_length is not None:
            limits.append(samples_for(self.feature_extractor, max_length) / self.sampling_rate)
        seconds = min(limits, default=None)
        samples = load_audio(source, self.sampling_rate, source_rate=sampling_rate, max_seconds=seconds)
        return self.features_of(samples, shown_name(source, "audio"))[:max_length]

    def features_of(self, samples: np.ndarray, name: str = "audio") -> np.ndarray:
        """What `extract_audio` gives, of samples `(N,)` that `load_audio` gave at the processor's rate.

        Raises:
            AudioError: If they are shorter than `min_audio_seconds`.
        """
        if len(samples) < self.min_audio_seconds * self.sampling_rate:
            raise AudioError(
                f"{name}: {len(samples) / self.sampling_rate:.3f} s of audio is too short for a frame; "
                f"at least {self.min_audio_seconds} s are needed"
            )
        return features_of(self.feature_extractor, samples)

    def cut_of_text(self, text: str | None, max_length: int | None = None) -> str | None:
        """What is to be said of an utterance that alone is too long, and loses its end; None where nothing is lost."""
        longest = min(self.max_text_tokens, max_length or self.max_text_tokens)
        room = longest - self.tokenizer.num_special_tokens_to_add(pair=False)
        if not text or len(text.encode()) <= room:  # no tokenizer makes more tokens than there are bytes
            return None
        count = len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
        if count <= room:
            return None
        limit = "max_text_tokens" if longest == self.max_text_tokens else "max_length"
        begin = text if len(text) <= 30 else text[:30] + "..."
        return (
            f"text {begin!r}: its first {room} of {count} tokens are read "
            f"({limit}={longest} with the special ones); give it in parts to have all of it read"
        )

    def extract_video(self, source: Any) -> np.ndarray:
        """Loads frames of one clip and computes their pixels: `normalize_video` of `read_video`.

        Args:
            source: What `load_video` takes; span and side of a split screen come with a dictionary.

        Returns:
            Shape `(F, 3, H, W)`, float32, `1 <= F <= num_frames`.

        Raises:
            VideoError: If the clip is unusable.
            ValueError: If the processor has no image processor.
        """
        return self.normalize_video(self.read_video(source))

    def normalize_video(self, frames: np.ndarray) -> np.ndarray:
        """Pixels `(F, 3, H, W)`, float32, of what `read_video` gave."""
        return normalize(frames, self.image_processor)

    def read_video(self, source: Any) -> np.ndarray:
        """Loads frames of one clip, cuts out faces where that is set, and resizes.

        Args:
            source: As for `extract_video`.

        Returns:
            Shape `(F, 3, H, W)`, uint8, `1 <= F <= num_frames`: small enough to keep.

        Raises:
            VideoError: If the clip is unusable.
            ValueError: If the processor has no image processor.
        """
        if self.image_processor is None:
            raise ValueError(
                "this processor has no image_processor, which video needs: "
                "MerProcessor(..., image_processor=load_image_processor(<name of the video encoder>))"
            )
        frames = load_video(source, self.num_frames, max_seconds=self.max_video_seconds)
        return resize(crop_faces(frames) if self.face_crop else list(frames), self.image_processor)

    def collate(
        self,
        features: list[np.ndarray | None],
        texts: list[str | None],
        histories: list[list[str] | None] | None = None,
        return_words: bool = False,
        require_input: bool = True,
        videos: list[np.ndarray | None] | None = None,
        settings: BatchSettings | None = None,
    ) -> BatchFeature:
        """Pads what `extract_audio` and `extract_video` gave and tokenizes texts; see `__call__`."""
        settings = settings or BatchSettings.of(self, {})
        if not features:
            raise ValueError("nothing to process: neither audio nor text is given")
        videos = videos if videos is not None else [None] * len(features)
        texts = [words_of(text) for text in texts]
        spoken = [turns_with_words(turns) for turns in histories or [None] * len(texts)]
        for index, (feature, text, turns, video) in enumerate(zip(features, texts, spoken, videos, strict=True)):
            if require_input and feature is None and video is None and not text and not turns:
                also = "" if self.image_processor is None else " nor video"
                raise ValueError(f"item {index} of the batch has neither audio nor text{also}")
        batch: dict[str, Any] = {}
        words = None
        if any(texts) or any(spoken):
            latest = [turns[-self.max_history :] if self.max_history else [] for turns in spoken]
            longest = min(self.max_text_tokens, settings.text.max_length or self.max_text_tokens)
            batch, spliced = encode_texts(self.tokenizer, texts, latest, longest, settings.text)
            words = [one.words for one in spliced] if return_words else None
        if any(feature is not None for feature in features):
            batch.update(pad_masked(features, self.audio_input_name, "audio_attention_mask", settings.audio))
            self.turn_frames(batch)
        if any(video is not None for video in videos):
            batch.update(pad_masked(videos, "pixel_values", "video_attention_mask", settings.video))
        result = BatchFeature(batch, tensor_type=settings.return_tensors)
        if return_words:
            result["words"] = words or [[] for _ in texts]
        return result

    def turn_frames(self, batch: dict[str, Any]) -> None:
        """Makes frames `(B, S, F)` of a batch what the model takes, `(B, F, S)`, where they are Whisper's."""
        if self.is_channel_first and "input_features" in batch:
            batch["input_features"] = np.ascontiguousarray(batch["input_features"].transpose(0, 2, 1))

    def pad(self, features: Any, **kwargs: Any) -> BatchFeature:
        """Pads rows that were processed before, as `DataCollatorWithPadding(processor)` asks for it.

        Args:
            features: What a call gave, one dictionary per item without the axis of the batch, or with one of 1;
                labels and other numbers beside it are stacked.
            **kwargs: Lengths and `return_tensors` of `__call__`.

        Raises:
            ValueError: If rows have nothing that a call gives, or are longer than `max_length`.
        """
        return pad_rows(self, features, kwargs)

    def frame_times(self, num_frames: int, speech_config: Any) -> np.ndarray:
        """Centre of the segment that every encoder frame stands for, in seconds. Shape `(num_frames,)`."""
        hop = hop_of(self.feature_extractor)
        if is_whisper(speech_config):
            hop *= STRIDE
        elif self.audio_unit == "samples":
            hop *= int(np.prod(speech_config.conv_stride))
        return (np.arange(num_frames) + 0.5) * hop / self.sampling_rate

    def to_dict(self) -> dict[str, Any]:
        """Settings for `processor_config.json`; the label store has files of its own."""
        store, self.label_store = self.label_store, None
        try:
            content = super().to_dict()
        finally:
            self.label_store = store
        content.pop("label_store", None)
        if self.image_processor is None:
            for name in ("image_processor", "num_frames", "max_video_seconds", "face_crop"):
                content.pop(name, None)
        return content

    @classmethod
    def from_args_and_dict(cls, args: Any, processor_dict: dict[str, Any], **kwargs: Any) -> "MerProcessor":
        """As the base class, with the image processor where the settings hold one."""
        settings = dict(processor_dict)
        if isinstance(settings.get("image_processor"), dict):
            settings["image_processor"] = image_processor_from_dict(settings["image_processor"])
        return super().from_args_and_dict(args, settings, **kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any) -> list:
        """Saves feature extractor, tokenizer, settings and label store in one folder."""
        saved = super().save_pretrained(save_directory)
        self.__dict__.pop("auto_map", None)  # it is written, and saving leaves the processor as it was
        if self.label_store is not None:
            self.label_store.save_pretrained(save_directory)
        else:  # a store from before would come back when the processor is loaded
            for name in (STORE_FILE, TENSORS_FILE):
                Path(save_directory, name).unlink(missing_ok=True)
        if push_to_hub:
            repository = kwargs.pop("repo_id", os.path.basename(os.path.normpath(save_directory)))
            self.push_to_hub(repository, **kwargs)
        return saved

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any) -> "MerProcessor":
        """Loads a processor, with its label store where there is one.

        Raises:
            ValueError: If a file is damaged, or a field cannot be.
        """
        with readable_processor(pretrained_model_name_or_path, kwargs):
            processor = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        known = ("revision", "token", "cache_dir", "local_files_only", "subfolder")
        hub_kwargs = {key: kwargs[key] for key in known if kwargs.get(key) is not None}
        quiet = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
        if cached_file(pretrained_model_name_or_path, STORE_FILE, **quiet, **hub_kwargs) is not None:
            processor.label_store = LabelEmbeddingStore.from_pretrained(pretrained_model_name_or_path, **hub_kwargs)
        return processor
