"""Settings of a training run, and how they are read: a YAML file with complete settings, flags on top."""

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from transformers import HfArgumentParser, TrainingArguments

from hf_mer.data.augmentation import SPEC_AUGMENT_KEYS
from hf_mer.data.corpora.iemocap import SPLIT_SCREENS
from hf_mer.data.word_errors import WORD_ERROR_PARTS, WORD_ERROR_SHARES, check_word_errors
from hf_mer.training.settings.model_arguments import from_json

CORPORA: dict[str, tuple[str, ...]] = {
    "iemocap": ("4class", "6class"),
    "meld": ("emotion", "sentiment"),
    "manifest": (),
}
"""Corpora and their tasks, the first being the default."""


@dataclass
class DataArguments:
    """Which corpus, how it is cut into folds, and what of it the model sees."""

    corpus: str = field(
        default="iemocap", metadata={"help": "iemocap, meld, or manifest for a CSV, JSON-lines or audio folder."}
    )
    data_dir: str | None = field(default=None, metadata={"help": "Root of the corpus, or the manifest."})
    task: str | None = field(
        default=None,
        metadata={"help": "4class (default) or 6class of IEMOCAP, emotion (default) or sentiment of MELD."},
    )
    columns: dict | str | None = field(
        default=None, metadata={"help": "Names of a manifest's columns: {audio: file, label: emotion}."}
    )
    encoding: str = field(default="utf-8", metadata={"help": "Of a manifest, such as cp1252."})
    labels: list[str] | None = field(
        default=None, metadata={"help": "Classes of a manifest, in order; found if not given."}
    )
    protocol: str = field(default="leave_one_session_out", metadata={"help": "How folds are made."})
    validation: str | None = field(
        default=None, metadata={"help": "Validation part; the protocol's own if not given."}
    )
    test_session: str | None = field(default=None, metadata={"help": "Of the protocol fixed_session."})
    group_column: str = field(default="group", metadata={"help": "Column of the protocol groups."})
    num_groups: int | None = field(default=None, metadata={"help": "Number of groups of the protocol groups."})
    folds: list[str] | None = field(
        default=None, metadata={"help": "Names or positions (from 0) of the folds to run; all if not given."}
    )
    use_history: bool = field(default=True, metadata={"help": "Splice earlier utterances before the text."})
    max_history: int = field(default=10, metadata={"help": "Earlier utterances at most."})
    max_text_tokens: int = field(default=150, metadata={"help": "Tokens at most, history included."})
    word_error_rate: float | None = field(
        default=None, metadata={"help": "Put errors into transcripts, as a speech recogniser would: 0 to 1 per word."}
    )
    word_error_parts: str | None = field(
        default=None, metadata={"help": "Rows with such errors: test (default), or all, for training on them too."}
    )
    word_error_shares: list[float] | None = field(
        default=None, metadata={"help": "Deletions, substitutions, insertions among the errors; 0.2 0.6 0.2."}
    )
    max_audio_seconds: float = field(default=30.0, metadata={"help": "Longer audio is cut."})
    on_bad_audio: str = field(
        default="raise",
        metadata={
            "help": "raise, or skip: recordings and films that cannot be used are left out of their rows. Rows of "
            "which nothing is left are not trained on, and refused where they would be tested on."
        },
    )
    num_frames: int = field(default=8, metadata={"help": "Video frames of an utterance, evenly over it."})
    max_video_seconds: float | None = field(default=30.0, metadata={"help": "Longer video is cut."})
    split_screen: str = field(
        default="named_left",
        metadata={
            "help": "Half of IEMOCAP's films with the actor that names them: named_left, named_right, or whole."
        },
    )
    face_crop: bool = field(default=False, metadata={"help": "Cut the largest face out of every frame (OpenCV)."})
    cache_features: bool | None = field(
        default=None,
        metadata={
            "help": "Keep log-mel features and frozen encoders' states on disk; None: where there are any. True: also "
            "samples of waveforms and frames of video."
        },
    )
    cache_dtype: str = field(default="float16", metadata={"help": "float16 or float32, of the states on disk."})
    num_proc: int | None = field(default=None, metadata={"help": "Processes for checking audio and for features."})

    def __post_init__(self) -> None:
        self.columns = from_json(self.columns)
        if self.cache_dtype not in ("float16", "float32"):
            raise ValueError(f"cache_dtype: '{self.cache_dtype}' is not one of float16, float32")
        if self.corpus not in CORPORA:
            raise ValueError(f"corpus: '{self.corpus}' is not one of {', '.join(CORPORA)}")
        if CORPORA[self.corpus] and self.task is None:
            self.task = CORPORA[self.corpus][0]
        if self.task is not None and self.task not in CORPORA[self.corpus]:
            valid = ", ".join(CORPORA[self.corpus]) or "none: a manifest has the classes of its labels"
            raise ValueError(f"task: '{self.task}' is not one of those of {self.corpus} ({valid})")
        if self.on_bad_audio not in ("raise", "skip"):
            raise ValueError(f"on_bad_audio: '{self.on_bad_audio}' is not one of raise, skip")
        if self.split_screen not in SPLIT_SCREENS:
            raise ValueError(f"split_screen: '{self.split_screen}' is not one of {', '.join(SPLIT_SCREENS)}")
        if self.data_dir is None:
            raise ValueError("data_dir is missing: the root of the corpus, or a manifest with corpus=manifest")
        self.folds = None if self.folds is None else [str(fold) for fold in self.folds]
        self._settle_word_errors()

    def _settle_word_errors(self) -> None:
        """Checks them; without errors all are None, as in the settings of runs made before there were any."""
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


@dataclass
class MerTrainingArguments(TrainingArguments):
    """`TrainingArguments` with the package's own fields and the paper's defaults (LE-MER, section 3.2).

    `learning_rate` is the rate of the new layers, which the paper does not state; `learning_rates` maps a prefix of
    parameter names to a rate of its own. The paper's 8000 steps of warm-up are a share here, which suits corpora and
    numbers of processes of any size. Model selection and early stopping look at validation only.
    """

    output_dir: str | None = field(
        default="runs/le_mer", metadata={"help": "Where folds, checkpoints and results go."}
    )
    learning_rate: float = field(default=1e-4, metadata={"help": "Of the new layers."})
    learning_rates: dict | str | None = field(
        default_factory=lambda: {"speech_encoder": 1e-6, "text_encoder": 5e-6},
        metadata={"help": "Rates by the beginning of parameter names."},
    )
    per_device_train_batch_size: int = field(default=16, metadata={"help": "Utterances per device and step."})
    per_device_eval_batch_size: int = field(default=32, metadata={"help": "Utterances per device."})
    num_train_epochs: float = field(default=50, metadata={"help": "Passes over the training rows."})
    warmup_steps: float = field(default=0.32, metadata={"help": "Steps of warm-up, or a share of all below 1."})
    lr_scheduler_type: str = field(default="constant_with_warmup", metadata={"help": "Schedule after the warm-up."})
    early_stopping_patience: int | None = field(
        default=10, metadata={"help": "Validations without a better score after the warm-up."}
    )
    metric_for_best_model: str | None = field(default="ua", metadata={"help": "wa, ua or wf1 on validation."})
    modality_dropout: float = field(
        default=0.0, metadata={"help": "Share of training utterances that lose a modality."}
    )
    spec_augment: dict | str | None = field(
        default_factory=lambda: {"time_masks": 2, "time_frames": 50, "frequency_masks": 2, "frequency_bins": 15},
        metadata={"help": "SpecAugment on log-mel input; null for none."},
    )
    train_sampling_strategy: str = field(default="group_by_length", metadata={"help": "group_by_length or random."})
    length_column_name: str = field(default="length", metadata={"help": "Column with the length of every row."})
    remove_unused_columns: bool | None = field(
        default=False, metadata={"help": "The collator needs the corpus' columns."}
    )
    label_names: list[str] | None = field(default_factory=lambda: ["labels"], metadata={"help": "Label argument."})
    logging_strategy: str = field(default="epoch", metadata={"help": "no, steps or epoch."})
    save_strategy: str = field(
        default="epoch", metadata={"help": "no, steps or epoch; as validation where there is one."}
    )
    save_total_limit: int | None = field(default=1, metadata={"help": "Checkpoints kept beside the best."})
    report_to: None | str | list[str] = field(  # noqa: RUF036 (HfArgumentParser fails with None last)
        default="none", metadata={"help": "Trackers of transformers."}
    )
    do_train: bool = field(default=True, metadata={"help": "False: only evaluate `checkpoint`."})
    figures: bool = field(default=True, metadata={"help": "Draw the figures of every fold."})
    bootstrap_resamples: int = field(default=1000, metadata={"help": "Resamples of the confidence intervals."})
    overwrite: bool = field(default=False, metadata={"help": "Run folds again that have results."})
    grid: dict | str | None = field(
        default=None,
        metadata={"help": "Settings to choose in every fold by nested validation: {learning_rate: [1e-4, 3e-4]}."},
    )
    grid_folds: int = field(default=3, metadata={"help": "Inner folds of the nested validation at most."})

    def __post_init__(self) -> None:
        self.learning_rates = from_json(self.learning_rates) or {}
        self.spec_augment = from_json(self.spec_augment)
        self.grid = from_json(self.grid)
        self._check_grid()
        for name, value in self.learning_rates.items():
            self.learning_rates[name] = float(value)  # YAML reads 1e-6 as a string
        known = set(SPEC_AUGMENT_KEYS)
        if self.spec_augment and set(self.spec_augment) - known:
            raise ValueError(f"spec_augment: {sorted(set(self.spec_augment) - known)} are not among {sorted(known)}")
        if self.metric_for_best_model not in ("wa", "ua", "wf1"):
            raise ValueError(f"metric_for_best_model: '{self.metric_for_best_model}' is not one of wa, ua, wf1")
        if self.train_sampling_strategy not in ("group_by_length", "random"):
            raise ValueError(
                f"train_sampling_strategy: '{self.train_sampling_strategy}' is not one of group_by_length, random"
            )
        if not 0 <= self.label_smoothing_factor < 1:
            raise ValueError(f"label_smoothing_factor={self.label_smoothing_factor} must be 0 or more, and below 1")
        if not 0 <= self.modality_dropout <= 1:
            raise ValueError(f"modality_dropout={self.modality_dropout} must be between 0 and 1")
        super().__post_init__()

    def _check_grid(self) -> None:
        if self.grid_folds < 1:
            raise ValueError(f"grid_folds={self.grid_folds} must be at least 1")
        if self.grid is None:
            return
        if not isinstance(self.grid, dict) or not self.grid:
            raise ValueError(f"grid: {self.grid!r} is no mapping from names of settings to lists of values")
        for name, values in self.grid.items():
            if not isinstance(values, list) or not values:
                raise ValueError(f"grid: {name} needs a list of values, not {values!r}")


def parse_arguments(
    types: Sequence[type], argv: Sequence[str] | None = None, defaults: dict[str, Any] | None = None
) -> tuple[Any, ...]:
    """Reads `--config file.yaml` and flags on top of it into dataclasses.

    Args:
        types: The dataclasses.
        argv: The command line; `sys.argv[1:]` if not given.
        defaults: Values in the place of the dataclasses' own defaults; the file and flags win over them.

    Raises:
        ValueError: If the YAML file is missing, no mapping, or has a key that no dataclass has; the message names the
            closest ones.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = HfArgumentParser(list(types))
    parser.add_argument("--config", help="YAML file with settings; flags win over it.")
    parser.set_defaults(**(defaults or {}))
    path = _pop_config(arguments)
    if path is not None:
        settings = read_yaml(path)
        check_known(settings, types, path)
        parser.set_defaults(**settings)
        for action in parser._actions:
            action.required = False
    parsed = parser.parse_args_into_dataclasses(args=arguments, look_for_args_file=False)
    return tuple(parsed[: len(types)])


def _pop_config(arguments: list[str]) -> str | None:
    for index, argument in enumerate(arguments):
        if argument == "--config":
            if index + 1 == len(arguments):
                raise ValueError("--config needs the path of a YAML file")
            path = arguments[index + 1]
            del arguments[index : index + 2]
            return path
        if argument.startswith("--config="):
            return arguments.pop(index).partition("=")[2]
    return None


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A file of settings.

    Raises:
        ValueError: If it is missing or no mapping.
    """
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such configuration file")
    content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=YamlLoader)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must hold settings as `name: value`, not {type(content).__name__}")
    return content


def check_known(settings: Iterable[str], types: Sequence[type], where: str) -> None:
    """Refuses names of settings that no dataclass has.

    Raises:
        ValueError: With the closest names.
    """
    from difflib import get_close_matches

    known = {item.name for cls in types for item in fields(cls) if item.init}
    for key in settings:
        if key not in known:
            close = get_close_matches(key, known, n=3)
            raise ValueError(
                f"{where}: unknown setting '{key}'" + (f"; did you mean {', '.join(close)}?" if close else "")
            )


class YamlLoader(yaml.SafeLoader):
    """Reads settings: YAML 1.1 reads `1e-4` as a string; people mean a number."""


YamlLoader.yaml_implicit_resolvers = {
    key: list(value) for key, value in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)
