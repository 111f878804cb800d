"""What stands in a call's arguments and is not recorded: secrets by their name, redacted arguments by a keyed hash.

Where one stood, the recorded arguments hold null, and `hidden` says so beside them: `{"/headers/token": {"secret":
"API_TOKEN"}, "/card": {"redacted": "9f…"}}`, by JSON pointer (RFC 6901). Nothing an author passes looks like that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

Json = Any
Marker = Mapping[str, str]
SECRET = "secret"
REDACTED = "redacted"
SHOWN_DIGITS = 8


def pointer(path: Sequence[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _parts(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def filled(args: Json, hidden: Json, of: Callable[[Marker], Any]) -> Any:
    """The arguments with `of(marker)` at each hidden place. The arguments themselves stay as they are; a place that
    they do not have (a damaged record) is passed over."""
    if not isinstance(hidden, dict):
        return args
    for place, marker in cast("dict[str, Marker]", hidden).items():
        args = _put(args, _parts(place), of(marker))
    return args


def _put(value: Json, parts: list[str], part: Any) -> Any:
    if not parts:
        return part
    head, rest = parts[0], parts[1:]
    if isinstance(value, dict):
        known = cast("dict[str, Json]", value)
        return {**known, head: _put(known[head], rest, part)} if head in known else known
    if isinstance(value, list):
        items = cast("list[Json]", value)
        if head.isdecimal() and int(head) < len(items):
            at = int(head)
            return [*items[:at], _put(items[at], rest, part), *items[at + 1 :]]
        return items
    return value


def label(marker: Json) -> str:
    """How a hidden value is shown to people."""
    given = cast("dict[str, str]", marker) if isinstance(marker, dict) else {}
    if SECRET in given:
        return f"‹secret {given[SECRET]}›"
    return f"‹redacted {str(given.get(REDACTED, '?'))[:SHOWN_DIGITS]}›"


def visible(args: Json, hidden: Json) -> Json:
    """The arguments as people see them: a label where something is hidden. For screens and lines, never for a call."""
    return filled(args, hidden, label)


def identified(args: Json, hidden: Json) -> Json:
    """What is hashed and compared in place of the arguments. Arguments are an object, so a list is nobody's."""
    return [args, hidden] if hidden else args
