"""Where two JSON values begin to differ, on one line: `args[0][3].content: "… pay 7" against "… pay 8"`. Pure."""

from __future__ import annotations

import json
from typing import Any, cast

from tape.core.kernel.identity import canonical_json

BEFORE, SHOWN = 16, 60
_NOTHING: Any = object()


def first_difference(one: Any, other: Any) -> str:
    """Empty where they are the same value."""
    found = _walk(one, other, "")
    if found is None:
        return ""
    path, left, right = found
    sides = _texts(left, right) if isinstance(left, str) and isinstance(right, str) else (_shown(left), _shown(right))
    return f"{path.removeprefix('.')}: {sides[0]} against {sides[1]}" if path else f"{sides[0]} against {sides[1]}"


def _walk(one: Any, other: Any, path: str) -> Any:
    """The path, and what is there on each side; None where they are the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        for name in (*left, *(name for name in right if name not in left)):
            found = _walk(left.get(name, _NOTHING), right.get(name, _NOTHING), f"{path}.{name}")
            if found is not None:
                return found
        return None
    if isinstance(one, list) and isinstance(other, list):
        items, others = cast("list[Any]", one), cast("list[Any]", other)
        for at in range(max(len(items), len(others))):
            here = items[at] if at < len(items) else _NOTHING
            there = others[at] if at < len(others) else _NOTHING
            found = _walk(here, there, f"{path}[{at}]")
            if found is not None:
                return found
        return None
    if one is not _NOTHING and other is not _NOTHING and canonical_json(one) == canonical_json(other):
        return None
    return path, cast(Any, one), other


def _texts(one: str, other: str) -> tuple[str, str]:
    """Both from a little before the first character that differs."""
    at = next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), None)
    at = min(len(one), len(other)) if at is None else at
    start = max(0, at - BEFORE)
    return _part(one, start), _part(other, start)


def _part(text: str, start: int) -> str:
    end = start + SHOWN
    return json.dumps(f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}", ensure_ascii=False)


def _shown(value: Any) -> str:
    if value is _NOTHING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
