"""What the processes of one test run tell each other, through files: each worker writes, the first process reads."""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

import pytest

FOLDER = pytest.StashKey[Path]()


def gather(config: pytest.Config) -> None:
    """One folder for all processes of this run. Before the workers start: they learn its name from their option."""
    given = getattr(config, "workerinput", {}).get("testrunuid") or getattr(config.option, "testrunuid", None)
    shared = given or uuid.uuid4().hex
    if hasattr(config.option, "testrunuid"):
        config.option.testrunuid = shared
    config.stash[FOLDER] = Path(tempfile.gettempdir()) / f"tape-tests-{shared}"


def share(config: pytest.Config, kind: str, facts: Any) -> None:
    """Keeps facts of this kind, as JSON, for `shared`."""
    folder = config.stash[FOLDER]
    folder.mkdir(exist_ok=True)
    if facts:
        (folder / f"{kind}-{uuid.uuid4().hex}").write_text(json.dumps(facts))


def shared(config: pytest.Config, kind: str) -> list[Any]:
    """Everything of this kind, from all processes, in no order."""
    return [json.loads(file.read_text()) for file in config.stash[FOLDER].glob(f"{kind}-*")]


def part(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[FOLDER], ignore_errors=True)
