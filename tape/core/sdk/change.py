"""Has the project changed since a decision was recorded? Two hashes that stand with each decision: of the project's own
modules, and of what its tools declare. Never a refusal: a run goes on as long as its code fits its tape."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tape.core.kernel.errors import UsageError
from tape.core.kernel.identity import hash_json
from tape.core.sdk.decorators import TOOLS, Tool
from tape.core.sdk.values import schema_of, signature_of

DIGITS = 16
INSTALLED = frozenset({"site-packages", "dist-packages"})


@dataclass(slots=True)
class _Project:
    """What was loaded of the project. `files` by their path in the project's folder."""

    files: dict[str, Path] = field(default_factory=lambda: {})


_project = _Project()


def note_project(root: Path) -> None:
    """The project has been loaded from `root`: modules that it imports later, inside functions, do not count, as one
    process would have them at a decision and another one not."""
    home = root.resolve()
    own = [Path(sys.prefix).resolve()] if Path(sys.prefix).resolve() != home else []
    files: dict[str, Path] = {}
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if not isinstance(name, str) or not name.startswith((str(root), str(home))):
            continue
        file = Path(name).resolve()
        if file.is_relative_to(home) and not INSTALLED & set(file.parts) and not any(map(file.is_relative_to, own)):
            files[file.relative_to(home).as_posix()] = file
    _project.files = files
    code_hash.cache_clear()
    tools_hash.cache_clear()


@cache
def code_hash() -> str:
    """16 hexadecimal digits; empty where nothing of a project is loaded."""
    if not _project.files:
        return ""
    digest = hashlib.sha256()
    for name, file in sorted(_project.files.items()):
        text = b""
        with contextlib.suppress(OSError):  # it was there when it was imported
            text = file.read_bytes()
        digest.update(f"{name}\0{len(text)}\0".encode())
        digest.update(text)
    return digest.hexdigest()[:DIGITS]


@cache
def tools_hash() -> str:
    """16 hexadecimal digits over the tools' declarations and parameters; empty where there are none."""
    return hash_json([declared(tool) for _, tool in sorted(TOOLS.items())])[:DIGITS] if TOOLS else ""


def declared(tool: Tool[..., Any]) -> dict[str, Any]:
    """What a tool promises, and what it takes."""
    options, undo = tool.options, tool.undo
    return {
        "name": tool.name,
        "options": {name: _plain(getattr(options, name)) for name in options.__slots__},
        "look_up": tool.look_up is not None,
        "undo": None if undo is None else [str(undo.semantics), undo.observe is not None, undo.auto],
        "parameters": _parameters(tool),
    }


def _plain(value: Any) -> Any:
    """A function counts by being there."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return "function" if callable(value) else str(value)


def _parameters(tool: Tool[..., Any]) -> Any:
    try:
        signature = signature_of(tool.function)
        return {name: _schema(signature.annotation(name)) for name in signature.parameters()}
    except (UsageError, TypeError):  # cannot be looked at: a call of it says so
        return None


def _schema(annotation: Any) -> Any:
    """Its JSON schema; of what is Python's own its name, which is as good and costs nothing."""
    if getattr(annotation, "__module__", "") == "builtins":
        return str(annotation)
    return schema_of(annotation) or str(annotation)


def changes(code: str, tools: str) -> str:
    """What has changed since these hashes were recorded, in words; empty if nothing has, or it is not known."""
    changed = [
        what
        for what, was, now in (("the project's code", code, code_hash()), ("its tools", tools, tools_hash()))
        if was and was != now
    ]
    return " and ".join(changed)
