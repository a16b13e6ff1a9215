"""Loading by folder and by name: what cannot be loaded is said in one line, whatever the libraries made of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub.utils import validate_repo_id

from hf_mer.cli import main
from hf_mer.hub.errors import HubError, hub_errors
from hf_mer.hub.loading import locate_checkpoint
from hf_mer.prediction.load import load_recognizer


@pytest.fixture
def published(hub, tiny_checkpoint):
    """A small LE-MER in the public repository `me/emotions`, in `me/secret`, which is private; the folder it is from."""
    from loopback_hub import Repository

    folder = Path(tiny_checkpoint()[0])
    for name, private in (("me/emotions", False), ("me/secret", True)):
        repository = hub.repositories["models", name] = Repository("models", name, private)
        repository.commit({path.name: hub.keep(path.read_bytes()) for path in folder.iterdir()}, "first")
    empty = hub.repositories["models", "me/empty"] = Repository("models", "me/empty")
    empty.commit({"notes.txt": hub.keep(b"nothing")}, "first")
    return folder


@pytest.fixture
def command(hub, monkeypatch, capsys, tmp_path):
    """`command("predict", ...)`: `hf-mer` in this process, which knows this hub alone; status, output, error's lines."""

    def call(*arguments, token="hf_writer", url=None, offline=False):
        from huggingface_hub import constants

        monkeypatch.undo()
        hub.answer_here(monkeypatch, token, url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return status, told.out, [line for line in told.err.splitlines() if line.startswith("error")]

    return call


PROBLEMS = {
    "revision": (["me/emotions", "--revision", "v9"], {}, "error: me/emotions has no revision 'v9'"),
    "name": (["me/nothing"], {}, "error: me/nothing is no folder here, and not on the Hub, or private and"),
    "path": (["/runs/le_mer/nothing"], {}, "error: '/runs/le_mer/nothing' is no folder here, and not the name of a repository"),
    "private": (["me/secret"], {"token": None}, "error: me/secret is no folder here, and not on the Hub, or private and"),
    "no checkpoint": (["me/empty"], {}, "error: me/empty on the Hub has no "),
    "network": (
        ["me/emotions"],
        {"url": "http://127.0.0.1:9"},
        "error: me/emotions: it is neither a folder nor in the cache of this machine, and the Hub at http://127.0.0.1:9",
    ),
    "offline": (
        ["me/emotions"],
        {"offline": True},
        "error: me/emotions: it is neither a folder nor in the cache of this machine, and HF_HUB_OFFLINE is set",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PROBLEMS)
def test_one_clear_message(command, published, kind):
    arguments, settings, message = PROBLEMS[kind]
    for told in (["predict", *arguments, "--text", "hello"], ["labels", *arguments]):
        status, _, errors = command(*told, **settings)
        assert status == 1
        assert len(errors) == 1
        assert errors[0].startswith(message)


def test_what_the_libraries_wrapped_is_unwrapped():
    """transformers raises OSError with long advice; what counts is what the Hub said."""

    def load():
        try:
            raise ConnectionError("refused")
        except ConnectionError as error:
            raise OSError("We couldn't connect to the Hub.\nCheckout your internet connection") from error

    told = r"^me/emotions: it is neither .* the Hub at .* \(ConnectionError: refused\)"
    with pytest.raises(HubError, match=told), hub_errors("me/emotions", writing=False):
        load()
    with pytest.raises(OSError, match="no space"), hub_errors("me/emotions"):
        raise OSError("no space left on device")


def test_the_hub_is_not_asked_for_what_cannot_be_there(monkeypatch):
    asked = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("hf_mer.hub.errors._no_answer", lambda: asked.append(1))
    for name in ("/runs/nothing", "runs/le_mer/Ses05"):
        with pytest.raises(HubError, match="is no folder here, and not the name"), hub_errors(name, writing=False):
            validate_repo_id(name)
    assert not asked
    with hub_errors("me/emotions", writing=False):
        assert asked


def test_labels_by_name_and_revision(hub, command, published):
    named = ["labels", "me/emotions", "--revision", hub.repositories["models", "me/emotions"].branches["main"]]
    status, table, _ = command(*named)
    assert status == 0
    assert table == command("labels", published)[1]
    # what is in the cache needs no network
    assert command(*named, offline=True)[1] == table


def test_prediction_by_name_is_that_of_the_folder(hub, published, tmp_path):
    environment = {**hub.environment(), "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    code = "import sys; from hf_mer.cli import main; [main(['predict', name, '--text', 'so glad']) for name in sys.argv[1:]]"
    names = ["me/emotions", "me/secret", str(published)]
    done = subprocess.run(
        [sys.executable, "-c", code, *names], env=environment, capture_output=True, text=True, timeout=300
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines
    assert lines[: len(lines) // 3] == lines[len(lines) // 3 : 2 * len(lines) // 3] == lines[2 * len(lines) // 3 :]


class TestFolders:
    def test_folds_and_models(self, published, tmp_path):
        fold = tmp_path / "runs" / "Ses05"
        fold.mkdir(parents=True)
        published.rename(fold / "model")
        assert locate_checkpoint(fold) == locate_checkpoint(fold / "model") == str(fold / "model")
        assert load_recognizer(fold)({"text": "hello"})
        with pytest.raises(
            ValueError, match=r"runs is not a checkpoint: it contains several folds; choose one of .*Ses05"
        ):
            load_recognizer(tmp_path / "runs")
        with pytest.raises(ValueError, match="is a local folder and has no revision 'v1'"):
            load_recognizer(fold, revision="v1")

    def test_no_checkpoint(self, published, tmp_path):
        with pytest.raises(ValueError, match="is not a checkpoint: there is no config.json"):
            load_recognizer(tmp_path)
        with pytest.raises(ValueError, match="is a file; a checkpoint is a folder"):
            load_recognizer(published / "config.json")
        (published / "label_store.json").unlink()
        with pytest.raises(ValueError, match=r"has no label_store.json: it is not a checkpoint with label embeddings"):
            locate_checkpoint(published, needed="label_store.json")
        (published / "config.json").write_text(json.dumps({"architectures": []}))
        with pytest.raises(ValueError, match="names no model_type"):
            load_recognizer(published)
        (published / "config.json").write_text("{")
        with pytest.raises(ValueError, match="config.json is damaged"):
            load_recognizer(published)

    def test_half_written_weights(self, published):
        weights = published / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        with pytest.raises(ValueError, match="the weights of .* are damaged or half-written"):
            load_recognizer(published)
