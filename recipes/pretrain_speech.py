"""Trains a speech encoder on, without labels, on the training part of every fold (LE-MER's second stage).

    accelerate launch recipes/pretrain_speech.py --config recipes/configs/pretrain_iemocap.yaml --data_dir
    /data/IEMOCAP_full_release

The encoders lie in `<output_dir>/<fold>`; `train_le_mer.py --speech_encoder '<output_dir>/{fold}'` takes them.
Every setting of the YAML file is also a flag, and flags win: `--num_train_epochs 5`, `--objective masked_units`.
"""

from hf_mer.training.pretraining.recipe import run_pretraining


def main() -> None:
    """Parses settings and runs the folds."""
    run_pretraining()


if __name__ == "__main__":
    main()
