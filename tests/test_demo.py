"""What the demo tells, from results that a training left; `make demo` itself is the whole of it."""

import json

import pytest

from hf_mer import demo


@pytest.fixture
def finished(tmp_path):
    """Folders as the three trainings leave them."""
    for index, (name, _) in enumerate(demo.SYSTEMS.values()):
        folder = tmp_path / name / demo.FOLD
        folder.mkdir(parents=True)
        score = 0.4 + 0.1 * index
        test = {"scores": {"ua": score}, "intervals_95": {"ua": [score - 0.05, score + 0.05]}}
        (folder / "results.json").write_text(json.dumps({"test": test}))
    return tmp_path


def test_every_system_stands_beside_its_ceiling(finished, capsys):
    ceilings = {"chance": 0.25, "text": 0.45, "voice": 0.46, "both": 0.81}
    scores = demo._report(finished, ceilings)
    lines = {line[:11].strip(): line for line in capsys.readouterr().out.splitlines()}
    assert scores == pytest.approx({"text only": 0.4, "speech only": 0.5, "LE-MER": 0.6})
    assert lines["text only"].endswith("0.450")
    assert lines["speech only"].endswith("0.460")
    assert lines["LE-MER"].endswith("0.810")
    assert (finished / "scores.png").exists()


def test_the_recipe_that_it_launches_is_there():
    root = demo.Path(demo.__file__).parent.parent
    assert (root / demo.RECIPE).exists()
    assert (root / demo.CONFIG).exists()


def test_a_training_that_fails_is_told_with_the_end_of_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "CONFIG", "recipes/configs/nowhere.yaml")
    root = demo.Path(demo.__file__).parent.parent
    with pytest.raises(OSError, match=r"(?s)training failed with status 1.*nowhere\.yaml: no such configuration file"):
        demo._train(root, tmp_path / "corpus", tmp_path)
