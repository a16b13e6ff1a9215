"""Pipeline-style inference: from a recording, a video, a sentence, or all of them, to emotions with scores."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from transformers import AutoModelForAudioClassification, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.pipelines.pt_utils import PipelineDataset, PipelineIterator

from .batching_mer import LOOK_AHEAD, Results, in_batches, progress_bar
from .columns_mer import Rows, as_inputs, as_list, is_iterable, naming, place_of
from .dialogue_mer import DialogueHistory, as_dialogues, is_dialogue, turns_of
from .explain_mer import explain_utterance
from .explain_settings_mer import Explaining
from .finite_mer import check_logits, check_weights
from .fitting_mer import check_fit
from .language_mer import Reading, check_languages
from .long_recordings_mer import Windows, window_utterances
from .notes_mer import say
from .parameters_mer import check_parameters
from .results_mer import ResultForm, attention_rows
from .sources_mer import is_file, is_samples
from .speech_recognition_mer import NO_WORDS, load_recogniser, recognise_words
from .utterances_mer import Utterance, UtteranceLoader, as_item, merge_columns

PIPELINE_TASK = "multimodal-emotion-recognition"
_MASKS = {"text": "attention_mask", "speech": "audio_attention_mask", "video": "video_attention_mask"}


class MultimodalEmotionRecognitionPipeline(Pipeline):
    """Emotion of utterances, dialogues and long recordings.

    ```python
    recognise = pipeline("multimodal-emotion-recognition", model=folder, trust_remote_code=True)
    recognise("hello.wav", text="I am so glad you came", history=["Who is it?"])
    recognise(["a.wav", "b.wav"], text=["Fine.", None], batch_size=2)
    recognise({"text": "I am so glad you came"}, threshold=0.5)  # abstains: {"label": None, "scores": [...]}
    recognise("hello.mp4")  # its sound, and its picture where the model uses video
    recognise({"video": {"path": "scene.mp4", "start": 3.2, "end": 5.0, "side": "left"}, "text": "I am so glad"})
    recognise("hello.wav", text="I am so glad you came", explain=True)["explanation"]["words"]  # each with its value
    recognise(dataset, batch_size=8, progress=True)  # rows with audio, video and/or text, and history
    recognise([{"text": "Who is it?"}, {"audio": "b.wav", "text": "It is me."}], dialogue=True)  # a result per turn
    recognise("call.wav", window_seconds=8.0, hop_seconds=4.0)  # a time line

    recognise = pipeline(..., asr="openai/whisper-tiny")  # words for whatever has sound and no text
    ```

    An utterance is a path, bytes, an open binary file, an array of samples, or a dictionary with any of `audio`,
    `video`, `text`, `history` and `sampling_rate`; an audio dictionary of `datasets` (`array`, `path`, `bytes`) is
    taken too, and for video what `load_video` takes. One video is enough for both: of `audio` and `video` the key that
    is not there at all is filled from the other one's file (None means without). A modality that is missing leaves the
    decision to the others, and so does, with a warning, a file that lacks its stream: a video without sound, a
    recording without picture.

    Scores are `softmax(logits / temperature)` with the temperature that the configuration has for the modalities that
    the utterance really has; 1 where none was fitted.

    Args:
        asr: Speech recogniser for utterances that have sound and no `text` (an empty `text` says that there are no
            words): a pipeline of transformers, the name of its checkpoint, or a function of samples and their rate
            that gives the words. It hears what the model hears, at the processor's rate, and is not saved.
    """

    _load_processor = True
    _load_tokenizer = False
    _load_feature_extractor = False
    _load_image_processor = False

    def __init__(self, *args: Any, asr: Any = None, **kwargs: Any):
        check_parameters(kwargs)
        super().__init__(*args, **kwargs)
        check_weights(self.model)
        self.asr = load_recogniser(asr, self.device)
        check_languages(self.model.config, self.asr)
        if asr is not None and "text" not in self.model.config.modalities:
            say([f"asr is not used: this model takes {' and '.join(self.model.config.modalities)}, and no words"])
        self._reading = Reading(self.processor.tokenizer)
        if hasattr(self.model, "settle_temperatures"):  # not an exported one, whose weights cannot change
            self.model.settle_temperatures()
        check_fit(self.model.config, self.processor)

    @property
    def labels(self) -> list[str]:
        """Class names, in the order of the logits."""
        return [self.model.config.id2label[i] for i in range(self.model.config.num_labels)]

    def __call__(
        self, inputs: Any = None, text: Any = None, history: Any = None, dialogue: bool = False, **kwargs: Any
    ) -> Any:
        """Classifies one utterance, dialogue or recording, a list, a generator or a dataset.

        What is a list in all but name (a column, a Series, an array of paths, values of a dictionary) is one; rows of
        a DataFrame are a list too. Files of a dataset's `Audio` and `Video` columns are read as any other.

        Args:
            inputs: See the class; None for text alone. `{"dialogue": [turn, ...]}` is a dialogue, wherever it stands;
                with `history` beside it for what was said before.
            text: Transcript of a single input, or one per input of a list. A transcript is a string, or a list of
                `{"text", "timestamp": (start, end)}` where it is known when its words are said.
            history: Earlier utterances, oldest first; one list per input of a list.
            dialogue: The inputs are the turns of one dialogue, or several lists of turns. The history of a turn is
                what the turns before it said, recognised words included, unless it has a `history` of its own.
            **kwargs: Of results:
                `top_k`: labels to return, all by default;
                `threshold`: calibrated score from 0 to 1 below which the label is None;
                `return_attention`: also the label attention, which shows similarity to the label's embedding and does
                not explain the decision;
                `explain`: also what the decision went by, True, or a dictionary with any of `label` (the class that
                is explained, the best one by default), `budget` (forward passes for an utterance, 1000 by default)
                and `modalities` (whose words, segments or frames are valued, all by default).
                Of long recordings: `window_seconds` and `hop_seconds` (half a window by default) cut every input into
                windows, `merge_overlaps` makes a time line in which nothing overlaps; `text` is then a list of
                `{"text", "timestamp": (start, end)}`, seconds of the file.
                Of running: `batch_size`, of utterances of like length (some batches' worth of a list, dataset or
                generator is loaded and sorted; results come in the order of the inputs), `num_workers` that load lists
                and datasets of utterances, `progress` for a bar (or one with `update(count)`
                and `close()`), `sampling_rate` (Hz) of arrays.

        Returns:
            Per utterance, a list of `{"label", "score"}`, best first; per dialogue, a list with one result per turn.
            With `threshold`, `return_attention` or `explain` a dictionary with that list under `scores`, and with

            - `label` (`threshold`): the best label, or None, also where there is nothing but silence to decide by;
            - `warnings`, if there are any: what the answer rests on that was not asked for, such as that only the
              first seconds were heard, sound is silent, missing or damaged, or a text was cut; all is logged too;
            - `text` (`asr`): what was recognised, where it was; empty where the recogniser heard no speech;
            - `timed_words`: `word`, `start` and `end` of the words, where their times are known: recognised by a
              Whisper or a CTC model, or given. Seconds of what is heard: of an utterance that is a segment from its
              beginning, of windows from that of the recording;
            - `words` (`return_attention`): `word`, `current`, `start` and `end` where they are known, and per label
              the mean cosine of its tokens;
            - `frames`: `seconds`, the frames' centres, and per label the cosines;
            - `keywords`: the predicted label's first keywords in the label store, `word` and `score`;
            - `explanation` (`explain`): `label`, `score` and `prior` of the class that is explained; `modalities` with
              what each adds, in all `log(score / prior)`; `words` (`word`, `current`, `start` and `end` where they
              are known), `segments` of the sound (`start`, `end`; by word or by window, see `segments_by`) and
              `video_spans` (`start`, `end`), each with a signed `value`, in natural logarithms of the probability, and
              its standard `error`, which sum to their modality; `forward_passes`. See `explain_utterance`.

            Per long recording `scores`, the mean of the windows weighted by their lengths, and `timeline`, one
            dictionary per window with `start`, `end`, the `modalities` that it has (not where overlaps are merged) and
            the above (times are those of the recording). Windows about which nothing can be said, such as those
            without words for a model of text alone, are left out; those with nothing but silence have no say in the
            mean.
        """
        check_parameters({"dialogue": dialogue, **kwargs})
        inputs = as_inputs(inputs)
        if text is not None or history is not None:
            inputs = merge_columns(as_list(inputs), as_list(text), as_list(history))
        if dialogue:
            inputs = as_dialogues(as_list(inputs))
        if is_file(inputs) or is_samples(inputs):
            return super().__call__([inputs], **kwargs)[0]
        if isinstance(inputs, list):
            return super().__call__(inputs, **kwargs) if inputs else []
        if isinstance(inputs, Rows):
            results = super().__call__(inputs, **kwargs)
            return list(results) if inputs.is_column else results
        if isinstance(inputs, Dataset) or is_iterable(inputs):
            return super().__call__(inputs if isinstance(inputs, Dataset) else (one for one in inputs), **kwargs)
        return super().__call__([inputs], **kwargs)[0]

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """Saves model and processor, and with them the pipeline."""
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict, dict, dict]:
        preprocess = ("sampling_rate", "window_seconds", "hop_seconds", "progress", "explain")
        postprocess = ("top_k", "threshold", "return_attention", "merge_overlaps")
        if unknown := sorted(set(kwargs) - {*preprocess, *postprocess}):
            known = ", ".join((*postprocess, *preprocess))
            raise TypeError(
                f"unknown argument {unknown}; known are {known}, batch_size, num_workers, text, history, dialogue"
            )
        given = {name: value for name, value in kwargs.items() if value is not None}
        if "explain" in given:
            given["explain"] = Explaining.of(given["explain"], self.model.config)
        before = {name: given[name] for name in preprocess if name in given}
        after = {name: given[name] for name in postprocess if name in given}
        forward = {name: given[name] for name in ("return_attention", "explain") if name in given}
        return before, forward, after

    def get_iterator(
        self,
        inputs: Any,
        num_workers: int,
        batch_size: int,
        preprocess_params: dict,
        forward_params: dict,
        postprocess_params: dict,
    ) -> Results:
        """Results of the inputs, in their order."""
        size = len(inputs) if hasattr(inputs, "__len__") else None
        settings = {**preprocess_params, "num_workers": num_workers, "batch_size": batch_size}
        return Results(lambda: self._results(inputs, settings, forward_params, postprocess_params), size)

    def run_single(self, inputs: Any, preprocess_params: dict, forward_params: dict, postprocess_params: dict) -> Any:
        """The result of one input."""
        return next(iter(self.get_iterator([inputs], 0, 1, preprocess_params, forward_params, postprocess_params)))

    def _results(self, inputs: Any, settings: dict, forward_params: dict, postprocess_params: dict) -> Iterator[Any]:
        """Loads, completes, batches and puts together: one result per input."""
        windows = self._windows(settings)
        utterances = self._load(inputs, settings) if windows is None else self._cut(inputs, windows, settings)
        form = self._form(**postprocess_params)
        bar = settings.get("progress") or None
        if isinstance(bar, (bool, np.bool_)):
            bar = progress_bar(inputs, "windows" if windows else "utterances")
        done: list[Any] = []
        scores: list[np.ndarray] = []
        undecided: list[bool] = []
        try:
            for utterance, output in in_batches(
                utterances,
                self.complete,
                lambda batch: self.forward(batch, **forward_params),
                settings["batch_size"],
                LOOK_AHEAD if windows is None else 1,
                bar,
            ):
                if output is not None and utterance.kind == "window":
                    done.append(form.of_window(output, utterance))
                    scores.append(output["scores"])
                    undecided.append(utterance.is_undecided)
                elif output is not None:
                    done.append(form.of_utterance(output, utterance))
                if utterance.is_last:
                    if utterance.kind == "window":
                        yield form.of_recording(done, scores, utterance.recording_notes, undecided)
                    else:
                        yield done if utterance.kind == "turn" else done[0]
                    done, scores, undecided = [], [], []
        finally:
            if bar is not None:
                bar.close()

    def _windows(self, settings: dict) -> Windows | None:
        seconds, hop = settings.get("window_seconds"), settings.get("hop_seconds")
        if seconds is None and hop is not None:
            raise ValueError(f"hop_seconds={hop} needs window_seconds")
        return None if seconds is None else Windows.of(self.processor, seconds, hop)

    def _load(self, inputs: Any, settings: dict) -> Iterator[Utterance]:
        """Utterances of all inputs, loaded by workers where there are any."""
        sized, workers = hasattr(inputs, "__len__"), settings["num_workers"]
        explains = settings.get("explain") is not None
        params = {"inputs": inputs, "sampling_rate": settings.get("sampling_rate"), "explains": explains}
        dataset = (
            PipelineDataset(range(len(inputs)), self._load_row, params)
            if sized
            else PipelineIterator(enumerate(inputs), self._load_item, params)
        )
        ahead = (
            {"num_workers": workers, "prefetch_factor": max(2, settings["batch_size"])} if workers and sized else {}
        )
        for utterances in DataLoader(dataset, batch_size=None, collate_fn=list, **ahead):
            yield from utterances

    def _load_row(self, index: int, inputs: Any, sampling_rate: int | None, explains: bool) -> list[Utterance]:
        with naming(inputs, index):
            given = inputs[index]
        return self._load_item((index, given), inputs, sampling_rate, explains)

    def _load_item(
        self, numbered: tuple[int, Any], inputs: Any, sampling_rate: int | None, explains: bool
    ) -> list[Utterance]:
        index, given = numbered
        with naming(inputs, index, given):
            utterances = self.preprocess(given, sampling_rate, explains)
        for utterance in utterances:
            utterance.place = place_of(inputs, index, given)
        return utterances

    def _cut(self, inputs: Any, windows: Windows, settings: dict) -> Iterator[Utterance]:
        """Windows of all inputs, one recording after the other, none loaded before it is needed."""
        loader = self._loader(settings.get("explain") is not None)
        sized = isinstance(inputs, Dataset) and hasattr(inputs, "__len__")  # which need not know where they end
        items = (inputs[index] for index in range(len(inputs))) if sized else inputs
        for index, given in enumerate(items):
            with naming(inputs, index, given):
                item = as_item(given)
                if is_dialogue(item):
                    raise ValueError("the turns of a dialogue are not cut into windows: leave window_seconds out")
                yield from window_utterances(item, loader, windows, settings.get("sampling_rate"))

    def _loader(self, explains: bool) -> UtteranceLoader:
        return UtteranceLoader(self.processor, self.model.config.modalities, self.asr is not None, explains)

    def preprocess(self, inputs: Any, sampling_rate: int | None = None, explains: bool = False) -> list[Utterance]:
        """Loads one input, an utterance or a dialogue, and computes features; padding waits for the batch."""
        loader, item = self._loader(explains), as_item(inputs)
        if not is_dialogue(item):
            return [loader(item, sampling_rate)]
        turns, rate = turns_of(item), item.get("sampling_rate")
        history = DialogueHistory(self.processor.max_history, item.get("history"))
        utterances = []
        for number, turn in enumerate(turns, start=1):
            try:
                utterance = loader(as_item(turn), sampling_rate if rate is None else rate)
            except ValueError as error:
                raise ValueError(f"turn {number} of a dialogue: {error}") from error
            utterance.dialogue, utterance.kind, utterance.is_last = history, "turn", number == len(turns)
            utterances.append(utterance)
        return utterances or [Utterance(kind="turn", is_empty=True)]

    def complete(self, utterances: list[Utterance]) -> None:
        """Recognises words where they are missing, and fills in the histories of turns.

        Raises:
            ValueError: If an utterance that is no window is left with nothing to decide by.
        """
        waiting = [utterance for utterance in utterances if utterance.samples is not None]
        if waiting and self.asr is not None:
            samples = [utterance.samples for utterance in waiting if utterance.samples is not None]
            found = recognise_words(self.asr, samples, self.processor.sampling_rate)
            for utterance, recognised in zip(waiting, found, strict=True):
                utterance.take(recognised)
        for utterance in utterances:
            utterance.samples = None
            if utterance.dialogue is not None:
                before = utterance.dialogue.next_turn(utterance.said)
                utterance.history = before if utterance.history is None else utterance.history
            if told := self.processor.cut_of_text(utterance.text):
                utterance.notes.append(told)
                say([told])
            self._reading.add(utterance.text)
            utterance.weigh_silence()
            if not utterance.is_usable and utterance.kind != "window":
                where = f"{utterance.place}: " if utterance.place else ""
                why = "".join(f" ({told})" for told in utterance.notes if told.startswith(NO_WORDS))
                raise ValueError(f"{where}no words were recognised in an utterance, and this model needs text{why}")

    def _forward(
        self, model_inputs: list[Utterance], return_attention: bool = False, explain: Explaining | None = None
    ) -> list[dict[str, Any]]:
        """Calibrated scores `(C,)` of every utterance of a batch, its label attention and explanation if asked for."""
        batch = self.processor.collate(
            [utterance.features for utterance in model_inputs],
            [utterance.text for utterance in model_inputs],
            [utterance.history for utterance in model_inputs],
            videos=[utterance.pixels for utterance in model_inputs],
            return_words=return_attention,
        )
        words = batch.pop("words", None)
        having = self._modalities_in(batch, len(model_inputs))
        temperatures = torch.tensor([self.model.config.temperature_of(modalities) for modalities in having])
        batch = batch.to(self.device)
        if self.dtype is not None:
            batch = batch.to(self.dtype)
        wanted = {"output_attentions": True} if return_attention else {}
        output = self.model(**batch, **wanted, return_dict=True)
        check_logits(self.model, output.logits)
        scores = (output.logits.float().cpu() / temperatures[:, None]).softmax(-1).numpy()
        results: list[dict[str, Any]] = [
            {"scores": row, "modalities": modalities} for row, modalities in zip(scores, having, strict=True)
        ]
        if return_attention:
            tokens = attention_rows(output.text_label_attention, output.text_mask, len(results), trim=False)
            frames = attention_rows(output.speech_label_attention, output.speech_mask, len(results), trim=True)
            for result, *found in zip(results, words or [], tokens, frames, strict=True):
                result.update(zip(("words", "tokens", "frames"), found, strict=True))
        if explain is not None:
            for result, utterance in zip(results, model_inputs, strict=True):
                result["explanation"] = explain_utterance(self.model, self.processor, utterance, explain)
        return results

    def _modalities_in(self, batch: Mapping[str, torch.Tensor], size: int) -> list[list[str]]:
        """The modalities that every utterance of a batch has, in the order of the model's."""
        config = self.model.config
        present = {
            modality: batch[name].bool().any(dim=1).tolist()
            for modality, name in _MASKS.items()
            if name in batch and modality in config.modalities
        }
        order = [modality for modality in config.modalities if modality in present]
        return [[modality for modality in order if present[modality][row]] for row in range(size)]

    def postprocess(self, model_outputs: dict[str, Any], heard: str | None = None, **postprocess_params: Any) -> Any:
        """The result of one utterance: its scores, best first, and what else was asked for."""
        return self._form(**postprocess_params).of_utterance(model_outputs, Utterance(heard=heard))

    def _form(self, **postprocess_params: Any) -> ResultForm:
        return ResultForm(
            self.labels,
            lambda frames: self.processor.frame_times(frames, self.model.config.speech_config),
            getattr(self.processor, "label_store", None),
            **postprocess_params,
        )


def register_pipeline() -> None:
    """Makes `pipeline("multimodal-emotion-recognition", ...)` known to transformers; again is harmless."""
    if PIPELINE_TASK not in PIPELINE_REGISTRY.get_supported_tasks():
        PIPELINE_REGISTRY.register_pipeline(
            PIPELINE_TASK,
            pipeline_class=MultimodalEmotionRecognitionPipeline,
            pt_model=AutoModelForAudioClassification,
            type="multimodal",
        )
