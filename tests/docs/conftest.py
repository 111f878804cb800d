"""A fresh Python environment for all pages, and what a page's own project needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.environment import make_environment


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs `python`, `tape` and `pip` of a fresh environment."""
    return make_environment(tmp_path_factory.mktemp("venv"))
