"""Published rows beside arriving ones, as SQL: when their keys are equal, when their values differ. `p` is the published side, `b` the arriving one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.systems.mover import identifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datareeve.capabilities.pipelines.flow.shaping import Shape

NO_EQUALITY = ("json", "xml", "point", "JSON")


class Compared:
    """What is known of both sides."""

    _shape: Shape
    _existing: dict[str, str]

    def _equal(self, keys: Sequence[str]) -> str:
        return " AND ".join(f"p.{identifier(key)} = b.{identifier(key)}" for key in keys)

    def _differs(self, columns: Sequence[str], there: Mapping[str, str] | None = None) -> str:
        """Whether published and arriving values differ; a column that is not published yet was NULL."""
        pairs = []
        there = self._existing if there is None else there
        for one in columns:
            as_text = there.get(one, "").startswith(NO_EQUALITY) and not there.get(one, "").startswith(
                "jsonb"
            )
            old, new = (f"{alias}.{identifier(one)}" for alias in "pb")
            if one not in there:
                pairs.append(f"{new} IS NOT NULL")
            elif as_text:
                pairs.append(f"CAST({old} AS VARCHAR) IS DISTINCT FROM CAST({new} AS VARCHAR)")
            else:
                pairs.append(f"{old} IS DISTINCT FROM {new}")
        return " OR ".join(pairs)

    def _as_published(self, columns: Sequence[str]) -> str:
        """Columns of published rows, `p`; one that is not published yet was NULL."""
        types = {one.name: one.type for one in self._shape.columns}
        return ", ".join(
            f"p.{identifier(one)}"
            if one in self._existing
            else f"CAST(NULL AS {types[one]}) AS {identifier(one)}"
            for one in columns
        )

    def _listed(self, columns: Sequence[str], alias: str = "") -> str:
        return ", ".join(f"{alias}.{identifier(one)}" if alias else identifier(one) for one in columns)
