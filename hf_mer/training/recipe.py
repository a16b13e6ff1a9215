"""What the training scripts share: settings in, folds out, one line for what cannot be used.

What a training needs is imported once its settings are known to be right: a mistyped one is told at once.
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainingArguments
from transformers.utils import logging as transformers_logging

from hf_mer.console import accept_every_character
from hf_mer.stopping import ERROR, last_words, terminable
from hf_mer.training.settings.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.settings.checking import check_settings
from hf_mer.training.settings.label_store_arguments import LabelStoreArguments
from hf_mer.training.settings.model_arguments import LeMerArguments, ModelArguments
from hf_mer.training.settings.parsing import check_known, parse_arguments, read_yaml
from hf_mer.training.settings.public_corpora import fit_public_corpus
from hf_mer.training.settings.roles import setting
from hf_mer.training.settings.systems import SYSTEMS, argument_types

if TYPE_CHECKING:
    from hf_mer.training.baselines.baseline_experiment import BaselineExperiment
    from hf_mer.training.cross_validation import CrossValidation

logger = logging.getLogger(__name__)


def run_recipe(model_arguments: type[ModelArguments], argv: Sequence[str] | None = None) -> None:
    """Reads the settings of a system and runs its folds; leaves the program with one line if that is not possible.

    Args:
        model_arguments: The system's class of settings.
        argv: The command line; `sys.argv[1:]` if not given.
    """
    types: list[type] = [model_arguments, DataArguments, MerTrainingArguments]
    if issubclass(model_arguments, LeMerArguments):
        types.append(LabelStoreArguments)
    with a_script() as folders:
        with settings_read():
            model, data, training, *rest = parse_arguments(types, argv, model_arguments.training_defaults)
            store: Any = rest[0] if rest else None
            check_settings(model, data, store, training, hub=False)
        from hf_mer.hub.errors import hub_or_cache
        from hf_mer.training.experiment import Experiment
        from hf_mer.training.required_checkpoints import remote_checkpoints

        with hub_or_cache(bool(remote_checkpoints(model))):
            with settings_read():
                experiment = Experiment(model, data, store, training)
            folders.append(experiment.output_dir)
            _run(experiment)


BASELINES = tuple(name for name, model in SYSTEMS.items() if model is None)


@dataclass
class BaselineArguments:
    """Which baseline."""

    system: str | None = setting(None, f"The baseline: {' or '.join(BASELINES)}.")


def run_baseline(argv: Sequence[str] | None = None) -> None:
    """Reads the settings of a baseline and runs its folds; leaves the program with one line if that is not possible.

    The settings file may be another system's on the same corpus. What a baseline does not have, its model and its
    grid, is then left out with a log line, and so is its `output_dir`, which holds that system's results; without
    `--output_dir` a baseline's lie in `runs/<system>`.

    Args:
        argv: The command line; `sys.argv[1:]` if not given.
    """
    with a_script() as folders:
        with settings_read():
            experiment = _baseline(list(sys.argv[1:] if argv is None else argv))
        folders.append(experiment.output_dir)
        _run(experiment)


def _baseline(argv: list[str]) -> "BaselineExperiment":
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config")
    first.add_argument("--system")
    named, rest = first.parse_known_args(argv)
    types = [BaselineArguments, DataArguments, MerTrainingArguments]
    settings = {} if named.config is None else _without_model(named.config, types)
    system = named.system or settings.get("system")
    settings = fit_public_corpus(settings, rest, types)
    defaults = {"output_dir": f"runs/{system}", **settings, "system": system}
    arguments, data, training = parse_arguments(types, rest, defaults)
    if arguments.system not in BASELINES:
        raise ValueError(f"system: '{arguments.system}' is not one of {', '.join(BASELINES)}")
    from hf_mer.training.baselines.baseline_experiment import BaselineExperiment

    return BaselineExperiment(arguments.system, data, training)


def _without_model(config: str, types: Sequence[type]) -> dict[str, Any]:
    """The settings of a file, less what belongs to the model of another system."""
    settings = read_yaml(config)
    everything = [*types, *(cls for system in SYSTEMS for cls in argument_types(system))]
    check_known(settings, everything, config)
    own = {item.name for cls in types for item in fields(cls)}
    foreign = set(settings) - own
    if foreign:
        foreign |= {"output_dir", "grid", "grid_folds"} & set(settings)
        logger.info("%s is for another system; not used: %s", config, ", ".join(sorted(foreign)))
    return {name: value for name, value in settings.items() if name not in foreign}


class SettingsError(ValueError):
    """Settings that cannot be met."""


@contextmanager
def settings_read() -> Iterator[None]:
    """What is wrong in the block is wrong in the settings.

    Raises:
        SettingsError: Instead of a ValueError.
    """
    try:
        yield
    except ValueError as error:
        raise SettingsError(str(error)) from error


@contextmanager
def a_script() -> Iterator[list[Path]]:
    """A script's work: it says what it does, in any encoding, and ends with one line if it cannot go on.

    Gives a list for the folders that it writes into.
    """
    start_logging()
    folders: list[Path] = []
    try:
        with terminable():
            yield folders
    except (Exception, KeyboardInterrupt) as error:
        logger.debug("traceback", exc_info=True)  # `--log_level debug` shows where
        cache = [sys.modules["datasets"].config.HF_DATASETS_CACHE] if "datasets" in sys.modules else []
        words = last_words(error, [*map(Path, cache), *folders])
        if words is None:
            raise
        line, status = words
        if isinstance(error, SettingsError):
            line = line.replace("error:", "error in the settings:", 1)
        if os.environ.get("RANK", "0") != "0":  # of torch's launcher; settings that cannot be read know no process
            sys.exit(status)
        if status == ERROR:
            sys.exit(line)
        print(line, file=sys.stderr)
        sys.exit(status)


def start_logging() -> None:
    """What a script says on its way, in any encoding; libraries that draw are quiet."""
    accept_every_character()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for name in ("fontTools", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)


def set_verbosity(training: TrainingArguments) -> None:
    """Says more with `--log_level debug`, and errors alone in all processes but the first."""
    if training.log_level == "debug":
        logging.getLogger().setLevel(logging.DEBUG)
    if training.process_index != 0:
        logging.getLogger().setLevel(logging.ERROR)
        transformers_logging.set_verbosity_error()


def _run(experiment: "CrossValidation") -> None:
    """Runs the folds, and sends them to the Hub where that is wanted."""
    from hf_mer.training.encoder_weights import check_encoder_weights
    from hf_mer.training.experiment import Experiment
    from hf_mer.training.required_checkpoints import require_checkpoints

    training = experiment.args
    set_verbosity(training)
    pushes = bool(training.push_to_hub) and isinstance(experiment, Experiment)
    if isinstance(experiment, Experiment) and not (experiment.output_dir / "results.json").exists():
        require_checkpoints(experiment.model_arguments)
        with settings_read():
            check_encoder_weights(experiment.model_arguments)
    if pushes:
        _check_hub(training)
    report = experiment.run()
    if isinstance(experiment, Experiment) and training.process_index == 0:
        print(f"try it: {_prediction(experiment, report['folds'][0]['fold'])}")
    if pushes and training.process_index == 0:
        _push(experiment, [fold["fold"] for fold in report["folds"]])


def _prediction(experiment: "CrossValidation", fold: str) -> str:
    """The command that tries a fold's checkpoint on something of one's own."""
    given = {"text": '--text "ITS WORDS"', "speech": "RECORDING.wav", "video": "VIDEO.mp4"}
    modalities = [name for name in ("video", "speech", "text") if name in experiment.modalities]
    inputs = [given[name] for name in modalities if not (name == "speech" and "video" in modalities)]
    return " ".join(["hf-mer predict", str(experiment.output_dir / fold), *inputs])


def _check_hub(training: TrainingArguments) -> None:
    from hf_mer.hub import check_access

    if not training.hub_model_id:
        raise ValueError("push_to_hub: hub_model_id is missing, the repository as owner/name")
    if training.process_index == 0:
        check_access(training.hub_model_id, training.hub_token)


def _push(experiment: "CrossValidation", folds: Sequence[str]) -> None:
    """The folds' checkpoints to the Hub; of several, each in a repository with the fold's name behind a hyphen."""
    from hf_mer.hub import push_checkpoint

    training = experiment.args
    for fold in folds:
        name = training.hub_model_id if len(folds) == 1 else f"{training.hub_model_id}-{fold}"
        settings = {"private": bool(training.hub_private_repo), "token": training.hub_token}
        print(push_checkpoint(experiment.output_dir / fold, str(name), revision=training.hub_revision, **settings))
