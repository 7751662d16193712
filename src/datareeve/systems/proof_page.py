"""The proof of an erasure as a page that a person reads; the JSON beside it is what is signed."""

from __future__ import annotations

from typing import Any


def render(proof: dict[str, Any], digest: str) -> str:
    """The page in Markdown."""
    lines = [
        f"# Erasure of {proof['subject']} {proof['subject_digest'][:12]}",
        "",
        f"Written {proof['written_at']} by run `{proof['run']}`, plan `{proof['plan'][:16]}`.",
        f"Asked by {proof['asked_by'] or 'nobody named'}; allowed by {proof['allowed'] or 'nobody named'}.",
        f"Tested again at any time: `{proof['evidence']}`.",
        "",
        "## What was erased",
        "",
        "| dataset | system | how | rows before | rows after | statement |",
        "|---|---|---|--:|--:|---|",
        *(
            f"| {_cell(one['dataset'])} | {_cell(one['system'])} | {_cell(one['mode'])} | {one['before']:,} | {one['after']:,} | `{_cell(one['statement'])}` |"
            for one in proof["datasets"]
        ),
        "",
        *_files(proof),
        *_section(
            "Bundles of earlier exports, removed",
            [f"{_cell(one['path'])}, SHA-256 `{one['sha256'][:16]}`" for one in proof.get("bundles", ())],
        ),
        *_stays(proof.get("stays", [])),
        *_section(
            "Searched, and nothing found",
            [f"{one['dataset']} of {one['system']}, {one['found']}" for one in proof.get("searched", ())],
        ),
        *_section("What this does not reach", proof["unreached"]),
        *_section("Legal holds that were looked at", proof["holds"]),
        "## Steps, as the ledger has them",
        "",
        *(
            f"- {one['step']}, {one['at']}: entry {one['entry']}, `{one['hash'][:16]}`"
            for one in proof["steps"]
        ),
        "",
        f"Signed: {proof['signature']['algorithm']} `{proof['signature']['value']}`, over the JSON without its signature.",
        f"SHA-256 of the JSON file: `{digest}`.",
        "",
    ]
    return "\n".join(lines)


def _stays(some: list[dict[str, Any]]) -> list[str]:
    if not some:
        return _section("What stays", [])
    rows = [
        f"| {_cell(one['dataset'])} | {_cell(one['system'])} | {one['before']:,} | {one['after']:,} | {_cell(one['why'])} |"
        for one in some
    ]
    return [
        "## What stays",
        "",
        "| dataset | system | rows before | rows after | why |",
        "|---|---|--:|--:|---|",
        *rows,
        "",
    ]


def _files(proof: dict[str, Any]) -> list[str]:
    rows = [
        f"| {_cell(file['path'])} | `{file['before'][:16]}` | `{file['after'][:16]}` |"
        for step in proof["steps"]
        for file in step["result"].get("files", ())
    ]
    if not rows:
        return []
    return [
        "## Files that were written anew",
        "",
        "| file | SHA-256 before | after |",
        "|---|---|---|",
        *rows,
        "",
    ]


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "", *(f"- {line}" for line in lines or ["nothing"]), ""]


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ").replace("`", "'")
