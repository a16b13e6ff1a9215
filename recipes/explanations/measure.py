"""Are the explanations true? Measured on generated corpora, whose answer is known, and by removal on real data.

    python recipes/explanations/measure.py --label-attention runs/*/Ses05 --corpus demo/corpus --out attention.json

measures how far label attention alone agrees with the truth, for any checkpoints of LE-MER of one generated corpus.
"""

import argparse
from pathlib import Path
from typing import Any

from agreement import measure_checkpoint
from summary import places_summary

from hf_mer.files import markdown_table, write_json


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--label-attention", nargs="+", metavar="CHECKPOINT", help="only this, of checkpoints of one generated corpus"
    )
    parser.add_argument("--corpus", type=Path, help="root of that generated corpus")
    parser.add_argument("--out", type=Path, required=True, help="with --label-attention a JSON file")
    parser.add_argument("--utterances", type=int, help="of each test part, at random; all if not given")
    settings = parser.parse_args(argv)
    if (settings.label_attention is None) != (settings.corpus is None):
        parser.error("--label-attention and --corpus belong together")
    return settings


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    return measure_label_attention(settings)


def measure_label_attention(settings: argparse.Namespace) -> dict[str, Any]:
    """Writes, per checkpoint, `ua`, `summary` by kind, subset and method, and the values of all utterances."""
    methods = ("label attention", "random")
    runs = []
    for checkpoint in settings.label_attention:
        run = measure_checkpoint(
            checkpoint, settings.corpus, methods=methods, with_modalities=False, utterances=settings.utterances
        )
        if not any("label attention" in places for one in run["utterances"] for places in one["places"].values()):
            raise SystemExit(f"{checkpoint}: the model has no label attention")
        run["summary"] = {
            kind: {which: as_json(places_summary([run], kind, which)) for which in ("right", "all")}
            for kind in ("words", "segments")
        }
        runs.append(run)
    result = {"corpus": str(settings.corpus), "runs": runs}
    write_json(settings.out, result)
    print(markdown_table(["checkpoint", "UA", *_ATTENTION], [_attention_row(run) for run in runs]))
    return result


_ATTENTION = [f"{kind}, {score}" for kind in ("words", "segments") for score in ("hit", "chance", "AUC")]


def _attention_row(run: dict[str, Any]) -> list[str]:
    cells = [run["checkpoint"], f"{run['ua']:.3f}"]
    for kind in ("words", "segments"):
        found = places_summary([run], kind, "right")
        for name, score in (("label attention", "hit"), ("chance", "hit"), ("label attention", "auc")):
            cells.append(str(found[name][score]) if name in found and score in found[name] else "-")
    return cells


def as_json(summary: dict[str, Any]) -> dict[str, Any]:
    """Named tuples as dictionaries."""
    return {name: {score: mean._asdict() for score, mean in scores.items()} for name, scores in summary.items()}


if __name__ == "__main__":
    main()
