"""One planted bug on trial: a copy of the tree, the patch, the named tests, a verdict."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.mutants.patches import Patch, PatchError, apply

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutants"
COPIED = ("tape", "tests", "docs", "scenarios", "pyproject.toml", "README.md")
LIMIT_SECONDS = 180.0


class Verdict(StrEnum):
    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`by` is the first test that failed, or, unless it was caught, what happened instead. If tried to the end:
    `others` saw it too, and those `blind` did not."""

    name: str
    verdict: Verdict
    by: str
    seconds: float
    others: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()


def copy_tree(folder: Path) -> Path:
    """A copy of the working tree in this folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    skipped = shutil.ignore_patterns("__pycache__", "*.egg-info", ".hypothesis", ".tape")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=skipped)
        elif source.exists():
            shutil.copy(source, folder / name)
    return folder


def run_tests(
    root: Path, tests: Sequence[str], *options: str, seconds: float = LIMIT_SECONDS
) -> tuple[int | None, str]:
    """Runs pytest in a copy, on the copy's package; returns its exit code (None: over the time limit) and output."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.mutants.witness", "-p", "no:cacheprovider"]
    log = root / "pytest.log"
    compileall.compile_dir(root, quiet=2)  # as `make test` does, and for its reasons
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *options, *tests],
            cwd=root,
            env=_surroundings(root),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that a run over its time ends as a whole; its agents die with it
        )
        try:
            code = process.wait(seconds)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            code = None
    return code, log.read_text("utf-8", "replace")


def _surroundings(root: Path) -> dict[str, str]:
    """The copy's package comes before any other, in every process; what an outer pytest says is not for this one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**kept, "PYTHONPATH": str(root)}


def try_patch(patch: Patch, folder: Path, *, to_the_end: bool = False) -> Outcome:
    """`to_the_end`: goes on after the first failure, to see which of the named tests catch it."""
    started = time.monotonic()
    root = copy_tree(folder)
    try:
        apply(patch, root)
    except PatchError as error:
        return Outcome(patch.name, Verdict.BROKEN, f"does not apply: {error}", time.monotonic() - started)
    witness = root / "witness.jsonl"
    stop = () if to_the_end else ("-x",)
    code, output = run_tests(root, patch.tests, *stop, f"--witness={witness}")
    verdict, by, seen = _judge(code, output, witness)
    seconds = time.monotonic() - started
    if verdict is not Verdict.CAUGHT or not to_the_end:
        return Outcome(patch.name, verdict, by, seconds)
    blind = tuple(test for test in patch.tests if not any(saw.partition("[")[0] in test for saw in seen))
    return Outcome(patch.name, verdict, by, seconds, tuple(saw for saw in seen if saw != by), blind)


def _judge(code: int | None, output: str, witness: Path) -> tuple[Verdict, str, list[str]]:
    """The verdict, what it rests on, and every test that convicts."""
    failures = [json.loads(line) for line in witness.read_text("utf-8").splitlines()] if witness.exists() else []
    if code is None:
        return Verdict.BROKEN, f"over the time limit of {LIMIT_SECONDS:g} s", []
    if code == 0:
        return Verdict.SURVIVED, "every named test passed", []
    if code != 1 or not failures:
        last = (output.strip().splitlines() or ["no output"])[-1]
        return Verdict.BROKEN, f"no test ran to its end: {last}", []
    first = failures[0]
    if not first["convicts"]:
        return Verdict.BROKEN, f"{first['test']}: no assertion: {first['said']}", []
    return Verdict.CAUGHT, first["test"], list(dict.fromkeys(each["test"] for each in failures if each["convicts"]))
