"""Writes the cards of `model_cards/` from their specifications (`NAME.yaml`) and results (`NAME.json`, if measured).

    python model_cards/render.py
    python model_cards/render.py le_mer_iemocap --results runs/le_mer_iemocap \
        --label_store runs/le_mer_iemocap/Ses01/model/label_store.json

The second form first makes `NAME.json` out of results files or folders of runs: what the card shows of them, without
paths of this machine. `--name FOLDER=NAME` says what an encoder's folder is called.
"""

import argparse
import json
from pathlib import Path

import yaml

from hf_mer.hub import CardSpec, card_results, model_card, read_results

CARDS = Path(__file__).resolve().parent
CONFIGS = CARDS.parent / "recipes" / "configs"


def render(name: str) -> str:
    """The text of a card."""
    spec, results = CardSpec.from_yaml(CARDS / f"{name}.yaml"), CARDS / f"{name}.json"
    if results.exists():
        return str(model_card(spec, json.loads(results.read_text(encoding="utf-8")), f"{name}.yaml and {name}.json"))
    settings = yaml.safe_load((CONFIGS / f"{spec.recipe}.yaml").read_text(encoding="utf-8"))
    sources = f"{name}.yaml and recipes/configs/{spec.recipe}.yaml"
    return str(model_card(spec, card_results(settings=settings), sources))


def main() -> None:
    """Takes up new results if told to, then writes cards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="cards to write (default: all)")
    parser.add_argument("--results", nargs="+", help="results files or folders of the runs of one card")
    parser.add_argument("--label_store", help="label_store.json of one of these runs")
    parser.add_argument(
        "--name", action="append", default=[], metavar="FOLDER=NAME", help="name to show for an encoder's folder"
    )
    arguments = parser.parse_args()
    names = arguments.names or sorted(path.stem for path in CARDS.glob("*.yaml"))
    if arguments.results:
        if len(arguments.names) != 1:
            parser.error("--results belong to one card: name it")
        store = json.loads(Path(arguments.label_store).read_text("utf-8")) if arguments.label_store else None
        called = dict(item.rsplit("=", 1) for item in arguments.name)
        content = card_results(read_results(*arguments.results), label_store=store, names=called)
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (CARDS / f"{names[0]}.json").write_text(text, encoding="utf-8")
    for name in names:
        (CARDS / f"{name}.md").write_text(render(name), encoding="utf-8")
        print(f"model_cards/{name}.md")


if __name__ == "__main__":
    main()
