"""Ours of `script/bench pipeline-kills`, in a process of its own, because its children import the tests' rig by its name: JOB prints a tally."""

from __future__ import annotations

import json
import sys
from pathlib import Path

# In place of this folder: here, `pipeline_kills` is the measurement, there the rig that children are started from.
sys.path[0] = str(Path(__file__).parent.parent / "tests")


def main(job: dict[str, str | int]) -> dict[str, object]:
    """Kill as often as asked in one phase; gives what came of it."""
    import pipeline_kills as rig  # noqa: PLC0415 - by the path above

    phase = str(job["phase"])
    more = {"backfill": True} if phase == "backfill" else {}
    world = rig.World(Path(str(job["project"])), str(job["source"]), str(job["target"]), **more).make()

    def progress(tally: object) -> None:
        print(tally, file=sys.stderr, flush=True)

    tally = rig.trials(world, phase, int(job["kills"]), progress=progress)
    return {
        "kills": tally.kills,
        "equal": tally.equal,
        "too_late": tally.too_late,
        "wrong": tally.wrong,
        "phase_s": tally.seconds,
    }


def phases() -> list[str]:
    """What the rig can kill in."""
    import pipeline_kills as rig  # noqa: PLC0415 - by the path above

    return list(rig.PHASES)


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else None
    print(json.dumps(main(asked) if asked else phases()))
