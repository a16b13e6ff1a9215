"""What the training scripts share: settings in, folds out, one line for what cannot be used."""

import logging
import sys
from collections.abc import Sequence
from typing import Any

from transformers.utils import logging as transformers_logging

from hf_mer.training.arguments import DataArguments, MerTrainingArguments, parse_arguments
from hf_mer.training.experiment import Experiment
from hf_mer.training.label_store_builder import LabelStoreArguments
from hf_mer.training.model_arguments import LeMerArguments, ModelArguments


def run_recipe(model_arguments: type[ModelArguments], argv: Sequence[str] | None = None) -> None:
    """Reads the settings of a system and runs its folds; leaves the program with one line if that is not possible.

    Args:
        model_arguments: The system's class of settings.
        argv: The command line; `sys.argv[1:]` if not given.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    types: list[type] = [model_arguments, DataArguments, MerTrainingArguments]
    if issubclass(model_arguments, LeMerArguments):
        types.append(LabelStoreArguments)
    try:
        model, data, training, *rest = parse_arguments(types, argv, model_arguments.training_defaults)
        store: Any = rest[0] if rest else None
        experiment = Experiment(model, data, store, training)
    except ValueError as error:
        sys.exit(f"error in the settings: {error}")
    if training.log_level == "debug":
        logging.getLogger().setLevel(logging.DEBUG)
    if training.process_index != 0:
        logging.getLogger().setLevel(logging.ERROR)
        transformers_logging.set_verbosity_error()
    try:
        experiment.run()
    except (ValueError, OSError) as error:  # corpora, recordings, checkpoints; `--log_level debug` shows where
        logging.getLogger(__name__).debug("traceback", exc_info=True)
        sys.exit(f"error: {error}" if training.process_index == 0 else 1)
