"""An author's own crash points, found in the project's code without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tape.core.config import Config

LIMIT_FILES = 500
LIMIT_BYTES = 1_000_000


def own_points(config: Config) -> tuple[str, ...]:
    """The names in `tape.crash_point("name")` in the folders that `reload` names, in the order of the code. A name that
    is computed is not found; code that does not parse has none."""
    found: dict[str, None] = {}
    for path in _files(config):
        for name in _names(path):
            found.setdefault(name)
    return tuple(found)


def _files(config: Config) -> list[Path]:
    files: list[Path] = []
    for part in config.reload:
        place = config.root / part
        if place.is_dir():
            files += sorted(path for path in place.rglob("*.py") if not _hidden(path, place))
        elif (module := place.with_name(f"{place.name}.py")).is_file():
            files.append(module)
    return files[:LIMIT_FILES]


def _hidden(path: Path, below: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(below).parts)


def _names(path: Path) -> Iterator[str]:
    try:
        if path.stat().st_size > LIMIT_BYTES:
            return
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        name = node.args[0]
        if called == "crash_point" and isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value:
            yield name.value
