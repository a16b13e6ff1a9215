"""Settings of a training run: the corpus and its folds, and the training."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from transformers import TrainingArguments

from hf_mer.data.augmentation import SPEC_AUGMENT_KEYS
from hf_mer.data.corpora.public.description import describe, is_public
from hf_mer.training.settings.model_arguments import from_json
from hf_mer.training.settings.public_corpora import CORPORA, check_corpus
from hf_mer.training.settings.roles import CORPUS, PLACE, PROTOCOL, READING, Role, setting

SPLIT_SCREENS = ("named_left", "named_right", "whole")
"""Of `load_iemocap`."""
CLASS_WEIGHTS = ("none", "balanced")


@dataclass
class DataArguments:
    """Which corpus, how it is cut into folds, and what of it the model sees."""

    _argument_group_name: ClassVar[str] = "corpus and folds"

    corpus: str = setting(
        "iemocap",
        "iemocap, meld, manifest (a table or folder of your own recordings), a public corpus (crema_d, emodb, nemo, "
        "ravdess), or the path of a YAML file that describes one. Several, with commas between them, are trained on "
        "together.",
        CORPUS,
    )
    data_dir: str | None = setting(
        None,
        "Root folder of the corpus, or the manifest: a CSV or JSON-lines file or a folder. For several corpora one "
        "each, with commas between them.",
        PLACE | Role.LOADS | Role.HEARD,
    )
    task: str | None = setting(
        None, "IEMOCAP: 4class (default) or 6class. MELD: emotion (default) or sentiment.", CORPUS
    )
    columns: dict | str | None = setting(
        None,
        'Column names of a manifest, as JSON: {"audio": "file", "label": "emotion"}; {"votes": "ratings"} names the '
        "column with the raters' votes.",
        CORPUS,
    )
    encoding: str = setting("utf-8", "Text encoding of a manifest, such as cp1252.", PLACE | Role.LOADS)
    labels: list[str] | None = setting(
        None,
        "Classes of a manifest, of several corpora or of a label map, in order; by default all labels that occur.",
        CORPUS,
    )
    label_map: dict | str | None = setting(
        None,
        "Class for each label of the corpus, as CORPUS_LABEL=CLASS with commas between them: happy=joy,calm= reads "
        "happy as joy and leaves calm rows out. The same for all corpora.",
        CORPUS | Role.QUIET,
    )
    protocol: str = setting(
        None,  # becomes the corpus's
        "How the corpus is split into folds: leave_one_session_out, leave_one_speaker_out, "
        "leave_one_main_speaker_out, leave_one_corpus_out, fixed_session, groups, or official for the corpus's own "
        "split. By default leave_one_session_out; for a public corpus, groups of unseen speakers; for several, "
        "leave_one_corpus_out.",
        PROTOCOL,
    )
    validation: str | None = setting(None, "Validation split of each fold; by default the protocol's own.", PROTOCOL)
    test_session: str | None = setting(None, "Test session of the protocol fixed_session.", PROTOCOL)
    group_column: str = setting("group", "Column with the groups, for the protocol groups.", PROTOCOL)
    num_groups: int | None = setting(None, "Number of folds of the protocol groups.", PROTOCOL)
    train_ids: str | None = setting(
        None,
        "Regular expression: only rows whose id matches are used for training and validation, such as those of one "
        "sentence, to test on others.",
        PROTOCOL | Role.QUIET,
    )
    test_ids: str | None = setting(
        None, "Regular expression: only rows whose id matches are used for testing.", PROTOCOL | Role.QUIET
    )
    folds: list[str] | None = setting(None, "Folds to run, by name or position (from 0), or all (the default).", PLACE)
    use_history: bool = setting(True, "Put earlier utterances of the dialogue before the text.", READING)
    max_history: int = setting(10, "Maximum number of earlier utterances.", READING)
    max_text_tokens: int = setting(150, "Maximum number of text tokens, history included.")
    word_error_rate: float | None = setting(
        None,
        "Simulated recognition errors in the transcripts, as a share of the words (0 to 1).",
        Role.DECIDES | Role.FIXED,
    )
    word_error_parts: str | None = setting(
        None,
        "Where recognition errors are simulated: test (default), or all, to train on them, too.",
        Role.DECIDES | Role.FIXED,
    )
    word_error_shares: list[float] | None = setting(
        None,
        "Shares of deletions, substitutions and insertions among the errors; by default 0.2 0.6 0.2.",
        Role.DECIDES | Role.FIXED,
    )
    max_audio_seconds: float = setting(30.0, "Longer audio is cut.", READING | Role.LIMITS | Role.HEARD)
    on_bad_audio: str = setting(
        "raise",
        "Recordings and videos that cannot be read: raise refuses the corpus, skip leaves them out. A row with "
        "nothing left is dropped from training, and is an error in a test split.",
        CORPUS,
    )
    num_frames: int = setting(8, "Video frames per utterance, evenly spaced.", READING | Role.LIMITS)
    max_video_seconds: float | None = setting(30.0, "Longer video is cut.", READING | Role.LIMITS)
    split_screen: str = setting(
        "named_left",
        "IEMOCAP's videos show two actors. Half with the actor that the file is named after: named_left or "
        "named_right, or whole for the whole picture.",
        READING | Role.QUIET,
    )
    face_crop: bool = setting(False, "Crop the largest face of every frame (needs OpenCV).")
    cache_features: bool | None = setting(
        None,
        "Cache model inputs on disk. By default log-mel features and the states of frozen encoders; true: also "
        "waveforms and video frames; false: nothing.",
        PLACE,
    )
    cache_dtype: str = setting("float16", "Precision of cached states: float16 or float32.")
    num_proc: int | None = setting(None, "Number of processes that check recordings and compute features.", PLACE)

    def __post_init__(self) -> None:
        self.columns = from_json(self.columns)
        if self.cache_dtype not in ("float16", "float32"):
            raise ValueError(f"cache_dtype: '{self.cache_dtype}' is not one of float16, float32")
        self._settle_corpora()
        if self.on_bad_audio not in ("raise", "skip"):
            raise ValueError(f"on_bad_audio: '{self.on_bad_audio}' is not one of raise, skip")
        if self.split_screen not in SPLIT_SCREENS:
            raise ValueError(f"split_screen: '{self.split_screen}' is not one of {', '.join(SPLIT_SCREENS)}")
        self.folds = None if self.folds in (None, ["all"]) else [str(fold) for fold in self.folds]
        for name in ("train_ids", "test_ids"):
            check_pattern(name, getattr(self, name))
        self._settle_word_errors()
        if self.label_map is not None:
            from hf_mer.data.label_map import parse_label_map  # here for the same reason

            self.label_map = parse_label_map(from_json(self.label_map))

    @property
    def corpora(self) -> list[str]:
        """The corpora; mostly one."""
        return self.corpus.split(",")

    @property
    def data_dirs(self) -> list[str]:
        """Where they lie, in the same order."""
        path = str(self.data_dir)
        return path.split(",") if len(self.corpora) > 1 else [path]

    def parts(self) -> "dict[str, DataArguments]":
        """The settings of every corpus by itself, whose labels are still its own, by its name.

        A corpus is called as `corpus` has it; manifests, and corpora that are there twice, by their file or folder.

        Raises:
            ValueError: If two have the same name.
        """
        names = [
            _name_of(path if name == "manifest" or self.corpora.count(name) > 1 else name)
            for name, path in zip(self.corpora, self.data_dirs, strict=True)
        ]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"data_dir: two corpora are called {', '.join(twice)}; give a file or folder another name"
            )
        own: dict[str, Any] = {"label_map": None}
        if len(names) > 1 or self.label_map is not None:
            own["labels"] = None  # they are the classes that labels become
        parts = {}
        for called, name, path in zip(names, self.corpora, self.data_dirs, strict=True):
            task = self.task if self.task in CORPORA.get(name, ()) else None
            columns = self.columns if name == "manifest" else None
            parts[called] = replace(self, corpus=name, data_dir=path, task=task, columns=columns, **own)
        return parts

    def _settle_corpora(self) -> None:
        """Checks corpora, their folders and the task, and gives them the defaults; lists of YAML become one text."""
        for name in ("corpus", "data_dir"):
            if isinstance(value := getattr(self, name), list):
                setattr(self, name, ",".join(map(str, value)))
        self.corpus = ",".join(name.strip() for name in self.corpora)
        for name in self.corpora:
            check_corpus(name)
            if is_public(name):
                describe(name)  # what is wrong with a description of one's own is told at once
        several = len(self.corpora) > 1
        tasks = [task for name in self.corpora for task in CORPORA.get(name, ())]
        if not several and tasks and self.task is None:
            self.task = tasks[0]
        if self.task is not None and self.task not in tasks:
            whose = "a public corpus" if is_public(self.corpus) else "a manifest"
            valid = ", ".join(tasks) or f"none: {whose} has the classes of its labels"
            raise ValueError(f"task: '{self.task}' is not one of those of {self.corpus} ({valid})")
        if is_public(self.corpus):
            for name in ("columns", *(["labels"] if self.label_map is None else [])):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name}: for corpus=manifest; {self.corpus} has those of its description")
        usual = "groups" if is_public(self.corpus) else "leave_one_session_out"
        self.protocol = self.protocol or ("leave_one_corpus_out" if several else usual)
        self._check_folders()

    def _check_folders(self) -> None:
        if self.data_dir is None:
            raise ValueError("data_dir is missing: the root of the corpus, or a manifest with corpus=manifest")
        if len(self.data_dirs) != len(self.corpora):
            raise ValueError(
                f"data_dir: {len(self.data_dirs)} given ({self.data_dir}), corpus names {len(self.corpora)} "
                f"({self.corpus}); give one for each, with commas between them"
            )

    def _settle_word_errors(self) -> None:
        """Checks them; without errors all are None, as in the settings of runs made before there were any."""
        if (self.word_error_rate, self.word_error_parts, self.word_error_shares) == (None, None, None):
            return
        # not above: `datasets`, which comes with it, would double the time that a mistyped setting takes
        from hf_mer.data.word_errors import WORD_ERROR_PARTS, WORD_ERROR_SHARES, check_word_errors

        if self.word_error_parts not in (None, *WORD_ERROR_PARTS):
            raise ValueError(
                f"word_error_parts: '{self.word_error_parts}' is not one of {', '.join(WORD_ERROR_PARTS)}"
            )
        check_word_errors(self.word_error_rate or 0, self.word_error_shares or WORD_ERROR_SHARES)
        if not self.word_error_rate:
            self.word_error_rate = self.word_error_parts = self.word_error_shares = None
            return
        self.word_error_parts = self.word_error_parts or WORD_ERROR_PARTS[0]
        self.word_error_shares = list(self.word_error_shares or WORD_ERROR_SHARES)


def check_pattern(name: str, pattern: str | None) -> None:
    """Refuses what is not a regular expression.

    Raises:
        ValueError: With the setting's name, and where it is wrong.
    """
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise ValueError(f"{name}: '{pattern}' is not a regular expression ({error})") from None


def _name_of(corpus: str) -> str:
    """What a corpus is called: a file without its ending, a folder, or the name itself."""
    path = Path(corpus).absolute()
    return path.name if path.is_dir() else path.stem


@dataclass
class OwnTrainingArguments(TrainingArguments):
    """What the training of a system and of a second stage have in common beyond `TrainingArguments`."""

    _argument_group_name: ClassVar[str] = "training"
    sampling_strategies: ClassVar[tuple[str, ...]] = ("group_by_length", "random")

    learning_rates: dict | str | None = setting(
        {}, 'Other learning rates by prefix of the parameter name, as JSON: {"text_encoder": 5e-6}.'
    )
    per_device_train_batch_size: int = setting(16, "Training batch size per device.")
    per_device_eval_batch_size: int = setting(32, "Evaluation batch size per device.", Role.HARMLESS)
    train_sampling_strategy: str = setting("group_by_length", "Order of training rows: group_by_length or random.")
    length_column_name: str = setting("length", "Column with the length of every row.", Role.DECIDES | Role.QUIET)
    remove_unused_columns: bool | None = setting(
        False, "Whether Trainer removes columns of the corpus; the collator needs them.", Role.DECIDES | Role.QUIET
    )
    logging_strategy: str = setting("epoch", "When to log: no, steps or epoch.", Role.HARMLESS)
    save_strategy: str = setting(
        "epoch", "When to save: no, steps or epoch; a training that validates saves whenever it does.", Role.HARMLESS
    )
    save_total_limit: int | None = setting(
        1, "Number of checkpoints to keep for resuming, besides the best one.", Role.HARMLESS
    )
    report_to: None | str | list[str] = setting(  # noqa: RUF036 (HfArgumentParser fails with None last)
        "none", "Experiment trackers, such as tensorboard or wandb.", Role.HARMLESS
    )
    overwrite: bool = setting(False, "Run finished folds again and replace their results.", PLACE)

    def __post_init__(self) -> None:
        rates = from_json(self.learning_rates) or {}
        self.learning_rates = {name: float(value) for name, value in rates.items()}  # YAML reads 1e-6 as a string
        if self.train_sampling_strategy not in self.sampling_strategies:
            raise ValueError(
                f"train_sampling_strategy: '{self.train_sampling_strategy}' is not one of "
                f"{', '.join(self.sampling_strategies)}"
            )
        super().__post_init__()
        import torch  # which the line above has brought in

        if not torch.accelerator.is_available():
            self.dataloader_pin_memory = False  # there is none to copy to, and every loader would warn of it


@dataclass
class MerTrainingArguments(OwnTrainingArguments):
    """`TrainingArguments` with the package's own fields and the paper's defaults (LE-MER, section 3.2).

    `learning_rate` is the rate of the new layers, which the paper does not state; `learning_rates` maps a prefix of
    parameter names to a rate of its own. The paper's 8000 steps of warm-up are a share here, which suits corpora and
    numbers of processes of any size. Model selection and early stopping look at validation only.
    """

    sampling_strategies: ClassVar[tuple[str, ...]] = (*OwnTrainingArguments.sampling_strategies, "balanced")

    output_dir: str | None = setting("runs/le_mer", "Folder for checkpoints, results and figures.", PLACE)
    learning_rate: float = setting(1e-4, "Learning rate of the new layers.")
    learning_rates: dict | str | None = setting(
        {"speech_encoder": 1e-6, "text_encoder": 5e-6},
        'Other learning rates by prefix of the parameter name, as JSON: {"text_encoder": 5e-6}.',
    )
    num_train_epochs: float = setting(50, "Number of epochs.")
    warmup_steps: float = setting(0.32, "Warm-up steps; below 1, a share of all steps.")
    lr_scheduler_type: str = setting(
        "constant_with_warmup", "Learning rate schedule, such as linear, cosine or constant_with_warmup."
    )
    early_stopping_patience: int | None = setting(
        10, "Stop after this many validations without a better score, counted after the warm-up."
    )
    metric_for_best_model: str | None = setting(
        "ua", "Validation score that selects the checkpoint: wa, ua or wf1.", Role.DECIDES | Role.FIXED
    )
    modality_dropout: float = setting(0.0, "Share of the training utterances that lose one modality.")
    train_sampling_strategy: str = setting(
        "group_by_length",
        "Order of training rows: group_by_length, random, or balanced: every class equally often in an epoch, in "
        "batches of like length.",
    )
    label_smoothing_factor: float = setting(
        0.0,
        "Share of every label that all cross-entropies spread evenly over the classes, also in label attention.",
        Role.DECIDES | Role.QUIET,
    )
    class_weights: str = setting(
        "none",
        "Weights of the classes in the same losses: none, or balanced, n / (C n_c) of the training split.",
        Role.DECIDES | Role.QUIET,
    )
    soft_targets: bool = setting(
        False,
        "Train on the shares of the raters' votes, where a row has any; scores still use the majority label.",
        Role.DECIDES | Role.QUIET,
    )
    spec_augment: dict | str | None = setting(
        {"time_masks": 2, "time_frames": 50, "frequency_masks": 2, "frequency_bins": 15},
        "SpecAugment masks on log-mel input, as JSON; null for none.",
    )
    label_names: list[str] | None = setting(
        ["labels"], "Names of the model's label arguments.", Role.DECIDES | Role.QUIET
    )
    do_train: bool = setting(True, "False: evaluate the given checkpoint without training.", Role.DECIDES | Role.FIXED)
    figures: bool = setting(True, "Draw figures for every fold.", PLACE)
    linear_reference: bool = setting(
        False, "Also score a linear classifier on the same states of frozen encoders, for comparison.", Role.HARMLESS
    )
    bootstrap_resamples: int = setting(1000, "Bootstrap resamples of the confidence intervals.", Role.HARMLESS)
    grid: dict | str | None = setting(
        None,
        'Settings to choose by nested validation within every fold, as JSON: {"learning_rate": [1e-4, 3e-4]}.',
        Role.DECIDES | Role.QUIET | Role.FIXED,
    )
    grid_folds: int = setting(
        3, "Maximum number of inner folds of the nested validation.", Role.DECIDES | Role.QUIET | Role.FIXED
    )

    def __post_init__(self) -> None:
        self.spec_augment = from_json(self.spec_augment)
        self.grid = from_json(self.grid)
        self._check_grid()
        known = set(SPEC_AUGMENT_KEYS)
        if self.spec_augment and set(self.spec_augment) - known:
            raise ValueError(f"spec_augment: {sorted(set(self.spec_augment) - known)} are not among {sorted(known)}")
        if self.metric_for_best_model not in ("wa", "ua", "wf1"):
            raise ValueError(f"metric_for_best_model: '{self.metric_for_best_model}' is not one of wa, ua, wf1")
        if not 0 <= self.label_smoothing_factor < 1:
            raise ValueError(f"label_smoothing_factor={self.label_smoothing_factor} must be 0 or more, and below 1")
        if self.class_weights not in CLASS_WEIGHTS:
            raise ValueError(f"class_weights: '{self.class_weights}' is not one of {', '.join(CLASS_WEIGHTS)}")
        if not 0 <= self.modality_dropout <= 1:
            raise ValueError(f"modality_dropout={self.modality_dropout} must be between 0 and 1")
        super().__post_init__()

    def _check_grid(self) -> None:
        if self.grid_folds < 1:
            raise ValueError(f"grid_folds={self.grid_folds} must be at least 1")
        if self.grid is None:
            return
        if not isinstance(self.grid, dict) or not self.grid:
            raise ValueError(f"grid: {self.grid!r} is not a mapping from names of settings to lists of values")
        for name, values in self.grid.items():
            if not isinstance(values, list) or not values:
                raise ValueError(f"grid: {name} needs a list of values, not {values!r}")
