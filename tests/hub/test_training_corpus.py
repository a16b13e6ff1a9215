"""What is said of the corpus that a checkpoint was trained on."""

import json

import pytest

from hf_mer.app.texts import limitations, not_for
from hf_mer.hub.training_corpus import Corpus, corpus_of


@pytest.fixture
def fold(tmp_path):
    """`fold(corpus, generated, **more)`: a fold's folder with results of that corpus, and what else they say."""

    def make(corpus, generated, **more):
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / "config.json").write_text('{"model_type": "le_mer"}')
        results = {
            "fold": "Ses05",
            "rows": {},
            "test": {},
            "settings": {"data": {"corpus": corpus}, "model": {"type": "le_mer"}},
            "generated_corpus": generated,
            **more,
        }
        (tmp_path / "results.json").write_text(json.dumps(results))
        return tmp_path

    return make


def test_a_generated_corpus_makes_a_demonstration(fold):
    corpus = corpus_of(fold("iemocap", True))
    assert corpus.generated
    assert not_for(corpus).startswith("**A demonstration.** This model was trained on synthetic speech")
    assert "annotators" not in not_for(corpus)
    assert "no real speech" in limitations(corpus)
    assert "acted" not in limitations(corpus)


def test_results_know_the_language_of_a_generated_corpus(fold):
    assert corpus_of(fold("iemocap", True, corpus_language="pl")).language == "Polish"


def test_a_known_corpus_says_its_own_limits(fold):
    corpus = corpus_of(fold("iemocap", False))
    assert "annotators of its training corpus (IEMOCAP)" in not_for(corpus)
    assert "Ten actors, acted emotion" in limitations(corpus)
    assert "The speech is English." in limitations(corpus)


@pytest.mark.parametrize("readme", [None, "Nothing but words."])
def test_of_an_own_corpus_without_a_card_nothing_is_claimed(fold, readme):
    folder = fold("corpus.csv", False)
    if readme:
        (folder / "README.md").write_text(readme)
    assert corpus_of(folder) == Corpus()
    assert "This checkpoint does not state its training corpus." in limitations(Corpus())
    assert "training corpus would give" in not_for(Corpus())


def test_a_card_tells_where_there_are_no_results(tmp_path):
    (tmp_path / "README.md").write_text("---\nlanguage: de\ndatasets: [emodb]\ntags: [speech]\n---\n# A card")
    assert corpus_of(tmp_path) == Corpus("emodb", False, "German")
    (tmp_path / "README.md").write_text("---\ntags: [generated-corpus]\n---\n# A card")
    assert corpus_of(tmp_path).generated
