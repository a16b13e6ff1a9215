"""TF-IDF of words or codes per class, in one pass, with memory for the vocabulary alone (LE-MER, section 2.1)."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from typing import Any

TFIDF_DOCUMENTS = ("utterance", "class")

_TAG = re.compile(r"\[[A-Z_ ]+\]")
# scripts written without spaces (Han, Hiragana, Katakana, Thai) count character by character
_ALONE = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f"
# vowel signs and accents that are characters of their own (Indic scripts, Arabic, Hebrew) belong to their word
_MARKS = r"\u0300-\u036f\u05b0-\u05c7\u064b-\u0670\u0900-\u0963\u0971-\u0dff"
_LETTERS = rf"(?:(?!\d)[{_MARKS}]|[^\W\d_{_ALONE}])+"
_WORD = re.compile(rf"[{_ALONE}]|{_LETTERS}(?:'{_LETTERS})*")


def words_of(text: str) -> list[str]:
    """Words of a transcript in lower case, without tags such as `[LAUGHTER]`, digits and punctuation."""
    return _WORD.findall(unicodedata.normalize("NFC", _TAG.sub(" ", text).lower().replace("\u2019", "'")))


class ClassTfidf:
    """Collects documents one by one and ranks the terms of every class.

    With `documents="utterance"` an utterance is a document, `tf` its term's share of the utterance, and a class' score
    the mean over its utterances of `tf * idf`. With `documents="class"` all utterances of a class are one document. In
    both, `idf = ln((1 + N) / (1 + df)) + 1`, `N` the number of documents, as scikit-learn's `TfidfTransformer` with
    `norm=None`.

    Args:
        num_classes: Number of classes.
        documents: What a document is.
        min_count: Terms that occur in fewer utterances are left out.
        max_share: Terms that occur in a larger share of the utterances are left out: words that every utterance has
            tell nothing.
        contrast: Subtract the mean score of the other classes, so that terms which all classes share sink.
    """

    def __init__(
        self,
        num_classes: int,
        documents: str = "utterance",
        min_count: int = 1,
        max_share: float = 1.0,
        contrast: bool = False,
    ):
        if documents not in TFIDF_DOCUMENTS:
            raise ValueError(f"tfidf_documents: '{documents}' is not one of {', '.join(TFIDF_DOCUMENTS)}")
        self.num_classes, self.documents = num_classes, documents
        self.min_count, self.max_share, self.contrast = min_count, max_share, contrast
        self._sums: dict[Hashable, list[float]] = defaultdict(lambda: [0.0] * num_classes)
        self._counts: dict[Hashable, list[int]] = defaultdict(lambda: [0] * num_classes)
        self._frequency: Counter = Counter()
        self._utterances = [0] * num_classes
        self._terms = [0] * num_classes

    def add(self, label: int, counts: Mapping[Hashable, int]) -> None:
        """Adds one utterance: its class and how often each term occurs in it."""
        total = sum(counts.values())
        self._utterances[label] += 1
        self._terms[label] += total
        for term, count in counts.items():
            self._sums[term][label] += count / total
            self._counts[term][label] += count
            self._frequency[term] += 1

    def scores(self) -> dict[Hashable, list[float]]:
        """Per term one score per class."""
        utterances = sum(self._utterances)
        result: dict[Hashable, list[float]] = {}
        for term, frequency in self._frequency.items():
            if frequency < self.min_count or frequency > self.max_share * utterances:
                continue
            if self.documents == "utterance":
                idf = math.log((1 + utterances) / (1 + frequency)) + 1
                scores = [total * idf / max(n, 1) for total, n in zip(self._sums[term], self._utterances, strict=True)]
            else:
                holding = sum(count > 0 for count in self._counts[term])
                idf = math.log((1 + self.num_classes) / (1 + holding)) + 1
                scores = [count * idf / max(n, 1) for count, n in zip(self._counts[term], self._terms, strict=True)]
            if self.contrast and self.num_classes > 1:
                total_score = sum(scores)
                scores = [score - (total_score - score) / (self.num_classes - 1) for score in scores]
            result[term] = scores
        return result

    def top(self, k: int) -> list[list[tuple[Any, float]]]:
        """The `k` best terms of every class with their scores, best first; none without a positive score."""
        scores = self.scores()
        best = []
        for label in range(self.num_classes):
            ranked = sorted(
                ((term, values[label]) for term, values in scores.items() if values[label] > 0),
                key=lambda item: (-item[1], item[0]),
            )
            best.append(ranked[:k])
        return best
