"""Okapi BM25 over small documents, and how much of what was asked a document covers.

BM25 ranks: S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", Foundations and Trends in
Information Retrieval 3(4), 2009, with k1 = 1.2 and b = 0.75 as there, and idf = ln(1 + (N - n + 0.5) / (n + 0.5)), never negative.
A BM25 score has no scale, so the decision to act rests on the *coverage*: the share of the question's information (its idf) that
the document's own utterances account for, from 0 to 1. A word that no document knows counts against every reading.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

K1 = 1.2
B = 0.75
BODY = 0.5  # what a word is worth that stands only in the description, beside one of an utterance
LONG = 6  # letters: shorter words keep their ending
UNKNOWN = 0.7  # what a word is worth that no document knows
LIGHT = 0.25  # what a verb of no content is worth: 'configure', 'implement'

_PHRASES = (  # one thing in two words, or two spellings of one thing
    (re.compile(r"\bback(?:ing|ed)?[ -]?ups?\b"), "backup"),
    (re.compile(r"\bset(?:ting)?[ -]?up\b"), "setup"),
    (re.compile(r"\bdatabases?\b|\bdbs?\b"), "database"),
    (re.compile(r"\b(?:postgres(?:ql)?|pg|psql)\b"), "postgresql"),
    (re.compile(r"\bperf\b"), "performance"),
    (re.compile(r"\bpks?\b"), "primary key"),
    (re.compile(r"\bfks?\b"), "foreign key"),
    (re.compile(r"\bindices\b|\bidx\b"), "index"),
    (re.compile(r"\be-mail"), "email"),
    (
        re.compile(r"\bpii\b|\bpersonally identifiable (?:information|data)\b|\bpersonal information\b"),
        "personal data",
    ),
    (re.compile(r"\bci\s*/\s*cd\b"), "cicd"),
    (re.compile(r"\bn ?\+ ?1\b"), "nplusone"),
    (re.compile(r"\bpoint[- ]in[- ]time\b"), "pitr"),
)
_STOP = frozenset(
    "a am an and are as at be been by can could do does for from had has have how i if in into is it its me my need needs of on onto or our "
    "please shall should so some than that the their them then there these they this those to us was we were what when where which "
    "who will with would you your up also any all just now like want get give let every each tell look today do something anything".split()
)
_LIGHT = frozenset(
    "perform execute conduct scan setup configure configuration implement design make ensure handle manage use provide enable proper optimal best good better "
    "application app system production needs database postgresql server data strategy new existing current fix improve".split()
)
_NAME = re.compile(
    r"(?:\bon\s+[\w.]+\s*)?\([^()]*\)|[\"'`][\w.]+[\"'`]|\b[\w-]+\s*=\s*\S*|\b\w+\.\w+\b|\b\d+\b"
)  # columns, quoted and qualified names, numbers
_WORD = re.compile(r"[a-z_][a-z0-9_]*")


class Document(Value):
    """What can be meant: its `utterances` say it as a person would, its `body` describes it."""

    key: str
    utterances: tuple[str, ...]
    body: str = ""


class Score(Value):
    """How well one document answers: `rank` orders, `coverage` (0 to 1) decides."""

    key: str
    rank: float
    coverage: float


class Index:
    """Documents, searchable."""

    def __init__(self, documents: Mapping[str, Document]) -> None:
        self._said = {key: Counter(terms(" . ".join(d.utterances))) for key, d in documents.items()}
        self._told = {key: Counter(terms(d.body)) for key, d in documents.items()}
        self._length = {key: self._said[key].total() + BODY * self._told[key].total() for key in documents}
        self._mean = sum(self._length.values()) / max(len(documents), 1) or 1.0
        self._found_in = Counter(term for key in documents for term in {*self._said[key], *self._told[key]})

    def search(self, text: str) -> list[Score]:
        """The documents that share a word with `text`, best first."""
        wanted = dict.fromkeys(terms(text))
        scores = [self._score(key, wanted) for key in self._said]
        return sorted((score for score in scores if score.rank > 0), key=lambda s: (-s.rank, s.key))

    def _score(self, key: str, wanted: Mapping[str, None]) -> Score:
        said, told = self._said[key], self._told[key]
        norm = K1 * (1 - B + B * self._length[key] / self._mean)
        rank = covered = whole = 0.0
        for term in wanted:
            worth = self.idf(term)
            frequency = said[term] + BODY * told[term]
            rank += worth * frequency * (K1 + 1) / (frequency + norm)
            covered += worth * (1.0 if said[term] else BODY if told[term] else 0.0)
            whole += worth
        return Score(key=key, rank=rank, coverage=covered / whole if whole else 0.0)

    def says(self, key: str, word: str) -> bool:
        """Whether a document's own utterances have a word of that stem."""
        return any(term in self._said.get(key, ()) for term in terms(word))

    def knows(self, word: str) -> bool:
        """Whether any document has a word of that stem."""
        return any(term in self._found_in for term in terms(word))

    def idf(self, term: str) -> float:
        """How much a word tells. One that no document knows counts as one that a single document does, but may be a name: less."""
        known = self._found_in[term]
        light = LIGHT if term in light_stems() else 1.0
        if not known:
            return light * UNKNOWN * math.log(1 + (len(self._said) - 0.5) / 1.5)
        return light * math.log(1 + (len(self._said) - known + 0.5) / (known + 0.5))


@lru_cache(maxsize=1)
def light_stems() -> frozenset[str]:
    """The stems of verbs and nouns of no content."""
    return frozenset(map(stem, _LIGHT))


def terms(text: str) -> list[str]:
    """The words that tell something, as stems."""
    lowered = text.lower().replace("\u2019", "'").replace("'s ", " ")
    for pattern, word in _PHRASES:
        lowered = pattern.sub(word, lowered)
    lowered = _NAME.sub(" ", lowered)
    return [stem(word) for word in _WORD.findall(lowered) if word not in _STOP]


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A light stem: 'optimise', 'optimizing' and 'optimization' meet; so do 'query' and 'queries'.

    Only endings of inflection and the commonest of derivation are taken off; what remains need not be a word.
    """
    word = re.sub(r"(?<=ss|.x|ch)es$|(?<![sui])s$", "", re.sub(r"ies$", "y", word))
    word = re.sub(r"is(e|ing|ed|ation)$", r"iz\1", word) if len(word) > LONG else word
    for ending, least in (("ing", 6), ("ed", 5), ("ion", 7), ("est", 7)):
        word = word.removesuffix(ending) if len(word) >= least else word
    word = re.sub(r"([bdgmnpt])\1$", r"\1", word)
    word = re.sub(r"(?<=..[^aeou])[ey]$", "", word)
    return word.removesuffix("at") if len(word) > LONG - 1 else word
