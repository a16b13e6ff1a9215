"""TF-IDF per class against scikit-learn, and what counts as a word."""

from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from hf_mer.data.generated.sentences import LANGUAGES, write_sentence
from hf_mer.training.label_store.tfidf import ClassTfidf, words_of

TEXTS = [
    "so glad glad you came",
    "glad to see you",
    "this is awful awful",
    "awful you say",
    "leave me to it",
    "it is a plain day",
    "the plain report is done",
    "to me it is so so",
]
LABELS = [0, 0, 1, 1, 1, 2, 2, 2]


def filled(**settings) -> ClassTfidf:
    tfidf = ClassTfidf(3, **settings)
    for text, label in zip(TEXTS, LABELS, strict=True):
        tfidf.add(label, Counter(text.split()))
    return tfidf


def reference(documents: str) -> dict[str, np.ndarray]:
    """Scores by scikit-learn: counts to shares of the document, times idf; then the mean over a class' documents."""
    texts, labels = TEXTS, np.array(LABELS)
    if documents == "class":
        texts = [" ".join(t for t, c in zip(TEXTS, LABELS, strict=True) if c == label) for label in range(3)]
        labels = np.arange(3)
    vectorizer = CountVectorizer(token_pattern=r"\S+")
    counts = vectorizer.fit_transform(texts)
    idf = TfidfTransformer(norm=None, smooth_idf=True).fit(counts).idf_
    dense = counts.toarray()
    scores = dense / dense.sum(1, keepdims=True) * idf
    per_class = np.stack([scores[labels == label].mean(0) for label in range(3)])
    return dict(zip(vectorizer.get_feature_names_out(), per_class.T, strict=True))


@pytest.mark.parametrize("documents", ["utterance", "class"])
def test_scores_are_scikit_learns(documents):
    scores, expected = filled(documents=documents).scores(), reference(documents)
    assert set(scores) == set(expected)
    for term, values in expected.items():
        np.testing.assert_allclose(scores[term], values, err_msg=term)


@pytest.mark.parametrize("documents", ["utterance", "class"])
def test_contrast_subtracts_the_mean_of_the_other_classes(documents):
    expected = reference(documents)
    for term, values in filled(documents=documents, contrast=True).scores().items():
        others = [np.delete(expected[term], label).mean() for label in range(3)]
        np.testing.assert_allclose(values, expected[term] - others, err_msg=term, atol=1e-12)


@pytest.mark.parametrize("documents", ["utterance", "class"])
def test_max_share_and_min_count_look_at_utterances(documents):
    frequency = Counter(word for text in TEXTS for word in set(text.split()))
    scores = filled(documents=documents, min_count=2, max_share=0.4).scores()
    assert set(scores) == {word for word, count in frequency.items() if 2 <= count <= 0.4 * len(TEXTS)}
    assert "glad" in scores
    assert "is" not in scores  # in four of eight
    assert "came" not in scores  # in one


def test_top_is_sorted_and_breaks_ties_by_the_term():
    tfidf = ClassTfidf(2)
    tfidf.add(0, {"b": 1, "a": 1, "c": 2})
    tfidf.add(1, {"d": 1})
    first, second = tfidf.top(3)
    assert [term for term, _ in first] == ["c", "a", "b"]
    assert [term for term, _ in second] == ["d"]  # no term that the class never has
    assert [term for term, _ in tfidf.top(1)[0]] == ["c"]


def test_a_document_without_terms_still_counts_as_a_document():
    tfidf = ClassTfidf(1)
    tfidf.add(0, {"a": 1})
    tfidf.add(0, {})
    assert tfidf.scores()["a"] == [pytest.approx((np.log(3 / 2) + 1) / 2)]


def test_unknown_documents():
    with pytest.raises(ValueError, match="'dialogue' is not one of utterance, class"):
        ClassTfidf(2, documents="dialogue")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't KNOW, it's o\u2019clock!", ["i", "don't", "know", "it's", "o'clock"]),
        ("[LAUGHTER] Well... [BREATHING] 42 times", ["well", "times"]),
        ("'quoted' rock'n'roll '", ["quoted", "rock'n'roll"]),
        ("Cze\u015b\u0107, jestem z\u0142y \u2014 bardzo!", ["cze\u015b\u0107", "jestem", "z\u0142y", "bardzo"]),
        ("Stra\u00dfe \u00dcber-gl\u00fccklich", ["stra\u00dfe", "\u00fcber", "gl\u00fccklich"]),
        ("u\u0308ber", ["\u00fcber"]),  # an accent of its own is the same word
        ("\u6211\u5f88\u9ad8\u5174\u3002OK", ["\u6211\u5f88", "\u5f88\u9ad8", "\u9ad8\u5174", "ok"]),
        ("\u6211 \u5f88 \u9ad8\u5174\uff0c\u597d", ["\u6211", "\u5f88", "\u9ad8\u5174", "\u597d"]),  # segmented
        ("\u0e14\u0e35\u0e43\u0e08 \u0e51\u0e52", ["\u0e14\u0e35\u0e43", "\u0e43\u0e08"]),
        (
            "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e\u0964",
            ["\u0928\u092e\u0938\u094d\u0924\u0947", "\u0926\u0941\u0928\u093f\u092f\u093e"],
        ),
        ("snake_case \u0967\u0968", ["snake", "case"]),
        ("", []),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_that_carry_valence_are_the_keywords_of_every_language(language):
    tfidf = ClassTfidf(2, min_count=2, max_share=0.1)
    for number in range(400):
        rng = np.random.default_rng([number, 3])
        sentence = write_sentence(9, 1 + number // 2 % 2, (1, -1)[number % 2], rng, language=language)
        tfidf.add(number % 2, Counter(words_of(sentence.text)))
    for valence, best in zip((1, -1), tfidf.top(6), strict=True):
        salient = {word.lower() for words in LANGUAGES[language].valence_words[valence].values() for word in words}
        assert len({word for word, _ in best} & salient) >= 5
