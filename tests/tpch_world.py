"""A few rows of every TPC-H table, made by the server itself: enough for statistics, and for every query to be run."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "bench" / "tpch"
ROWS = Path(__file__).parent / "data" / "tpch_rows.sql"


def schema() -> list[str]:
    """The tables."""
    return _statements(FOLDER / "schema.sql")


def rows() -> list[str]:
    """Rows for them, and statistics."""
    return _statements(ROWS)


def queries() -> list[str]:
    """The 22 texts."""
    return _statements(FOLDER / "queries.sql")


def _statements(path: Path) -> list[str]:
    text = re.sub(r"^--.*$", "", path.read_text(), flags=re.MULTILINE)
    return [one.strip() for one in text.split(";") if one.strip()]
