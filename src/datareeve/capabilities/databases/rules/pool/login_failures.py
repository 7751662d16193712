"""Logins that the pool or the server behind it refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.pool_health import PoolHealth


def find(pool: PoolHealth) -> Iterator[Finding]:
    """One finding where there were new ones. Who it was stands in the pool's own log."""
    failures = pool.figure("pool_login_failures_new")
    if failures:
        yield Finding(
            rule="pool-login-failures",
            subject=pool.pool,
            what=f"{failures:.0f} logins were refused {pool.since}.",
            why="A password was changed or mistyped, or a role is new: the pool knows the passwords of when it was configured.",
            instead="databases.configure-pool takes the server's verifiers over again.",
            severity=Severity.WARNING,
            figures={"pool_login_failures_new": failures},
        )
