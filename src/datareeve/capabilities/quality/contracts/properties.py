"""What a contract says of a table by its properties alone: required, unique, keys, types, limits, references, what is personal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.contracts import kinds
from datareeve.capabilities.quality.contracts.drafts import column as quoted
from datareeve.capabilities.quality.contracts.drafts import draft, spoken
from datareeve.capabilities.quality.contracts.reading import Named, Place, Reading
from datareeve.core.personal_data.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.quality.rule import Rule
    from datareeve.core.yaml_text import Path

LIMITS = {
    "minimum": "at_least",
    "maximum": "at_most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
}
OPTIONS = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "date": ("format", *LIMITS), "timestamp": ("format", "timezone", "defaultTimezone", *LIMITS), "time": ("format", "timezone", "defaultTimezone", *LIMITS),
    "integer": ("multipleOf", "format", *LIMITS), "number": ("multipleOf", "format", *LIMITS),
    "object": ("maxProperties", "minProperties", "required"), "array": ("maxItems", "minItems", "uniqueItems"),
    "vector": ("dimensions", "elementType", "distanceMetric", "embeddingModel", "embeddingModelVersion", "normalized"),
}  # fmt: skip
SAME = {"idn-email": "email", "idn-hostname": "hostname"}  # JSON Schema's words for formats of ours
SAYS_NOTHING = frozenset(("password", "byte", "binary", "f32", "f64"))
PERSONAL = frozenset(
    ("pii", "spi", "phi", "personal", "personaldata", "personallyidentifiable", "sensitivepersonal", "gdpr")
)
FOLLOWS = re.compile(r"^(?P<word>[\w -]+?)\s*[:=/]\s*(?P<category>[\w-]+)$")


def rules_of(table: dict[str, Any], path: Path, reading: Reading) -> Iterator[Rule]:
    """Every rule that the properties of a table are."""
    named = reading.tables[table["name"]]
    properties = table.get("properties") or []
    if properties:
        yield _schema(table, path, named)
    yield from _key(properties, path, named)
    for number, one in enumerate(properties):
        place = Place((*path, "properties", number), named.name, (named.columns[one["name"]],))
        yield from _of_property(one, place, reading)
        _nested(one, place.path, reading, place)


def key_of(properties: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The properties of the primary key, in its order."""
    keys = [
        (one.get("primaryKeyPosition") or 0, number, one)
        for number, one in enumerate(properties)
        if one.get("primaryKey") is True
    ]
    return [one for _, _, one in sorted(keys, key=lambda key: (key[0] <= 0, key[0], key[1]))]


def personal(one: dict[str, Any]) -> str:
    """The category of a property that the contract calls personal: 'personal' where it says no more."""
    own = {
        str(entry.get("property", "")).lower(): entry.get("value")
        for entry in one.get("customProperties") or ()
    }
    named = next((own[key] for key in ("personal", "personaldata", "pii", "category") if key in own), None)
    if isinstance(named, str) and named.lower() not in ("true", "yes"):
        return "" if named.lower() in ("no", "none", "false") else named
    if named in (True, "true", "yes", "True"):
        return "personal"
    for word in (one.get("classification"), *(one.get("tags") or ())):
        found = _category(str(word or "").strip().lower())
        if found:
            return found
    return ""


def _category(word: str) -> str:
    follows = FOLLOWS.match(word)
    head = re.sub(r"[^a-z]", "", follows["word"] if follows else word)
    if head not in PERSONAL:
        return ""
    return follows["category"] if follows else "personal"


def _schema(table: dict[str, Any], path: Path, named: Named) -> Rule:
    columns = [
        {
            "name": named.columns[one["name"]],
            **({"type": one["logicalType"]} if one.get("logicalType") else {}),
        }
        for one in table["properties"]
    ]
    return draft(
        "schema",
        named.name,
        (),
        {"columns": columns, "more": True},
        at=Place((*path, "properties"), "").words,
    )


def _key(properties: list[dict[str, Any]], path: Path, named: Named) -> Iterator[Rule]:
    key = key_of(properties)
    if not key:
        return
    columns = tuple(named.columns[one["name"]] for one in key)
    first = Place((*path, "properties", properties.index(key[0]), "primaryKey"), "").words
    if len(key) > 1 or key[0].get("unique") is not True:
        yield draft("unique", named.name, columns, at=first)
    for one in key:
        if one.get("required") is not True:
            at = Place((*path, "properties", properties.index(one), "primaryKey"), "").words
            yield draft("not-null", named.name, (named.columns[one["name"]],), at=at)


def _of_property(one: dict[str, Any], place: Place, reading: Reading) -> Iterator[Rule]:
    for key, kind in (("required", "not-null"), ("unique", "unique")):
        if one.get(key) is True:
            yield draft(kind, place.table, place.columns, at=Place((*place.path, key), "").words)
    if one.get("enum"):
        path = (*place.path, "enum")
        told = [entry for entry in enumerate(one["enum"]) if entry[1].get("value") is not None]
        values = [reading.value(entry["value"], (*path, n, "value"), place) for n, entry in told]
        yield from _fitting("set", {"values": values}, path, one, place, reading)
    for kind, arguments, key in _options(one, place, reading):
        yield from _fitting(kind, arguments, (*place.path, "logicalTypeOptions", key), one, place, reading)


def _fitting(  # noqa: PLR0913, PLR0917 - each of them is asked for by name
    kind: str, arguments: dict[str, Any], path: Path, one: dict[str, Any], place: Place, reading: Reading
) -> Iterator[Rule]:
    why = kinds.misfit(kind, one.get("logicalType") or "", arguments)
    wrong = [what for _, what in kinds.argument_problems(kind, arguments)]
    for what in (why, *wrong):
        if what:
            reading.wrong(path, what)
    if not why and not wrong:
        yield spoken(draft(kind, place.table, place.columns, arguments, at=Place(path, "").words))


def _options(
    one: dict[str, Any], place: Place, reading: Reading
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(kind, arguments, key) of each rule among the options of a type."""
    options, kind = one.get("logicalTypeOptions") or {}, one.get("logicalType") or ""
    for key in options:
        if kind and key not in OPTIONS.get(kind, ()):
            fits = next((name for name, keys in OPTIONS.items() if key in keys), "")
            reading.wrong(
                (*place.path, "logicalTypeOptions", key),
                f"is no option of type {kind}{f', but of {fits}' if fits else ''}",
            )
            options = {name: value for name, value in options.items() if name != key}
    limits = {LIMITS[key]: options[key] for key in LIMITS if options.get(key) is not None}
    if limits and kind != "time":
        yield "range", limits, next(key for key in LIMITS if key in options)
    lengths = {
        name: options[key]
        for key, name in (("minLength", "at_least"), ("maxLength", "at_most"))
        if options.get(key) is not None
    }
    if lengths:
        yield "length", lengths, next(key for key in ("minLength", "maxLength") if key in options)
    if options.get("pattern") is not None:
        yield "pattern", {"regex": options["pattern"]}, "pattern"
    if options.get("multipleOf") is not None:
        yield from _multiple(options["multipleOf"], place, reading)
    yield from _format(options.get("format"), kind, place, reading)
    _left(options, kind, place, reading)


def _multiple(of: Any, place: Place, reading: Reading) -> Iterator[tuple[str, dict[str, Any], str]]:
    if not isinstance(of, (int, float)) or isinstance(of, bool) or of <= 0:
        reading.wrong((*place.path, "logicalTypeOptions", "multipleOf"), "is not a number above zero")
        return
    name = quoted(place.columns[0])
    whole = (
        f"{name} % {of} = 0"
        if isinstance(of, int)
        else f"ABS({name} / {of} - ROUND({name} / {of})) < 0.000001"
    )
    yield "condition", {"sql": whole}, "multipleOf"


def _format(
    word: Any, kind: str, place: Place, reading: Reading
) -> Iterator[tuple[str, dict[str, Any], str]]:
    if word is None:
        return
    bits = re.fullmatch(r"([iu])(8|16|32|64|128)", str(word))
    if bits:
        signed, size = bits[1] == "i", int(bits[2])
        least, most = (-(2 ** (size - 1)), 2 ** (size - 1) - 1) if signed else (0, 2**size - 1)
        yield "range", {"at_least": least, "at_most": most}, "format"
    elif kind in ("", "string") and word == "uuid":
        yield "type", {"type": "uuid"}, "format"
    elif kind in ("", "string") and SAME.get(str(word), str(word)) in FORMATS:
        yield "format", {"format": SAME.get(str(word), str(word))}, "format"
    elif kind in ("date", "timestamp", "time"):
        _tell(
            place, reading, "format", "How a moment is written is not asked of a column that holds moments."
        )
    else:
        why = (
            "It says how a value is stored, which is not checked."
            if word in SAYS_NOTHING
            else f"The format {word!r} is not known."
        )
        _tell(place, reading, "format", why)


def _left(options: dict[str, Any], kind: str, place: Place, reading: Reading) -> None:
    """What the options say and no rule asks."""
    if kind == "time":
        for key in LIMITS:
            if key in options:
                _tell(
                    place,
                    reading,
                    key,
                    "Times of day are not compared here: write it as a condition of engine datareeve.",
                )
    inner = (
        "maxItems",
        "minItems",
        "uniqueItems",
        "maxProperties",
        "minProperties",
        "required",
        "dimensions",
        "elementType",
        "normalized",
    )
    for key in inner:
        if options.get(key) not in (None, False):
            _tell(
                place,
                reading,
                key,
                "What is inside an array, an object or a vector is not counted: write it as a condition of engine datareeve.",
            )
    if options.get("timezone") is not None:
        _tell(
            place,
            reading,
            "timezone",
            "Whether moments carry a time zone is told by the column's type, not by a rule.",
        )


def _tell(place: Place, reading: Reading, key: str, why: str) -> None:
    reading.leave(
        Place((*place.path, "logicalTypeOptions", key), place.table),
        f"{place.table}.{place.columns[0]} {key}",
        why,
    )


NESTED = "It stands inside another value: check it as a column of a view that unfolds it, or as a condition of engine datareeve."
ASKS = ("required", "unique", "logicalTypeOptions", "enum", "quality", "relationships")


def _nested(one: dict[str, Any], path: Path, reading: Reading, place: Place) -> None:
    """The rules of properties within a property, by name."""
    inner = [
        ((*path, "properties", number), entry) for number, entry in enumerate(one.get("properties") or [])
    ]
    if isinstance(one.get("items"), dict):
        inner.append(((*path, "items"), one["items"]))
    sides = one.get("map") or {}
    inner += [
        ((*path, "map", side), sides[side]) for side in ("key", "value") if isinstance(sides.get(side), dict)
    ]
    for at, entry in inner:
        own = place._replace(columns=(f"{place.columns[0]}.{entry.get('name') or at[-1]}",))
        for key in ASKS:
            asked = entry.get(key)
            for number, part in enumerate(
                asked if isinstance(asked, list) and key in ("quality", "relationships") else [asked]
            ):
                if part in (None, False, [], {}):
                    continue
                deep = (*at, key, number) if isinstance(asked, list) and key != "enum" else (*at, key)
                told = (
                    part.get("id") or part.get("name") or part.get("metric")
                    if isinstance(part, dict) and key == "quality"
                    else ""
                )
                reading.leave(
                    Place(deep, place.table), f"{place.table}.{own.columns[0]} {told or key}", NESTED
                )
        _nested(entry, at, reading, own)
