"""Runs the rows of a paper's tables, over folds and seeds, and writes them beside the published figures.

    accelerate launch recipes/reproduce.py --table le_mer/table2 --corpus iemocap \\
        --data_dir /data/IEMOCAP_full_release --seeds 3

A finished run is never made again and a killed one goes on: the same command, as often as needed, on as many machines
as share the folder. `--list` prints the runs, `--only 'A5/1/Ses01'` makes some of them.
"""

from hf_mer.training import run_reproduction


def main() -> None:
    """Parses the command line and works on the runs."""
    run_reproduction()


if __name__ == "__main__":
    main()
