"""Each test has a project of its own, and leaves no process behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.harness import Project, processes_of, wait_until


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    try:
        yield made
    finally:
        made.close()
    wait_until(lambda: not processes_of(made.folder), f"no process is left: {processes_of(made.folder)}", 10)
