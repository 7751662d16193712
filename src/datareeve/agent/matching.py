"""From words to operations: what a bullet may mean, how sure that is, and where a compound bullet is split.

Operations, playbooks, other agents' work and work of a later version stand in one index, as rivals. Only a confident reading is planned;
a doubtful one becomes a question with the three best readings; a guess never becomes an effect.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from datareeve.agent import inputs, scope
from datareeve.agent.bm25 import Document, Index, Score, light_stems, terms
from datareeve.core.operation import Effect
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.agent.playbooks import Playbook
    from datareeve.core.operation import CatalogueView

CONFIDENT = 0.66  # coverage from which a reading is planned
CERTAIN = 0.9  # the same for what has no way back
DOUBTFUL = 0.34  # coverage from which a reading is worth a question
APART = 0.8  # coverage that each part of a bullet needs for the bullet to be split
LEAD = 1.3  # by how much the best reading must outweigh the next that means something else
LEAD_OF_LOOKING = 1.15  # the same for what only looks: it does no harm
LOOKS = "write"  # the input of operations that only look where it is false
OFFERED = 3
FEW = 3  # telling words, of which each counts

_JOINTS = re.compile(
    r"\s*(?:;|,\s*(?:and\s+|then\s+)?|\s&\s|\band\s+then\b|\band\b|\bthen\b|\bplus\b)\s*", re.IGNORECASE
)

# A question is answered by looking, never by changing something.
_ASKS = re.compile(r"^\s*(?:which|what|why|how|is|are|does|do we|have we|who|where)\b|\?\s*$", re.IGNORECASE)


def asks(text: str) -> bool:
    """Whether a text is a question."""
    return _ASKS.search(text) is not None


class Reading(Value):
    """One thing the words may mean. `operations` is empty where it is not for this version or not for this agent."""

    key: str
    title: str
    confidence: float
    operations: tuple[str, ...] = ()


class Match(Value):
    """What the words mean: `readings` best first, and what is made of them."""

    text: str
    decision: Literal["planned", "question", "unknown", "later", "another's", "refused"]
    readings: tuple[Reading, ...] = ()
    reason: str = ""

    @property
    def confidence(self) -> float:
        """The best reading's confidence."""
        return self.readings[0].confidence if self.readings else 0.0


class Matcher:
    """Matches words against a catalogue's operations and the playbooks."""

    def __init__(self, catalogue: CatalogueView, playbooks: tuple[Playbook, ...]) -> None:
        names = catalogue.names()
        documents = {name: _of_operation(catalogue, name) for name in names}
        self._titles = {name: _summary(catalogue, name) for name in names}
        self._operations: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
        for playbook in playbooks:
            if set(playbook.operations) & set(names):
                self._add(playbook, documents)
        reads = {
            name
            for name in names
            if catalogue.get(name).effect is Effect.READ or LOOKS in catalogue.get(name).model_fields
        }
        reads |= {name for playbook in playbooks if playbook.looks for name in playbook.operations}
        self._final = {name for name in names if catalogue.get(name).effect is Effect.IRREVERSIBLE}
        self._changing = {
            key for key, operations in self._operations.items() if not reads.issuperset(operations)
        }
        self._naming = tuple(catalogue.get(name) for name in names if catalogue.get(name).said_as)
        self._index = Index(documents | scope.documents(names))
        self._exact = {
            frozenset(terms(said)): key
            for key, document in {**scope.documents(names), **documents}.items()
            for said in document.utterances
        }

    def is_word(self, name: str) -> bool:
        """Whether a name is a word that tells something about what is to be done."""
        return self._index.knows(name)

    def says(self, key: str, name: str) -> bool:
        """Whether a name is a word that a reading itself has: then it is no name where it does not stand as one."""
        return self._index.says(key, name)

    def match(self, text: str, names: tuple[str, ...] = (), known: tuple[str, ...] = ()) -> Match:
        """What `text` as a whole means. `names` are of systems, and tell nothing about what is to be done, where they are no words of ours.

        `known` stand in the text as names (of tables, of contracts) even where they are words.
        """
        refusal = scope.guard(text)
        if refusal:
            return Match(
                text=text, decision="refused", reason=refusal, readings=self._by_a_person(text, refusal)
            )
        said = (name for operation in self._naming for name in inputs.names_said(operation, text))
        words = self._without(names, inputs.without_names(text), (*known, *said))
        exact = self._exact.get(frozenset(terms(words)), "")
        asked = asks(text)
        found = [score for score in self._index.search(words) if not asked or score.key not in self._changing]
        scores = self._ordered(found, exact)
        readings = tuple(self._reading(score) for score in scores[:OFFERED])
        if not readings or readings[0].confidence < DOUBTFUL:
            return Match(text=text, decision="unknown", readings=readings)
        sure = scores[0].key == exact or self._is_sure(scores, words)
        return Match(text=text, decision=_decision(readings[0]) if sure else "question", readings=readings)

    def split(self, text: str, names: tuple[str, ...] = (), known: tuple[str, ...] = ()) -> tuple[Match, ...]:
        """The matches of a bullet: of its parts where each is surely something else and surer than the whole, else of the whole."""
        whole = self.match(text, names, known)
        if whole.decision == "refused":
            return (whole,)
        parts = [self.match(part, names, known) for part in clauses(text)]
        keys = {part.readings[0].key for part in parts if part.readings}
        sure = all(part.decision in ("planned", "later", "another's") for part in parts)
        better = min((part.confidence for part in parts), default=0.0) > max(whole.confidence, APART)
        return tuple(parts) if len(parts) > 1 and len(keys) == len(parts) and sure and better else (whole,)

    def _by_a_person(self, text: str, refusal: str) -> tuple[Reading, ...]:
        """What does that which is refused here, under a person's approval of the very plan; none where no operation surely does."""
        if refusal != scope.DESTROYS:
            return ()
        final = (score for score in self._index.search(text) if score.key in self._final)
        found = max(final, key=lambda score: score.rank * score.coverage, default=None)
        return (self._reading(found),) if found is not None and found.coverage >= CONFIDENT else ()

    def _without(self, names: tuple[str, ...], text: str, known: tuple[str, ...] = ()) -> str:
        """The text without the systems' names, where they are no words of ours, and without what is known to be a name."""
        for name in (*names, *known):
            if name in known or not self._index.knows(name):
                text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", " ", text, flags=re.IGNORECASE)
        return text

    def _ordered(self, scores: list[Score], exact: str) -> list[Score]:
        """Best first: what was said word for word, else the weightiest; of two that agree and cover as much, the narrower."""
        scores = sorted(scores, key=lambda score: (score.key != exact, -score.rank * score.coverage))
        best = scores[0] if scores else None
        if best is None or best.key == exact:
            return scores
        agreeing = [s for s in scores if self._agree(best.key, s.key) and s.coverage >= best.coverage]
        narrow = min(agreeing, key=lambda score: len(self._operations[score.key]), default=best)
        return [narrow, *(score for score in scores if score is not narrow)]

    def _is_sure(self, scores: list[Score], text: str) -> bool:
        """Whether the best reading covers enough, and outweighs all that mean something else (all others, for a single word)."""
        best = scores[0]
        telling = [term for term in dict.fromkeys(terms(text)) if term not in light_stems()]
        rivals = [score for score in scores[1:] if len(telling) == 1 or not self._agree(best.key, score.key)]
        against = max((score.rank * score.coverage for score in rivals), default=0.0)
        enough = CERTAIN if best.key in self._final else CONFIDENT
        lead = LEAD if best.key in self._changing or not self._operations.get(best.key) else LEAD_OF_LOOKING
        said = sum(self._index.says(best.key, term) for term in telling)
        # Many nouns of which an operation says half: it is one of several things that are meant.
        half = len(telling) <= FEW or not self._operations.get(best.key) or 2 * said > len(telling)
        return (
            bool(telling) and half and best.coverage >= enough and best.rank * best.coverage >= lead * against
        )

    def _agree(self, one: str, other: str) -> bool:
        """Whether one reading is a part of the other: to choose between them does no harm."""
        first, second = set(self._operations.get(one, ())), set(self._operations.get(other, ()))
        return bool(first and second) and (first <= second or second <= first)

    def _reading(self, score: Score) -> Reading:
        title = self._titles.get(score.key) or scope.title_of(score.key)
        operations = self._operations.get(score.key, ())
        return Reading(key=score.key, title=title, confidence=round(score.coverage, 3), operations=operations)

    def _add(self, playbook: Playbook, documents: dict[str, Document]) -> None:
        """A playbook of several operations is a reading of its own; of one, further utterances of that operation."""
        single = playbook.operations[0] if len(playbook.operations) == 1 else ""
        key = single if single in documents else f"playbook:{playbook.name}"
        known = documents.get(key)
        said = (playbook.title, *playbook.examples, *(known.utterances if known else ()))
        documents[key] = Document(key=key, utterances=said, body=known.body if known else "")
        self._titles.setdefault(key, playbook.title)
        self._operations.setdefault(key, playbook.operations)


def clauses(text: str) -> tuple[str, ...]:
    """The parts of a compound bullet, the verb of the first carried to those that have none of their own.

    'Configure connection pooling and performance settings' gives 'Configure connection pooling', 'Configure performance settings'.
    """
    parts = [part.strip() for part in _JOINTS.split(text.rstrip(". "))]
    verb = re.match(r"(?:set up|back up|\S+)", text.strip(), re.IGNORECASE)
    if verb is None or not all(parts):
        return (text,)
    return (parts[0], *(part if _has_verb(part) else f"{verb.group()} {part}" for part in parts[1:]))


_VERBS = frozenset(
    "add advise alert analyse analyze back build check configure create deploy design document drill drop enable ensure explain find fix "
    "implement improve index list maintain make measure monitor optimise optimize plan protect put recommend repair report restore "
    "review rotate run save schedule set show speed suggest take test tune update use validate verify watch write".split()
)


def _has_verb(part: str) -> bool:
    return part.split(maxsplit=1)[0].lower() in _VERBS


def _decision(reading: Reading) -> Literal["planned", "later", "another's"]:
    if scope.agent_of(reading.key):
        return "another's"
    return "planned" if reading.operations else "later"


def _summary(catalogue: CatalogueView, name: str) -> str:
    return (catalogue.get(name).__doc__ or name).strip().partition("\n")[0]


def _of_operation(catalogue: CatalogueView, name: str) -> Document:
    """An operation's name, title and examples are what a person says of it; the rest of its docstring describes it."""
    operation = catalogue.get(name)
    title, _, body = (operation.__doc__ or "").strip().partition("\n")
    words = name.partition(".")[2].replace("-", " ")
    return Document(key=name, utterances=(words, title, *operation.examples), body=body)
