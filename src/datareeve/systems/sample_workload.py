"""The demo's workload: what users of the booking application do, run for real on four sessions, timed and recorded as a trace.

The one idea: a task such as `departure_board` is a function that asks statements one after another, as application code does, N+1 loops
included; `MIX` says how often each is done. The same seed asks the same statements with the same parameters, in the same order a session;
each session books for passengers of its own, so that none sees another's writes.

A trace is JSON lines, one statement each: `{"at", "session", "sql" (with %s), "parameters", "ms", "rows"}`.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import chain, count
from typing import TYPE_CHECKING, Any, TypedDict

import psycopg

from datareeve.core import clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Task = Callable[["Session"], None]

SESSIONS = 4
SEED = 2013
PASSENGERS = 20_000
BOOKINGS = 56_129
ORIGINS = ("EWR", "JFK", "LGA")
DESTINATIONS = tuple("ATL BOS CLT DEN DFW FLL LAX MCO MIA ORD SEA SFO SJU TPA".split())

BOARD = (
    "SELECT carrier, flight, dest, tailnum, sched_dep_time, dep_delay, time_hour FROM flights"
    " WHERE origin = %s AND year = %s AND month = %s AND day = %s ORDER BY sched_dep_time, carrier, flight LIMIT 20"
)
AIRLINE = "SELECT name FROM airlines WHERE carrier = %s"
PLANE = "SELECT manufacturer, model, seats FROM planes WHERE tailnum = %s"
AIRPORT = "SELECT name, tzone FROM airports WHERE faa = %s"
AIRPORT_SEARCH = "SELECT faa, name FROM airports WHERE name ILIKE %s ORDER BY name LIMIT 10"
FLIGHT = "SELECT * FROM flights WHERE carrier = %s AND flight = %s AND year = %s AND month = %s AND day = %s"
FLIGHT_OF_BOOKING = "SELECT origin, dest, sched_dep_time, dep_delay, tailnum FROM flights WHERE carrier = %s AND flight = %s AND time_hour = %s"
TAIL = "SELECT time_hour, carrier, flight, origin, dest FROM flights WHERE tailnum = %s ORDER BY time_hour DESC LIMIT 10"
ORIGIN_MONTH = "SELECT count(*), avg(dep_delay), max(dep_delay) FROM flights WHERE origin = %s AND month = %s"
ROUTE = "SELECT carrier, count(*), avg(arr_delay) FROM flights WHERE origin = %s AND dest = %s GROUP BY carrier ORDER BY carrier"
WEATHER = "SELECT temp, wind_speed, precip, visib FROM weather WHERE origin = %s AND time_hour = %s"
PASSENGER = "SELECT id, full_name FROM passengers WHERE email = %s"
PASSENGER_BY_ID = "SELECT full_name, email FROM passengers WHERE id = %s"
MY_BOOKINGS = "SELECT id, carrier, flight, time_hour, seat, status FROM bookings WHERE passenger_id = %s ORDER BY booked_at DESC, id LIMIT 5"
SEATS_TAKEN = "SELECT count(*) FROM bookings WHERE carrier = %s AND flight = %s AND time_hour = %s AND status = 'booked'"
BOOK = "INSERT INTO bookings (passenger_id, carrier, flight, time_hour, seat, fare) VALUES (%s, %s, %s, %s, %s, %s) RETURNING id"
CANCEL = "UPDATE bookings SET status = 'cancelled' WHERE id = %s"
REGISTER = "INSERT INTO passengers (full_name, email) VALUES (%s, %s)"
DELAY = "UPDATE flights SET dep_delay = %s WHERE carrier = %s AND flight = %s AND time_hour = %s"


class Session:
    """One connection of the application, and its own stream of random choices."""

    def __init__(self, url: str, number: int, heard: Callable[[], None]) -> None:
        self._url = url
        self._number = number
        self._heard = heard
        self.draw = random.Random(SEED + number)  # noqa: S311 - a reproducible workload, not a secret
        self.trace: list[dict[str, Any]] = []

    def run(self, tasks: list[Task]) -> list[dict[str, Any]]:
        """Do the tasks in an order of the session's own; gives the trace of its statements."""
        self.draw.shuffle(tasks)
        with psycopg.connect(self._url, autocommit=True, application_name="flights-app") as self._connection:
            for task in tasks:
                task(self)
        return self.trace

    def ask(self, sql: str, *parameters: Any) -> list[Any]:
        """Run one statement, timed and recorded; gives its rows."""
        at, began = clock.stamp(), time.perf_counter()
        cursor = self._connection.execute(sql.encode(), parameters)
        rows = cursor.fetchall() if cursor.description else []
        ms = round((time.perf_counter() - began) * 1000, 3)
        given = [value if isinstance(value, (int, float)) else str(value) for value in parameters]
        line = {
            "at": at,
            "session": self._number,
            "sql": sql,
            "parameters": given,
            "ms": ms,
            "rows": cursor.rowcount,
        }
        self.trace.append(line)
        self._heard()
        return rows

    def passenger(self) -> int:
        """The id of a passenger of this session."""
        return self.draw.randrange(self._number, PASSENGERS, SESSIONS) + 1

    def flight(self) -> Any:
        """One departure of a day's board: carrier, flight, dest, tailnum, sched_dep_time, dep_delay, time_hour."""
        return self.draw.choice(self.board())

    def board(self) -> list[Any]:
        """The first departures of some day at one of the three airports."""
        day = self.draw.choice(ORIGINS), 2013, self.draw.randint(1, 12), self.draw.randint(1, 28)
        return self.ask(BOARD, *day)


def departure_board(user: Session) -> None:
    """A page with N+1 in it: the list, then the airline and the plane of every line."""
    for carrier, _flight, _dest, tailnum, *_rest in user.board():
        user.ask(AIRLINE, carrier)
        if tailnum is not None:
            user.ask(PLANE, tailnum)


def flight_page(user: Session) -> None:
    """One flight on one day, with its destination and the weather at departure."""
    carrier, flight, dest, _tailnum, _scheduled, _delay, time_hour = user.flight()
    user.ask(FLIGHT, carrier, flight, 2013, time_hour.month, time_hour.day)
    user.ask(AIRPORT, dest)
    for origin in ORIGINS:
        user.ask(WEATHER, origin, time_hour)


def plane_history(user: Session) -> None:
    """Where a plane has been."""
    tailnum = user.flight()[3]
    user.ask(TAIL, tailnum or "N14228")
    user.ask(PLANE, tailnum or "N14228")


def delays(user: Session) -> None:
    """How late an airport and a route are."""
    user.ask(ORIGIN_MONTH, user.draw.choice(ORIGINS), user.draw.randint(1, 12))
    user.ask(ROUTE, user.draw.choice(ORIGINS), user.draw.choice(DESTINATIONS))


def search(user: Session) -> None:
    """Typing the name of an airport."""
    user.ask(AIRPORT_SEARCH, f"%{user.draw.choice(('san', 'new', 'fort', 'lake', 'inter'))}%")


def my_trips(user: Session) -> None:
    """A passenger's bookings, and then each one's flight: N+1 again."""
    passenger = user.passenger()
    user.ask(PASSENGER_BY_ID, passenger)
    for _id, carrier, flight, time_hour, *_rest in user.ask(MY_BOOKINGS, passenger)[:2]:
        user.ask(FLIGHT_OF_BOOKING, carrier, flight, time_hour)


def log_in(user: Session) -> None:
    """By address; one in ten is new and registers."""
    n = user.passenger()
    user.ask(PASSENGER, f"ada.ash{n}@example.com")
    if n % 10 == 0:
        user.ask(REGISTER, f"New Passenger {n}", f"new.passenger{n}@example.com")


def book(user: Session) -> None:
    """Look at the board, see how full the flight is, book a seat."""
    carrier, flight, _dest, _tailnum, _scheduled, _delay, time_hour = user.flight()
    user.ask(SEATS_TAKEN, carrier, flight, time_hour)
    seat = f"{user.draw.randint(1, 30)}{user.draw.choice('ABCDEF')}"
    user.ask(BOOK, user.passenger(), carrier, flight, time_hour, seat, round(user.draw.uniform(60, 480), 2))


def cancel(user: Session) -> None:
    """Give a seat back."""
    user.ask(CANCEL, user.draw.randint(1, BOOKINGS))


def report_delay(user: Session) -> None:
    """The airport tells of a delay."""
    carrier, flight, _dest, _tailnum, _scheduled, delay, time_hour = user.flight()
    user.ask(DELAY, delay or 15, carrier, flight, time_hour)


MIX = (
    (departure_board, 48),
    (flight_page, 80),
    (plane_history, 60),
    (delays, 20),
    (search, 120),
    (my_trips, 88),
    (log_in, 1000),
    (book, 120),
    (cancel, 360),
    (report_delay, 24),
)


def record(
    url: str, path: Path, *, progress: Callable[[int], None] = lambda _: None, share: float = 1.0
) -> int:
    """Run the workload and write its trace; gives the number of statements. `share` of it, for a quick one.

    `progress` is called with the number of statements done so far, from the sessions' threads.
    """
    numbers = count(1)  # next() on it is atomic
    tasks = [task for task, times in MIX for _ in range(max(1, round(times * share / SESSIONS)))]
    sessions = [Session(url, number, lambda: progress(next(numbers))) for number in range(SESSIONS)]
    with ThreadPoolExecutor(SESSIONS) as pool:
        traces = list(pool.map(lambda session: session.run(list(tasks)), sessions))
    lines = sorted(chain.from_iterable(traces), key=lambda line: str(line["at"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return len(lines)


class Summary(TypedDict):
    """A trace in figures. `ms` is the time that the sessions waited for answers, added up."""

    statements: int
    ms: float
    queries_per_second: float
    latency_ms_p50: float
    latency_ms_p95: float
    latency_ms_p99: float


def summary(trace: Path) -> Summary:
    """The figures of a recorded trace."""
    lines = [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]
    ms = [line["ms"] for line in lines]
    first, last = (datetime.fromisoformat(lines[place]["at"]) for place in (0, -1))
    hundredths = statistics.quantiles(ms, n=100)
    return Summary(
        statements=len(ms),
        ms=sum(ms),
        queries_per_second=len(ms) / max((last - first).total_seconds(), 0.001),
        latency_ms_p50=hundredths[49],
        latency_ms_p95=hundredths[94],
        latency_ms_p99=hundredths[98],
    )
