"""Pipeline-style inference: from a recording, a film, a sentence, or all of them, to emotions with scores."""

import logging
import os
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from transformers import AutoModelForAudioClassification, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.pipelines.pt_utils import PipelineDataset, PipelineIterator

from .video_mer import media_kinds

logger = logging.getLogger(__name__)

PIPELINE_TASK = "multimodal-emotion-recognition"


class MultimodalEmotionRecognitionPipeline(Pipeline):
    """Emotion of utterances.

    ```python
    recognise = pipeline("multimodal-emotion-recognition", model=folder, trust_remote_code=True)
    recognise("hello.wav", text="I am so glad you came", history=["Who is it?"])
    recognise(["a.wav", "b.wav"], text=["Fine.", None], batch_size=2)
    recognise({"text": "I am so glad you came"})
    recognise("hello.mp4")  # its sound, and its picture where the model uses video
    recognise({"video": {"path": "scene.mp4", "start": 3.2, "end": 5.0, "side": "left"}, "text": "I am so glad"})
    recognise(dataset)  # rows with audio, video and/or text, and history
    ```

    An utterance is a path, bytes, an array of samples, or a dictionary with any of `audio`, `video`, `text`, `history`
    and `sampling_rate`; an audio dictionary of `datasets` (`array`, `path`, `bytes`) is taken too, and for video what
    `load_video` takes. One film is enough for both: of `audio` and `video` the key that is not there at all is filled
    from the other one's file (None means without). A modality that is missing leaves the decision to the others, and
    so does, with a warning, a file that lacks its stream: a film without sound, a recording without picture.
    """

    _load_processor = True
    _load_tokenizer = False
    _load_feature_extractor = False
    _load_image_processor = False

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        store = getattr(self.processor, "label_store", None)
        labels = [self.model.config.id2label[i] for i in range(self.model.config.num_labels)]
        if store is not None and list(store.labels) != labels:
            raise ValueError(
                f"the label store is for classes {list(store.labels)}, "
                f"the model for {labels}: they do not belong together"
            )

    def __call__(self, inputs: Any = None, text: Any = None, history: Any = None, **kwargs: Any) -> Any:
        """Classifies one utterance, a list, a generator or a dataset.

        Args:
            inputs: See the class; None for text alone.
            text: Transcript of a single input, or one per input of a list.
            history: Earlier utterances, oldest first; one list per input of a list.
            **kwargs: `top_k` (labels to return, all by default), `return_attention` (words and seconds that the label
            attention finds),
                `sampling_rate` (Hz of arrays), `batch_size`, `num_workers`.

        Returns:
            Per utterance, a list of `{"label", "score"}`, best first. With `return_attention`, a dictionary with that
            list under `scores`, `words` (`word`, `current`, and per label the mean cosine of its tokens) and `frames`
            (`seconds`, centres, and per label the cosines).
        """
        if text is not None or history is not None:
            inputs = _merge(inputs, text, history)
        if isinstance(inputs, (list, tuple)):
            inputs = list(inputs)
            if not inputs:
                return []
        elif hasattr(inputs, "column_names"):  # of `datasets`, which are not datasets to PyTorch
            inputs = _Rows(inputs) if hasattr(inputs, "__len__") else (row for row in inputs)
        return super().__call__(inputs, **kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """Saves model and processor, and with them the pipeline."""
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)

    def _sanitize_parameters(
        self,
        top_k: int | None = None,
        return_attention: bool | None = None,
        sampling_rate: int | None = None,
        **kwargs: Any,
    ) -> tuple[dict, dict, dict]:
        if kwargs:
            raise TypeError(
                f"unknown argument {sorted(kwargs)}; known are top_k, return_attention, sampling_rate, text, history"
            )
        preprocess = {} if sampling_rate is None else {"sampling_rate": sampling_rate}
        forward = {} if return_attention is None else {"return_attention": return_attention}
        postprocess: dict[str, Any] = dict(forward)
        if top_k is not None:
            if top_k < 1:
                raise ValueError(f"top_k={top_k} must be at least 1")
            postprocess["top_k"] = top_k
        return preprocess, forward, postprocess

    def preprocess(self, inputs: Any, sampling_rate: int | None = None) -> dict[str, Any]:
        """Loads one utterance and computes its features; padding waits for the batch."""
        given = inputs if _is_utterance(inputs) else {"audio": inputs}
        wanted = self.model.config.modalities
        text, history = (given.get("text"), given.get("history")) if "text" in wanted else (None, None)
        audio, video = _sound_and_picture(given, wanted, bool(text or history))
        if audio is None and video is None and not text and not history:
            raise ValueError(f"an input has nothing that this model can use; it wants {' or '.join(wanted)}")
        rate = given.get("sampling_rate", sampling_rate)
        features = None if audio is None else self.processor.extract_audio(audio, rate)
        pixels = None if video is None else self.processor.extract_video(video)
        return {"features": [features], "texts": [text], "histories": [history], "videos": [pixels]}

    def get_iterator(
        self,
        inputs: Any,
        num_workers: int,
        batch_size: int,
        preprocess_params: dict,
        forward_params: dict,
        postprocess_params: dict,
    ) -> PipelineIterator:
        """As the base class', but utterances are joined before padding, by the processor."""
        sized = hasattr(inputs, "__len__")
        dataset = (PipelineDataset if sized else PipelineIterator)(inputs, self.preprocess, preprocess_params)
        loader = DataLoader(dataset, num_workers=num_workers if sized else 0, batch_size=batch_size, collate_fn=_join)
        model_iterator = PipelineIterator(loader, self.forward, forward_params, loader_batch_size=batch_size)
        return _Results(model_iterator, self.postprocess, postprocess_params, len(inputs) if sized else None)

    def _forward(self, model_inputs: dict[str, Any], return_attention: bool = False) -> dict[str, Any]:
        batch = self.processor.collate(**model_inputs, return_words=return_attention)
        words = batch.pop("words", None)
        batch = batch.to(self.device)
        if self.dtype is not None:
            batch = batch.to(self.dtype)
        output = self.model(**batch, output_attentions=return_attention)
        result: dict[str, Any] = {"logits": output.logits.float()}
        if return_attention:
            size = len(output.logits)
            result["words"] = words
            result["tokens"] = _rows(output.text_label_attention, output.text_mask, size, trim=False)
            result["frames"] = _rows(output.speech_label_attention, output.speech_mask, size, trim=True)
        return result

    def postprocess(
        self, model_outputs: dict[str, Any], top_k: int | None = None, return_attention: bool = False
    ) -> Any:
        """Scores of one utterance, best first, with the attention if asked for."""
        names = [self.model.config.id2label[i] for i in range(self.model.config.num_labels)]
        scores = model_outputs["logits"][0].softmax(-1)
        best = scores.topk(min(top_k or len(names), len(names)))
        ranked = [
            {"label": names[i], "score": score}
            for score, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]
        if not return_attention:
            return ranked
        return {
            "scores": ranked,
            "words": self._word_attention(_single(model_outputs["words"]), _single(model_outputs["tokens"]), names),
            "frames": self._frame_attention(_single(model_outputs["frames"]), names),
        }

    def _word_attention(self, words: list, tokens: np.ndarray | None, names: list[str]) -> list[dict[str, Any]]:
        if tokens is None:
            return []
        return [
            {
                "word": word,
                "current": current,
                **dict(zip(names, tokens[positions].mean(axis=0).tolist(), strict=True)),
            }
            for word, positions, current in words
        ]

    def _frame_attention(self, frames: np.ndarray | None, names: list[str]) -> dict[str, list[float]]:
        if frames is None or len(frames) == 0:
            return {}
        seconds = self.processor.frame_times(len(frames), self.model.config.speech_config)
        return {"seconds": seconds.tolist(), **{name: frames[:, i].tolist() for i, name in enumerate(names)}}


def register_pipeline() -> None:
    """Makes `pipeline("multimodal-emotion-recognition", ...)` known to transformers; again is harmless."""
    if PIPELINE_TASK not in PIPELINE_REGISTRY.get_supported_tasks():
        PIPELINE_REGISTRY.register_pipeline(
            PIPELINE_TASK,
            pipeline_class=MultimodalEmotionRecognitionPipeline,
            pt_model=AutoModelForAudioClassification,
            type="multimodal",
        )


class _Results(PipelineIterator):
    """Knows the number of utterances, where the base class gives the number of batches."""

    def __init__(self, loader: Any, infer: Any, params: dict, size: int | None):
        super().__init__(loader, infer, params)
        self.size = size

    def __len__(self) -> int:
        return len(self.loader) if self.size is None else self.size


class _Rows(Dataset):
    """A dataset of `datasets` as one of PyTorch."""

    def __init__(self, rows: Any):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]


def _is_utterance(item: Any) -> bool:
    """A dictionary of modalities, not the dictionary of one recording."""
    return isinstance(item, dict) and bool({"audio", "video", "text", "history"} & set(item))


def _sound_and_picture(given: dict[str, Any], wanted: list[str], has_text: bool) -> tuple[Any, Any]:
    """What to listen to and what to look at; None where there is nothing, or the model has no use for it."""
    audio, video = given.get("audio"), given.get("video")
    if "audio" not in given and media_kinds(video):
        audio = video
    elif "video" not in given and "video" in wanted and "video" in (media_kinds(audio) or ()):
        video = audio
    sources = {"speech": audio if "speech" in wanted else None, "video": video if "video" in wanted else None}
    lacking = {
        name for name, source in sources.items() if source is not None and name not in (media_kinds(source) or {name})
    }
    if (
        lacking
        and not has_text
        and not any(source is not None for name, source in sources.items() if name not in lacking)
    ):
        return sources["speech"], sources["video"]  # nothing is left: what is wrong with the file is for others to say
    for name in lacking:
        source = sources[name]
        source = source.get("path") if isinstance(source, dict) else source
        source = source if isinstance(source, (str, os.PathLike)) else "input"
        logger.warning("%s: has no %s; the rest decides", source, "sound" if name == "speech" else "picture")
        sources[name] = None
    return sources["speech"], sources["video"]


def _merge(inputs: Any, text: Any, history: Any) -> Any:
    """One dictionary per utterance out of inputs and the keywords beside them."""
    if not isinstance(inputs, (list, tuple)) and not (inputs is None and isinstance(text, (list, tuple))):
        given = dict(inputs) if _is_utterance(inputs) else {"audio": inputs}
        return {
            **given,
            **{name: value for name, value in (("text", text), ("history", history)) if value is not None},
        }
    size = len(inputs) if inputs is not None else len(text)
    for name, column in (("text", text), ("history", history)):
        if isinstance(column, str):
            raise ValueError(f"{name} must be a list of {size}, one for each input, got a str")
    columns = [list(column) if column is not None else [None] * size for column in (inputs, text, history)]
    for name, column in zip(("text", "history"), columns[1:], strict=True):
        if len(column) != size:
            raise ValueError(f"{name} has {len(column)} items, the inputs {size}")
    return [_merge(*row) for row in zip(*columns, strict=True)]


def _join(items: list[dict[str, list]]) -> dict[str, list]:
    return {name: [value for item in items for value in item[name]] for name in items[0]}


def _rows(attention: torch.Tensor | None, mask: torch.Tensor | None, size: int, trim: bool) -> list[np.ndarray | None]:
    """One array per utterance, padding removed if it is to be trimmed; None where there is nothing."""
    if attention is None or mask is None:
        return [None] * size
    arrays = attention.float().cpu().numpy()
    return [
        None if not row_mask.any() else (array[row_mask] if trim else array)
        for array, row_mask in zip(arrays, mask.cpu().numpy(), strict=True)
    ]


def _single(value: Any) -> Any:
    """A batch of one comes as a list of one, an item of an unrolled batch as itself or with a leading axis of one."""
    if isinstance(value, list) and len(value) == 1 and (value[0] is None or isinstance(value[0], (list, np.ndarray))):
        return value[0]
    if isinstance(value, np.ndarray) and value.ndim == 3:
        return value[0]
    return value
