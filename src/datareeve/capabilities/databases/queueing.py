"""How many connections a load needs so that hardly anybody waits for one: Little's law and Erlang's C formula. Pure arithmetic.

A pool with `c` connections is a queue M/M/c: transactions arrive independently of each other (Poisson), take an exponential time of mean
`service`, and wait in line when all connections are taken. The load `a` = arrivals x service is the connections busy on average.
"""

from __future__ import annotations

import math

MOST_SERVERS = 100_000


def littles_law(arrivals_per_second: float, seconds: float) -> float:
    """Connections busy on average: arrivals a second times seconds each (Little, A proof for the queuing formula L = lambda W, 1961)."""
    return arrivals_per_second * seconds


def erlang_b(servers: int, load: float) -> float:
    """The part of arrivals that find all servers taken where nobody waits, by the recursion B(n) = aB(n-1) / (n + aB(n-1)) (Jagerman, 1974)."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """The part of arrivals that must wait (Erlang, 1917); 1 where the load is as much as the servers or more."""
    if load <= 0:
        return 0.0
    if load >= servers:
        return 1.0
    blocked = erlang_b(servers, load)
    return servers * blocked / (servers - load * (1 - blocked))


def mean_wait(servers: int, load: float, service: float) -> float:
    """Seconds that an arrival waits on average, in the unit of `service`; infinite where the servers do not keep up."""
    return erlang_c(servers, load) * service / (servers - load) if servers > load else math.inf


def wait_quantile(servers: int, load: float, service: float, part: float) -> float:
    """The wait that `part` (0.95) of the arrivals do not exceed: P(W > t) = C exp(-(c - a) t / service)."""
    waiting = erlang_c(servers, load)
    if waiting <= 1 - part:
        return 0.0
    return service / (servers - load) * math.log(waiting / (1 - part)) if servers > load else math.inf


def servers_for(load: float, service: float, *, wait: float, part: float = 0.95) -> int:
    """The fewest servers with which `part` of the arrivals wait no longer than `wait`."""
    servers = max(math.floor(load) + 1, 1)
    while wait_quantile(servers, load, service, part) > wait and servers < MOST_SERVERS:
        servers += 1
    return servers
