"""A request on a fraction of a line: what stands for it where the whole is too long to be shown or sent."""

from __future__ import annotations

from typing import Any, cast

PREVIEW_CHARACTERS = 120
_ITEM_CHARACTERS = 50


def preview(value: Any, limit: int = PREVIEW_CHARACTERS) -> str:
    """The value as text, at most `limit` characters: of long lists the last item (in a conversation the one that is
    new), of long texts the beginning. An object's fields are named as in a call."""
    text = "" if _least(value, limit) > limit else _fields(value, whole=True)
    if not text or len(text) > limit:
        text = _fields(value, whole=False)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _least(value: Any, limit: int) -> int:
    """A length that the text has at least; counted up to `limit` only, so that it costs little for any value."""
    if isinstance(value, str):
        return len(value) + 2
    if isinstance(value, (list, dict)):
        parts = cast("list[Any]", value if isinstance(value, list) else list(cast("dict[str, Any]", value).values()))
        total = 0
        for part in parts:
            total += _least(part, limit)
            if total > limit:
                break
        return total
    return 1


def _fields(value: Any, *, whole: bool) -> str:
    shown = repr if whole else _short
    if isinstance(value, dict):
        return ", ".join(f"{key}={shown(part)}" for key, part in cast("dict[str, Any]", value).items())
    return shown(value)


def _short(value: Any) -> str:
    if isinstance(value, list):
        parts = cast("list[Any]", value)
        if len(parts) > 1:
            return f"[… {len(parts) - 1} more, {_short(parts[-1])}]"
        return f"[{', '.join(_short(part) for part in parts)}]"
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return "{" + ", ".join(f"{key!r}: {_short(part)}" for key, part in named.items()) + "}"
    text = repr(value)
    return text if len(text) <= _ITEM_CHARACTERS else text[: _ITEM_CHARACTERS - 1] + "…"
