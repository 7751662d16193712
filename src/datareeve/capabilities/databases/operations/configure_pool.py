"""`databases.configure-pool`: PgBouncer in front of a database, sized by what the database was seen doing."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.databases import pool_watch, pooling, queueing, sql
from datareeve.capabilities.databases.settings import FOURTEEN, HostFacts, host_of
from datareeve.core import clock
from datareeve.core.operation import (
    Call,
    Claim,
    Effect,
    Finding,
    Operation,
    Plan,
    Prediction,
    Reader,
    Severity,
    Step,
    Systems,
)
from datareeve.core.value import Value

DIRECTORY = "data/pgbouncer"
USUAL_PORT = 6432
SIZE_WHY = "The larger of what the load needs (Little's law, Erlang C) and 2 x cores + 1; the plan shows the arithmetic."  # no figures: they would change the file with every look
HISTORY = timedelta(days=14)  # of samples that the pool is sized by


class ConfigurePoolFacts(Value):
    """What configure-pool looks at."""

    target: pooling.Target
    server: pooling.PoolServer
    host: HostFacts | None
    load: pooling.Load | None
    login_method: str | None  # of a login from loopback; None: not known
    verifiers: pooling.Verifiers | None  # None: may not be read
    installed: tuple[int, ...] | None  # PgBouncer's version
    running: bool
    serves: bool  # runs, with what is on file
    port: int
    port_taken: bool
    file: str | None
    digest: str | None
    declared: dict[str, Any] | None
    unwatched: tuple[str, ...] = ()  # entries of estate.yaml that watch the pool and are missing


class ConfigurePool(Operation[ConfigurePoolFacts]):
    """Put a connection pool (PgBouncer) in front of the database.

    Writes a working configuration with the reasoning in it: pool mode by the session features seen on the server and in the workload, pool
    size from the observed peak by Little's law, with the headroom that keeps waiting short (Erlang C), and by the cores, bounded by what
    the server allows. Declares the pool in the estate, starts it where PgBouncer is installed, asks a query through it, and has it watched
    by a schedule and alerts. No password is written: logins are checked against the server's own SCRAM verifiers. Undo stops the pool and
    takes configuration, declaration and watch away.
    """

    name: ClassVar[str] = "databases.configure-pool"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "configure connection pooling",
        "set up PgBouncer",
        "connection pooling with PgBouncer in front of the database",
        "too many connections to the database",
        "size the connection pool for our application",
        "manage database connections",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    mode: Literal["auto", "transaction", "session"] = Field(
        "auto",
        description="when a connection is given back; auto: after each transaction, unless sessions keep state",
    )
    size: int | None = Field(
        None, ge=1, description="server connections for each user; default: by load and cores"
    )
    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="TCP port of the pool; default: the one it has, else the first free from 6432",
    )
    wait_ms: float = Field(
        pooling.WAIT_MS, gt=0, description="95 % of transactions shall wait no longer for a connection"
    )
    watch: bool = Field(
        default=True, description="look at the pool every minute while `datareeve serve` runs, with alerts"
    )
    listen: str = Field(pooling.LOOPBACK, description="address the pool listens on")

    @property
    def pool(self) -> str:
        """The pool's name in the estate."""
        return f"{self.system}-pool"

    @property
    def path(self) -> str:
        """The configuration file, relative to the project."""
        return f"{DIRECTORY}/{self.pool}.ini"

    # -- looking -----------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> ConfigurePoolFacts:
        """Limits, load, session features, login method, and what of the pool is there already."""
        front, files = systems[self.pool], systems["files"]
        about = systems[self.system].read("server")
        features = systems[self.system].read("session_features")
        server = pooling.PoolServer(**self._query(systems, "pool_server"), features=features)
        installed = front.read("installed")
        digest = files.read("digest", path=self.path)
        declared = systems["estate"].read("get", where=["systems", self.pool])
        port = self._port(front, (declared or {}).get("port"))
        return ConfigurePoolFacts(
            target=front.read("target"),
            server=server,
            host=host_of(systems, self.system, about),
            load=self._load(systems, about["version_num"]),
            login_method=(self._query(systems, "pool_login_method") or {}).get("auth_method")
            if server.may_read_hba
            else None,
            verifiers=self._query(systems, "pool_verifiers") if server.may_read_verifiers else None,
            installed=installed["version"] if installed else None,
            running=front.read("running"),
            serves=digest is not None and front.read("serves", digest=digest),
            port=port,
            port_taken=front.read("port_taken", port=port),
            file=files.read("text", path=self.path),
            digest=digest,
            declared=declared,
            unwatched=pool_watch.missing(systems, self.system, self.pool) if self.watch else (),
        )

    def _port(self, front: Reader, declared: int | None) -> int:
        """As given; else the one it has; else the first of ten from PgBouncer's own that nothing else listens on."""
        if self.port or (declared and not front.read("port_taken", port=declared)):
            return self.port or int(declared or 0)
        ports = range(USUAL_PORT, USUAL_PORT + 10)
        return next((port for port in ports if not front.read("port_taken", port=port)), USUAL_PORT)

    def _load(self, systems: Systems, version_num: int) -> pooling.Load | None:
        since = clock.stamp(clock.now() - HISTORY)
        samples = systems["ledger"].read("samples", system=self.system, since=since)
        if (busiest := pooling.busiest_interval(samples)) is not None:
            return busiest
        means = (self._since_statistics(systems, version_num), self._recorded(systems))
        return max((mean for mean in means if mean), key=lambda load: load.concurrency, default=None)

    def _recorded(self, systems: Systems) -> pooling.Load | None:
        recorded = systems[self.system].read("workload")
        return pooling.recorded_load(recorded["source"], recorded["families"])

    def _since_statistics(self, systems: Systems, version_num: int) -> pooling.Load | None:
        if version_num < FOURTEEN:
            return None
        row = self._query(systems, "pool_load")
        worked = row["transactions"] and row["busy_ms"] and row["seconds"]
        return pooling.Load(**row, basis="mean since the server's statistics began") if worked else None

    def _query(self, systems: Systems, name: str) -> Any:
        return systems[self.system].read("query", sql=sql.load(name), shape="row")

    # -- deciding ----------------------------------------------------------------------------------------------

    def plan(self, facts: ConfigurePoolFacts) -> Plan:
        """Write, declare, start; nothing where the pool already serves what is advised."""
        wish = pooling.Wish(
            given=self.size,
            former=pooling.pool_size(facts.file),
            wait_ms=self.wait_ms,
            mode=self._mode(facts)[0],
        )
        sized = pooling.size_of(facts.server, facts.host, facts.load, wish)
        blockers = self._blockers(facts, sized)
        if sized is None or blockers:
            return self._plan(
                f"No pool can be put in front of {self.system} yet.", facts, sized, blockers=blockers
            )
        text = pooling.render(self._choices(facts, sized))
        new = facts.file is None or pooling.parse(facts.file) != pooling.parse(text)
        digest = hashlib.sha256(text.encode()).hexdigest() if new else str(facts.digest)
        steps = self._steps(facts, text if new else None, sized, digest)
        checks = self._checks(facts, digest, sized)
        if steps:
            mode, _ = self._mode(facts)
            summary = f"{self.pool}: {mode} mode, {sized.size} server connections, port {facts.port}."
            return self._plan(summary, facts, sized, steps=steps, checks=checks)
        state = "serves" if facts.installed else "is configured, though PgBouncer is not installed,"
        quiet = f"{self.pool} {state} as advised: {sized.size} server connections on port {facts.port}."
        return self._plan(quiet, facts, sized, nothing_to_do=quiet, checks=checks)

    def _plan(
        self, summary: str, facts: ConfigurePoolFacts, sized: pooling.Sized | None, **more: Any
    ) -> Plan:
        before = self._claim(f"{self.path} is what it was", "files", "digest", facts.digest, path=self.path)
        free = self._claim(
            f"nothing else listens on port {facts.port}",
            self.pool,
            "port_taken",
            expected=False,
            port=facts.port,
        ).model_copy(update={"remedy": "Plan again: another free port is chosen."})
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            requirements=(before, free) if more.get("steps") else (),
            findings=self._findings(facts, sized),
            figures=_figures(facts, sized, self.wait_ms),
            **more,
        )

    def _mode(self, facts: ConfigurePoolFacts) -> tuple[str, str]:
        server = facts.server
        seen = (
            ("LISTEN", server.listeners),
            ("session advisory lock", server.session_locks),
            ("temporary table", server.temporary_tables),
            *((f"{what} in the workload", count) for what, count in sorted(server.features.items())),
        )
        found = [f"{count:,} x {what}" for what, count in seen if count]
        if self.mode != "auto":
            return self.mode, "As given."
        if found:
            return (
                "session",
                f"Seen: {', '.join(found)}; a connection shared between transactions would lose them.",
            )
        blind = "" if server.sees_sessions else " (though other roles' sessions could not be looked at)"
        return (
            "transaction",
            f"No LISTEN, session lock, temporary table or other state of a session was seen{blind}: connections can be shared.",
        )

    def _auth(self, facts: ConfigurePoolFacts) -> str:
        local = self.listen == pooling.LOOPBACK and facts.target.host in {pooling.LOOPBACK, "localhost"}
        return "trust" if local and facts.login_method == "trust" else "scram-sha-256"

    def _choices(self, facts: ConfigurePoolFacts, sized: pooling.Sized) -> pooling.Choices:
        mode, mode_why = self._mode(facts)
        auth = self._auth(facts)
        auth_why = (
            "The server trusts logins from this machine: checking them here would protect nothing."
            if auth == "trust"
            else "Clients are checked by the server's SCRAM verifiers, and logged in there by the same proof."
        )
        return pooling.Choices(
            system=self.system,
            target=facts.target,
            sized=sized,
            mode=mode,
            auth=auth,
            listen=self.listen,
            port=facts.port,
            prepared=(facts.installed or ()) >= pooling.PREPARED,
            whys={"auth_type": auth_why, "pool_mode": mode_why, "default_pool_size": SIZE_WHY},
        )

    def _blockers(self, facts: ConfigurePoolFacts, sized: pooling.Sized | None) -> tuple[str, ...]:
        blockers = []
        if sized is None:
            where = f"systems.{self.system}.host in estate.yaml"
            blockers.append(f"Neither load nor host of {self.system} is known: give {where}, or the size.")
        if facts.port_taken:
            blockers.append(f"Something else listens on port {facts.port}: give another port.")
        role = sql.identifier(facts.target.user)
        if self._auth(facts) == "scram-sha-256" and facts.verifiers is None:
            blockers.append(
                f"SCRAM verifiers cannot be read; let a superuser run: GRANT SELECT ON pg_authid TO {role};"
            )
        elif self._auth(facts) == "scram-sha-256" and facts.verifiers and not facts.verifiers.own:
            blockers.append(
                f"{role} has no SCRAM password: give it one (\\password {role}) with password_encryption = scram-sha-256."
            )
        return tuple(blockers)

    # -- acting ------------------------------------------------------------------------------------------------

    def _steps(
        self, facts: ConfigurePoolFacts, text: str | None, sized: pooling.Sized, digest: str
    ) -> tuple[Step, ...]:
        entry = {"kind": "pgbouncer", "database": self.system, "port": facts.port}
        steps = [self._write(facts, text, sized, digest)] if text is not None else []
        if facts.installed and facts.declared != entry:
            steps.append(self._declare(facts, entry))
        if facts.installed and (text is not None or not facts.serves):
            steps.append(self._start(facts, digest))
        watching = pool_watch.steps(self.system, self.pool, facts.unwatched) if facts.installed else ()
        return (*steps, *watching)

    def _write(self, facts: ConfigurePoolFacts, text: str, sized: pooling.Sized, digest: str) -> Step:
        # Undo goes backwards: a pool that ran before takes its former configuration again once that is back on file.
        again = (Call(system=self.pool, action="start"),) if facts.running else ()
        return Step(
            id=f"write {self.path}",
            call=Call(system="files", action="write", arguments={"path": self.path, "text": text}),
            why=f"{sized.size} server connections for each user. {sized.why}",
            effect=Effect.REVERSIBLE,
            probe=self._claim(
                f"{self.path} holds this configuration", "files", "digest", digest, path=self.path
            ),
            undo=(
                Call(system="files", action="restore", arguments={"path": self.path, "digest": facts.digest}),
                *again,
            ),
            predicted=Prediction(bytes=len(text.encode()), basis="the text itself"),
            touches=(f"{self.system}:pool",),
            paths=(self.path,),
        )

    def _declare(self, facts: ConfigurePoolFacts, entry: dict[str, Any]) -> Step:
        where = ["systems", self.pool]
        return Step(
            id=f"declare {self.pool}",
            call=Call(system="estate", action="put", arguments={"where": where, "value": entry}),
            why=f"As a system of the estate, {self.pool} can be asked and watched.",
            effect=Effect.REVERSIBLE,
            probe=self._claim(f"the estate declares {self.pool}", "estate", "get", entry, where=where),
            undo=(Call(system="estate", action="put", arguments={"where": where, "value": facts.declared}),),
            touches=(f"{self.system}:pool",),
            paths=("estate.yaml",),
        )

    def _start(self, facts: ConfigurePoolFacts, digest: str) -> Step:
        # Undo leaves a pool that ran before running: `_write` gives it back its former configuration.
        again = "It takes the new configuration over without losing a client."
        return Step(
            id=f"start {self.pool}",
            call=Call(system=self.pool, action="start"),
            why=again if facts.running else "Applications can connect through it.",
            effect=Effect.REVERSIBLE,
            probe=self._serves(digest),
            undo=(Call(system=self.pool, action="start" if facts.running else "stop"),),
            predicted=Prediction(rows=0, basis="a process of a few MB"),
            touches=(f"{self.system}:pool",),
        )

    # -- claims ------------------------------------------------------------------------------------------------

    def _checks(self, facts: ConfigurePoolFacts, digest: str, sized: pooling.Sized) -> tuple[Claim, ...]:
        if not facts.installed:
            return (self._claim(f"{self.path} is in place", "files", "digest", digest, path=self.path),)
        question = "SELECT current_database()"
        size = str(sized.size)
        return (
            self._serves(digest),
            self._claim(
                "a query through the pool reaches the database",
                self.pool,
                "ask",
                facts.target.dbname,
                sql=question,
            ),
            self._claim(
                f"the pool opens up to {size} connections",
                self.pool,
                "configured",
                size,
                name="default_pool_size",
            ),
        )

    def _serves(self, digest: str) -> Claim:
        return self._claim(
            f"{self.pool} runs with {self.path}", self.pool, "serves", expected=True, digest=digest
        )

    def _claim(self, text: str, system: str, action: str, expected: Any, **arguments: Any) -> Claim:
        return Claim(
            text=text, call=Call(system=system, action=action, arguments=arguments), expected=expected
        )

    # -- telling -----------------------------------------------------------------------------------------------

    def _findings(self, facts: ConfigurePoolFacts, sized: pooling.Sized | None) -> tuple[Finding, ...]:
        auth = self._auth(facts)
        found = [told for told in (self._state(facts), self._crowd(facts, sized)) if told]
        if facts.installed is None:
            found.append(self._not_installed())
        elif facts.installed < pooling.PREPARED and self._mode(facts)[0] == "transaction":
            found.append(self._prepared(facts.installed))
        if auth == "trust":
            found.append(self._trusts())
        elif facts.verifiers and facts.verifiers.md5:
            found.append(self._md5(facts.verifiers.md5))
        if self.listen != pooling.LOOPBACK:
            found.append(self._open())
        return tuple(found)

    def _state(self, facts: ConfigurePoolFacts) -> Finding | None:
        """What keeps connections from being shared, or is lost where they are all the same."""
        server = facts.server
        seen = {
            "LISTEN": server.listeners,
            "session advisory lock": server.session_locks,
            "temporary table": server.temporary_tables,
        }
        found = {
            what: seen.get(what, 0) + server.features.get(what, 0) for what in {**seen, **server.features}
        }
        found = {what: count for what, count in found.items() if count}
        if not found:
            return None
        told = ", ".join(f"{what} ({count:,})" for what, count in found.items())
        kept = self._mode(facts)[0] == "session"
        fate = "session mode keeps it" if kept else "in transaction mode it is lost between transactions"
        return Finding(
            rule="pool-session-state",
            subject=self.pool,
            what=f"State of a session is used: {told}; {fate}.",
            why="In session mode a connection serves one client until it leaves, so the pool must be as large as there are clients.",
            instead=" ".join(pooling.INSTEAD[what] for what in found if what in pooling.INSTEAD),
            severity=Severity.INFO if kept else Severity.WARNING,
            figures=found,
        )

    def _crowd(self, facts: ConfigurePoolFacts, sized: pooling.Sized | None) -> Finding | None:
        host = facts.host
        if host is None or sized is None or sized.size <= pooling.CROWD * host.cores:
            return None
        return Finding(
            rule="pool-larger-than-machine",
            subject=self.pool,
            what=f"The load asks for {sized.size} connections, and the machine has {host.cores} cores.",
            why=f"Beyond {pooling.CROWD} a core they take turns on the cores, unless they wait for disks, locks or their own client.",
            instead="databases.load-test-pool shows what half and twice the size give; shorter transactions need fewer.",
            severity=Severity.INFO,
            figures={"pool_size": sized.size, "cores": host.cores},
        )

    def _not_installed(self) -> Finding:
        return Finding(
            rule="pool-not-started",
            subject=self.pool,
            what=f"PgBouncer is not installed here: {self.path} is only a file, and nothing is started.",
            instead="Install it (Debian: apt-get install pgbouncer) and run configure-pool again: it starts and checks it.",
        )

    def _trusts(self) -> Finding:
        return Finding(
            rule="pool-trusts-logins",
            subject=self.pool,
            what="The server trusts every login from this machine (pg_hba.conf), and so does the pool, on 127.0.0.1 only.",
            why="Whoever can run a program on this machine can log in as anybody.",
            instead="Give roles passwords, put scram-sha-256 in the loopback lines of pg_hba.conf, and run this again.",
        )

    def _prepared(self, version: tuple[int, ...]) -> Finding:
        return Finding(
            rule="pool-prepared-statements",
            subject=self.pool,
            what=f"PgBouncer {'.'.join(map(str, version))} mixes up drivers' prepared statements in transaction mode.",
            why="A statement prepared on one server connection is unknown on the next.",
            instead="PgBouncer 1.21 or newer; or none by name: psycopg prepare_threshold=None, JDBC prepareThreshold=0,"
            " asyncpg statement_cache_size=0.",
        )

    def _md5(self, count: int) -> Finding:
        return Finding(
            rule="pool-md5-roles",
            subject=self.pool,
            what=f"{count} roles have their password stored as md5 and cannot log in through the pool.",
            instead="Set their passwords anew with password_encryption = scram-sha-256, then run this again.",
            figures={"roles": count},
        )

    def _open(self) -> Finding:
        return Finding(
            rule="pool-without-tls",
            subject=self.pool,
            what=f"The pool listens on {self.listen} without TLS.",
            why="Queries and rows pass the network in clear.",
            instead="Listen on 127.0.0.1, or put a TLS proxy in front.",
        )


def _figures(facts: ConfigurePoolFacts, sized: pooling.Sized | None, wait_ms: float) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "connections": facts.server.connections,
        "max_connections": facts.server.max_connections,
    }
    if load := facts.load:
        needed = load.needed(wait_ms)
        figures |= {
            "arrivals_per_second": round(load.rate, 3),
            "transaction_ms_mean": round(load.service_seconds * 1000, 3),
            "connections_busy": round(load.concurrency, 3),
            "connections_needed": needed,
            "headroom": round(needed / load.concurrency, 2),
            "waiting_percent": round(100 * queueing.erlang_c(needed, load.concurrency), 2),
            "littles_law": load.arithmetic(wait_ms),
        }
    if sized:
        figures |= {"pool_size": sized.size, "pool_size_reason": sized.why}
    return figures
