"""The work that the pipeline desk does, by name: what a step of an operation hands it is done by these functions, each of which may be repeated."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datareeve.systems.pipeline_desk import Look, Shop, Work


def _of(module: str, function: str) -> Work:
    """A function of a module of this slice, loaded when it is done."""

    def work(shop: Shop, given: dict[str, Any]) -> dict[str, Any]:
        done: dict[str, Any] = getattr(import_module(f"datareeve.capabilities.pipelines.{module}"), function)(
            shop, given
        )
        return done

    return work


WORK: dict[str, Work] = {
    "begin": _of("flow.building", "begin"),
    "load": _of("flow.building", "load"),
    "model": _of("flow.modelling", "model"),
    "compare": _of("flow.building", "compare"),
    "audit": _of("flow.building", "audit"),
    "drop": _of("flow.building", "drop"),
    "publish": _of("flow.building", "publish"),
    "put-back": _of("flow.building", "put_back"),
}
LOOKS: dict[str, Look] = {
    "loads": _of("flow.looking", "loads"),
    "backfill": _of("flow.looking", "backfill"),
    "tables": _of("flow.looking", "tables"),
    "contracts": _of("flow.looking", "contracts"),
    "engines": _of("flow.handing", "engines"),
    "views": _of("flow.viewed", "views"),
}
