"""Are the explanations true? Measured on generated corpora, whose answer is known, and by removal on real data.

    python recipes/explanations/measure.py --out explanations --seeds 1 2 3 \\
        --real "MELD, text" runs/le_mer_meld_text/official MELD.Raw

generates corpora, trains on them, explains their test utterances by every method, and writes tables and numbers into
the folder. A finished part is not done again: stop it at any time, and give the same command again.

    python recipes/explanations/measure.py --label-attention runs/*/Ses05 --corpus demo/corpus --out attention.json

measures how far label attention alone agrees with the truth, for any checkpoints of LE-MER of one generated corpus.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agreement import measure_checkpoint
from parts import SYSTEMS, measured_generated, measured_real
from report import report
from summary import places_summary

from hf_mer.files import markdown_table, write_json, write_text


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="output folder; with --label-attention a JSON file")
    parser.add_argument("--systems", nargs="*", choices=SYSTEMS, default=list(SYSTEMS), help="to train (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the trainings (default: 1 2 3)")
    parser.add_argument("--utterances", type=int, help="utterances of each test split, at random (default: all)")
    parser.add_argument("--shuffled-utterances", type=int, default=100, help="with shuffled weights")
    parser.add_argument("--corpus-settings", type=Path, help="JSON with settings of the generated corpora, by system")
    parser.add_argument(
        "--real", nargs=3, action="append", default=[], metavar=("NAME", "CHECKPOINT", "DATA_DIR"),
        help="finished training on real data, to measure by removal of parts",
    )  # fmt: skip
    parser.add_argument("--real-utterances", type=int, default=100, help="of each --real, at random")
    parser.add_argument("--real-budget", type=int, default=200, help="forward passes of explain on real data")
    parser.add_argument("--label-attention", nargs="+", metavar="CHECKPOINT", help="only theirs; train nothing")
    parser.add_argument("--corpus", type=Path, help="generated corpus of these checkpoints")
    settings = parser.parse_args(argv)
    if (settings.label_attention is None) != (settings.corpus is None):
        parser.error("--label-attention and --corpus belong together")
    return settings


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    return measure_everything(settings) if settings.label_attention is None else measure_label_attention(settings)


def measure_everything(settings: argparse.Namespace) -> dict[str, Any]:
    """All parts that are not finished, then the report."""
    if settings.systems and find_spec("captum") is None:
        raise SystemExit('integrated gradients need captum: pip install "hf_mer[peers]"')
    generated: dict[str, Any] = {}
    for system in settings.systems:
        for seed in settings.seeds:
            parts = measured_generated(settings, system, seed)
            generated.setdefault(system, []).append(parts)
    real = {name: measured_real(settings, name, checkpoint, data) for name, checkpoint, data in settings.real}
    text, numbers = report(generated, real)
    write_text(settings.out / "report.md", text)
    write_json(settings.out / "report.json", numbers)
    print(text)
    return numbers


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
            kind: {
                which: {
                    name: {score: mean._asdict() for score, mean in scores.items()}
                    for name, scores in places_summary([run], kind, which).items()
                }
                for which in ("right", "all")
            }
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


if __name__ == "__main__":
    main()
