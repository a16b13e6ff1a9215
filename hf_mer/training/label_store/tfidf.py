"""TF-IDF of words or codes per class, in one pass, with memory for the vocabulary alone (LE-MER, section 2.1)."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from itertools import pairwise
from typing import Any

from hf_mer.data.schema import TAG
from hf_mer.data.words import CHARACTER, WORD

TFIDF_DOCUMENTS = ("utterance", "class")

_TERM = re.compile(rf"(?P<run>(?:{CHARACTER})+)|{WORD}")
_CHARACTER = re.compile(CHARACTER)


def words_of(text: str) -> list[str]:
    """Words of a transcript in lower case, without tags such as `[LAUGHTER]`, digits and punctuation.

    Scripts without spaces (Chinese, Japanese, Thai, ...) give every pair of neighbouring characters, as search engines
    index them: a character alone says little, most words have two, and nothing has to know the language. A character
    with no neighbour stands alone. Where the transcripts were segmented, with spaces between the words, words of one
    and two characters therefore stay whole.
    """
    plain = unicodedata.normalize("NFC", TAG.sub(" ", text).lower().replace("\u2019", "'"))
    words: list[str] = []
    for match in _TERM.finditer(plain):
        characters = _CHARACTER.findall(match["run"] or "")
        if len(characters) > 1:
            words += map("".join, pairwise(characters))
        else:
            words.append(match[0])
    return words


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
