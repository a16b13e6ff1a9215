"""Trains and evaluates LE-MER (Wang et al., Interspeech 2023) or any system of its tables.

    accelerate launch recipes/train_le_mer.py --config recipes/configs/le_mer_iemocap.yaml --data_dir
    /data/IEMOCAP_full_release

Every setting of the YAML file is also a flag, and flags win: `--fusion sum`, `--modalities text`, `--folds Ses05`,
`--learning_rates '{"text_encoder": 1e-5}'`.
"""

import logging
import sys

from transformers.utils import logging as transformers_logging

from hf_mer.training import (
    DataArguments,
    Experiment,
    LabelStoreArguments,
    MerTrainingArguments,
    ModelArguments,
    parse_arguments,
)


def main() -> None:
    """Parses settings and runs the folds."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        model, data, store, training = parse_arguments(
            (ModelArguments, DataArguments, LabelStoreArguments, MerTrainingArguments)
        )
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


if __name__ == "__main__":
    main()
