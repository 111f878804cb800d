"""The whole scenarios/ folder, played once for all tests of all processes of a test run."""

from __future__ import annotations

import fcntl
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tape.lab.outcome import Outcome
from tape.lab.scenario import Scenario
from tests.dev.harness import Project, clean_environment
from tests.together import FOLDER

ROOT = Path(__file__).parents[2]
STORIES = ROOT / "scenarios"


class Played:
    """What `tape scenario run scenarios --json` said, and the outcomes behind it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        told: dict[str, Any] = json.loads((folder / "told.json").read_text())
        self.code: int = told["code"]
        self.seconds: float = told["seconds"]
        self.results: list[dict[str, Any]] = told["results"]

    def result(self, file: str) -> dict[str, Any]:
        return next(result for result in self.results if result["file"] == file)

    def outcome(self, file: str) -> tuple[Scenario, Outcome]:
        return pickle.loads((self._folder / f"{file.replace('/', '-')}.pickle").read_bytes())


@pytest.fixture(scope="session")
def played(request: pytest.FixtureRequest) -> Played:
    folder = request.config.stash[FOLDER] / "stories"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "told.json").exists():
            _play(folder)
    return Played(folder)


def _play(folder: Path) -> None:
    command = [sys.executable, "-m", "tests.scenarios.play", str(folder), "scenario", "run", "scenarios", "--json"]
    xml = folder / "stories.xml"
    done = subprocess.run(
        [*command, "--junit", str(xml)],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    results = json.loads(done.stdout)
    seconds = sum(result["seconds"] for result in results)
    (folder / "told.json").write_text(json.dumps({"code": done.returncode, "seconds": seconds, "results": results}))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A scaffolded project on its own."""
    made = Project(tmp_path)
    yield made
    made.close()
