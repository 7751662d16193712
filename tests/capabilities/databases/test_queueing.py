"""Little's law and Erlang's C formula: known values, and what must hold for all."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.capabilities.databases import queueing as q


def test_littles_law_multiplies():
    assert q.littles_law(200, 0.05) == 10


@pytest.mark.parametrize(
    ("servers", "load", "waiting"),
    [
        (1, 0.5, 0.5),  # M/M/1: the load itself
        (2, 1.0, 1 / 3),
        (3, 2.0, 4 / 9),
        (10, 8.0, 0.409180),  # tables of Erlang C
        (20, 16.0, 0.256078),
        (5, 5.0, 1.0),
        (5, 0.0, 0.0),
    ],
)
def test_erlang_c_gives_the_tables_values(servers, load, waiting):
    assert q.erlang_c(servers, load) == pytest.approx(waiting, abs=2e-6)


def _by_definition(servers, load):
    """Erlang C as the textbook writes it, with factorials."""
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(load**n / math.factorial(n) for n in range(servers)) + last)


@given(st.integers(1, 60), st.floats(0.01, 0.99))
def test_the_recursion_is_the_formula(servers, busy):
    load = servers * busy
    assert q.erlang_c(servers, load) == pytest.approx(_by_definition(servers, load), rel=1e-9)


@given(st.integers(1, 300), st.floats(0.01, 290))
def test_more_connections_never_wait_more_and_more_load_never_less(servers, load):
    assert q.erlang_c(servers + 1, load) <= q.erlang_c(servers, load) + 1e-12
    assert q.erlang_c(servers, load) <= q.erlang_c(servers, load * 1.1) + 1e-12


def test_the_mean_wait_of_one_server_is_that_of_the_textbook():
    assert q.mean_wait(1, 0.8, 0.1) == pytest.approx(0.4)  # rho s / (1 - rho)
    assert q.mean_wait(2, 3.0, 0.1) == math.inf


def test_a_quantile_of_the_wait_is_zero_where_few_enough_wait():
    assert q.wait_quantile(10, 2.0, 0.05, 0.95) == 0
    assert q.wait_quantile(1, 0.5, 1.0, 0.95) == pytest.approx(2 * math.log(10))
    assert q.wait_quantile(2, 2.0, 1.0, 0.95) == math.inf


@given(st.floats(0.01, 500), st.floats(0.0001, 5), st.floats(0.0001, 1))
def test_the_fewest_servers_that_keep_the_wait_are_enough_and_one_less_is_not(load, service, wait):
    servers = q.servers_for(load, service, wait=wait)
    assert servers > load
    assert q.wait_quantile(servers, load, service, 0.95) <= wait
    assert servers == 1 or q.wait_quantile(servers - 1, load, service, 0.95) > wait or servers - 1 <= load


def test_a_seat_for_every_arrival_is_no_wait_in_a_simulation():
    """Ten thousand transactions through a queue, one after another, against the formula."""
    import random  # noqa: PLC0415

    draw = random.Random(7)  # noqa: S311 - a reproducible simulation, not a secret
    servers, load, service = 4, 3.0, 1.0
    free, at, waited, arrivals = [0.0] * servers, 0.0, 0, 200_000
    for _ in range(arrivals):
        at += draw.expovariate(load / service)
        first = min(range(servers), key=free.__getitem__)
        waited += free[first] > at
        free[first] = max(free[first], at) + draw.expovariate(1 / service)
    assert waited / arrivals == pytest.approx(q.erlang_c(servers, load), abs=0.02)
