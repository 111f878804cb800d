"""`python -m tests.soak [--kills N] [--seconds S] [--seed N] [--agents N]`: kills until enough are dead, then judges.

Exit status 1, with the seed and the folders that are kept, if anything was doubled, lost, left open or against the
contract. The same seed draws the same runs and the same kills; which moment a kill meets, the machine decides.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from tests.soak.campaign import Campaign, Plan

FOLDER = Path(__file__).parents[2] / "build" / "soak"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Kills on end, then a verdict.")
    parser.add_argument("--kills", type=int, default=10_000, help="how many, over all projects (10000)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop killing after so long")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="of runs and kills (random)")
    parser.add_argument("--agents", type=int, default=8, help="agent processes, over all projects (8)")
    parser.add_argument("--projects", type=int, default=2, help="how many at the same time (2)")
    parser.add_argument("--pause", type=float, default=0.15, help="the longest pause between two strikes (0.15 s)")
    given = parser.parse_args()
    for name in ("kills", "seconds", "agents", "projects", "pause"):
        if getattr(given, name) <= 0:
            parser.error(f"--{name} must be more than 0")
    folder = FOLDER / f"seed-{given.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    plan = Plan(
        folder, given.kills, given.seed, given.agents, given.projects, given.seconds, longest_pause=given.pause
    )  # fmt: skip
    print(
        f"soak: seed {given.seed}, {given.kills} kills, {given.agents} agents in {given.projects} projects", flush=True
    )
    outcome = Campaign(plan, lambda line: print(line, flush=True)).run()
    print("\n".join(outcome.lines()))
    if outcome.violations:
        print("\n".join(outcome.violations), file=sys.stderr)
        print(f"FAILED; seed {given.seed}, kept: {folder}", file=sys.stderr)
        return 1
    folder.rmdir()
    print("ok" if outcome.kills >= given.kills else f"ok, but the time was up after {outcome.kills} kills")
    return 0


if __name__ == "__main__":
    sys.exit(main())
