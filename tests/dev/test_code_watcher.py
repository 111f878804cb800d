"""What is a change of the author's code and what is not; real files, no server."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tape.core.config import Config, parse_config
from tape.lab.reload import CodeWatcher, changed_text, is_code
from tests.dev.harness import wait_until

YAML = b"name: x\nagent: app.agent:x\n"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    root = tmp_path.resolve()
    (root / "app").mkdir()
    (root / "app" / "agent.py").write_text("first = 1\n")
    (root / "tape.yaml").write_bytes(YAML)
    return parse_config(YAML, root / "tape.yaml", "tape.yaml")


class Seen:
    """The calls of a watcher, in order."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.calls: list[list[str]] = []
        self.troubles: list[str] = []
        self.watcher = CodeWatcher(config, self.take, trouble=self.troubles.append)

    def take(self, paths: list[Path]) -> None:
        self.calls.append([path.relative_to(self.config.root).as_posix() for path in paths])

    def await_call(self, *names: str) -> None:
        """Waits until these files, in any number of calls, have been told."""
        wait_until(lambda: set(names) <= {name for call in self.calls for name in call}, f"{names} in {self.calls}", 10)


@pytest.fixture
def seen(config: Config) -> Iterator[Seen]:
    watched = Seen(config)
    with watched.watcher:
        yield watched
    assert not watched.troubles


def agent_of(config: Config) -> Path:
    return config.root / "app" / "agent.py"


@pytest.mark.parametrize("name", ["agent.py", "tools/bank.py", "_private.py"])
def test_code(name: str) -> None:
    assert is_code(Path(name))


@pytest.mark.parametrize(
    "name",
    [
        "agent.pyc", "agent.py~", "agent.py.swp", ".agent.py.swp", ".agent.py", ".#agent.py", "#agent.py#", "4913",
        "__pycache__/agent.py", "tools/__pycache__/bank.cpython-311.pyc", ".git/hooks/x.py", "notes.md", "agent",
    ],
)  # fmt: skip
def test_no_code(name: str) -> None:
    assert not is_code(Path(name))


def test_a_save_is_one_call(config: Config, seen: Seen) -> None:
    agent_of(config).write_text("second = 2\n")
    seen.await_call("app/agent.py")
    (config.root / "app" / "tools").mkdir()
    (config.root / "app" / "tools" / "bank.py").write_text("")
    seen.await_call("app/tools/bank.py")
    assert seen.calls == [["app/agent.py"], ["app/tools/bank.py"]]


def test_a_save_right_after_the_start_is_not_missed(config: Config) -> None:
    """The state before it was taken by then, though nothing may be watched yet."""
    for number in range(5):
        watched = Seen(config)
        with watched.watcher:
            agent_of(config).write_text(f"number = {number}\n")
            watched.await_call("app/agent.py")


def test_what_is_no_code_is_no_call(config: Config, seen: Seen) -> None:
    app = config.root / "app"
    (app / "__pycache__").mkdir()
    (config.root / ".tape").mkdir()
    for name in (".agent.py.swp", "agent.py~", "4913", "notes.md", "__pycache__/agent.py", "../.tape/x.py", "../y.py"):
        (app / name).write_text("x")
    os.chmod(app / "agent.py", 0o600)
    (app / "last.py").write_text("")
    seen.await_call("app/last.py")
    assert seen.calls == [["app/last.py"]]


def test_the_ways_editors_save(config: Config, seen: Seen) -> None:
    """Written beside and renamed; the old one renamed away; deleted and written anew."""
    agent = agent_of(config)
    beside = agent.with_name("agent.py.tmp")
    beside.write_text("renamed = 1\n")
    beside.replace(agent)
    wait_until(lambda: len(seen.calls) == 1, "renamed over", 10)
    agent.rename(agent.with_name("agent.py~"))
    agent.write_text("moved_away = 2\n")
    wait_until(lambda: len(seen.calls) == 2, "written anew", 10)
    agent.unlink()
    wait_until(lambda: len(seen.calls) == 3, "deleted", 10)
    assert seen.calls == [["app/agent.py"]] * 3


def test_a_folder_that_comes_and_goes_and_comes_again(config: Config) -> None:
    """As when another branch is checked out."""
    app, aside = config.root / "app", config.root / "aside"
    app.rename(aside)
    watched = Seen(config)
    with watched.watcher:
        shutil.copytree(aside, app)
        watched.await_call("app/agent.py")
        app.rename(config.root / "gone")
        wait_until(lambda: len(watched.calls) == 2, "gone", 10)
        aside.rename(app)
        wait_until(lambda: len(watched.calls) == 3, "here again", 10)
        (app / "new.py").write_text("")
        watched.await_call("app/new.py")
    assert watched.troubles == []


def test_a_module_in_one_file_and_a_file_that_is_named(config: Config) -> None:
    root = config.root
    (root / "solo.py").write_text("")
    (root / "prompt.md").write_text("be brief")
    watched = Seen(replace(config, reload=("solo", "prompt.md")))
    with watched.watcher:
        (root / "prompt.md").write_text("be very brief")
        watched.await_call("prompt.md")
        beside = root / "solo.tmp"
        beside.write_text("renamed = 1\n")
        beside.replace(root / "solo.py")
        watched.await_call("solo.py")
        (root / "solo.py").write_text("written_in_place = 2\n")
        wait_until(lambda: watched.calls.count(["solo.py"]) == 2, "found after it was replaced, too", 10)
        agent_of(config).write_text("not_named = 3\n")
        (root / "prompt.md").write_text("at last")
        wait_until(lambda: watched.calls.count(["prompt.md"]) == 2, "told", 10)
    assert ["app/agent.py"] not in watched.calls


@pytest.mark.parametrize("names", [("app",), ("nowhere",), ()])
def test_it_stops_at_once(config: Config, names: tuple[str, ...]) -> None:
    watched = Seen(replace(config, reload=names))
    began = time.monotonic()
    with watched.watcher:
        pass
    assert time.monotonic() - began < 2
    assert not any(thread.name == "code-watcher" for thread in threading.enumerate())


def test_what_cannot_be_watched_is_told(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Iterator[None]:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr("watchfiles.watch", refuse)
    watched = Seen(config)
    with watched.watcher:
        wait_until(lambda: watched.troubles, "told", 10)
    assert "OS file watch limit reached" in watched.troubles[0]


def test_the_words(tmp_path: Path) -> None:
    files = [tmp_path / "app" / f"{name}.py" for name in "abcde"]
    assert changed_text(files[:1], tmp_path) == "app/a.py changed"
    assert changed_text(files[:3], tmp_path) == "app/a.py, app/b.py, app/c.py changed"
    assert changed_text(files, tmp_path) == "app/a.py, app/b.py, app/c.py and 2 more changed"
