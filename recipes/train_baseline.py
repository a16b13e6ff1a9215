"""Trains and evaluates a baseline: the most frequent class, or a linear classifier on statistics of log-mel frames.

    python recipes/train_baseline.py --system log_mel_statistics --config recipes/configs/le_mer_iemocap.yaml
    --data_dir /data/IEMOCAP_full_release

Corpus, folds and seed are those of any other system's settings file; its model, grid and output folder are left out.
Results are written as that system's are, to `runs/<system>` or `--output_dir`.
"""

from hf_mer.training import run_baseline


def main() -> None:
    """Parses settings and runs the folds."""
    run_baseline()


if __name__ == "__main__":
    main()
