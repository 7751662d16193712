"""What a gateway process says of itself: every line with its time, and a trouble once when it begins and once when it is over."""

from __future__ import annotations

from datetime import UTC, datetime

from datareeve.core import clock
from datareeve.systems.gateway_saying import Troubles, say, without_time


def test_a_line_carries_its_time(capsys, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 23, 5, 4, 3, 2000, tzinfo=UTC))
    say("it is so\n")
    line = capsys.readouterr().err
    assert line == "2026-11-23T05:04:03.002Z it is so\n"
    assert without_time(line) == "it is so\n"
    assert without_time("gateway.port: taken") == "gateway.port: taken"


def test_a_trouble_is_told_when_it_begins_and_when_it_is_over():
    said: list[str] = []
    troubles = Troubles(said.append)
    for now in (
        {"a": "a is broken"},
        {"a": "a is broken"},
        {"a": "a is broken", "b": "b too"},
        {"b": "b too"},
    ):
        troubles.are("keys", now, "{} is well again")
    assert said == ["a is broken", "b too", "a is well again"]
    assert troubles.are("keys", {"b": "b otherwise"}, "{} is well again")
    assert not troubles.are("keys", {"b": "b otherwise"}, "{} is well again")
    assert troubles.are("keys", {}, "{} is well again")
    assert said[3:] == ["b otherwise", "b is well again"]


def test_kinds_of_trouble_do_not_end_each_other():
    said: list[str] = []
    troubles = Troubles(said.append)
    troubles.are("keys", {"a": "a is broken"}, "over")
    troubles.are("configuration", {}, "over")
    assert said == ["a is broken"]
