"""A fresh project with a suite of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pytest_plugin.suite import Suite


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[Suite]:
    """Whatever was run in it, no process and no temporary file stays."""
    made = Suite(tmp_path)
    yield made
    made.check_clean()
