"""The work that the quality desk does, by name: what a step of an operation hands it is done by these functions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datareeve.systems.quality_desk import Desk, Work


def _of(module: str) -> Work:
    """The `work` of a module of this slice, loaded when it is done."""

    def work(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
        done: dict[str, Any] = import_module(f"datareeve.capabilities.quality.{module}").work(desk, given)
        return done

    return work


WORK: dict[str, Work] = {"check": _of("checking"), "reconcile": _of("reconcile.outcome")}
