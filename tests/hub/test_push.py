"""Pushing to a hub on this machine, over real HTTP, and loading from it in a process without the package."""

import json
import os
import subprocess
import sys

import pytest
from media_files import save_film_checkpoint
from model_tester import make_batch, tiny_settings, tiny_tokenizer, wave_feature_extractor
from safetensors.torch import save_file
from test_model_card import fold_results

from hf_mer.cli import main
from hf_mer.hub import find_checkpoint
from hf_mer.models import (
    LeMerForEmotionClassification,
    MerProcessor,
    MgcmaConfig,
    MgcmaForEmotionClassification,
)
from hf_mer.training import MerTrainer, MerTrainingArguments

LOAD = """
import json, sys
sys.modules["hf_mer"] = None
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoProcessor, pipeline
result = {}
for name, revision, batch in json.loads(sys.argv[1]):
    where = {"revision": revision, "trust_remote_code": True}
    model = AutoModel.from_pretrained(name, **where)
    processor = AutoProcessor.from_pretrained(name, **where)
    recognise = pipeline("multimodal-emotion-recognition", model=name, **where)
    scores = recognise({"text": "so glad"})
    with torch.no_grad():
        logits = model(**load_file(batch)).logits.tolist()
    result[f"{name}@{revision}"] = [logits, type(processor).__name__, sorted(item["label"] for item in scores)]
print("RESULT" + json.dumps(result))
"""


@pytest.fixture
def load_without_package(hub, tmp_path):
    """`load_without_package([(name, revision, file of a batch), ...])`: what a process finds that knows this hub alone."""

    def load(wanted):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment.update(hub.environment(), HF_HOME=str(tmp_path / "home"), OMP_NUM_THREADS="1", PYTHONPATH="")
        done = subprocess.run(
            [sys.executable, "-c", LOAD, json.dumps(wanted)],
            cwd=tmp_path, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.split("RESULT")[-1])

    return load


@pytest.fixture
def command(hub, monkeypatch, capsys):
    """`command("push", ...)`: `hf-mer` in this process, which knows this hub alone; gives status, output, last error."""

    def call(*arguments, token="hf_writer", url=None):
        monkeypatch.undo()
        hub.answer_here(monkeypatch, token, url)
        status = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return status, told.out, (told.err.splitlines() or [""])[-1] if status else ""

    return call


def save_mgcma(folder):
    import torch

    torch.manual_seed(0)
    MgcmaForEmotionClassification(MgcmaConfig(**tiny_settings(), num_attention_heads=2)).eval().save_pretrained(folder)
    MerProcessor(wave_feature_extractor(), tiny_tokenizer(), max_text_tokens=40).save_pretrained(folder)


def batch_of(folder, path):
    """A batch for a saved model, in a file, and the model's logits."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder)
    batch = make_batch(model.config)
    save_file(batch, str(path))
    with torch.no_grad():
        return str(path), model(**batch).logits.tolist()


def push_by_methods(name, folder):
    """As users of transformers alone do."""
    LeMerForEmotionClassification.from_pretrained(folder).push_to_hub(name)
    MerProcessor.from_pretrained(folder).push_to_hub(name)


def push_by_trainer(name, folder, out):
    """As an ordinary trainer does in the end."""
    args = MerTrainingArguments(
        output_dir=str(out), push_to_hub=True, hub_model_id=name, use_cpu=True, report_to=[], disable_tqdm=True
    )
    model, processor = LeMerForEmotionClassification.from_pretrained(folder), MerProcessor.from_pretrained(folder)
    MerTrainer(model=model, args=args, processing_class=processor).push_to_hub()


def test_round_trip_of_every_model_without_the_package(
    hub, command, load_without_package, tiny_checkpoint, tmp_path, monkeypatch
):
    """By name and revision, by the methods of transformers, by a trainer and by our command; logits and classes are
    the same."""
    le_mer = tiny_checkpoint()[0]
    folders = {"me/le-mer": le_mer, "writer/trained": le_mer, "me/films": save_film_checkpoint(tmp_path / "films")}
    save_mgcma(tmp_path / "mgcma")
    folders["me/mgcma"] = str(tmp_path / "mgcma")
    wanted, expected = [], {}
    for number, (name, folder) in enumerate(folders.items()):
        batch, logits = batch_of(folder, tmp_path / f"{number}.safetensors")
        if folder != le_mer:
            status, told, _ = command("push", folder, name, "--title", "Tiny")
            assert status == 0
            assert f"/{name}/commit/" in told
        else:
            hub.answer_here(monkeypatch)
            push_by_methods(name, folder) if name == "me/le-mer" else push_by_trainer(name, folder, tmp_path / "out")
        revision = hub.repositories["models", name].branches["main"]
        wanted += [(name, "main", batch), (name, revision, batch)]
        expected.update({f"{name}@{place}": logits for place in ("main", revision)})
    assert {"label_store.json", "modeling_le_mer.py", "README.md"} <= set(hub.files("writer/trained"))
    found = load_without_package(wanted)
    assert found.keys() == expected.keys()
    for place, (logits, processor, labels) in found.items():
        for row, wanted_row in zip(logits, expected[place], strict=True):
            assert row == pytest.approx(wanted_row, abs=1e-5)
        assert processor == "MerProcessor"
        assert len(labels) > 1


class TestPush:
    @pytest.fixture
    def fold(self, tmp_path):
        """A fold's folder as training leaves it, by its files' names: nothing here loads the model."""
        folder = tmp_path / "runs" / "Ses01"
        for place in ("model", "figures"):
            (folder / place).mkdir(parents=True)
        config = {"model_type": "le_mer", "id2label": {"0": "calm", "1": "angry"}, "temperatures": {"text": 2.0}}
        (folder / "model" / "config.json").write_text(json.dumps(config))
        (folder / "model" / "label_store.json").write_text(json.dumps({"keywords": {"calm": [["fine", 0.25]]}}))
        (folder / "model" / "model.safetensors").write_bytes(b"weights")
        (folder / "model" / "pipeline_mer.py").write_text("# code")
        (folder / "results.json").write_text(json.dumps(fold_results("Ses01", 1)))
        (folder / "figures" / "confusion_matrix.png").write_bytes(b"\x89PNG of no picture")
        return folder

    def test_one_repository_holds_everything(self, hub, command, fold):
        assert command("push", fold, "me/emotions", "--corpus", "generated")[0] == 0
        files = hub.files("me/emotions")
        saved = {path.name for path in (fold / "model").iterdir()}
        assert saved | {"README.md", "results.json", "figures/confusion_matrix.png", ".gitattributes"} == set(files)
        card = files["README.md"].decode()
        assert "model-index" in card
        assert "generated-corpus" in card
        assert "figures/confusion_matrix.png" in card
        assert str(fold) not in card + files["results.json"].decode()
        assert len(hub.repositories["models", "me/emotions"].commits) == 2  # the first is the Hub's own

    def test_a_second_push_updates(self, hub, command, fold):
        assert command("push", fold, "me/emotions")[0] == 0
        before = hub.repositories["models", "me/emotions"].branches["main"]
        sent = len(hub.uploads)
        (fold / "figures" / "confusion_matrix.png").unlink()
        (fold / "figures" / "scores.png").write_bytes(b"\x89PNG of another")
        assert command("push", fold, "me/emotions", "--notes", "Trained anew.")[0] == 0
        assert len(hub.uploads) == sent + 1  # the new figure; the weights are there
        assert "Trained anew." in hub.files("me/emotions")["README.md"].decode()
        assert {"figures/scores.png"} == {name for name in hub.files("me/emotions") if name.startswith("figures/")}
        assert "figures/confusion_matrix.png" in hub.files("me/emotions", revision=before)

    def test_a_branch_and_a_private_repository(self, hub, command, fold):
        assert command("push", fold, "me/emotions", "--private", "--revision", "second")[0] == 0
        assert hub.repositories["models", "me/emotions"].private
        assert set(hub.files("me/emotions")) == {".gitattributes"}
        assert "model.safetensors" in hub.files("me/emotions", revision="second")

    def test_a_broken_upload_is_repeated(self, hub, command, fold, no_waiting):
        hub.fail_uploads_after = 1
        status, _, error = command("push", fold, "me/emotions")
        assert status == 1
        assert error.startswith("error: me/emotions: the Hub at http://127.0.0.1")
        assert error.endswith("push again to resume the upload")
        assert set(hub.files("me/emotions")) == {".gitattributes"}  # all or nothing
        assert len(hub.uploads) == 1
        hub.fail_uploads_after = None
        assert command("push", fold, "me/emotions")[0] == 0
        assert "model.safetensors" in hub.files("me/emotions")
        assert len(hub.uploads) == len(set(hub.uploads)) > 1

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (
                {"token": None},
                "error: me/emotions: there is no Hub token on this machine; run `hf auth login`, or set HF_TOKEN",
            ),
            (
                {"token": "hf_reader"},
                "error: me/emotions: the token may not write to it; the token needs the write role",
            ),
            ({"token": "hf_unknown"}, "error: me/emotions: the Hub does not know this token; run `hf auth login`"),
            ({"url": "http://127.0.0.1:9"}, "error: me/emotions: the Hub at http://127.0.0.1:9 cannot be reached"),
        ],
    )
    def test_one_clear_message(self, command, fold, settings, message):
        status, _, error = command("push", fold, "me/emotions", **settings)
        assert status == 1
        assert error.startswith(message)

    def test_names_and_folders(self, command, fold):
        error = command("push", fold, "me/emo/tions")[2]
        assert error.startswith("error: 'me/emo/tions' is not the name of a repository")
        with pytest.raises(
            ValueError, match=r"is not a checkpoint: it contains several folds; choose one of .*runs/Ses01"
        ):
            find_checkpoint(fold.parent)
        with pytest.raises(ValueError, match=r"is not a checkpoint: there is no config.json"):
            find_checkpoint(fold / "figures")

    def test_the_card_alone(self, command, fold, tmp_path):
        assert "me/emotions" in command("card", fold, "--corpus", "own", "--name", "me/emotions")[1]
        assert command("card", fold / "model", "--out", tmp_path / "card.md")[0] == 0
        card = (tmp_path / "card.md").read_text()
        assert "model-index" in card
        assert "| calm | fine 0.250 |" in card
