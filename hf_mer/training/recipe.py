"""What the training scripts share: settings in, folds out, one line for what cannot be used."""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from transformers import TrainingArguments
from transformers.utils import logging as transformers_logging

from hf_mer.console import accept_every_character, told
from hf_mer.hub.errors import hub_or_cache
from hf_mer.training.arguments import (
    DataArguments,
    MerTrainingArguments,
    check_known,
    parse_arguments,
    read_yaml,
)
from hf_mer.training.baselines import BaselineExperiment
from hf_mer.training.checkpoints import remote_checkpoints, require_checkpoints
from hf_mer.training.cross_validation import CrossValidation
from hf_mer.training.experiment import Experiment
from hf_mer.training.label_store_builder import LabelStoreArguments
from hf_mer.training.model_arguments import LeMerArguments, ModelArguments
from hf_mer.training.systems import SYSTEMS, argument_types

logger = logging.getLogger(__name__)


def run_recipe(model_arguments: type[ModelArguments], argv: Sequence[str] | None = None) -> None:
    """Reads the settings of a system and runs its folds; leaves the program with one line if that is not possible.

    Args:
        model_arguments: The system's class of settings.
        argv: The command line; `sys.argv[1:]` if not given.
    """
    start_logging()
    types: list[type] = [model_arguments, DataArguments, MerTrainingArguments]
    if issubclass(model_arguments, LeMerArguments):
        types.append(LabelStoreArguments)
    try:
        model, data, training, *rest = parse_arguments(types, argv, model_arguments.training_defaults)
    except ValueError as error:
        sys.exit(f"error in the settings: {error}")
    store: Any = rest[0] if rest else None
    with hub_or_cache(bool(remote_checkpoints(model))):
        try:
            experiment = Experiment(model, data, store, training)
        except ValueError as error:
            sys.exit(f"error in the settings: {error}")
        _run(experiment)


@dataclass
class BaselineArguments:
    """Which baseline."""

    system: str | None = field(default=None, metadata={"help": f"Of {', '.join(BaselineExperiment.MODALITIES)}."})


def run_baseline(argv: Sequence[str] | None = None) -> None:
    """Reads the settings of a baseline and runs its folds; leaves the program with one line if that is not possible.

    The settings file may be another system's on the same corpus. What a baseline does not have, its model and its
    grid, is then left out with a log line, and so is its `output_dir`, which holds that system's results; without
    `--output_dir` a baseline's lie in `runs/<system>`.

    Args:
        argv: The command line; `sys.argv[1:]` if not given.
    """
    start_logging()
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config")
    first.add_argument("--system")
    named, rest = first.parse_known_args(list(sys.argv[1:] if argv is None else argv))
    types = [BaselineArguments, DataArguments, MerTrainingArguments]
    try:
        settings = {} if named.config is None else _without_model(named.config, types)
        system = named.system or settings.get("system")
        defaults = {"output_dir": f"runs/{system}", **settings, "system": system}
        arguments, data, training = parse_arguments(types, rest, defaults)
        experiment = BaselineExperiment(arguments.system, data, training)
    except ValueError as error:
        sys.exit(f"error in the settings: {error}")
    _run(experiment)


def _without_model(config: str, types: Sequence[type]) -> dict[str, Any]:
    """The settings of a file, less what belongs to the model of another system."""
    settings = read_yaml(config)
    everything = [*types, *(cls for system in SYSTEMS for cls in argument_types(system))]
    check_known(settings, everything, config)
    own = {item.name for cls in types for item in fields(cls)}
    foreign = set(settings) - own
    if foreign:
        foreign |= {"output_dir", "grid", "grid_folds"} & set(settings)
        logger.info("%s is another system's; not used: %s", config, ", ".join(sorted(foreign)))
    return {name: value for name, value in settings.items() if name not in foreign}


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


def _run(experiment: CrossValidation) -> None:
    """Runs the folds; one line for what cannot be used."""
    training = experiment.args
    set_verbosity(training)
    pushes = bool(training.push_to_hub) and isinstance(experiment, Experiment)
    try:
        if isinstance(experiment, Experiment) and not (experiment.output_dir / "results.json").exists():
            require_checkpoints(experiment.model_arguments)
        if pushes:
            _check_hub(training)
        report = experiment.run()
        if pushes and training.process_index == 0:
            _push(experiment, [fold["fold"] for fold in report["folds"]])
    except (ValueError, OSError) as error:  # corpora, recordings, checkpoints; `--log_level debug` shows where
        logging.getLogger(__name__).debug("traceback", exc_info=True)
        sys.exit(f"error: {told(error)}" if training.process_index == 0 else 1)


def _check_hub(training: TrainingArguments) -> None:
    from hf_mer.hub import check_access

    if not training.hub_model_id:
        raise ValueError("push_to_hub: hub_model_id is missing, the repository as owner/name")
    if training.process_index == 0:
        check_access(training.hub_model_id, training.hub_token)


def _push(experiment: CrossValidation, folds: Sequence[str]) -> None:
    """The folds' checkpoints to the Hub; of several, each in a repository with the fold's name behind a hyphen."""
    from hf_mer.hub import push_checkpoint

    training = experiment.args
    for fold in folds:
        name = training.hub_model_id if len(folds) == 1 else f"{training.hub_model_id}-{fold}"
        settings = {"private": bool(training.hub_private_repo), "token": training.hub_token}
        print(push_checkpoint(experiment.output_dir / fold, str(name), revision=training.hub_revision, **settings))
