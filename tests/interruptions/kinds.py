"""The commands that are interrupted, on what, and at the appearance of which files."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml
from processes import ROOT, Command

_TRAINING = ("run/*/checkpoints/*/optimizer.pt", "run/*/checkpoints/*/trainer_state.json", "run/*/predictions.csv",
             "run/*/.model*", "run/*/figures", "cache/hf_mer_features/*", "run/*/results.json")  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A command that is interrupted.

    Attributes:
        arguments: From the folder of what all kinds share to the command line.
        about: A few words for the table.
        moments: Patterns of files at whose appearance it is killed.
        together: How many of the command run at once; one of them is killed, and the others go on.
        before: A command that is run first and left alone.
    """

    arguments: Callable[[Path], list[str]]
    about: str
    moments: tuple[str, ...]
    together: int = 1
    before: Callable[[Path], list[str]] | None = None


def _train(name: str) -> Callable[[Path], list[str]]:
    return lambda shared: ["train", "le_mer", str(shared / f"{name}.yaml"), "--out", "run"]


def _reproduce(shared: Path) -> list[str]:
    return [
        "reproduce", "--table", "le_mer/table1", "--corpus", "generated", "--data_dir", str(shared / "corpus"),
        "--seeds", "1", "--folds", "Ses05", "--only", "A1/*", "B2/*", "--output_dir", "run", "--num_train_epochs", "2",
        "--disable_tqdm", "true", "--tables_folder", str(ROOT / "recipes/tables"), "--configs_folder",
        str(ROOT / "recipes/configs"),
    ]  # fmt: skip


_TABLES = ("run/runs/*/seed1/*/checkpoints/*/optimizer.pt", "run/runs/*/seed1/*/predictions.csv", "run/locks/*",
           "run/pretrained/*/*/*/checkpoints/iteration-1/*/optimizer.pt", "run/pretrained/*/*/*/*.safetensors",
           "run/runs/*/seed1/*/results.json", "run/le_mer/table1/generated/*", "cache/hf_mer_features/*")  # fmt: skip

KINDS = {
    "generate": Kind(
        lambda shared: ["generate", "corpus", "--num-utterances", "120", "--num-proc", "2"],
        "two processes",
        (".corpus*/*", "corpus"),
    ),
    "generate-films": Kind(
        lambda shared: ["generate", "corpus", "--layout", "meld", "--num-utterances", "45"],
        "MELD's layout",
        (".corpus*/*", "corpus"),
    ),
    "prepare": Kind(
        lambda shared: ["prepare", "iemocap", str(shared / "corpus"), "prepared", "--embed-audio"],
        "with the recordings",
        (".prepared*", ".prepared*/data/*", "cache/*/*", "prepared"),
    ),
    "prepare-again": Kind(
        lambda shared: ["prepare", "iemocap", str(shared / "corpus"), "prepared", "--embed-audio", "--overwrite"],
        "over an older folder",
        (".prepared*", ".prepared*/data/*", "cache/*/*"),
        before=lambda shared: ["prepare", "iemocap", str(shared / "corpus"), "prepared", "--task", "6class"],
    ),
    "training-epochs": Kind(_train("epochs"), "checkpoints after epochs", _TRAINING),
    "training-steps": Kind(_train("steps"), "checkpoints after steps", _TRAINING),
    "training-stopping": Kind(_train("stopping"), "early stopping", _TRAINING),
    "training-augmented": Kind(_train("augmented"), "augmentation, missing modalities", _TRAINING),
    "reproduce": Kind(_reproduce, "two rows, one with a second stage", _TABLES),
    "reproduce-two": Kind(_reproduce, "two at once, one of them killed", _TABLES, together=2),
    "evaluate": Kind(
        lambda shared: [
            "evaluate", str(shared / "run" / "Ses05"), "--corpus", "iemocap", "--data-dir", str(shared / "corpus"),
            "--out", "conditions", "--resamples", "100",
        ],
        "all conditions",
        ("conditions", "conditions/.*", "conditions/*.md", "conditions/*.png", "cache/*/*"),
    ),
    "export": Kind(
        lambda shared: ["export", str(shared / "run" / "Ses05"), "exported"],
        "ONNX",
        (".exported*", ".exported*/model.onnx", "exported"),
    ),
}  # fmt: skip


def prepare_shared(shared: Path) -> None:
    """What the commands work on: a corpus, settings, and a trained checkpoint."""
    shared.mkdir(parents=True, exist_ok=True)
    settings = yaml.safe_load((ROOT / "recipes/configs/le_mer_generated.yaml").read_text(encoding="utf-8"))
    settings |= {"data_dir": str(shared / "corpus"), "num_train_epochs": 4, "kmeans_clusters": 20, "figures": False,
                 "bootstrap_resamples": 50, "disable_tqdm": True, "max_audio_seconds": 2.0}  # fmt: skip
    for name in ("text_encoder", "speech_encoder"):
        settings[name] |= {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64}
    changes = {
        "epochs": {"figures": True},
        "steps": {"eval_strategy": "steps", "eval_steps": 2, "logging_steps": 1},
        "stopping": {"early_stopping_patience": 2, "warmup_steps": 0, "learning_rate": 0.01, "num_train_epochs": 10},
        "augmented": {"modality_dropout": 0.4, "spec_augment": {"time_masks": 2, "frequency_masks": 2}},
    }
    for name, change in changes.items():
        (shared / f"{name}.yaml").write_text(json.dumps({**settings, **change}), encoding="utf-8")
    for arguments in (["generate", "corpus", "--num-utterances", "60"], _train("epochs")(shared)):
        command = Command(arguments, shared)
        if command.wait():
            raise RuntimeError(f"{' '.join(arguments)}: {command.last_words()}")
