"""What a worker tells of the project, checked: the agent's process is not trusted to make sense."""

from __future__ import annotations

from typing import Any, cast

from tape.core.wire import Frame


def declared_by(frame: Frame) -> dict[str, Any] | None:
    """The `agents` and `tools` of a worker's manifest (agent/manifest.py); None if they make no sense."""
    declared = {part: frame.get(part) for part in ("agents", "tools")}
    return declared if all(_are_named(items) for items in declared.values()) else None


def _are_named(items: Any) -> bool:
    """Whether these are objects with a name each."""
    if not isinstance(items, list):
        return False
    listed = cast(list[Any], items)
    return all(isinstance(item, dict) and isinstance(cast(Frame, item).get("name"), str) for item in listed)
