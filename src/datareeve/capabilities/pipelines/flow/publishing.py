"""Publishing a build, and putting back what was published before: one transaction each, with the cursor and the fence in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.pipelines.flow import names
from datareeve.capabilities.pipelines.flow.merging import Change
from datareeve.systems.mover import identifier, literal

if TYPE_CHECKING:
    from datareeve.systems.destination import Destination, Held

EARLIER = 1000  # runs that are known to have been published before; an undo of one is refused


def _positions(build: dict[str, Any]) -> dict[str, Any]:
    """How far each load has read; a backfill reads what was read before, and leaves that as it is."""
    return {
        name: {"position": one["position"]}
        for name, one in build["loads"].items()
        if one["position"] is not None
    }


class Publishing:
    """One publication, or its undo."""

    def __init__(self, there: Destination, held: Held, schema: str | None) -> None:
        self._there, self._held, self._schema = there, held, schema

    def publish(self, moment: str) -> dict[str, Any]:
        """Publish the build; gives its figures. Quiet where it is published already."""
        build, published = self._held.build, self._held.published
        if not build or published.get("id") == build["id"]:
            return self._figures(published["changes"])
        changes = [Change.model_validate(one) for one in build["changes"]]
        with self._there.commit(self._held):
            self._let_former_go(published)
            changes = [self._apply(change) for change in changes]
            self._let_made_from_go(changes)
            told = [one.model_dump(mode="json") for one in changes]
            loads = {**published.get("loads", {}), **_positions(build)}
            former = {name: published.get(name) for name in ("id", "at", "loads", "changes")}
            news = {
                "id": build["id"],
                "run": build["run"],
                "at": moment,
                "loads": loads,
                "changes": told,
                "former": former,
                "earlier": [*published.get("earlier", ()), *filter(None, [published.get("run")])][-EARLIER:],
            }
            self._there.record(self._held, build={}, published=news)
            self._there.forget_batches(self._held)
            self._let_replayed_go(build)
        return self._figures(build["changes"])

    def put_back(self) -> dict[str, Any]:
        """Publish what was published before. Quiet where it is already so."""
        published = self._held.published
        changes = [Change.model_validate(one) for one in published["changes"]]
        with self._there.commit(self._held):
            for change in reversed(changes):
                self._take_back(change)
            # What stood before is published again, and can itself be put back no more: its own former went long ago.
            former = {**(published.get("former") or {}), "earlier": published.get("earlier")}
            self._there.record(
                self._held,
                build={},
                published={name: value for name, value in former.items() if value is not None},
            )
        return self._figures(published["changes"])

    # -- one table ---------------------------------------------------------------------------------------------------------------------

    def _apply(self, change: Change) -> Change:
        """Publish one table; gives the change with the names under which it is kept for the undo."""
        if change.how == "swap":
            self._swap(change)
            return change
        next_ = names.next_(change.table)
        if change.how == "view":
            self._show(change.table, change.select)
            return change
        if change.how == "refill":
            former = names.former(change.table)
            self._there.run(f"CREATE TABLE {self._name(former)} AS SELECT * FROM {self._name(change.table)}")
            self._reshape(change)
            self._replace(change, take=former, give=next_, columns=change.columns)
            return self._kept(change.model_copy(update={"came": next_, "gone": former}))
        self._there.remove(self._schema, next_)
        self._reshape(change)
        self._replace(
            change,
            take=change.gone,
            give=change.came,
            columns=change.columns,
            leaving=change.removed,
            coming=change.added,
        )
        return self._kept(change)

    def _show(self, view: str, select: str) -> None:
        """Let a view show a SELECT; without one it goes."""
        self._there.remove(self._schema, names.next_(view))
        if not select:
            self._there.run(f"DROP VIEW {self._name(view)}")
        elif self._there.kind_of(self._schema, view) == "VIEW":
            self._there.run(f"CREATE OR REPLACE VIEW {self._name(view)} AS {select}")
        else:
            self._there.remove(self._schema, view)
            self._there.run(f"CREATE VIEW {self._name(view)} AS {select}")

    def _reshape(self, change: Change) -> None:
        table = self._name(change.table)
        for column, type_ in change.added_columns.items():
            self._there.run(f"ALTER TABLE {table} ADD COLUMN {identifier(column)} {type_}")
        for column, type_ in change.widened.items():
            self._there.run(f"ALTER TABLE {table} ALTER COLUMN {identifier(column)} TYPE {type_}")

    def _kept(self, change: Change) -> Change:
        """What was applied gets names of its own: the next build uses theirs before this one's undo is given up."""
        update = {}
        for field, kept in (("came", names.given(change.table)), ("gone", names.taken(change.table))):
            if name := getattr(change, field):
                self._there.run(f"ALTER TABLE {self._name(name)} RENAME TO {identifier(kept)}")
                update[field] = kept
        return change.model_copy(update=update)

    def _replace(  # noqa: PLR0913 - what it is made of
        self,
        change: Change,
        *,
        take: str,
        give: str,
        columns: tuple[str, ...],
        leaving: int | None = None,
        coming: int | None = None,
    ) -> None:
        """Rows of `take` are no longer there, rows of `give` are: what is in both is updated, so that references to it hold, where there may be some.

        `leaving` and `coming`: how many rows are in one of them only, where that was counted; for none, none is looked for.
        """
        table = self._name(change.table)
        listed = ", ".join(map(identifier, columns))
        if (
            not change.match and take
        ):  # nothing tells rows from one another: all go, of a backfill all of its span, and all come
            self._there.changed(f"DELETE FROM {table}" + (f" WHERE {change.span}" if change.span else ""))
        same_taken = self._same(change, "t", "g")
        whole = set(columns) == set(self._there.columns(self._schema, change.table))
        anew = bool(take and change.match) and whole and self._there.anew(self._schema, change.table)
        if anew:
            self._there.changed(f"DELETE FROM {table} AS t USING {self._name(take)} AS g WHERE {same_taken}")
        if anew or not take or not change.match:
            self._there.changed(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {self._name(give)}")
            return
        rest = [one for one in columns if one not in change.match]
        if rest:
            sets = ", ".join(f"{identifier(one)} = g.{identifier(one)}" for one in rest)
            self._there.changed(
                f"UPDATE {table} AS t SET {sets} FROM {self._name(give)} AS g WHERE {same_taken} AND EXISTS (SELECT 1 FROM {self._name(take)} AS k WHERE {self._same(change, 'k', 'g')})"
            )
        only = "WHERE {same}NOT EXISTS (SELECT 1 FROM {other} AS k WHERE {match})"
        match = self._same(change, "k", "g")
        if leaving != 0:
            where = only.format(same=f"{same_taken} AND ", other=self._name(give), match=match)
            self._there.changed(f"DELETE FROM {table} AS t USING {self._name(take)} AS g {where}")
        if coming != 0:
            where = only.format(same="", other=self._name(take), match=match)
            selected = ", ".join(f"g.{identifier(one)}" for one in columns)
            self._there.changed(
                f"INSERT INTO {table} ({listed}) SELECT {selected} FROM {self._name(give)} AS g {where}"
            )

    def _swap(self, change: Change) -> None:
        if not change.first:
            self._take_place(change.table, names.next_(change.table), aside=names.former(change.table))
        else:
            self._there.run(
                f"ALTER TABLE {self._name(names.next_(change.table))} RENAME TO {identifier(change.table)}"
            )

    def _take_place(self, table: str, new: str, aside: str = "") -> None:
        """A table takes another's place, with what stood around that one; the other goes, or is kept under a name."""
        later = self._there.adopt(self._schema, table, new)
        old = self._name(table)
        self._there.run(f"ALTER TABLE {old} RENAME TO {identifier(aside)}" if aside else f"DROP TABLE {old}")
        self._there.run(f"ALTER TABLE {self._name(new)} RENAME TO {identifier(table)}")
        for statement in later:
            self._there.run(statement)

    # -- taking back -------------------------------------------------------------------------------------------------------------------

    def _take_back(self, change: Change) -> None:
        table = self._name(change.table)
        if change.how == "view":
            self._show(change.table, change.former_select)
            return
        if change.how == "swap":
            if change.first:
                self._there.run(f"DROP TABLE {table}")
            else:
                self._take_place(change.table, names.former(change.table))
            return
        for (
            column
        ) in change.added_columns:  # first: DuckDB alters no table whose rows the transaction has changed
            self._there.run(f"ALTER TABLE {table} DROP COLUMN {identifier(column)}")
        if change.gone:
            counted = change.how == "change"
            self._replace(
                change,
                take=change.came,
                give=change.gone,
                columns=self._former_columns(change),
                leaving=change.added if counted else None,
                coming=change.removed if counted else None,
            )
        else:
            self._without(change)
        for name in filter(None, (change.came, change.gone)):
            self._there.run(f"DROP TABLE {self._name(name)}")

    def _former_columns(self, change: Change) -> tuple[str, ...]:
        return tuple(self._there.columns(self._schema, change.gone))

    def _without(self, change: Change) -> None:
        """Of rows that only came, without keys: as many of each as came go again; which of equal rows cannot be told apart."""
        table, came = self._name(change.table), self._name(change.came)
        place = self._there.row_place
        columns = [one for one in change.columns if one not in change.added_columns]
        listed = ", ".join(map(identifier, columns))
        same = " AND ".join(
            f"p.{identifier(one)} IS NOT DISTINCT FROM c.{identifier(one)}" for one in columns
        )
        numbered = f"SELECT {place} AS datareeve_place, row_number() OVER (PARTITION BY {listed} ORDER BY {place} DESC) AS datareeve_number, {listed} FROM {table}"
        counted = f"SELECT count(*) AS datareeve_count, {listed} FROM {came} GROUP BY {listed}"
        chosen = f"SELECT p.datareeve_place FROM ({numbered}) AS p JOIN ({counted}) AS c ON p.datareeve_number <= c.datareeve_count AND {same}"
        self._there.changed(f"DELETE FROM {table} WHERE {place} IN ({chosen})")

    # -- pieces ------------------------------------------------------------------------------------------------------------------------

    def _let_former_go(self, published: dict[str, Any]) -> None:
        """What stood ready for the undo of the publication before goes: only one can be taken back."""
        for one in published.get("changes") or ():
            change = Change.model_validate(one)
            kept = {change.came, change.gone} if change.how != "swap" else {names.former(change.table)}
            for name in kept - {""}:
                self._there.run(f"DROP TABLE IF EXISTS {self._name(name)}")

    def _let_made_from_go(self, changes: list[Change]) -> None:
        """The rows that came and the keys that there were at the source have done their work; what the undo needs has another name."""
        for change in changes:
            for name in (names.incoming(change.table), names.keys(change.table)):
                self._there.run(f"DROP TABLE IF EXISTS {self._name(name)}")

    def _let_replayed_go(self, build: dict[str, Any]) -> None:
        """Rows that were taken out of quarantine, or put there again by this build."""
        for name, one in build["loads"].items():
            if one.get("replayed"):
                mine = f"pipeline = {literal(self._held.pipeline)} AND load = {literal(name)} AND build <> {literal(build['id'])}"
                self._there.run(
                    f"DELETE FROM datareeve.rejected WHERE {mine} AND moment <= {literal(one['replayed'])} AND {self._there.is_json('source_row')}"
                )

    def _same(self, change: Change, left: str, right: str) -> str:
        return " AND ".join(f"{left}.{identifier(one)} = {right}.{identifier(one)}" for one in change.match)

    def _name(self, name: str) -> str:
        return self._there.table(self._schema, name)

    @staticmethod
    def _figures(changes: list[dict[str, Any]]) -> dict[str, Any]:
        found = [Change.model_validate(one) for one in changes]
        return {"rows": sum(one.added + one.changed + one.removed for one in found), "added": sum(one.added for one in found),
                "changed": sum(one.changed for one in found), "removed": sum(one.removed for one in found), "tables": len(found)}  # fmt: skip
