"""Without a Hub: what is in the cache loads from there, and the rest fails, both at once."""

import time
from pathlib import Path

import pytest
from huggingface_hub import constants

from hf_mer.cli import main
from hf_mer.hub.errors import HubError, hub_or_cache
from hf_mer.training.required_checkpoints import require_checkpoints
from hf_mer.training.settings.model_arguments import LeMerArguments

NOWHERE = ["http://127.0.0.1:9", "http://nowhere.invalid"]  # closed, and a name that nobody knows


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "calls.csv"
    path.write_text("text,label,speaker\n" + "".join(f"hi {i},{'ab'[i % 2]},s{i % 4}\n" for i in range(8)))
    return str(path)


@pytest.fixture
def quickly():
    """The libraries would ask for half a minute for each file."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 20


def test_what_is_in_the_cache(hub, tiny_checkpoint, monkeypatch, tmp_path, capsys, quickly):
    from loopback_hub import Repository

    repository = hub.repositories["models", "me/emotions"] = Repository("models", "me/emotions")
    files = Path(tiny_checkpoint()[0]).iterdir()
    repository.commit({path.name: hub.keep(path.read_bytes()) for path in files}, "first")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    hub.answer_here(monkeypatch)
    command = ["predict", "me/emotions", "--text", "so glad"]
    assert main(command) == 0
    told = capsys.readouterr().out
    for url in NOWHERE:
        hub.answer_here(monkeypatch, url=url)
        assert main(command) == 0
        assert capsys.readouterr().out == told
    assert not constants.HF_HUB_OFFLINE  # this process asks again next time


@pytest.mark.parametrize("url", NOWHERE)
def test_training_names_the_checkpoint_and_what_to_do(hub, monkeypatch, tmp_path, table, url, quickly):
    hub.answer_here(monkeypatch, url=url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SystemExit) as left:
        main(["train", "le_mer", table, "--out", str(tmp_path / "runs"), "--use_cpu", "true"])
    told = str(left.value)
    assert told.startswith(
        "error: text_encoder bert-base-uncased: it is neither a folder nor in the cache of this machine"
    )
    assert f"the Hub at {url} cannot be reached" in told
    assert "--text-encoder FOLDER" in told
    assert "`hf-mer train ... --from-scratch`" in told


@pytest.mark.parametrize("listed", [False, True])
def test_reproduction(hub, monkeypatch, tmp_path, listed, quickly, capsys):
    """Before the corpus, which is not there, is read."""
    from hf_mer.training import run_reproduction

    hub.answer_here(monkeypatch, url=NOWHERE[0])
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    command = ["--table", "le_mer/table2", "--corpus", "iemocap", "--data_dir", str(tmp_path), "--use_cpu", "true"]
    with pytest.raises(SystemExit) as left:
        run_reproduction([*command, "--output_dir", str(tmp_path / "runs"), *["--list"] * listed])
    told = str(left.value)
    if listed:  # a list needs no checkpoint
        assert "FOLDER" not in told
    else:
        assert "_encoder " in told
        assert "--text-encoder FOLDER" in told


def test_both_encoders_are_named_and_folders_are_not_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(HubError, match="--text-encoder FOLDER, --speech-encoder FOLDER for what is on this machine"):
        require_checkpoints(LeMerArguments())
    require_checkpoints(LeMerArguments(text_encoder=str(tmp_path), speech_encoder="runs/second_stage/{fold}"))
    with pytest.raises(HubError, match=r"checkpoint 'runs/a/b/model' is no folder here.*--checkpoint FOLDER"):
        require_checkpoints(LeMerArguments(checkpoint="runs/a/b/model"))


def test_a_hub_that_answers_is_asked(hub, monkeypatch, caplog):
    hub.answer_here(monkeypatch)
    with hub_or_cache():
        assert not constants.HF_HUB_OFFLINE
    assert not caplog.messages
