"""The page of states is what the tables say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_states", ROOT / "docs" / "generate_states.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(generator: ModuleType) -> None:
    written = (ROOT / "docs" / "reference" / "states.md").read_text(encoding="utf-8")
    assert written == generator.page(), "run `python docs/generate_states.py`"


def test_every_status_trigger_row_and_kind_is_on_it(generator: ModuleType) -> None:
    from tape.core.kernel import lifecycle, resolution
    from tape.core.kernel.events import BY_KIND

    page = generator.page()
    for _, _, statuses, table in generator.MACHINES:
        assert all(f" {status}" in page for status in statuses)
        assert all(str(trigger) in page for _, trigger in table)
    assert {name for name in dir(lifecycle) if name.endswith("Status")} == {
        statuses.__name__ for _, _, statuses, _ in generator.MACHINES
    }
    assert all(f"| {rule.row} |" in page for rule in resolution.RULES)
    assert all(f"| `{step}` |" in page for step in resolution.Step)
    assert all(f"| `{kind}` |" in page for kind in BY_KIND)
