"""`tape init NAME`: one new folder with an agent that installs and runs offline, written whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from difflib import get_close_matches
from pathlib import Path

from tape.core.kernel.errors import EnvironmentTrouble, UsageError

TEMPLATE = Path(__file__).with_name("template")

# Template files carry a suffix and flat names, so that no packager, linter or test runner takes them for its own.
_COMMON = {
    "app-init.py.tmpl": "app/__init__.py",
    "pyproject.toml.tmpl": "pyproject.toml",
    "gitignore.tmpl": ".gitignore",
}
TEMPLATES: dict[str, dict[str, str]] = {
    "plain": {
        "app-agent.py.tmpl": "app/agent.py",
        "test-agent.py.tmpl": "tests/test_agent.py",
        "scenario-mid-wire.yaml.tmpl": "scenarios/mid-wire.yaml",
        "scenario-lost-answer.yaml.tmpl": "scenarios/lost-answer.yaml",
        "scenario-frozen.yaml.tmpl": "scenarios/frozen.yaml",
        "tape.yaml.tmpl": "tape.yaml",
        "readme.md.tmpl": "README.md",
        **_COMMON,
    },
    "approvals": {
        "approvals-agent.py.tmpl": "app/agent.py",
        "approvals-test-agent.py.tmpl": "tests/test_agent.py",
        "approvals-scenario-approved.yaml.tmpl": "scenarios/approved.yaml",
        "approvals-scenario-denied.yaml.tmpl": "scenarios/denied.yaml",
        "approvals-scenario-nobody-answers.yaml.tmpl": "scenarios/nobody-answers.yaml",
        "approvals-tape.yaml.tmpl": "tape.yaml",
        "approvals-readme.md.tmpl": "README.md",
        **_COMMON,
    },
}
"""By template's name its files, and where they come to stand in the project."""

PLACEHOLDER = "{{name}}"

_NAME = re.compile(r"[a-z](?:[a-z0-9_-]{0,38}[a-z0-9])?")

# Installing a project of such a name would replace what Tape itself consists of or needs.
_TAKEN = {
    "tape", "tape-agents", "sqlmodel", "sqlalchemy", "typer", "click", "rich", "psutil", "pyyaml", "orjson",
    "pydantic", "pydantic-core", "pytest", "textual", "setuptools", "pip",
}  # fmt: skip


def create_project(name: str, parent: Path, template: str = "plain") -> Path:
    """Writes the project `name` into the folder `parent` and returns its path. Nothing outside it is touched.

    The project is built beside its place and moved there in one step, so a crash leaves at most a hidden folder.
    Raises UsageError for a name that is not allowed or is taken and for a template that does not exist,
    EnvironmentTrouble if the disk refuses.
    """
    _check_name(name)
    files = _files_of(template)
    target = parent / name
    if not os.path.isdir(parent):
        raise UsageError(f"{_shown(parent)} is not a folder; create it first, or go to the folder to write into")
    if os.path.lexists(target):
        raise UsageError(f"{_shown(target)} exists and is left as it is; choose another name or remove it")
    texts = {place: _template(file).replace(PLACEHOLDER, name) for file, place in files.items()}
    try:
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=parent, ignore_cleanup_errors=True) as hidden:
            built = Path(hidden) / name
            built.mkdir()
            for place, text in texts.items():
                _write(built / place, text)
            built.rename(target)  # fails if something but an empty folder came to stand there meanwhile
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise EnvironmentTrouble(
            f"{_shown(target)} cannot be written ({why}), and nothing was; check free space and permissions"
        ) from None
    return target


def _files_of(template: str) -> dict[str, str]:
    files = TEMPLATES.get(template)
    if files is None:
        near = get_close_matches(template, TEMPLATES, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(TEMPLATES)}"
        shown = repr(template if len(template) <= 60 else template[:59] + "…")
        raise UsageError(f"no template is called {shown}; {hint}")
    return files


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        guess = re.sub(r"[^a-z0-9_-]+", "-", name[:80].lower()).lstrip("-_0123456789")[:40].rstrip("-_")
        near = f"did you mean {guess!r}? " if _NAME.fullmatch(guess) and guess not in _TAKEN else ""
        shown = repr(name if len(name) <= 60 else name[:59] + "…")
        raise UsageError(
            f"a project cannot be called {shown}; {near}use at most 40 small letters, digits, '-' and '_',"
            " a letter first and no sign last"
        )
    if name.replace("_", "-") in _TAKEN:
        raise UsageError(f"a project cannot be called {name!r}, the name of a package that Tape needs; choose another")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _template(file: str) -> str:
    try:
        return (TEMPLATE / file).read_text("utf-8")
    except OSError as error:
        what = f"the template file {file} is missing from this installation ({error.strerror})"
        raise EnvironmentTrouble(f"{what}; install tape-agents again") from None


def _shown(path: Path) -> str:
    text = str(path)
    return text if text.isprintable() else repr(text)
