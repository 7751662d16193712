"""An erasure that was killed half-way, given again with the same approval: the run that is half done is named, and ends it."""

from __future__ import annotations

import signal

import pytest
from test_compliance_kills import BEFORE, GONE, world  # noqa: F401 - a fixture

from datareeve.core.errors import StalePlan

pytestmark = pytest.mark.kills


def test_the_same_erasure_given_again_names_the_run_that_is_half_done(world):  # noqa: F811 - the fixture
    with world() as w:
        plan, seen = w.shop.erasure(), []
        w.shop.app.runner._boundary = seen.append
        assert w.shop.apply(plan).status == "done"
    first = next(n for n, name in enumerate(seen) if name.startswith("after effect") and "erase" in name)
    with world() as w:
        plan = w.shop.erasure()
        assert w.killed(first) == -signal.SIGKILL
        assert w.truth() not in (BEFORE, GONE)
        (run,) = w.shop.app.runs()
        assert run.status == "interrupted"
        with pytest.raises(StalePlan) as told:
            w.shop.apply(plan)
        assert told.value.code == "plan.half-done"
        assert run.run in told.value.what
        assert f"datareeve resume {run.run}" in told.value.remedy
        assert [one.run for one in w.shop.app.runner.interrupted(w.shop.erasure())] == [run.run]
        assert w.resumed().status == "done"
        assert w.truth() == GONE
