"""Two tables compared as a plan says: the search, a second look at what differs, and which columns it is in.

Everything is read only, by `measure` of either system. What comes here are counts, sums, fingerprints and keys, never another value; where the
key is personal data, hashes of keys. A subject's own key, `subject_key`, is told nobody; where it is an integer, it comes here to find the row again.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections import Counter
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.reconcile.asking import Asking, Both
from datareeve.capabilities.quality.reconcile.search import EXAMPLES, Search, differences
from datareeve.capabilities.quality.reconcile.statements import Compared, Side, among
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datareeve.capabilities.quality.reconcile.search import Difference, Found, Identity
    from datareeve.core.operation import Reader

LOOKED_AT_AGAIN = 1_000  # keys, and rows of which the columns are told
AT_ONCE = 300  # keys of one statement: each may have more than one row
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
CELLS = 40_000  # fingerprints of single columns that one statement gives


def reconcile(
    left: Reader,
    right: Reader,
    plan: dict[str, Any],
    *,
    progress: Callable[[str], None] = lambda _: None,
    pause: Callable[[float], None] = sleep,
) -> dict[str, Any]:
    """What is equal and what is not, as JSON.

    {equal, exact, rows_left, rows_right, segments, only_left, only_right, differing, lagging, repeated_keys, columns: {name: rows}, not_compared: [column],
    keys: {only_left: [...], only_right: [...], differing: [...]}, not_looked_into: {segments, rows_left, rows_right}, until, undated: {left, right}, snapshots,
    statements, seconds, seconds_left, seconds_right, bytes_fetched}. `exact` false: the counts are lower bounds.
    Errors: `Failed` with the engine's code; `Unreachable`.
    """
    compared, salt, began = Compared.model_validate(plan), secrets.token_hex(8), perf_counter()
    sides = Side(compared, left=True, salt=salt), Side(compared, left=False, salt=salt)
    for side in sides:
        side.by_integer = (
            len(side.key) == 1 and side.key[0][1].form == "integer" and not compared.key_is_hashed
        )
    both = Both(Asking(left, sides[0], compared), Asking(right, sides[1], compared))
    with both.at_once():
        until = _until(both, compared)
        undated = [int(rows[0]["n"]) for rows in both.rows(Side.undated)] if until else [0, 0]
        found = Search(both, compared.most_differing, progress).run()
        lagging = _look_again(both, compared, found, pause)
        columns, asked = _columns(both, found)
    return {
        **_counts(found),
        "lagging": lagging,
        "columns": columns,
        "columns_of_rows": asked,
        "keys": _evidence(compared, found),
        "not_compared": list(compared.not_compared),
        "until": until,
        "undated": dict(zip(("left", "right"), undated, strict=True)),
        **_cost(both, perf_counter() - began),
    }


def _until(both: Both, compared: Compared) -> str | None:
    """The moment up to which both are compared: the one that was given, else the older of the newest that both have."""
    if not compared.until_column:
        return None
    micros = _micros(compared.until) if compared.until else None
    if micros is None:
        newest = [rows[0]["newest"] for rows in both.rows(Side.newest)]
        known = [int(text) for text in newest if text is not None and text.lstrip("-").isdigit()]
        if len(known) < len(newest):
            return None  # one of them is empty: nothing to wait for
        micros = min(known)
    both.left.side.until = both.right.side.until = micros
    return (EPOCH + micros * MICROSECOND).isoformat()


def _micros(text: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(
            "reconcile.until", "until is not a moment.", "Write it as 2026-11-23T08:00:00+00:00."
        ) from None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)) - EPOCH) // MICROSECOND


# -- the second look ---------------------------------------------------------------------------------------------------------------


def _look_again(both: Both, compared: Compared, found: Found, pause: Callable[[float], None]) -> int:
    """Keys that differed, and do so no longer: one of the sides was late. Gives how many; the others stay in `found`."""
    gone = 0
    for _ in range(compared.looks):
        again = [(identity, one) for identity, one in found.differences.items() if one.place is not None][
            :LOOKED_AT_AGAIN
        ]
        if not again:
            break
        pause(compared.pause_seconds)
        now = _as_they_are_now(both, again)
        for identity, _one in again:
            del found.differences[identity]
            gone += identity not in now
        asked = {identity for identity, _ in again}
        found.differences |= {
            identity: one for identity, one in now.items() if identity in asked or not both.left.side.key
        }
    return gone


def _as_they_are_now(both: Both, again: list[tuple[Identity, Difference]]) -> dict[Identity, Difference]:
    now: dict[Identity, Difference] = {}
    for places in _places(one for _, one in again):
        left, right = both.rows(_rows_at(places))
        now |= differences(left, right)
    return now


def _rows_at(places: list[int]) -> Callable[[Side], str]:
    return lambda side: side.rows(among(places))


def _columns_at(places: list[int], count: int) -> Callable[[Side], str]:
    return lambda side: side.by_column(among(places), range(count))


def _places(differing: Iterator[Difference] | Any) -> Iterator[list[int]]:
    """Where they are, a statement's worth at a time; a key of many rows alone."""
    places = sorted({one.place for one in differing if one.place is not None})
    for at in range(0, len(places), AT_ONCE):
        yield places[at : at + AT_ONCE]


# -- which columns -----------------------------------------------------------------------------------------------------------------


def _columns(both: Both, found: Found) -> tuple[dict[str, int], int]:
    """In how many of the differing rows each column differs, and of how many rows that is known: keys of one row on either side."""
    differing = {
        identity: one
        for identity, one in found.differences.items()
        if one.differing and not one.repeated and one.place is not None
    }
    if not both.left.side.key or not differing:
        return {}, 0
    names = [pair.left.name for pair in both.left.side.compared.pairs]
    few = max(1, min(AT_ONCE, CELLS // len(names)))
    chosen = dict(list(differing.items())[:LOOKED_AT_AGAIN])
    places = sorted({one.place for one in chosen.values() if one.place is not None})[: few * 10]
    counts: Counter[str] = Counter()
    known = 0
    for at in range(0, len(places), few):
        left, right = map(_by_key, both.rows(_columns_at(places[at : at + few], len(names))))
        for identity in left.keys() & right.keys() & chosen.keys():
            known += 1
            counts.update(
                name
                for name, ours, theirs in zip(names, left[identity], right[identity], strict=True)
                if ours != theirs
            )
    return dict(counts.most_common()), known


def _by_key(rows: list[dict[str, Any]]) -> dict[Identity, list[str]]:
    return {
        tuple(value for name, value in row.items() if name.startswith("k")): [
            value for name, value in row.items() if name.startswith("c")
        ]
        for row in rows
    }


# -- the answer --------------------------------------------------------------------------------------------------------------------


def _counts(found: Found) -> dict[str, Any]:
    every = found.differences.values()
    only_left = found.only_left + sum(one.only_left for one in every)
    only_right = found.only_right + sum(one.only_right for one in every)
    differing = sum(one.differing for one in every)
    rest = found.not_looked_into
    return {
        "equal": not (only_left or only_right or differing or rest),
        "exact": not rest,
        "rows_left": found.left,
        "rows_right": found.right,
        "segments": found.segments,
        "segments_differing": found.differing_segments,
        "only_left": only_left,
        "only_right": only_right,
        "differing": differing,
        "repeated_keys": sum(one.repeated for one in every),
        "not_looked_into": {
            "segments": len(rest),
            "rows_left": sum(one.left[0] for one in rest),
            "rows_right": sum(one.right[0] for one in rest),
        },
    }


def _evidence(compared: Compared, found: Found) -> dict[str, list[Any]]:
    """The first few keys of each kind; none where the key is personal data, or there is none."""
    if compared.key_is_personal or not compared.key:
        return {}
    every = sorted(
        found.differences.items(), key=lambda each: (each[1].place is None, each[1].place or 0, str(each[0]))
    )
    kinds = {
        "only_left": [*(identity for identity, one in every if one.only_left), *found.examples_left],
        "only_right": [*(identity for identity, one in every if one.only_right), *found.examples_right],
        "differing": [identity for identity, one in every if one.differing],
        "repeated": [identity for identity, one in every if one.repeated],
    }
    forms = [pair.form for name in compared.key for pair in compared.pairs if pair.left.name == name]
    # In the key's order the texts come as they were asked for, each in its own form.
    return {kind: [{name: shown(form, text) for name, form, text in zip(compared.key, forms, identity, strict=True)} for identity in identities[:EXAMPLES]] for kind, identities in kinds.items() if identities}  # fmt: skip


def shown(form: str, text: str | None) -> str | int | None:
    """A key's form as a person writes it."""
    if text is None or not text.lstrip("-").isdigit():
        return text
    try:
        if form == "date":
            return (EPOCH.date() + dt.timedelta(days=int(text))).isoformat()
        if form == "moment":
            return (EPOCH + int(text) * MICROSECOND).isoformat()
    except OverflowError:
        return text
    return int(text) if form == "integer" else text


def _cost(both: Both, seconds: float) -> dict[str, Any]:
    return {
        "snapshots": {
            name: {"first": asking.snapshots[0], "last": asking.snapshots[-1]}
            for name, asking in (("left", both.left), ("right", both.right))
            if asking.snapshots
        },
        "statements": both.left.statements + both.right.statements,
        "seconds": round(seconds, 3),
        "seconds_left": round(both.left.seconds, 3),
        "seconds_right": round(both.right.seconds, 3),
        "bytes_fetched": both.left.bytes + both.right.bytes,
    }
