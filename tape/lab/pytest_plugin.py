"""The pytest plugin: fixtures that play runs of a project with real processes and real deaths.

It is loaded into every pytest run where Tape is installed, so nothing here imports more than pytest itself: the rest
comes when a fixture or the mark is used.

    def test_pays_once(tape_run, tape_upstream, crash_at):
        crash_at("effect.acted", tool="wire_money")
        result = tape_run("pay invoice 7")
        assert result.status == "TERMINAL"
        assert tape_upstream("bank").count("wires") == 1
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from tape.lab.pytest_fixtures import CrashAt, TapeClock, TapeRun, TapeUpstream
    from tape.lab.pytest_stage import Planned, Stage

PROJECT = "tape_project"
EVERY = "tape_every_crash_point"
MARKS = (
    f"{PROJECT}(path): the folder of the project that is played; without it that of the nearest tape.yaml",
    f"{EVERY}(agent=None, input=None, deaths=('KILL',), pairs=False): play the test once for each crash point that "
    "the agent passes, and each of these deaths",
)
_STAGE = pytest.StashKey["Stage"]()
_SHARED = pytest.StashKey[Path]()


# --- fixtures -------------------------------------------------------------------------------------------------------


@pytest.fixture
def tape_run(_tape_stage: Stage) -> TapeRun:
    """Plays one run of the project: tape_run(input, agent=None, within=30) -> RunResult."""
    from tape.lab.pytest_fixtures import TapeRun

    return TapeRun(_tape_stage)


@pytest.fixture
def tape_upstream(_tape_stage: Stage) -> TapeUpstream:
    """A stand-in of tape.yaml: tape_upstream("bank").count("wires"); options and faults before the run."""
    from tape.lab.pytest_fixtures import TapeUpstream

    return TapeUpstream(_tape_stage)


@pytest.fixture
def crash_at(_tape_stage: Stage) -> CrashAt:
    """Orders a death in the next run: crash_at("effect.acted", tool="wire_money")."""
    from tape.lab.pytest_fixtures import CrashAt

    return CrashAt(_tape_stage)


@pytest.fixture
def tape_clock(_tape_stage: Stage) -> TapeClock:
    """Puts time forward in the next run: tape_clock.skip_timers(), tape_clock.advance("1h")."""
    from tape.lab.pytest_fixtures import TapeClock

    return TapeClock(_tape_stage)


@pytest.fixture
def _tape_cell(request: pytest.FixtureRequest) -> Planned | None:
    """One crash point of a test that is played at all of them."""
    return getattr(request, "param", None)


@pytest.fixture
def _tape_stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, _tape_cell: Planned | None
) -> Generator[Stage]:
    """What the test orders and plays."""
    from tape.lab.pytest_stage import Stage

    item = cast("pytest.Item", request.node)  # pyright: ignore[reportUnknownMemberType]
    stage = Stage(_starts(item), tmp_path_factory.mktemp("tape"), _tape_cell)
    item.stash[_STAGE] = stage
    yield stage
    if not stage.failed:
        stage.clear()


def _starts(item: pytest.Item) -> tuple[Path, ...]:
    """Where to look for tape.yaml. Fails for a path that is none."""
    mark = item.get_closest_marker(PROJECT)
    if mark is None:
        return (item.path.parent, item.config.rootpath)
    if len(mark.args) != 1 or mark.kwargs:
        pytest.fail(f"{PROJECT} takes one path, that of the project's folder", pytrace=False)
    folder = item.path.parent / str(mark.args[0])
    if not folder.is_dir():
        pytest.fail(f"{PROJECT}: there is no folder {folder}", pytrace=False)
    return (folder,)


# --- hooks ----------------------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    for mark in MARKS:
        config.addinivalue_line("markers", mark)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker(EVERY)
    if mark is not None:
        from tape.lab.pytest_matrix import expand

        expand(metafunc, mark, _starts(metafunc.definition), _shared(metafunc.config))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Runs are judged as a part of the test, so that it fails rather than its clean-up."""
    try:
        done = yield
        stage = item.stash.get(_STAGE, None)
        if stage is not None:
            stage.judge()
        return done
    except (Exception, pytest.fail.Exception):
        stage = item.stash.get(_STAGE, None)
        if stage is not None:
            stage.failed = True
            item.add_report_section("call", "tape", stage.report())
        raise


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Under xdist, in the first process: the workers' common folder is removed in the end."""
    node.config.stash[_SHARED] = _shared_folder(node.workerinput)


def pytest_unconfigure(config: pytest.Config) -> None:
    if "tape.lab.pytest_play" in sys.modules:
        from tape.lab.pytest_play import forget

        forget()
    folder = config.stash.get(_SHARED, None)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _shared(config: pytest.Config) -> Path | None:
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    return None if given is None else _shared_folder(given)


def _shared_folder(workerinput: dict[str, Any]) -> Path:
    return Path(tempfile.gettempdir()) / f"tape-pytest-{workerinput['testrunuid']}"
