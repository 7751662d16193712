"""Errors: one root, few classes, each a different thing for the caller to do.

DatareeveError
├── BadInput            2  mend what you gave (a field, a file, a URL) and call again
├── Refused             3  the authority forbids it: the message names the rule and how to get further
├── NeedsApproval       4  a person must approve this fingerprint
├── NotOurWork          5  another agent's work: the message names whose
└── Failed              1  it was tried and did not succeed; nothing is left half-done
    ├── Unreachable     1  a system cannot be reached or logged into: try again when it can
    ├── StalePlan       1  the world changed since the plan was made: plan again
    ├── LeaseLost       1  another worker took this run over: stop
    └── LedgerDamaged   1  the ledger's hash chain does not add up: stop and look

Every error has a stable `code` (`system.unreachable`), says what is wrong and what to do instead, and never holds
a value of a user's row.
"""

from __future__ import annotations


class DatareeveError(Exception):
    """The root: `code` is stable and documented, `what` says what is wrong, `remedy` what to do instead."""

    exit_status = 1

    def __init__(self, code: str, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.code}: {self.what}" + (f"\n  {self.remedy}" if self.remedy else "")

    def as_json(self) -> dict[str, str | int]:
        """The error as the command line's `--json` and the MCP tools return it."""
        return {"error": self.code, "what": self.what, "remedy": self.remedy, "exit_status": self.exit_status}


class BadInput(DatareeveError):
    """What was given cannot be used; nothing was tried."""

    exit_status = 2


class Refused(DatareeveError):
    """The estate's authority forbids it."""

    exit_status = 3


class NeedsApproval(DatareeveError):
    """A plan waits for a person's approval of its fingerprint."""

    exit_status = 4

    def __init__(self, code: str, what: str, remedy: str = "", *, fingerprint: str = "") -> None:
        super().__init__(code, what, remedy)
        self.fingerprint = fingerprint


class NotOurWork(DatareeveError):
    """Outside a data engineer's work; the message names who does it."""

    exit_status = 5


class Failed(DatareeveError):
    """It was tried and did not succeed."""


class Unreachable(Failed):
    """A system cannot be reached, or does not let us in."""


class StalePlan(Failed):
    """A requirement of the plan no longer holds."""


class LeaseLost(Failed):
    """Another worker holds this run now, or the resource is held by another run."""


class LedgerDamaged(Failed):
    """The ledger's hash chain does not verify."""
