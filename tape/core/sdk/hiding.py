"""Values that are used and not recorded: secrets travel by name, redacted arguments as a keyed hash. Light to import.

The rest of what is plain in this process is kept off the record by `Plain`: errors, results and output that contain a
hidden value are cleaned of it (docs/guide/secrets.md says what that can and cannot do).
"""

from __future__ import annotations

import hmac
import json
import os
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, cast

from tape.core.kernel.errors import UsageError
from tape.core.kernel.hidden import REDACTED, SECRET, SHOWN_DIGITS, Marker, filled, pointer
from tape.core.kernel.identity import canonical_json

SHORTEST = 4
"""Shorter texts are not looked for: they would be found everywhere."""
MOST_KNOWN = 1000
DEEPEST = 200
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Json = Any
Path = tuple[str | int, ...]


class SecretMissing(UsageError):
    """The environment of this process does not have a secret's variable."""


class Secret:
    """An argument that is resolved from the environment at each attempt; everything else holds its name. In hooks,
    `effect.args` has it where the call had it. Not a dataclass: those can be written as JSON by themselves."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def value(self) -> str:
        """What the variable holds now. Raises SecretMissing."""
        found = os.environ.get(self._name)
        if found is None:
            raise SecretMissing(
                f"secret {self._name}: the environment variable {self._name} is not set in the agent's process: set it "
                "where `tape dev` or `tape server` is started, and start that again"
            )
        note_plain(found, f"[secret {self._name}]")
        return found

    def __str__(self) -> str:
        return f"secret {self._name}"

    def __repr__(self) -> str:
        return f"<secret {self._name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._name == self._name

    def __hash__(self) -> int:
        return hash((SECRET, self._name))


class Redacted:
    """What stands in `effect.args` for an argument that the tool redacts; equal to another one of the same value."""

    __slots__ = ("_hash",)

    def __init__(self, hash: str) -> None:
        self._hash = hash

    @property
    def hash(self) -> str:
        """32 hexadecimal digits: HMAC-SHA256 of the value, under the key of this project's journal."""
        return self._hash

    def __str__(self) -> str:
        return "redacted"

    def __repr__(self) -> str:
        return f"<redacted {self._hash[:SHOWN_DIGITS]}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Redacted) and other._hash == self._hash

    def __hash__(self) -> int:
        return hash((REDACTED, self._hash))


def secret(name: str) -> Any:
    """The environment variable `name` as an argument of a tool call or of a model: the journal holds the name only.
    Typed as Any, so that it may stand for a `str`. Raises UsageError for what is no name of a variable."""
    given: Any = name
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        raise UsageError(f"tape.secret takes the name of an environment variable, not {given!r}")
    return Secret(given)


# --- arguments ----------------------------------------------------------------------------------------------------


def swapped(value: Any, of: Callable[[Any, Path], Any], path: Path = ()) -> Any:
    """The value with `of(x, path)` for each Secret and Redacted in it: at its top, in dicts with text keys, in lists
    and tuples. The very same value if there is none."""
    if isinstance(value, Secret | Redacted):
        return of(value, path)
    kind = cast("type[object]", type(value))
    if len(path) > DEEPEST or kind not in (dict, list, tuple):
        return value
    if kind is dict:
        pairs = cast("dict[Any, Any]", value)
        made = {key: swapped(part, of, (*path, key)) if type(key) is str else part for key, part in pairs.items()}
        return made if any(made[key] is not part for key, part in pairs.items()) else value
    parts = cast("list[Any] | tuple[Any, ...]", value)
    new = [swapped(part, of, (*path, at)) for at, part in enumerate(parts)]
    if all(one is other for one, other in zip(new, parts, strict=True)):
        return value
    return new if kind is list else tuple(new)


def lifted(value: Any) -> tuple[Any, dict[str, dict[str, str]]]:
    """The value with None where secrets stood, and which stood where."""
    hidden: dict[str, dict[str, str]] = {}

    def lift(found: Any, path: Path) -> None:
        if isinstance(found, Redacted):
            raise UsageError("a tape.Redacted is what is left of a value: it cannot be passed on as one")
        hidden[pointer(path)] = {SECRET: found.name}

    return swapped(value, lift), hidden


def resolved(value: Any, live: Mapping[str, Json]) -> Any:
    """Arguments to enter a body with: secrets as they are now, redacted ones (by parameter) as they were passed. Raises
    SecretMissing."""

    def resolve(found: Any, path: Path) -> Any:
        return found.value() if isinstance(found, Secret) else live[str(path[0])]

    return swapped(value, resolve)


def opened(args: Any, hidden: Json) -> Any:
    """Recorded arguments as hooks see them."""
    return filled(args, hidden, _object)


def _object(marker: Marker) -> Secret | Redacted:
    return Secret(marker[SECRET]) if SECRET in marker else Redacted(marker[REDACTED])


# --- the keyed hash -----------------------------------------------------------------------------------------------

_key: list[bytes] = []


def set_key(key: str) -> None:
    """The project's key for redacted arguments, in hexadecimal digits: the server says it when an agent connects."""
    _key[:] = [bytes.fromhex(key)]


def keyed_hash(value: Json) -> str:
    """Raises UsageError while there is no key."""
    if not _key:
        raise UsageError("a redacted argument outside a server's agent: there is no key to hash it with")
    return hmac.digest(_key[0], canonical_json(value).encode(), "sha256").hex()[:32]


def without_redacted(value: Json, args: Mapping[str, Any]) -> Json:
    """What a hook found, with a mark for each text in it that is, as a whole, one of the redacted arguments: the hook
    was never told that value, but it may come back from outside."""
    marks = {found.hash: f"[redacted {name}]" for name, found in args.items() if isinstance(found, Redacted)}
    if not marks or not _key:
        return value

    def clean(text: str) -> str:
        return marks.get(keyed_hash(text), text) if len(text) >= SHORTEST else text

    return _each_text(value, clean)


# --- what is plain in this process --------------------------------------------------------------------------------


class Plain:
    """Hidden values that somebody here knows in plain, each with the mark that stands for it. Any thread."""

    def __init__(self, above: Plain | None = None, most: int | None = None) -> None:
        self._above = above
        self._most = most
        self._marks: dict[str, str] = {}
        """Replaced as a whole, never changed: whoever reads it has one state of it."""
        self._sorted: tuple[dict[str, str], list[str]] = (self._marks, [])

    def add(self, value: Json, mark: str) -> None:
        """Every text and number in the value, as it is and as `repr`, JSON and URLs write it."""
        self._add(dict.fromkeys(_texts(value), mark))

    def _add(self, new: dict[str, str]) -> None:
        marks = self._marks.copy()
        for text in new:  # the latest stays longest
            marks.pop(text, None)
        marks |= new
        if self._most is not None and len(marks) > self._most:
            marks = dict(list(marks.items())[-self._most :])
        self._marks = marks
        if self._above is not None:
            self._above._add(new)

    def _longest_first(self) -> tuple[dict[str, str], list[str]]:
        """What is looked for, in which order. Sorted when it is needed: many may be added at once."""
        found = self._sorted
        if found[0] is not self._marks:
            marks = self._marks
            found = self._sorted = marks, sorted(marks, key=len, reverse=True)
        return found

    def scrub(self, text: str) -> str:
        marks, values = self._longest_first()
        for value in values:
            if value in text:
                text = text.replace(value, marks[value])
        return text

    def scrub_json(self, value: Json) -> Json:
        """The value with every text in it cleaned, those that are keys too."""
        return _each_text(value, self.scrub) if self._marks else value


def _texts(value: Json) -> set[str]:
    found: set[str] = set()
    if isinstance(value, dict):
        for part in cast("dict[str, Json]", value).values():
            found |= _texts(part)
    elif isinstance(value, list):
        for part in cast("list[Json]", value):
            found |= _texts(part)
    elif isinstance(value, str):
        found |= _written(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found.add(str(value))
    return {text for text in found if len(text) >= SHORTEST}


def _written(text: str) -> set[str]:
    from urllib.parse import quote, quote_plus

    lines = [line for line in text.splitlines() if len(line) >= 2 * SHORTEST] if "\n" in text else []
    found = {text, *lines, repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    if text.isascii() and not text.isalnum():
        found |= {quote(text), quote(text, safe=""), quote_plus(text)}
    return found


def _each_text(value: Json, clean: Callable[[str], str]) -> Json:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_each_text(part, clean) for part in cast("list[Json]", value)]
    if isinstance(value, dict):
        return {clean(key): _each_text(part, clean) for key, part in cast("dict[str, Json]", value).items()}
    return value


KNOWN = Plain(most=MOST_KNOWN)
"""The latest of all: what this process says on its output is cleaned of them."""
CURRENT_PLAIN: ContextVar[Plain] = ContextVar("tape_plain", default=KNOWN)
"""Of the attempt, ask, hook or drive that runs here: what it records is cleaned of them, and of no other's."""


def note_plain(value: Json, mark: str) -> None:
    CURRENT_PLAIN.get().add(value, mark)


def scrubbed(text: str) -> str:
    """A text that is about to be recorded for what runs here."""
    plain = CURRENT_PLAIN.get()
    return text if plain is KNOWN else plain.scrub(text)
