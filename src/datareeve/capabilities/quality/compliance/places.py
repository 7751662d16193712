"""Where a subject's data is: by key, by references that the catalog knows, by lineage, by what tells the subject.

A table that refers to one of a subject's holds its data too, though its key stands two joins away. What cannot be told apart (an aggregate, a
copy without the key) is not left out silently: it is named, with what would make it reachable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from datareeve.core.value import Value
from datareeve.systems.subject_shapes import Match, Store, Within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.estate_data import Dataset, DataSettings

DEEPEST = 5  # references that are followed from a table to the key
# Values of these tell one person: rows without a key are found by them.
TELLING = frozenset(
    ("email", "phone", "username", "social-profile", "national-id", "tax-id", "passport", "driving-licence",
     "health-insurance-id", "patient-id", "bank-account", "card-number", "device-id", "online-id")
)  # fmt: skip
# These are sought in text, and in what is left: two persons may share them, so no row goes by them.
HINTING = frozenset(("name", "address"))
TABLES = ("postgresql", "duckdb", "mysql", "sqlite")
WRITTEN = ("postgresql", "duckdb", "folder")  # kinds that an erasure writes to
Found = Literal["by key", "by reference", "by lineage", "by values", "in text", "by cascade"]


class Place(Value):
    """A store in a system, and how it was found."""

    system: str
    kind: str
    store: Store
    found: Found
    parents: tuple[str, ...] = ()  # tables of the same system that it refers to
    declared: bool = True
    triggers: tuple[str, ...] = ()
    table: str = ""  # as the catalog names it

    @property
    def name(self) -> str:
        """Of the dataset."""
        return self.store.dataset


class Unreached(Value):
    """Data of a subject that is not reached, and why."""

    dataset: str
    why: str
    instead: str = ""
    blocks: bool = False


class Referring(Value):
    """Rows that refer to rows which an erasure deletes, by another reference than the one that their table was found by."""

    system: str
    table: str
    parent: str
    dataset: str  # that the table is declared as; else SYSTEM:TABLE
    on_delete: str
    store: Store  # the rows
    own: Store | None = None  # those of them that are the subject's anyway


class Places(Value):
    """What there is of a kind of subject."""

    places: tuple[Place, ...] = ()
    referring: tuple[Referring, ...] = ()
    unreached: tuple[Unreached, ...] = ()

    def of(self, system: str) -> tuple[Place, ...]:
        """The places in one system."""
        return tuple(place for place in self.places if place.system == system)


class Surroundings(Value):
    """What was seen of systems and files."""

    kinds: dict[str, str]
    tables: dict[str, dict[str, dict[str, Any]]] = Field(
        default_factory=dict
    )  # system: table: see subject_tables
    files: dict[str, dict[str, Any]] = Field(default_factory=dict)  # dataset: see subject_files
    down: dict[str, str] = Field(default_factory=dict)  # system: why it does not answer


def find(declared: DataSettings, seen: Surroundings, subject: str) -> Places:
    """Every place of a subject's data, and every dataset of it that is not reached."""
    return _Search(declared, seen, subject).found()


class _Search:
    def __init__(self, declared: DataSettings, seen: Surroundings, subject: str) -> None:
        self.declared = declared
        self.seen = seen
        self.subject = subject
        self.by_table = {
            (one.system, table): name
            for name, one in declared.datasets.items()
            if (table := self._table(one)) is not None
        }

    def found(self) -> Places:
        places: list[Place] = []
        unreached: list[Unreached] = []
        for name in self._concerned():
            one = self._place(name, self.declared.datasets[name])
            if isinstance(one, Place):
                places.append(one)
            else:
                unreached.append(one)
        places += self._undeclared(places)
        unreached += [
            Unreached(dataset=name, why="it holds personal data and names no subject", instead=f"Give it a subject: datasets.{name}.subject, and subject_key or its identifying columns.")
            for name, one in self.declared.datasets.items()
            if one.subject is None and set(one.personal.values()) - {"no"} and name not in {place.name for place in places} | {gone.dataset for gone in unreached}
        ]  # fmt: skip
        unreached += self._foreign(places)
        return Places(
            places=tuple(places), unreached=tuple(unreached), referring=tuple(self._referring(places))
        )

    def _foreign(self, places: list[Place]) -> Iterator[Unreached]:
        """Tables whose rows are in another system, and that no dataset names: whose rows these are nobody said."""
        for system in dict.fromkeys(place.system for place in places):
            for table, about in self.seen.tables.get(system, {}).items():
                if about["kind"] == "f" and (system, table) not in self.by_table:
                    yield Unreached(dataset=f"{system}:{table}", why=f"{table} is a foreign table that no dataset names: its rows are in another system, and not searched", instead="Declare them where they are, if they are about persons.")  # fmt: skip

    def _concerned(self) -> list[str]:
        """Datasets of this subject, and those that are made of them or refer to them and name no other subject."""
        concerned = {name for name, one in self.declared.datasets.items() if one.subject == self.subject}
        concerned |= {
            name for name, one in self.declared.datasets.items() if one.subject is None and self._tells(one)
        }
        while True:
            more = {
                name
                for name, one in self.declared.datasets.items()
                if name not in concerned and one.subject is None and (concerned & set(one.derived_from) or self._refers(one))
            }  # fmt: skip
            if not more:
                return [name for name in self.declared.datasets if name in concerned]
            concerned |= more

    @staticmethod
    def _tells(one: Dataset) -> bool:
        """Whether a dataset that names no subject has a column that tells a person: anybody's, this one's too."""
        return any(category in TELLING for category in one.personal.values())

    def _refers(self, one: Dataset) -> bool:
        table = self._table(one)
        return table is not None and self._path(one.system, table) is not None

    # -- one dataset ---------------------------------------------------------------------------------------------------------------

    def _place(self, name: str, one: Dataset) -> Place | Unreached:
        kind = self.seen.kinds.get(one.system)
        if kind is None:
            return Unreached(dataset=name, why=f"the estate has no system {one.system}", instead="Correct the dataset.", blocks=True)  # fmt: skip
        if (down := self.seen.down.get(one.system)) is not None:
            return Unreached(dataset=name, why=f"{one.system} does not answer: {down}", instead="Try again when it does.", blocks=True)  # fmt: skip
        if kind == "folder":
            return self._in_files(name, one)
        if kind not in TABLES:
            return Unreached(dataset=name, why=f"{one.system} is {kind}, which is not searched for subjects", instead="Erase there by its own tools, and note it beside the proof.")  # fmt: skip
        return self._in_table(name, one, kind)

    def _in_table(self, name: str, one: Dataset, kind: str) -> Place | Unreached:
        table = self._table(one)
        if table is None:
            return Unreached(dataset=name, why=f"{one.system} has no table {one.table}", instead="Correct the dataset.", blocks=True)  # fmt: skip
        about = self.seen.tables[one.system][table]
        if about["kind"] not in ("r", "p"):
            return self._no_table(name, one.system, table, about["kind"])
        matched = self._match(one, table, list(about["columns"]))
        if matched is None:
            return self._no_way(name, one)
        match, found = matched
        store = self._store(name, one, match, about["columns"])
        if isinstance(store, Unreached):
            return store
        return Place(system=one.system, kind=kind, store=store, found=found, table=table, triggers=tuple(about["triggers"]),
                     parents=tuple(dict.fromkeys(key["table"] for key in about["keys"] if key["table"] != table)))  # fmt: skip

    def _no_table(self, name: str, system: str, table: str, kind: str) -> Unreached:
        if kind == "m" and any(table in self.seen.tables[of][read].get("materialized", {}) for of, read in self.by_table if of == system):  # fmt: skip
            return Unreached(dataset=name, why=f"{table} is a materialized view: its rows are copies of those of its tables, and stay until it is refreshed", instead="An erasure refreshes it after rows of tables that it reads are gone. Declare all of these.")  # fmt: skip
        if kind == "m":
            return Unreached(dataset=name, why=f"{table} is a materialized view of tables that no dataset names: it keeps the rows until it is refreshed", instead=f"Declare the tables behind it; an erasure then does REFRESH MATERIALIZED VIEW {table}.", blocks=True)  # fmt: skip
        if kind == "f":
            return Unreached(dataset=name, why=f"{table} is a foreign table: its rows are in another system", instead="Declare it where it is.", blocks=True)  # fmt: skip
        return Unreached(dataset=name, why=f"{table} is a view: its rows are those of its tables", instead="Declare the tables behind it.")  # fmt: skip

    def _in_files(self, name: str, one: Dataset) -> Place | Unreached:
        about = self.seen.files.get(name, {})
        if about.get("unread"):
            return Unreached(dataset=name, why=f"there is {', '.join(about['unread'])}, which is not searched and not written anew", instead="Parquet, CSV of one head, JSON lines and text in UTF-8 or Latin-1 are, as they are or packed by gzip. Restore it from a backup where it is damaged, or take it out of the folder.", blocks=True)  # fmt: skip
        if not about.get("forms"):
            return Unreached(dataset=name, why=f"no file of {one.system} is called {one.table}", instead="Correct the table, mount the folder, or take the dataset out of estate.yaml.", blocks=True)  # fmt: skip
        forms = set(about.get("forms", ()))
        columns = list(about.get("columns", ()))
        key = one.subject_key or self._inherited_key(one, columns)
        values = self._telling(one, columns)
        if forms <= {"text"} or ("json" in forms and not key):
            match, found = Match(), "in text"
        elif key and (key in columns or forms == {"json"}):
            match, found = Match(column=key), "by key" if one.subject_key else "by lineage"
        elif values:
            match, found = Match(values=values), "by values"
        elif key:
            return Unreached(dataset=name, why=f"its files have no column {key}", instead="Correct subject_key.", blocks=True)  # fmt: skip
        else:
            return self._no_way(name, one)
        mode = one.erasure or ("anonymise" if found == "in text" else "delete")
        put = (
            {}
            if found == "in text" or mode != "anonymise"
            else (one.anonymise or dict.fromkeys(self._personal(one), "null"))
        )
        form: Literal["parquet", "lines"] = "parquet" if "parquet" in forms else "lines"
        store = Store(dataset=name, table=one.table, form=form, match=match, mode=mode, set=put, identifying=self._identifying(one, columns) if found != "in text" else {})  # fmt: skip
        return Place(system=one.system, kind="folder", store=store, found=found)

    @staticmethod
    def _no_way(name: str, one: Dataset) -> Unreached:
        inner = [column for column, category in one.personal.items() if category == "document"]
        if inner:
            return Unreached(
                dataset=name,
                why=f"who it is about stands within {inner[0]}, and no column of its own tells one subject from another",
                instead=f"Add a column generated of what tells a person within {inner[0]} (the e-mail address, the key), and declare it: under personal, or as subject_key.",
            )
        return Unreached(
            dataset=name,
            why="nothing in it tells one subject from another: no key, no reference, no identifying column",
            instead="Give it a subject_key, or declare its identifying columns under personal; an aggregate without either needs no erasure.",
        )

    def _match(self, one: Dataset, table: str, columns: list[str]) -> tuple[Match, Found] | None:
        if one.subject == self.subject and one.subject_key in columns:
            return Match(column=str(one.subject_key)), "by key"
        if (path := self._path(one.system, table)) is not None:
            return path, "by reference"
        if key := self._inherited_key(one, columns):
            return Match(column=key), "by lineage"
        values = self._telling(one, columns)
        return (Match(values=values), "by values") if values else None

    def _path(self, system: str, table: str, seen: frozenset[str] = frozenset()) -> Match | None:
        """The shortest way by references from a table to one that holds the key."""
        if len(seen) > DEEPEST or table not in self.seen.tables.get(system, {}):
            return None
        found = []
        for key in self.seen.tables[system][table]["keys"]:
            if key["table"] in seen or key["table"] == table:
                continue
            owner = self.declared.datasets.get(self.by_table.get((system, key["table"]), ""))
            if owner is not None and owner.subject == self.subject and owner.subject_key:
                if key["references"] == [owner.subject_key]:
                    return Match(column=key["columns"][0])
                found.append(through(self.seen.tables[system], key, Match(column=owner.subject_key)))
            elif (further := self._path(system, key["table"], seen | {table})) is not None:
                found.append(through(self.seen.tables[system], key, further))
        return min(found, key=_depth, default=None)

    def _inherited_key(self, one: Dataset, columns: list[str]) -> str | None:
        """The key's name in what a dataset is made of, where it has a column of that name."""
        waiting, seen = list(one.derived_from), set()
        while waiting:
            name = waiting.pop(0)
            source = self.declared.datasets[name]
            if source.subject == self.subject and source.subject_key in columns:
                return source.subject_key
            waiting += [further for further in source.derived_from if further not in seen]
            seen.add(name)
        return None

    # -- what becomes of it ----------------------------------------------------------------------------------------------------------

    def _store(
        self, name: str, one: Dataset, match: Match, columns: dict[str, dict[str, Any]]
    ) -> Store | Unreached:
        mode = one.erasure or "delete"
        put: dict[str, str] = {}
        if mode == "anonymise":
            put, stuck = self._put(one, match, columns)
            if stuck:
                return Unreached(dataset=name, why=f"{', '.join(stuck)} may not be NULL and holds no text", instead=f"Say what takes its place: datasets.{name}.anonymise: {{{stuck[0]}: 'text:0'}}.", blocks=True)  # fmt: skip
        return Store(dataset=name, table=one.table, match=match, mode=mode, set=put, identifying=self._identifying(one, list(columns)))  # fmt: skip

    def _put(self, one: Dataset, match: Match, columns: dict[str, dict[str, Any]]) -> tuple[dict[str, str], list[str]]:  # fmt: skip
        if one.anonymise:
            return dict(one.anonymise), []
        put: dict[str, str] = {}
        stuck: list[str] = []
        for column in self._personal(one):
            about = columns.get(column)
            if about is None or about["generated"]:
                continue
            if about["nullable"]:
                put[column] = "null"
            elif any(word in about["type"].lower() for word in ("text", "char")):
                put[column] = "token"
            else:
                stuck.append(column)
        key = columns.get(match.column)
        if key is not None and key["nullable"] and match.within is None:
            put[match.column] = "null"
        return put, stuck

    @staticmethod
    def _personal(one: Dataset) -> list[str]:
        return [column for column, category in one.personal.items() if category != "no"]

    @staticmethod
    def _telling(one: Dataset, columns: list[str]) -> tuple[str, ...]:
        return tuple(
            column for column, category in one.personal.items() if category in TELLING and column in columns
        )

    @staticmethod
    def _identifying(one: Dataset, columns: list[str]) -> dict[str, str]:
        return {c: category for c, category in one.personal.items() if category in TELLING | HINTING and c in columns}  # fmt: skip

    # -- tables that nobody declared -----------------------------------------------------------------------------------------------

    def _undeclared(self, places: list[Place]) -> list[Place]:
        """Tables that refer to rows which will be deleted, and are no dataset: their rows go with them, or stand in the way."""
        found: list[Place] = []
        waiting = [place for place in places if place.table and place.store.mode == "delete"]
        while waiting:
            parent = waiting.pop(0)
            for table, about in self.seen.tables[parent.system].items():
                if (parent.system, table) in self.by_table or any(one.table == table and one.system == parent.system for one in found):  # fmt: skip
                    continue
                child = self._child(parent, table, about)
                if child is not None:
                    found.append(child)
                    waiting += [child] if child.store.mode == "delete" else []
        return found

    def _referring(self, places: list[Place]) -> Iterator[Referring]:
        """Every reference to rows that will be deleted, which no place was found by."""
        by_table = {(place.system, place.table): place for place in places if place.table}
        for parent in by_table.values():
            if parent.store.mode != "delete":
                continue
            for table, about in self.seen.tables[parent.system].items():
                for key in about["keys"]:
                    if key["table"] == parent.table and about["kind"] in ("r", "p"):
                        yield from self._other(parent, by_table.get((parent.system, table)), table, key)

    def _other(self, parent: Place, place: Place | None, table: str, key: dict[str, Any]) -> Iterator[Referring]:  # fmt: skip
        name = place.name if place else self.by_table.get((parent.system, table), f"{parent.system}:{table}")
        match = self._by_key(parent, key)
        if place is not None and place.store.match == match and table != parent.table:
            return
        label = f"{name}.{'+'.join(key['columns'])}"
        store = Store(dataset=label, table=table, match=match)
        own = None if place is None else Store(dataset=label, table=table, match=match.model_copy(update={"also": place.store.match}), identifying=place.store.identifying)  # fmt: skip
        yield Referring(system=parent.system, table=table, parent=parent.table, dataset=name, on_delete=key["on_delete"], store=store, own=own)  # fmt: skip

    def _by_key(self, parent: Place, key: dict[str, Any]) -> Match:
        if key["references"] == [parent.store.match.column] and parent.store.match.within is None:
            return Match(column=key["columns"][0])
        return through(self.seen.tables[parent.system], key, parent.store.match)

    def _child(self, parent: Place, table: str, about: dict[str, Any]) -> Place | None:
        for key in about["keys"]:
            if key["table"] != parent.table or about["kind"] not in ("r", "p"):
                continue
            match = self._by_key(parent, key)
            emptied = [column for column in key["columns"] if about["columns"].get(column, {}).get("nullable", True)]  # fmt: skip
            mode = {"cascade": "delete", "set null": "anonymise" if emptied else "keep"}.get(key["on_delete"], "keep")  # fmt: skip
            put = dict.fromkeys(emptied, "null") if mode == "anonymise" else {}
            store = Store(dataset=f"{parent.system}:{table}", table=table, match=match, mode=mode, set=put)
            return Place(system=parent.system, kind=parent.kind, store=store, found="by cascade", table=table, declared=False,
                         parents=tuple({one["table"] for one in about["keys"] if one["table"] != table}), triggers=tuple(about["triggers"]))  # fmt: skip
        return None

    def _table(self, one: Dataset) -> str | None:
        from datareeve.systems.subject_tables import named  # noqa: PLC0415 - pure

        kind = self.seen.kinds.get(one.system)
        return named(self.seen.tables.get(one.system, {}), one.table, kind) if kind in TABLES else None


def through(tables: dict[str, dict[str, Any]], key: dict[str, Any], match: Match) -> Match:
    """The rows that refer to meant rows of another table by a key, of one column or of several."""
    (column, *along), (refers, *further) = key["columns"], key["references"]
    within = Within(table=tables[key["table"]]["source"], column=refers, along=tuple(further), match=match)
    return Match(column=column, along=tuple(along), within=within)


def _depth(match: Match) -> int:
    return 0 if match.within is None else 1 + _depth(match.within.match)
