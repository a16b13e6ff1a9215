"""Trains and evaluates WavFusion (Li et al., arXiv 2412.05558) or any system of its tables.

    accelerate launch recipes/train_wavfusion.py --config recipes/configs/wavfusion_meld.yaml --data_dir
    /data/MELD.Raw

Every setting of the YAML file is also a flag, and flags win: `--modalities text speech`, `--use_lvc false`,
`--num_deep_layers 0`, `--loss_weights '{"margin": 0.1}'`.
"""

from hf_mer.training import WavFusionArguments, run_recipe


def main() -> None:
    """Parses settings and runs the folds."""
    run_recipe(WavFusionArguments)


if __name__ == "__main__":
    main()
