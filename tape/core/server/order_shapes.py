"""What an operator's order is made of: looked at once, where it arrives."""

from __future__ import annotations

from typing import Any

from tape.core.kernel.preview import preview
from tape.core.wire import Frame

_PARTS: dict[str, type | tuple[type, ...]] = {
    "verb": str, "run_id": (str, type(None)), "args": dict, "actor": str, "reason": str,
}  # fmt: skip
_ARGS: dict[str, type | tuple[type, ...]] = {
    "agent": str, "at": (str, int), "caps": dict, "decision_index": int, "deny": bool, "each_run": bool, "gate": str,
    "go": bool, "how": str, "key": str, "nth": int, "ordinal": int, "pid": int, "signal": str, "to": str, "tool": str,
}  # fmt: skip
"""Those of all verbs (`Order`); null is as if it was left out."""


def misshapen(frame: Frame) -> str | None:
    """What of it is of the wrong kind; None if nothing is. What is missing, or means nothing, is the verb's to say."""
    for name, kind in _PARTS.items():
        if name in frame and not isinstance(frame[name], kind):
            return _said(name, frame[name])
    for name, value in frame.get("args", {}).items():
        if value is not None and not isinstance(value, _ARGS.get(name, object)):
            return _said(name, value)
    return None


def _said(name: str, value: Any) -> str:
    return f"{name} is {preview(value)}"
