"""`python -m tests.mutants [--jobs N] [--only NAME ...] [--each]`: plants each bug in a copy and runs its tests there.

First the union of the named tests must pass on a copy without a bug. Exit 1 if a bug survives, does not apply, or
makes tests fail otherwise than by an assertion; its copy then stays in build/mutants, for a look at pytest.log.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.mutants.patches import Patch, all_patches
from tests.mutants.trial import BUILD, Outcome, Verdict, copy_tree, run_tests, try_patch

BASELINE_SECONDS = 600.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Planted bugs that tests must catch.")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="patches whose name contains this")
    parser.add_argument("--each", action="store_true", help="go on after the first failure: which tests catch it")
    given = parser.parse_args()
    jobs: int = given.jobs
    patches = [patch for patch in all_patches() if not given.only or any(name in patch.name for name in given.only)]
    if not patches or jobs < 1:
        parser.error("no patch has such a name" if not patches else "--jobs must be at least 1")
    if not _healthy(patches, jobs):
        return 1
    with ThreadPoolExecutor(jobs) as pool:
        trials = [pool.submit(try_patch, patch, BUILD / patch.name, to_the_end=given.each) for patch in patches]
        outcomes = [_show(trial.result()) for trial in trials]
    caught = sum(outcome.verdict is Verdict.CAUGHT for outcome in outcomes)
    print(f"{caught} of {len(outcomes)} caught")
    return 0 if caught == len(outcomes) else 1


def _healthy(patches: list[Patch], jobs: int) -> bool:
    tests = sorted({test for patch in patches for test in patch.tests})
    options = ("-n", str(jobs), "--dist", "worksteal") if jobs > 1 else ()
    code, output = run_tests(copy_tree(BUILD / "healthy"), tests, *options, seconds=BASELINE_SECONDS)
    last = (output.strip().splitlines() or ["no output"])[-1].strip("= ")
    print(f"{'no bug':<28} {'passes' if code == 0 else 'FAILS':<9} {last}", flush=True)
    if code != 0:
        print(output, file=sys.stderr)
    return code == 0


def _show(outcome: Outcome) -> Outcome:
    print(f"{outcome.name:<28} {outcome.verdict:<9} {outcome.seconds:5.1f} s  {outcome.by}", flush=True)
    for other in outcome.others:
        print(f"{'':<48}{other}", flush=True)
    for blind in outcome.blind:
        print(f"{'':<39}passes   {blind}", flush=True)
    if outcome.verdict is Verdict.CAUGHT:
        shutil.rmtree(BUILD / outcome.name, ignore_errors=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
