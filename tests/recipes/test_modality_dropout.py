"""Modality dropout is a setting of every recipe: training batches lack modalities, all others do not."""

import json

import datasets
import pytest

from hf_mer.data.collator import STATE_MASKS, MerDataCollator

FILMS = {
    "corpus": "meld",
    "protocol": "official",
    "validation": "official",
    "on_bad_audio": "skip",
    "num_frames": 2,
}


@pytest.mark.parametrize("system", ["le_mer", "mgcma", "wavfusion"])
def test_every_recipe_drops_modalities_in_training_alone(main, config, films, tmp_path, monkeypatch, system):
    shares = {True: [], False: []}
    original = MerDataCollator.__call__

    def spy(self, rows):
        batch = original(self, rows)
        if len(self.modalities) > 1:
            masks = [batch[STATE_MASKS[name]].any(dim=1) for name in self.modalities if STATE_MASKS[name] in batch]
            shares[self.training] += [bool(mask[row]) for mask in masks for row in range(len(rows))]
        return batch

    monkeypatch.setattr(MerDataCollator, "__call__", spy)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))  # others count what is made
    settings = {"num_train_epochs": 1, **({**FILMS, "data_dir": str(films)} if system == "wavfusion" else {})}
    main("--config", config(system, **settings), "--modality_dropout", "1.0", system=system)
    fold = next((tmp_path / "run").glob("*/results.json"))
    results = json.loads(fold.read_text(encoding="utf-8"))
    assert results["settings"]["training"]["modality_dropout"] == 1.0
    count = 3 if system == "wavfusion" else 2
    assert sum(shares[True]) / len(shares[True]) == pytest.approx(1 - 1 / count, abs=0.2)  # one of them is lost
    assert sum(shares[False]) / len(shares[False]) > 0.9  # films may lack sound or picture by themselves
    sets = 2**count - 1
    assert len(results["calibration"]["temperatures"]) == sets
