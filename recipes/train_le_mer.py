"""Trains and evaluates LE-MER (Wang et al., Interspeech 2023) or any system of its tables.

    accelerate launch recipes/train_le_mer.py --config recipes/configs/le_mer_iemocap.yaml --data_dir
    /data/IEMOCAP_full_release

Every setting of the YAML file is also a flag, and flags win: `--fusion sum`, `--modalities text`, `--folds Ses05`,
`--learning_rates '{"text_encoder": 1e-5}'`.
"""

from hf_mer.training import LeMerArguments, run_recipe


def main() -> None:
    """Parses settings and runs the folds."""
    run_recipe(LeMerArguments)


if __name__ == "__main__":
    main()
