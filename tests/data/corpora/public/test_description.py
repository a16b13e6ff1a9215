"""Descriptions of public corpora: those of the package, and what is said of one's own that is wrong."""

import pytest

from hf_mer.data.corpora.public.description import describe, is_public, public_names
from hf_mer.data.schema import CorpusError

GOOD = {
    "title": "Calls",
    "files": r"'(?P<speaker>\d\d)(?P<emotion>[a-z])\.wav'",
    "labels": "{h: happy, s: sad}",
}


@pytest.fixture
def write(tmp_path):
    """`write(labels=..., groups=...)`: a description, right but for what is given; None leaves a key out."""

    def make(**changes):
        content = {**GOOD, **changes}
        path = tmp_path / "mine.yaml"
        path.write_text("\n".join(f"{key}: {value}" for key, value in content.items() if value is not None))
        return str(path)

    return make


def test_every_one_of_the_package_is_right():
    assert public_names() == ("crema_d", "emodb", "nemo", "ravdess")
    for name in public_names():
        corpus = describe(name)
        assert set(corpus.counts) == set(corpus.classes)
        assert corpus.modalities == ["speech"]
        for text in (corpus.address, corpus.download, corpus.citation, corpus.example, corpus.licence, corpus.sharing):
            assert text
        assert not corpus.redistributable or corpus.licence_id


def test_what_is_public():
    assert is_public("emodb")
    assert is_public("of/mine.YAML")
    assert not is_public("iemocap")
    assert not is_public(None)
    assert not is_public("manifest,mine.yaml")


def test_ones_own(write):
    corpus = describe(write(groups=3))
    assert (corpus.groups, corpus.classes, corpus.redistributable) == (3, ["happy", "sad"], False)
    text = "{file: t.csv, key: name, columns: {text: said}}"
    assert describe(write(table=text)).modalities == ["text", "speech"]
    assert describe(write(table=text, fixed_sentences=4)).modalities == ["speech"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lables": "{}"}, "unknown key 'lables'; did you mean labels?"),
        ({"labels": None}, "key 'labels' is missing"),
        ({"labels": "{}"}, "labels: there are no classes"),
        ({"labels": "{01: happy}"}, "labels: 1 is not a text, in quotes"),
        ({"labels": "{h: 3}"}, "labels: h: 3 is not a text, in quotes"),
        ({"labels": "[happy]"}, r"labels: \['happy'\] is not a mapping"),
        ({"groups": "many"}, "groups: 'many' is not a whole number"),
        ({"groups": 1}, "groups: 1 must be 2 or more"),
        ({"redistributable": "perhaps"}, "redistributable: 'perhaps' is not true or false"),
        ({"title": 3}, "title: 3 is not a text, in quotes"),
        ({"files": "'(oh'"}, r"files: '\(oh' is not a regular expression"),
        ({"left_out": "{song: '*'}"}, r"song: '\*' is not a regular expression"),
        ({"files": r"'(?P<emotion>\w)\.wav'"}, r"files: no group \(\?P<speaker>\.\.\.\), and no such column"),
        ({"files": r"'(?P<speaker>.)(?P<emotion>.)(?P<mood>.)'"}, "unknown group 'mood'; groups: emotion, sentence"),
        ({"files": r"'(?P<speaker>.)(?P<emotion>.)(?P<sentence>.)'"}, "sentences and the group 'sentence'"),
        ({"speakers": "{male: [03]}"}, "speakers: male: 3 is not a text, in quotes"),
        ({"speakers": "{male: a}"}, "speakers: male: 'a' is not a list"),
        ({"counts": "{joy: 3}"}, "counts: 'joy' is not a class of labels"),
        ({"table": "{file: t.csv}"}, "table: key 'columns' is missing"),
        ({"table": "{file: t.csv, key: a, columns: {mood: b}}"}, "table: columns: unknown 'mood'"),
    ],
)
def test_what_is_wrong_with_ones_own(write, changes, told):
    with pytest.raises(CorpusError, match=rf"(?s)mine\.yaml: description of a corpus: .*{told}"):
        describe(write(**changes))


def test_what_is_no_description(tmp_path):
    with pytest.raises(CorpusError, match=r"corpus 'crema' is not known; did you mean crema_d\? A YAML file"):
        describe("crema")
    with pytest.raises(CorpusError, match="no such description"):
        describe(str(tmp_path / "no.yaml"))
    (tmp_path / "a.yaml").write_text("- a")
    with pytest.raises(CorpusError, match="must contain `key: value`, not list"):
        describe(str(tmp_path / "a.yaml"))
    (tmp_path / "b.yaml").write_text("a: [")
    with pytest.raises(CorpusError, match="not YAML in UTF-8"):
        describe(str(tmp_path / "b.yaml"))
