"""The reference is whole and true: every command, option, point, key, name and kind; every snippet runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
import typer

import tape
from tape.cli import app
from tape.core import config as config_module
from tape.core.config import parse_config
from tape.core.journal.dialect import table_of
from tape.core.journal.tables import TABLES
from tape.core.kernel.events import BY_KIND
from tape.core.kernel.points import POINTS, Death
from tape.core.kernel.resolution import Semantics
from tape.core.sdk.decorators import ToolOptions
from tape.lab.upstream import parse_options
from tape.lab.upstream_options import FaultKind, UpstreamOptions
from tests.dev.harness import Project, clean_environment
from tests.docs.pages import PAGES, ROOT, blocks, python_of

REFERENCE = ROOT / "docs" / "reference"
TEXTS = {page.name: page.read_text("utf-8") for page in PAGES}
README, CLI, API = TEXTS["README.md"], TEXTS["cli.md"], TEXTS["api.md"]
CONFIGURATION, JOURNAL, CRASH_POINTS = TEXTS["configuration.md"], TEXTS["journal.md"], TEXTS["crash-points.md"]
GROUP = typer.main.get_command(app)


def commands_of(group: Any, above: str = "") -> dict[str, Any]:
    """Every command by its whole name, those of a group by `group command`."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = hasattr(command, "commands")
        found |= commands_of(command, f"{above}{name} ") if inner else {f"{above}{name}": command}
    return {name: command for name, command in found.items() if not command.hidden}


COMMANDS = commands_of(GROUP)


def section(text: str, title: str) -> str:
    """What stands under a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found, f"no section {title!r}"
    return found[1]


# --- the command line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    text = section(CLI, f"tape {name}")
    assert f"`tape {name}" in section(README, "Commands")
    for parameter in COMMANDS[name].params:
        shown = [*parameter.opts, *parameter.secondary_opts]
        for option in shown if parameter.param_type_name == "option" else []:
            if option not in ("--help", "-h") and not getattr(parameter, "hidden", False):
                assert f"`{option}" in text, f"{option} of {name}"


def test_no_command_is_documented_that_does_not_exist() -> None:
    assert re.findall(r"^## tape (\S.*)$", CLI, re.M) == [*COMMANDS]


def examples(name: str) -> list[str]:
    """The examples in a command's help."""
    command = COMMANDS[name]
    lines = (command.help or "").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("tape ")]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_help_are_right_and_in_the_reference(name: str) -> None:
    assert examples(name)
    for example in examples(name):
        assert example in section(CLI, f"tape {name}"), example
        parsed(example)


BARE = (
    "tape answer",
    "tape cancel",
    "tape redrive",
    "tape replay",
    "tape resolve",
    "tape budget",
    "tape init",
    "tape scenario",
    "tape scenario record",
    "tape export",
    "tape import",
)
"""Commands that a page may name without what they need."""


def parsed(line: str) -> None:
    """Raises if the command line does not accept it. Nothing is run."""
    words = shlex.split(line, comments=True)
    assert words[0] == "tape"
    if words[1].startswith("-"):
        return
    depth = 3 if " ".join(words[1:3]) in COMMANDS else 2
    name = " ".join(words[1:depth])
    with COMMANDS[name].make_context(name, words[depth:]):
        pass


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_shows_is_accepted(page: Path) -> None:
    lines = [line for block in blocks(page, "") for line in block.lines if line.startswith("tape ")]
    inline = re.findall(r"`(tape [a-z][^`]*)`", page.read_text("utf-8"))
    whole = [text for text in inline if not re.search(r"[A-Z]{2,}|\.\.\.|-$", text)]
    for text in [*lines, *whole]:
        if text in BARE:
            continue
        try:
            parsed(text)
        except click.ClickException as error:
            pytest.fail(f"{page.name}: {text}: {error.format_message()}")


def test_exit_codes() -> None:
    for code in (0, 1, 2, 3, 130, 141):
        assert f"| {code} |" in CLI


# --- names ------------------------------------------------------------------------------------------------------------


def test_every_crash_point_is_documented_with_what_is_durable() -> None:
    for point in POINTS:
        row = re.search(rf"^\| `{re.escape(point.name)}` \| (.*?) \|", CRASH_POINTS, re.M)
        assert row, point.name
        assert row[1] == point.says
        assert f"`{point.name}`" in README
    documented = re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", CRASH_POINTS, re.M)
    assert documented == [point.name for point in POINTS]
    for death in Death:
        assert f"| `{death}` |" in CRASH_POINTS


@pytest.mark.parametrize("name", tape.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert re.search(rf"tape\.{name}\b", API) or name in ("Agent", "Tool"), name


def test_every_member_of_run_and_effect_is_documented() -> None:
    for name in vars(tape.Run):
        if not name.startswith("_"):
            assert re.search(rf"run\.{name}\b", API), name
    for field in fields(tape.Effect):
        assert f"`{field.name}`" in API, field.name


def test_every_option_of_a_tool_is_documented() -> None:
    tools = section(API, "Tools")
    for field in fields(ToolOptions):
        if field.name != "declared":
            assert re.search(rf"^\| `{field.name}` \|", tools, re.M), field.name
    for semantics in Semantics:
        assert f"`{semantics}`" in tools


def test_every_key_of_the_configuration_is_documented() -> None:
    for key in config_module._KEYS:
        assert re.search(rf"^\| .*`{key}(\.|`)", CONFIGURATION, re.M), key
    for option in UpstreamOptions().document() | {"key_lifetime": 1}:
        assert f"| `{option}` |" in CONFIGURATION, option
    for kind in FaultKind:
        assert f"| `{kind}` |" in CONFIGURATION, kind


def test_every_kind_of_entry_is_documented() -> None:
    for kind in BY_KIND:
        assert f"`{kind}`" in JOURNAL, kind


def test_every_table_is_named() -> None:
    for model in TABLES:
        assert f"`{table_of(model).name}`" in JOURNAL, model


# --- snippets ---------------------------------------------------------------------------------------------------------

WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    module = tmp_path / "page.py"
    module.write_text(python_of(page), "utf-8")
    command = [sys.executable, "-W", "error", module]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_python_of_all_pages_is_typed_right(tmp_path: Path) -> None:
    for page in WITH_PYTHON:
        (tmp_path / f"{page.stem.lower().replace('-', '_')}.py").write_text(python_of(page), "utf-8")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, *tmp_path.glob("*.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


WITH_YAML = [(page, at) for page in PAGES for at in range(len(blocks(page, "yaml")))]


@pytest.mark.parametrize(("page", "at"), WITH_YAML, ids=lambda value: getattr(value, "name", str(value)))
def test_the_yaml_of_a_page_is_accepted(page: Path, at: int, tmp_path: Path) -> None:
    block = blocks(page, "yaml")[at]
    config = parse_config(block.text.encode(), tmp_path / "tape.yaml", "tape.yaml")
    for name, given in config.upstream.items():
        parse_options(given, f"tape.yaml: upstream {name}")


def test_the_courier_of_the_readme_sends_one_mail(tmp_path: Path) -> None:
    """The README's agent, killed in the way that the README says."""
    project = Project(tmp_path, "courier")
    (project.folder / "courier.py").write_text(python_of(ROOT / "README.md"), "utf-8")
    (config,) = blocks(ROOT / "README.md", "yaml")
    (project.folder / "tape.yaml").write_text(config.text, "utf-8")
    kill, run = (
        line for block in blocks(ROOT / "README.md", "") for line in block.lines if re.search("kill --at|plants", line)
    )
    try:
        project.server()
        assert project.tape(*shlex.split(kill)[1:]).returncode == 0
        done = project.tape(*shlex.split(run)[1:])
        assert (done.returncode, "TERMINAL" in done.stderr) == (0, True)
        assert len((project.folder / "sent.txt").read_text().splitlines()) == 1
        assert "point_reached" in project.kinds(done.stdout.strip())
    finally:
        project.close()


def test_the_readme_s_agent_has_about_thirty_lines() -> None:
    (block,) = blocks(ROOT / "README.md", "python")
    assert len([line for line in block.lines if line.strip()]) <= 30


# --- words and links --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text("utf-8")):
        path, anchor = target
        if path.startswith("http"):
            continue
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{page.name}: {path}"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", other.read_text("utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_one_promise_that_nobody_can_keep_is_not_made(page: Path) -> None:
    assert "exactly once" not in page.read_text("utf-8").lower()
    assert "exactly-once" not in page.read_text("utf-8").lower()
