"""Playbooks are data; what they say about order holds wherever their operations turn up."""

from __future__ import annotations

import fakes
import pytest

from datareeve.agent import playbooks
from datareeve.agent.matching import Matcher


@pytest.mark.parametrize("playbook", playbooks.load(), ids=lambda playbook: playbook.name)
def test_a_playbook_is_found_by_each_of_its_own_examples(playbook):
    matcher = Matcher(fakes.catalogue(), playbooks.load())
    for example in playbook.examples:
        match = matcher.match(example)
        assert match.decision == "planned", example
        assert set(match.readings[0].operations) <= set(playbook.operations), example


@pytest.mark.parametrize("playbook", playbooks.load(), ids=lambda playbook: playbook.name)
def test_a_playbook_names_operations_that_the_catalogue_has(playbook):
    known = set(fakes.catalogue().names())
    assert {*playbook.operations, *playbook.before, *playbook.after} <= known
    assert bool(playbook.because) == bool(playbook.before or playbook.after)


def test_the_orders_hold_no_contradiction():
    orders = {(order.first, order.then) for order in playbooks.orders(playbooks.load())}
    reached = set(orders)
    while more := {(a, d) for a, b in reached for c, d in orders if b == c} - reached:
        reached |= more
    assert not any(first == then for first, then in reached)


def test_a_proven_backup_comes_before_any_change():
    orders = {(order.first, order.then) for order in playbooks.orders(playbooks.load())}
    assert ("databases.set-up-backups", "databases.repair-schema") in orders
