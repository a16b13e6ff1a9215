"""`--push_to_hub`: what a recipe has trained goes to the Hub, and what cannot go is said before it is trained."""

import pytest
from loopback_hub import LoopbackHub

TEXT = {"modalities": ["text"], "tonal_label_init": "none", "num_train_epochs": 1, "push_to_hub": True}


@pytest.fixture
def hub():
    with LoopbackHub().running() as made:
        yield made


def test_the_fold_is_on_the_hub_with_its_card(hub, main, config, monkeypatch):
    hub.answer_here(monkeypatch)
    main("--config", config(**TEXT, hub_model_id="me/ours", hub_private_repo=True))
    files = hub.files("me/ours")
    assert {"model.safetensors", "label_store.json", "results.json", "README.md"} <= set(files)
    card = files["README.md"].decode()
    assert "generated-corpus" in card
    assert "me/ours" in card
    assert hub.repositories["models", "me/ours"].private


def test_what_cannot_go_is_said_first(hub, main, config, monkeypatch, tmp_path):
    hub.answer_here(monkeypatch, token="hf_unknown")
    with pytest.raises(SystemExit, match="error: me/ours: the Hub does not know this token"):
        main("--config", config(**TEXT, hub_model_id="me/ours"))
    with pytest.raises(SystemExit, match="error: push_to_hub: hub_model_id is missing"):
        main("--config", config(**TEXT))
    assert not (tmp_path / "run").exists()
