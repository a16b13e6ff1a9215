"""Trains and evaluates MGCMA (Wang et al., ICASSP 2025) or any system of its tables.

    accelerate launch recipes/train_mgcma.py --config recipes/configs/mgcma_iemocap.yaml --data_dir
    /data/IEMOCAP_full_release

Every setting of the YAML file is also a flag, and flags win: `--alignment_order token instance` (S1),
`--alignment_order none` (S4), `--modalities text`, `--folds Ses05`.
"""

from hf_mer.training import MgcmaArguments, run_recipe


def main() -> None:
    """Parses settings and runs the folds."""
    run_recipe(MgcmaArguments)


if __name__ == "__main__":
    main()
