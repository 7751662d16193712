"""The register of processing as a page: what is processed, why, on what basis, who gets it, how long it is kept; and what it leaves out.

GDPR article 30(1): controller, purposes, categories of subjects and of data, recipients, transfers with their safeguard, time limits for
erasure, and a general description of the security measures.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Literal

from datareeve.capabilities.quality.classify.categories import category
from datareeve.capabilities.quality.compliance.declared import personal
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from datareeve.core.estate_data import Dataset, DataSettings, Processing

HEADS = ("processing", "purpose", "legal basis", "subjects", "categories", "recipients", "transfers", "kept for", "where", "datasets", "owner")  # fmt: skip
# The European Economic Area: a place outside needs a safeguard (chapter V).
EEA = frozenset(
    "EU EEA AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO".split()
)
# What the Commission found adequate (article 45): no safeguard is needed. Of the United States only who is certified: that is to be named.
ADEQUATE = frozenset("AD AR CA CH FO GB GG IL IM JE JP KR NZ UK UY".split())


def gaps(declared: DataSettings) -> tuple[Finding, ...]:
    """What the register leaves out, each with the article that asks for it."""
    registered = {name for one in declared.processing.values() for name in one.datasets}
    found = []
    for name, one in personal(declared).items():
        if name not in registered:
            found.append(_gap("not-registered", name, f"{name} holds personal data ({_what(one)}) and is in no processing (article 30(1)).", "Name it under processing in estate.yaml, with purpose and basis."))  # fmt: skip
        if not _retention(declared, name):
            found.append(_gap("no-retention", name, f"{name} has no time limit for erasure (articles 5(1)(e) and 30(1)(f)).", "Give it retention_days and retention_column."))  # fmt: skip
        if not one.owner:
            found.append(_gap("no-owner", name, f"Nobody answers for {name} (article 5(2)).", "Give it an owner.", Severity.INFO))  # fmt: skip
        found += _elsewhere(declared, name)
    for name, entry in declared.processing.items():
        found += _of_entry(name, entry)
    return tuple(found)


def is_serious(gap: Finding) -> bool:
    """Whether the register lacks what the law asks for; the rest would be well to say."""
    return gap.severity is not Severity.INFO


def _what(one: Dataset) -> str:
    kinds = ", ".join(sorted({c for c in one.personal.values() if c != "no"}))
    return (
        kinds
        or one.subject
        or f"it is made of {', '.join(one.derived_from)}; a column that is not personal is declared as `no`"
    )


def lies(place: str) -> Literal["covered", "abroad", "unknown"]:
    """Whether chapter V asks for a safeguard at a place; what is no country's code is not known."""
    code = place.strip().upper()
    if code in EEA | ADEQUATE:
        return "covered"
    return "abroad" if len(code) == 2 and code.isalpha() and code.isascii() else "unknown"  # noqa: PLR2004 - ISO 3166


def _elsewhere(declared: DataSettings, name: str) -> list[Finding]:
    one = declared.datasets[name]
    entries = [entry for entry in declared.processing.values() if name in entry.datasets]
    allowed = {place for entry in entries for place in entry.locations}
    if one.location and allowed and one.location not in allowed:
        return [_gap("wrong-place", name, f"{name} lies in {one.location}; its processing allows {', '.join(sorted(allowed))} (article 44).", "Move it, or widen the register's locations.", Severity.CRITICAL)]  # fmt: skip
    guarded = any(transfer.partition(":")[0].strip() == one.location and transfer.partition(":")[2].strip() for entry in entries for transfer in entry.transfers)  # fmt: skip
    if one.location and lies(one.location) == "unknown" and not guarded:
        return [_gap("place-unknown", name, f"{name} lies in {one.location!r}, which is no country's code: whether that is abroad is not known (articles 44 to 49).", "Write the country as DE, and what is in a region of a cloud by its country.")]  # fmt: skip
    if one.location and lies(one.location) == "abroad" and not guarded:
        return [_gap("transfer-unguarded", name, f"{name} lies in {one.location}, outside the European Economic Area, and no safeguard is named (articles 44 to 49).", f"Name it: transfers: ['{one.location}: standard contractual clauses'].")]  # fmt: skip
    return []


def _of_entry(name: str, entry: Processing) -> list[Finding]:
    found = []
    if not entry.controller:
        found.append(_gap("no-controller", name, f"Processing {name!r} names no controller (article 30(1)(a)).", "Give it a controller.", Severity.INFO))  # fmt: skip
    found += [
        _gap("transfer-unguarded", name, f"Processing {name!r} transfers to {transfer} without a safeguard (articles 44 to 49).", f"Name it: '{transfer}: standard contractual clauses'.")
        for transfer in entry.transfers
        if not transfer.partition(":")[2].strip() and lies(transfer.partition(":")[0]) != "covered"
    ]  # fmt: skip
    return found


def _gap(rule: str, subject: str, what: str, instead: str, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(rule=rule, subject=subject, what=what, instead=instead, severity=severity)


def _retention(declared: DataSettings, name: str) -> int | None:
    days = [entry.retention_days for entry in declared.processing.values() if name in entry.datasets and entry.retention_days]  # fmt: skip
    return declared.datasets[name].retention_days or (min(days) if days else None)


def categories_of(declared: DataSettings, entry: Processing) -> list[str]:
    """The categories of an entry, in words: its own, or those of its datasets."""
    names = entry.categories or tuple(sorted({c for name in entry.datasets for c in declared.datasets[name].personal.values() if c != "no"}))  # fmt: skip
    return [found.words if (found := category(name)) else name for name in names]


def rows(declared: DataSettings) -> list[tuple[str, ...]]:
    """The register's rows, in the order of `HEADS`."""
    return [_row(declared, name, entry) for name, entry in declared.processing.items()]


def _row(declared: DataSettings, name: str, entry: Processing) -> tuple[str, ...]:
    datasets = [declared.datasets[one] for one in entry.datasets]
    subjects = entry.subjects or tuple(sorted({one.subject for one in datasets if one.subject}))
    days = [f"{one}: {found} days" if (found := _retention(declared, one)) else f"{one}: no limit" for one in entry.datasets]  # fmt: skip
    where = entry.locations or tuple(sorted({one.location for one in datasets if one.location}))
    return (
        name, entry.purpose, entry.basis, ", ".join(subjects) or "not named", ", ".join(categories_of(declared, entry)) or "none known",
        ", ".join(entry.recipients) or "none", ", ".join(entry.transfers) or "none", "; ".join(days), ", ".join(where) or "not said",
        ", ".join(entry.datasets), entry.owner or entry.controller or "nobody",
    )  # fmt: skip


def measures(declared: DataSettings) -> list[str]:
    """Security, as the estate tells of it (article 32(1))."""
    return [f"{name}: encrypted {one.encrypted}" if one.encrypted not in (None, "no") else f"{name}: {'not encrypted' if one.encrypted == 'no' else 'encryption not said'}" for name, one in personal(declared).items()]  # fmt: skip


DATASET_HEADS = ("dataset", "system", "table", "whose", "personal", "made of", "processing")


def datasets(declared: DataSettings) -> list[tuple[str, ...]]:
    """Every dataset that is declared, in the order of `DATASET_HEADS`: what is no personal data stands there as such."""
    named = personal(declared)
    return [_dataset(declared, name, is_personal=name in named) for name in declared.datasets]


def _dataset(declared: DataSettings, name: str, *, is_personal: bool) -> tuple[str, ...]:
    one = declared.datasets[name]
    entries = [entry for entry, about in declared.processing.items() if name in about.datasets]
    kinds = ", ".join(sorted({c for c in one.personal.values() if c != "no"}))
    held = kinds or ("not said" if is_personal else "none declared")
    return (name, one.system, one.table, one.subject or "not named", held, ", ".join(one.derived_from), ", ".join(entries) or ("none" if is_personal else ""))  # fmt: skip


def as_markdown(declared: DataSettings, found: tuple[Finding, ...], name: str) -> str:
    """The register as Markdown, which a diff can be read of."""
    lines = [
        f"# Register of processing: {name}",
        "",
        "GDPR article 30. Made by `datareeve run compliance.register-processing` from estate.yaml; it names no person.",
        "",
        f"| {' | '.join(HEADS)} |",
        f"|{'---|' * len(HEADS)}",
        *(f"| {' | '.join(_cell(part) for part in row)} |" for row in rows(declared)),
        "",
        "## Datasets",
        "",
        f"| {' | '.join(DATASET_HEADS)} |",
        f"|{'---|' * len(DATASET_HEADS)}",
        *(f"| {' | '.join(_cell(part) for part in row)} |" for row in datasets(declared)),
        "",
        "## Security measures",
        "",
        *(f"- {_cell(line)}" for line in measures(declared) or ["none are said"]),
        "",
        "## Legal holds",
        "",
        *(f"- {_cell(hold)}: {_cell(one.why)}{f', until {one.until}' if one.until else ''}" for hold, one in declared.holds.items()),
        *([] if declared.holds else ["- none"]),
        "",
        "## What is missing",
        "",
        *(f"- {_cell(one.what)} {_cell(one.instead)}" for one in found),
        *([] if found else ["- nothing"]),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


STYLE = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem;color:#1a1a1a}table{border-collapse:collapse;width:100%}th,td{border:1px solid #ccc;padding:.4rem .5rem;text-align:left;vertical-align:top;font-size:13px}th{background:#f3f3f3}li{margin:.2rem 0}"


def as_html(declared: DataSettings, found: tuple[Finding, ...], name: str) -> str:
    """The register as one page that needs no network."""
    missing = (
        "".join(f"<li>{html.escape(one.what)} {html.escape(one.instead)}</li>" for one in found)
        or "<li>nothing</li>"
    )
    security = (
        "".join(f"<li>{html.escape(one)}</li>" for one in measures(declared)) or "<li>none are said</li>"
    )
    title = html.escape(f"Register of processing: {name}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>'
        f"<p>GDPR article 30. Made from estate.yaml; it names no person.</p>{_table(HEADS, rows(declared))}<h2>Datasets</h2>{_table(DATASET_HEADS, datasets(declared))}"
        f"<h2>Security measures</h2><ul>{security}</ul><h2>What is missing</h2><ul>{missing}</ul></body></html>\n"
    )


def _table(heads: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    head = "".join(f"<th scope=col>{html.escape(one)}</th>" for one in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(part)}</td>" for part in row) + "</tr>" for row in lines
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
