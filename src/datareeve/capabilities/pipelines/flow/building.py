"""A build, step by step: begun, loaded, compared, audited, published or held. Each step claims the pipeline first, and may be repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.pipelines.flow import names
from datareeve.capabilities.pipelines.flow.following import telling
from datareeve.capabilities.pipelines.flow.loading import Loading
from datareeve.capabilities.pipelines.flow.looking import shaped
from datareeve.capabilities.pipelines.flow.merging import Change, Merging
from datareeve.capabilities.pipelines.flow.publishing_files import publishing
from datareeve.capabilities.pipelines.spec import ChangeBudget, Load
from datareeve.core import clock
from datareeve.core.errors import Failed, Refused, StalePlan
from datareeve.systems.mover import literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.systems.destination import Destination, Held
    from datareeve.systems.pipeline_desk import Shop


def begin(shop: Shop, given: dict[str, Any]) -> dict[str, Any]:
    """Begin a build, or go on with the one that an interrupted run of the same pipeline left."""
    with shop.destination(given["system"]) as there:
        held = shop.claim(there, given["key"])
        build = held.build
        goes_on = bool(build) and build["digest"] == given["digest"] and build.get("audit") is None
        with there.commit(held):
            if goes_on:
                build["run"] = shop.run
            else:
                if schema := given.get("schema"):
                    there.make_schema(schema)
                _drop(shop, there, held, schema)
                build = {
                    "id": shop.run,
                    "run": shop.run,
                    "digest": given["digest"],
                    "moment": clock.stamp(),
                    "loads": {},
                    "models": {},
                }
            there.record(held, build=build)
    return {"goes_on": goes_on}


def load(shop: Shop, given: dict[str, Any]) -> dict[str, Any]:
    """Load one table beside what is published."""
    one, schema, name = Load.model_validate(given["load"]), given.get("schema"), given["name"]
    table = (one.to or name).rpartition(".")[2]
    if given.get("replayed"):
        return _replayed(shop, given, one, table)
    source = shop.source({**given["load"], "window": given.get("window")})
    try:
        with shop.destination(given["system"]) as there:
            held = own_build(shop, there, given)
            first = not there.columns(schema, table)
            loading = Loading(
                there,
                source,
                held,
                name=name,
                load=one,
                schema=schema,
                window=given.get("window"),
                tell=telling(shop, given["system"], given["key"], name),
            )
            done = loading.run(
                lambda: shaped(there, source, one, schema=schema, table=table, first=first), first=first
            )
    finally:
        source.close()
    return {**done, "table": table}


def _replayed(shop: Shop, given: dict[str, Any], one: Load, table: str) -> dict[str, Any]:
    """Load what lies in quarantine of a load. What cannot be taken again goes back there."""
    from datareeve.systems.rejected_source import RejectedRows  # noqa: PLC0415 - rarely asked for

    with shop.destination(given["system"]) as there:
        held = own_build(shop, there, given)
        source = RejectedRows(there, given["key"], given["name"], given["replayed"])
        loading = Loading(
            there,
            source,
            held,
            name=given["name"],
            load=one,
            schema=given.get("schema"),
            replayed=given["replayed"],
        )
        done = loading.run(
            lambda: shaped(there, source, one, schema=given.get("schema"), table=table, first=False),
            first=False,
        )
        return {**done, "table": table}


def compare(shop: Shop, given: dict[str, Any]) -> dict[str, Any]:
    """Find what the publication would change."""
    with shop.destination(given["system"]) as there:
        held = own_build(shop, there, given)
        with there.commit(held):
            changes = list(_changes(there, held, given))
            for change in changes:
                settle(there, held, change)
            held.build["changes"] = [one.model_dump(mode="json") for one in changes]
            there.record(held, build=held.build)
    return {
        "changes": {
            one.table: one.model_dump(include={"added", "changed", "removed", "rows_before", "rows_after"})
            for one in changes
        }
    }


def settle(there: Destination, held: Held, change: Change) -> None:
    """Have what a table will be made ready, where a destination publishes files."""
    only_comes = change.how == "change" and not change.gone and not change.match
    there.settle(held, change.table, names.next_(change.table), change.came, only_comes=only_comes)


def _changes(there: Destination, held: Held, given: dict[str, Any]) -> Iterator[Change]:
    schema = given.get("schema")
    for name, one in given["loads"].items():
        known = held.build["loads"][name]
        yield Merging(
            there,
            name=name,
            load=Load.model_validate(one),
            schema=schema,
            known=known,
            moment=held.build["moment"],
        ).run()


def audit(shop: Shop, given: dict[str, Any]) -> dict[str, Any]:
    """Have the build checked by the pipeline's contracts, and measured against its change budget: hold it where it does not keep them."""
    with shop.destination(given["system"]) as there:
        changes = [Change.model_validate(one) for one in own_build(shop, there, given).build["changes"]]
    why = list(beyond(ChangeBudget.model_validate(given["budget"]), changes))
    runs = []
    for contract in given["contracts"]:
        outcome = shop.operate(
            "quality.check-contract",
            {"contract": contract, "system": given["system"], "places": _places(given, changes)},
        )
        runs.append(outcome.run)
        if outcome.status not in ("done", "nothing to do"):
            broken = next((part.reason for part in outcome.parts if part.reason), outcome.status)
            why.append(f"{contract}: {broken} (run {outcome.run})")
    with shop.destination(given["system"]) as there:
        held = own_build(shop, there, given)
        with there.commit(held):
            there.record(held, build={**held.build, "audit": runs, "held": "; ".join(why)})
    return {"held": "; ".join(why), "audits": runs}


def beyond(budget: ChangeBudget, changes: list[Change]) -> Iterator[str]:
    """Where a publication would change more than it may by itself."""
    for change in changes:
        for what in ("removed", "changed", "added"):
            number = getattr(change, what)
            rows, percent = getattr(budget, f"{what}_rows", None), getattr(budget, f"{what}_percent", None)
            if rows is not None and number > rows:
                yield f"{change.table}: {number} rows {what}, and the change budget is {rows}"
            share = 100 * number / max(1, change.rows_before)
            if percent is not None and change.rows_before and share > percent:
                yield f"{change.table}: {share:.1f} % of the rows {what}, and the change budget is {percent:g} %"


def _places(given: dict[str, Any], changes: list[Change]) -> dict[str, str]:
    """By the name that a contract gives a table, with its schema or without: where the build of it stands."""
    schema = given["default_schema"]
    places = {}
    for change in changes:
        next_ = names.next_(change.table)
        places[f"{schema}.{change.table}"] = f"{schema}.{next_}"
        places[change.table] = f"{schema}.{next_}" if given.get("schema") else next_
    return places


def publish(shop: Shop, given: dict[str, Any]) -> dict[str, Any]:
    """Publish the build, all of it in one transaction."""
    with shop.destination(given["system"]) as there:
        held = shop.claim(there, given["key"])
        if (
            held.build
            and held.build["run"] != given.get("build", shop.run)
            and held.build["id"] != given.get("build")
        ):
            raise StalePlan(
                "pipelines.other-build",
                f"{given['key']}: another build stands there than the one that was to be published.",
                "Run the pipeline again.",
            )
        if held.build and held.build.get("changes") is None:
            raise Failed(
                "pipelines.unbuilt", f"{given['key']}: the build is not whole.", "Run the pipeline again."
            )
        if held.build:
            held.build["run"] = shop.run
        return publishing(there, held, given.get("schema")).publish(clock.stamp())


def put_back(shop: Shop, given: dict[str, Any]) -> dict[str, Any]:
    """Publish what was published before this run. Quiet where that is so already."""
    with shop.destination(given["system"]) as there:
        held = shop.claim(there, given["key"])
        if shop.run in held.published.get("earlier", ()):
            raise Refused(
                "pipelines.superseded",
                f"{given['key']} was published again since this run: only the last publication is put back.",
                "Undo the later run first; of one before it, correct the source and run the pipeline, or backfill.",
            )
        if held.published.get("run") != shop.run:
            return {"rows": 0}
        return publishing(there, held, given.get("schema")).put_back()


def drop(shop: Shop, given: dict[str, Any]) -> dict[str, Any]:
    """Drop the build of this run, what was loaded for it and what was rejected. Quiet where there is none."""
    with shop.destination(given["system"]) as there:
        held = shop.claim(there, given["key"])
        if held.build.get("run") == shop.run:
            with there.commit(held):
                _drop(shop, there, held, given.get("schema"))
    return {}


def _drop(shop: Shop, there: Destination, held: Held, schema: str | None) -> None:
    build = held.build
    elsewhere = build.get("elsewhere", {}).values()  # models that another engine had not built to the end
    for engine in {one["engine"] for one in elsewhere}:
        from datareeve.capabilities.pipelines.flow import handing  # noqa: PLC0415 - for the rare build that has one

        handing.forget(shop, engine, there.name, held)
    for known in (*build.get("loads", {}).values(), *build.get("models", {}).values(), *elsewhere):
        for beside in (names.next_, names.came, names.gone, names.incoming, names.keys):
            there.remove(schema, beside(known["target"]))
    if build:
        there.run(
            f"DELETE FROM datareeve.rejected WHERE pipeline = {literal(held.pipeline)} AND build = {literal(build['id'])}"
        )
    there.forget_batches(held)
    there.record(held, build={})


def own_build(shop: Shop, there: Destination, given: dict[str, Any]) -> Held:
    """The build of this run, claimed. Errors: `StalePlan` `pipelines.other-build`."""
    held = shop.claim(there, given["key"])
    if held.build.get("run") != shop.run:
        raise StalePlan(
            "pipelines.other-build",
            f"{given['key']}: the build of this run is no longer there.",
            "Run the pipeline again.",
        )
    return held
