"""What the console remembers per project: one small JSON file beside the journal. A damaged one is as good as none."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast

from tape.tui.choices import Choices

FILE_NAME = "console.json"
LIMIT_BYTES = 200_000


def recall(folder: Path) -> Choices:
    """What was kept last, as far as it makes sense."""
    try:
        with (folder / FILE_NAME).open("rb") as file:
            kept: Any = json.loads(file.read(LIMIT_BYTES))
    except (OSError, ValueError, RecursionError):
        return Choices()
    if not isinstance(kept, dict):
        return Choices()
    default = Choices()
    known: dict[str, Any] = {}
    for field in fields(Choices):
        value = cast("dict[str, Any]", kept).get(field.name)
        if _fits(value, getattr(default, field.name)):
            known[field.name] = value
    known["armed"] = tuple(tuple(item) for item in known.get("armed", []) if _is_arm(item))
    known["weights"] = {name: weight for name, weight in known.get("weights", {}).items() if _is_weight(weight)}
    if not 0.4 <= known.get("left", default.left) <= 0.8:
        del known["left"]
    return Choices(**known)


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list)
    if default is None:
        return isinstance(value, str)
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, type(default))


def _is_arm(item: Any) -> bool:
    return isinstance(item, list) and [type(part) for part in cast("list[Any]", item)] == [str, str, str]


def _is_weight(weight: Any) -> bool:
    return isinstance(weight, int | float) and 0.1 <= weight <= 10


def keep(folder: Path, choices: Choices) -> None:
    """Whole or not at all; a folder that cannot be written is no reason not to quit. Dense: with each value on a line
    of its own, inputs that are kept could come to more than is read."""
    text = json.dumps(asdict(choices))
    new = folder / f"{FILE_NAME}.new"
    with contextlib.suppress(OSError, ValueError):
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(new, folder / FILE_NAME)
