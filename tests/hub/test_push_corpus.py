"""Prepared corpora on a hub on this machine, over real HTTP: cards, what may not be handed on, and reading them again."""

import json
import os
import re
import subprocess
import sys

import datasets
import pytest
import soundfile

from hf_mer.cli import main
from hf_mer.data.generated.generate import GeneratedCorpusConfig, generate_corpus
from hf_mer.data.prepare import prepare
from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.hub import dataset_card, find_prepared
from hf_mer.hub.cards.card_results import machine_paths

LOAD = """
import json, sys
from datasets import load_dataset
splits = load_dataset(sys.argv[1], revision=sys.argv[2])
rows = {name: part.cast_column("audio", part.features["audio"]).to_list() for name, part in splits.items()}
for part in rows.values():
    for row in part:
        row["audio"] = row["audio"] and [len(row["audio"]["bytes"] or b""), row["audio"]["path"]]
labels = next(iter(splits.values())).features["label"].names
print("RESULT" + json.dumps([rows, labels]))
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def command(hub, monkeypatch, capsys):
    """`command("push", ...)`: `hf-mer` in this process, which knows this hub alone; gives status, output, error."""

    def call(*arguments, token="hf_writer"):
        hub.answer_here(monkeypatch, token)
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return status, told.out, told.err

    return call


@pytest.fixture
def load(hub, tmp_path):
    """`load("me/own")`: `load_dataset` by name in a process without this package's help; rows and classes."""

    def read(name, revision="main"):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        environment.update(hub.environment(token=None), HF_HOME=str(tmp_path / "home"))
        command = [sys.executable, "-c", LOAD, name, revision]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.split("RESULT")[-1])

    return read


@pytest.fixture
def own(tmp_path):
    """A corpus of one's own: three utterances, two recordings."""
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", [0.1] * 1600, 16000)
    records = [
        make_record(id="a", audio=tmp_path / "a.wav", text="Hi", history=["Oh"], label=1, duration=0.1, speaker="s1"),
        make_record(id="b", audio=tmp_path / "b.wav", text="Ho", label=0, duration=0.1, speaker="s2"),
        make_record(id="c", text="Who is it?", label=1, speaker="s1"),
    ]
    return records_to_dataset(records, ["angry", "glad"], tmp_path / "cache")


def iemocap_like(tmp_path, texts=("Excuse me.", "Do you have your forms?")):
    records = [
        make_record(id=f"Ses01F_impro01_F00{place}", text=text, label=0, dialogue="Ses01F_impro01")
        for place, text in enumerate(texts)
    ]
    return records_to_dataset(records, ["neutral"], tmp_path / "cache")


def generated(tmp_path, **settings):
    config = GeneratedCorpusConfig(num_utterances=40, sessions=1, **settings)
    generate_corpus(tmp_path / "corpus", config, progress=False)
    return tmp_path / "corpus"


def test_an_own_corpus_goes_and_comes_back(hub, command, load, own, tmp_path):
    folder = prepare(
        {"train": own, "test": own.select([0])}, tmp_path / "own", embed_audio=True, about={"corpus": "manifest"}
    )
    status, out, _ = command(
        "push", folder, "me/own", "--private", "--title", "Our calls", "--notes", "Recorded by phone."
    )
    assert status == 0
    assert "/datasets/me/own/commit/" in out or "/me/own/commit/" in out
    assert hub.repositories["datasets", "me/own"].private
    hub.repositories["datasets", "me/own"].private = False
    card = hub.files("me/own", "datasets")["README.md"].decode()
    assert "# Our calls" in card
    assert "Recorded by phone." in card
    assert "| train | 3 | 1 | 2 |" in card
    assert "| all | 4 | 1 | 3 |" in card
    assert "3 recordings are in the files." in card
    assert "2 speakers" in card
    assert "0.00 hours (known of 3 of 4 rows); median 0.10 s per utterance" in card
    assert "| `text` | transcript | all |" in card
    assert not machine_paths(card)
    rows, labels = load("me/own")
    assert labels == ["angry", "glad"]
    assert [row["text"] for row in rows["train"]] == ["Hi", "Ho", "Who is it?"]
    assert [row["audio"] for row in rows["test"]] == [[os.path.getsize(tmp_path / "a.wav"), "a.wav"]]
    assert str(tmp_path) not in json.dumps(rows)


def test_a_second_push_replaces_rows(hub, command, load, own, tmp_path):
    folder = prepare(own, tmp_path / "own")
    for _ in range(2):
        assert command("push", folder, "me/own", "--without-audio")[0] == 0
    before = hub.repositories["datasets", "me/own"].branches["main"]
    prepare(own.select([2]), folder, overwrite=True)
    assert command("push", folder, "me/own")[0] == 0
    files = hub.files("me/own", "datasets")
    assert len([name for name in files if name.startswith("data/")]) == 1
    assert set(files) - {name for name in files if name.startswith("data/")} == {"README.md", ".gitattributes"}
    assert [row["id"] for row in load("me/own")[0]["train"]] == ["c"]
    old = load("me/own", before)[0]["train"]
    assert [row["id"] for row in old] == ["a", "b", "c"]
    assert [row["audio"] for row in old] == [None, None, None]
    assert str(tmp_path) not in json.dumps(old)


def test_a_broken_upload_is_repeated(hub, command, own, tmp_path, no_waiting):
    folder = prepare({"train": own, "test": own.select([0])}, tmp_path / "own", embed_audio=True)
    hub.fail_uploads_after = 1
    status, _, error = command("push", folder, "me/own")
    assert status == 1
    assert "push again to resume the upload" in error
    hub.fail_uploads_after = None
    assert command("push", folder, "me/own")[0] == 0
    assert len(hub.uploads) == len(set(hub.uploads)) == 2


def test_paths_of_this_machine_stay_here(hub, command, own, tmp_path):
    folder = prepare(own, tmp_path / "own")
    status, _, error = command("push", folder, "me/own")
    assert status == 1
    assert "names 2 recordings by paths that exist only on this machine" in error
    assert "--embed-audio" in error
    film = records_to_dataset(
        [make_record(id="f", video=tmp_path / "f.mp4", text="Hi", label=0)], ["glad"], tmp_path / "cache"
    )
    folder = prepare(film, tmp_path / "film")
    status, _, error = command("push", folder, "me/film")
    assert status == 1
    assert "names 1 videos by paths that exist" in error
    assert command("push", folder, "me/film", "--without-video")[0] == 0
    (name,) = [name for name in hub.files("me/film", "datasets") if name.startswith("data/")]
    assert str(tmp_path).encode() not in hub.files("me/film", "datasets")[name]
    named = records_to_dataset([make_record(id="/home/me/a.wav", text="Hi", label=0)], ["glad"], tmp_path / "cache")
    error = command("push", prepare(named, tmp_path / "named"), "me/named")[2]
    assert "column id contains paths of this machine, such as /home/me/a.wav" in error
    assert ("datasets", "me/named") not in hub.repositories


class TestIemocap:
    def refused(self, hub, command, folder, *flags):
        status, _, error = command("push", folder, "me/iemocap", *flags)
        assert status == 1
        assert "is IEMOCAP" in error
        assert "does not let them pass recordings, videos, transcripts or labels on" in error
        assert "hf-mer prepare iemocap" in error
        assert "push a model that was trained on it" in error
        assert not [one for one in hub.repositories if one[0] == "datasets"]
        return error

    def test_by_name(self, hub, command, own, tmp_path):
        """Whatever the ids are."""
        folder = prepare(own, tmp_path / "out", about={"corpus": "iemocap", "task": "4class"})
        error = self.refused(hub, command, folder, "--without-audio")
        assert "prepared --task 4class" in error
        self.refused(hub, command, folder, "--corpus", "own", "--without-audio")

    def test_by_ids_when_the_description_was_edited(self, hub, command, tmp_path):
        folder = prepare(iemocap_like(tmp_path), tmp_path / "out", about={"corpus": "iemocap"})
        (folder / "corpus.json").write_text(json.dumps({"corpus": "manifest"}))
        card = folder / "README.md"
        card.write_text(re.sub(r"# Prepared.*", "# Mine", card.read_text()))
        assert "its rows have IEMOCAP's ids, such as Ses01F_impro01_F000" in self.refused(hub, command, folder)
        (folder / "corpus.json").unlink()
        self.refused(hub, command, folder, "--corpus", "own")

    def test_by_ids_when_rows_were_prepared_again(self, hub, command, tmp_path):
        folder = prepare(iemocap_like(tmp_path), tmp_path / "out")
        again = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))["train"]
        again = again.map(lambda row, place: {"id": f"mine{place}"}, with_indices=True)  # dialogues tell it too
        self.refused(hub, command, prepare(again, tmp_path / "again"))

    def test_by_the_names_of_recordings(self, hub, command, tmp_path):
        path = tmp_path / "Ses01F_impro01_F000.wav"
        soundfile.write(path, [0.1] * 1600, 16000)
        rows = records_to_dataset(
            [make_record(id="x", audio=path, text="Hi", label=0)], ["neutral"], tmp_path / "cache"
        )
        self.refused(hub, command, prepare(rows, tmp_path / "out", embed_audio=True))

    def test_a_mark_alone_generates_nothing(self, hub, command, tmp_path):
        mark = {"corpus": "iemocap", "generated": {"version": 1, "settings": {}}}
        folder = prepare(iemocap_like(tmp_path), tmp_path / "out", about=mark)
        assert "its words are not the generator's" in self.refused(hub, command, folder)

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_a_generated_corpus_in_its_layout_goes(self, hub, command, load, tmp_path, language):
        out = tmp_path / "out"
        source = generated(tmp_path, language=language)
        assert command("prepare", "iemocap", source, out, "--task", "4class", "--embed-audio")[0] == 0
        status, _, error = command("push", out, "me/made", "--without-video")
        assert status == 0, error
        card = hub.files("me/made", "datasets")["README.md"].decode()
        assert "license: apache-2.0" in card
        assert "generated-corpus" in card
        assert "hf-mer prepare iemocap SOURCE prepared --task 4class --embed-audio" in card
        assert "num_utterances 40" in card
        assert "| `votes` | the raters' shares of the classes |" in card
        assert f"language: {language}" in card
        assert len(load("me/made")[0]["train"]) == 40

    def test_its_card_can_be_read_here(self, tmp_path):
        folder = prepare(iemocap_like(tmp_path), tmp_path / "out", about={"corpus": "iemocap"})
        card = dataset_card(find_prepared(folder), "IEMOCAP")
        assert "IEMOCAP must not be redistributed" in card
        assert "make_folds" in card


class TestMeld:
    @pytest.fixture
    def rows(self, tmp_path):
        soundfile.write(tmp_path / "dia0_utt0.wav", [0.1] * 1600, 16000)
        records = [make_record(id="train_dia0_utt0", audio=tmp_path / "dia0_utt0.wav", text="Hello.", label=0)]
        return records_to_dataset(records, ["joy"], tmp_path / "cache")

    def test_clips_are_refused_and_annotations_go(self, hub, command, rows, tmp_path):
        folder = prepare(rows, tmp_path / "out", embed_audio=True)
        status, _, error = command("push", folder, "me/meld")
        assert status == 1
        assert "1 recordings of MELD, clips from a television series" in error
        assert command("push", folder, "me/meld", "--without-audio")[0] == 0
        files = hub.files("me/meld", "datasets")
        assert "license: gpl-3.0" in files["README.md"].decode()
        assert all(b"RIFF" not in content for name, content in files.items() if name.startswith("data/"))


class TestPublicCorpora:
    def prepared(self, own, tmp_path, **about):
        return prepare(own, tmp_path / "prepared", embed_audio=True, about=about)

    def test_one_whose_licence_allows_it_goes_with_licence_and_citation(self, hub, command, own, tmp_path):
        folder = self.prepared(own, tmp_path, corpus="crema_d", title="CREMA-D", redistributable=True)
        assert command("push", folder, "me/crema")[0] == 0
        card = hub.files("me/crema", "datasets")["README.md"].decode()
        assert "license: odbl" in card
        assert "CREMA-D is under the Open Database License 1.0" in card
        assert "@article{cao2014cremad," in card

    def test_one_without_such_a_licence_is_refused(self, hub, command, own, tmp_path):
        folder = self.prepared(own, tmp_path, corpus="emodb", title="EmoDB", command="hf-mer prepare emodb SOURCE out")
        for flags in ([], ["--without-audio"], ["--corpus", "emodb"]):
            status, _, error = command("push", folder, "me/emodb", *flags)
            assert status == 1
            assert "is EmoDB and is not pushed: its description does not say that it may be redistributed" in error
            assert "hf-mer prepare emodb SOURCE out" in error
        assert ("datasets", "me/emodb") not in hub.repositories

    def test_one_of_ones_own_is_refused_unless_its_description_allows_it(self, hub, command, own, tmp_path):
        folder = self.prepared(own, tmp_path, corpus="own", title="Calls", redistributable=False)
        assert "is Calls and is not pushed" in command("push", folder, "me/calls", "--corpus", "ravdess")[2]
        assert ("datasets", "me/calls") not in hub.repositories


def test_folders_that_are_none(command, own, tmp_path):
    folder = prepare(own, tmp_path / "own")
    assert "corpus 'mine' is not one of iemocap, meld" in command("push", folder, "me/own", "--corpus", "mine")[2]
    (folder / "corpus.json").write_text("{")
    assert "is a damaged prepared corpus; prepare it again" in command("push", folder, "me/own")[2]
    (folder / "README.md").unlink()
    assert find_prepared(folder) is None
    assert "is not a checkpoint" in command("push", folder, "me/own")[2]


def test_the_card_alone(command, own, tmp_path):
    """It names what `push` would upload, or why it would refuse."""
    folder = prepare(own, tmp_path / "own")
    status, out, told = command("card", folder, "--name", "me/own", "--corpus", "ravdess")
    assert status == 0
    assert 'load_dataset("me/own")' in out
    assert "license: cc-by-nc-sa-4.0" in out
    assert not re.search(r"\{[{%]|[%}]\}", out)
    assert "`hf-mer push` would refuse this: " in told
    assert "names 2 recordings by paths that exist only on this machine" in told
    assert command("card", folder, "--without-audio", "--out", tmp_path / "card.md")[0] == 0
    status, out, told = command("card", folder, "--without-audio")
    assert out == (tmp_path / "card.md").read_text() + "\n"
    assert "Its 2 recordings are not part of this repository." in out
    (name,) = re.findall(r"path: (data/train-\w+\.parquet)", out)
    assert told.splitlines()[-3:] == ["`hf-mer push` would upload:", "  README.md", f"  {name}"]
