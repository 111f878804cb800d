"""One journal of all stories for the session; each test gets a copy, a stage over it, and a writer if it wants one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["TEXTUAL_ANIMATIONS"] = "none"  # read when Textual is imported

from tests.tui.kin_stories import Kin
from tests.tui.stage import Recorded, Stage, record, stage_of, stories_again
from tests.tui.stories import Stories


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return record(tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def stage(recorded: Recorded, tmp_path: Path) -> Iterator[Stage]:
    made = stage_of(recorded, tmp_path)
    yield made
    made.stop(drain=False)


@pytest.fixture
def stories(stage: Stage, recorded: Recorded) -> Iterator[Stories]:
    """The stories go on while the console looks."""
    writing = stories_again(stage, recorded)
    yield writing
    writing.close()


@pytest.fixture
def kin(stage: Stage, recorded: Recorded) -> Iterator[Kin]:
    """The same with more to tell; what the console orders is applied to the journal."""
    writing = stories_again(stage, recorded, Kin)
    stage.writer = writing.writer
    yield writing
    writing.close()


@pytest.fixture
def new_project(tmp_path: Path) -> Stage:
    """A project in which nothing has been run."""
    from tape.core.clock import ManualClock

    (tmp_path / ".tape").mkdir()
    return Stage(tmp_path, tmp_path / ".tape" / "dev.db", ManualClock())


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)` holds the text to its file in `golden/`; `--snapshot-update` writes it anew."""

    def check(name: str, text: str) -> None:
        path = Path(__file__).parent / "golden" / f"{name}.txt"
        if request.config.getoption("update_snapshots"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        known = path.read_text("utf-8") if path.exists() else ""
        assert text == known, f"{path.name} says otherwise; look at it, then --snapshot-update"

    return check
