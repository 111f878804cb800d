"""`tape init`: a project that is whole, works offline, and touches nothing that was there before."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

from tape.core.config import load_config
from tape.core.kernel.errors import EnvironmentTrouble, UsageError
from tape.core.scaffold import scaffold
from tape.core.scaffold.scaffold import PLACEHOLDER, TEMPLATE, TEMPLATES, create_project

ROOT = Path(__file__).parents[2]


def files_below(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def refusal(name: str, parent: Path) -> str:
    with pytest.raises(UsageError) as caught:
        create_project(name, parent)
    assert str(caught.value).isprintable()
    return str(caught.value)


# ------------------------------------------------------------------------------------------------ what is written


def test_the_project_is_complete_and_nothing_else_appears(tmp_path: Path) -> None:
    assert create_project("treasury", tmp_path) == tmp_path / "treasury"
    assert os.listdir(tmp_path) == ["treasury"]
    written = files_below(tmp_path / "treasury")
    assert set(written) == {
        ".gitignore",
        "README.md",
        "app/__init__.py",
        "app/agent.py",
        "pyproject.toml",
        "scenarios/frozen.yaml",
        "scenarios/lost-answer.yaml",
        "scenarios/mid-wire.yaml",
        "tape.yaml",
        "tests/test_agent.py",
    }
    assert not [
        path for path, text in written.items() if PLACEHOLDER in text or "\r" in text or not text.endswith("\n")
    ]


@pytest.mark.parametrize("template", TEMPLATES)
def test_each_template_is_complete(tmp_path: Path, template: str) -> None:
    written = files_below(create_project("shop", tmp_path, template))
    assert set(written) == set(TEMPLATES[template].values())
    assert {"app/agent.py", "tape.yaml", "README.md", "tests/test_agent.py"} <= set(written)
    assert not [
        path for path, text in written.items() if PLACEHOLDER in text or "\r" in text or not text.endswith("\n")
    ]
    assert load_config(tmp_path / "shop", {}).name == "shop"


@pytest.mark.parametrize("template", ["", "plan", "approval", "no such", "../plain", "x" * 10_000])
def test_a_template_that_does_not_exist(tmp_path: Path, template: str) -> None:
    with pytest.raises(UsageError) as caught:
        create_project("shop", tmp_path, template)
    assert str(caught.value).isprintable() and "template" in str(caught.value) and len(str(caught.value)) < 200
    assert os.listdir(tmp_path) == []


def test_its_configuration_is_accepted_and_names_the_agent(tmp_path: Path) -> None:
    config = load_config(create_project("my-bank_2", tmp_path) / "app", {})
    assert config.name == "my-bank_2"
    assert [(name, str(target)) for name, target in config.agents.items()] == [("treasury", "app.agent:treasury")]
    assert config.upstream == {"bank": {"honours_key": False}}
    assert config.reload == ("app",)


def test_it_installs_without_putting_its_packages_on_the_path(tmp_path: Path) -> None:
    project = tomllib.loads((create_project("treasury", tmp_path) / "pyproject.toml").read_text())
    assert project["project"]["name"] == "treasury"
    assert project["project"]["dependencies"] == ["tape-agents"]
    assert project["tool"]["setuptools"]["packages"] == [], "two projects in one environment both have an `app`"


@pytest.mark.parametrize("template", TEMPLATES)
def test_its_own_tests_pass(tmp_path: Path, template: str) -> None:
    project = create_project("treasury", tmp_path, template)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TAPE_"))}
    done = subprocess.run(command, cwd=project, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


@pytest.mark.parametrize("template", TEMPLATES)
def test_its_code_meets_the_house_rules_of_a_fresh_linter(tmp_path: Path, template: str) -> None:
    project = create_project("treasury", tmp_path, template)
    for verb in (["check", "--select=E,F,I,UP,B,SIM", "--line-length=120"], ["format", "--check", "--line-length=120"]):
        command = [sys.executable, "-m", "ruff", *verb, "--isolated", "--no-cache", "."]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_template_folder_holds_what_is_listed_and_is_packaged() -> None:
    assert {path.name for path in TEMPLATE.iterdir()} == {file for files in TEMPLATES.values() for file in files}
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    (pattern,) = globs["tape.core.scaffold"]
    assert {path for path in TEMPLATE.iterdir()} == set(TEMPLATE.parent.glob(pattern))


def test_every_package_is_listed_for_installation() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    present = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "tape").rglob("__init__.py")}
    assert listed == present


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../escape",
        "a/b",
        "/tmp/absolute",
        "a\\b",
        "a\0b",
        "a\nb",
        "a b",
        "-rf",
        "_a",
        "a-",
        "7up",
        "Treasury",
        "трежери",
        "ａ",  # a letter of another width
        "a" * 41,
        "a" * 100_000,
        "~",
        "$HOME",
        "a.b",
        "con:",
        "\u202etxt",
    ],
)
def test_names_that_are_no_plain_folder_name(name: str, tmp_path: Path) -> None:
    assert "a project cannot be called" in refusal(name, tmp_path)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["tape", "tape_agents", "pydantic", "pydantic_core", "pytest"])
def test_names_of_packages_that_an_installation_would_replace(name: str, tmp_path: Path) -> None:
    assert "the name of a package" in refusal(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "near"), [("Treasury", "treasury"), ("my agent", "my-agent"), ("7up", "up"), ("../x", "x")]
)
def test_the_nearest_good_name_is_offered(name: str, near: str, tmp_path: Path) -> None:
    assert f"did you mean {near!r}?" in refusal(name, tmp_path)


@pytest.mark.parametrize("name", ["a", "treasury", "a-b_c9", "a" * 40])
def test_good_names(name: str, tmp_path: Path) -> None:
    assert create_project(name, tmp_path).is_dir()


@pytest.mark.parametrize(
    "occupy",
    [
        Path.mkdir,
        Path.touch,
        os.mkfifo,
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.symlink_to(path.parent),
    ],
    ids=["folder", "file", "pipe", "dangling link", "link"],
)
def test_a_taken_place_is_left_as_it_is(occupy: object, tmp_path: Path) -> None:
    target = tmp_path / "treasury"
    occupy(target)  # type: ignore[operator]
    before = target.lstat()
    assert "exists and is left as it is" in refusal("treasury", tmp_path)
    after = target.lstat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert os.listdir(tmp_path) == ["treasury"]


def test_a_second_init_changes_nothing(tmp_path: Path) -> None:
    project = create_project("treasury", tmp_path)
    (project / "app/agent.py").write_text("mine\n")
    refusal("treasury", tmp_path)
    assert (project / "app/agent.py").read_text() == "mine\n"


def test_the_parent_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is not a folder" in refusal("treasury", tmp_path / "file")
    assert "is not a folder" in refusal("treasury", tmp_path / "absent\n")


# ------------------------------------------------------------------------------------------------ whole or not at all


def test_a_full_disk_at_any_file_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = scaffold._write
    for nth in range(len(TEMPLATES["plain"])):
        left = nth

        def failing(path: Path, text: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(path, text)

        monkeypatch.setattr(scaffold, "_write", failing)
        with pytest.raises(EnvironmentTrouble, match=r"\(No space left on device\), and nothing was"):
            create_project("treasury", tmp_path)
        assert os.listdir(tmp_path) == []


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scaffold, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        create_project("treasury", tmp_path)
    assert os.listdir(tmp_path) == []


def test_what_arrives_at_the_last_moment_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = scaffold._write

    def overtaken(path: Path, text: str) -> None:
        write(path, text)
        (tmp_path / "treasury").mkdir(exist_ok=True)
        (tmp_path / "treasury" / "theirs").touch()

    monkeypatch.setattr(scaffold, "_write", overtaken)
    with pytest.raises(EnvironmentTrouble):
        create_project("treasury", tmp_path)
    assert os.listdir(tmp_path) == ["treasury"] and os.listdir(tmp_path / "treasury") == ["theirs"]


def test_of_many_at_once_one_wins_and_is_whole(tmp_path: Path) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def contend() -> None:
        start.wait()
        try:
            create_project("treasury", tmp_path)
            outcomes.append("won")
        except (UsageError, EnvironmentTrouble):
            outcomes.append("lost")

    threads = [threading.Thread(target=contend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 7 + ["won"]
    assert os.listdir(tmp_path) == ["treasury"]
    assert len(files_below(tmp_path / "treasury")) == len(TEMPLATES["plain"])


def test_the_folder_belongs_to_its_owner_as_usual(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        project = create_project("treasury", tmp_path)
    finally:
        os.umask(before)
    assert project.stat().st_mode & 0o777 == 0o750
    assert (project / "tape.yaml").stat().st_mode & 0o777 == 0o640
