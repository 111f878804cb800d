"""The small part of YAML that Tape's files are written in, read so that every mistake has a file and a line.

Read are mappings, lists and scalars in UTF-8. Refused, each with one line: anchors, aliases, tags, duplicate keys,
several documents, control characters, files that are too large or nested too deeply. A plain scalar gets its type
from the reader that asks for it (`integer`, `duration_us` ...), never from YAML's own guesses, so `no` stays text and
`1:30` is no number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from tape.core.kernel.errors import UsageError

if TYPE_CHECKING:
    from yaml.events import Event

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_DURATION_US = 366 * 86_400 * 1_000_000

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# Patterns are texts, compiled when first used: importing this must stay cheap.
_UNPRINTABLE = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
_INTEGER = r"[+-]?(?:0|[1-9][0-9]{0,17}|[1-9][0-9]{0,2}(?:_[0-9]{3}){1,5})"
_DECIMAL = r"[+-]?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?"
_DURATION = r"([0-9]{1,15}(?:\.[0-9]{1,6})?)(us|ms|s|m|h|d)?"
_UNIT_US = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; `line` counts from 1."""

    file: str
    line: int

    def error(self, what: str, remedy: str) -> UsageError:
        return UsageError(f"{self.file}:{self.line}: {what}; {remedy}")


@dataclass(frozen=True, slots=True)
class Scalar:
    """`plain` says that it was written without quotes, so that it may stand for a number, true, false or null."""

    place: Place
    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Items:
    place: Place
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping. `keys` holds where each key stands, in the order of the file."""

    place: Place
    keys: dict[str, Place]
    nodes: dict[str, Node]

    def __iter__(self) -> Iterator[tuple[str, Node]]:
        return iter(self.nodes.items())

    def get(self, key: str) -> Node | None:
        """The value of `key`; None as well if it was left empty, which means the default."""
        node = self.nodes.get(key)
        return None if node is None or is_null(node) else node

    def allow(self, known: Iterable[str], where: str = "") -> None:
        """Raises UsageError for the first key that is not in `known`."""
        names = tuple(known)
        for key, place in self.keys.items():
            if key not in names:
                near = suggest(key, names)
                hint = f"did you mean {near!r}? " if near else ""
                raise place.error(f"unknown key {quoted(key)}{where}", f"{hint}keys here: {', '.join(names)}")


Node: TypeAlias = Scalar | Items | Table


def suggest(word: str, known: Iterable[str]) -> str:
    """The name in `known` that `word` was most likely meant to be, or an empty text."""
    from difflib import get_close_matches

    names = {name.casefold(): name for name in known}
    near = get_close_matches(word[:80].casefold(), names, n=1, cutoff=0.6)
    return names[near[0]] if near else ""


def quoted(text: str, limit: int = 60) -> str:
    """`text` in quotes, on one line, without control or direction characters, cut to `limit` characters."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


# ------------------------------------------------------------------------------------------------------ reading


def read_yaml(data: bytes, file: str) -> Table:
    """The mapping that `data` holds (an empty file is an empty one); `file` is the name shown in errors.

    Raises UsageError: `FILE:LINE: what; what to do`.
    """
    import yaml

    content = _decode(data, file)
    builder = _Builder(file)
    try:
        for event in _events(content):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _syntax_error(content, file, mark.line if mark else 0, error.problem or "") from None
    except yaml.YAMLError as error:
        raise _syntax_error(content, file, 0, str(error)) from None
    root = builder.root
    if root is None or is_null(root):
        return Table(Place(file, 1), {}, {})
    return table(root, "the file")


def _events(content: str) -> Iterator[Event]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is absent from some builds
    return yaml.parse(content, Loader=loader)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise Place(file, 1).error(
            f"larger than {MAX_BYTES // 1024} KiB", "this is not a file that Tape reads; shorten it"
        )
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Place(file, data.count(b"\n", 0, error.start) + 1)
        raise place.error("not UTF-8 text", "save the file as UTF-8") from None
    if bad := re.search(_UNPRINTABLE, content):
        place = Place(file, content.count("\n", 0, bad.start()) + 1)
        raise place.error(f"the control character U+{ord(bad.group()):04X} is not allowed", "delete it")
    return content


def _syntax_error(content: str, file: str, index: int, problem: str) -> UsageError:
    lines = content.splitlines() or [""]
    index = min(index, len(lines) - 1)  # the parser may stop behind the last line
    place = Place(file, index + 1)
    if "\t" in lines[index][: -len(lines[index].lstrip()) or None]:
        return place.error("a tab is used for indentation", "indent with spaces")
    problem = " ".join(problem.split()) or "cannot be read"
    return place.error(f"not valid YAML ({problem})", "check indentation, colons, brackets and quotes around this line")


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not been seen."""

    place: Place
    is_table: bool
    items: list[Node] = field(default_factory=list["Node"])
    keys: dict[str, Place] = field(default_factory=dict[str, Place])
    nodes: dict[str, Node] = field(default_factory=dict[str, "Node"])
    key: str | None = None

    def add(self, node: Node) -> None:
        if not self.is_table:
            self.items.append(node)
        elif self.key is None:
            self._take_key(node)
        else:
            self.nodes[self.key] = node
            self.key = None

    def _take_key(self, node: Node) -> None:
        if not isinstance(node, Scalar):
            raise node.place.error("a key must be a plain word", "check brackets and colons on this line")
        if node.text in self.keys:
            first = self.keys[node.text].line
            raise node.place.error(f"key {quoted(node.text)} stands here twice (first in line {first})", "remove one")
        self.keys[node.text] = node.place
        self.key = node.text

    def close(self) -> Node:
        return Table(self.place, self.keys, self.nodes) if self.is_table else Items(self.place, tuple(self.items))


class _Builder:
    """Builds nodes from parser events with a stack of its own: no input can exhaust Python's."""

    def __init__(self, file: str) -> None:
        self.root: Node | None = None
        self._file = file
        self._stack: list[_Open] = []
        self._documents = 0

    def take(self, event: Event) -> None:
        from yaml import events

        place = Place(self._file, event.start_mark.line + 1)
        match event:
            case events.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise place.error("a second document starts here", "remove the line '---'")
            case events.AliasEvent():
                raise place.error(f"alias *{event.anchor} is not allowed", "write the value out")
            case events.ScalarEvent():
                self._refuse_extras(event, place)
                self._put(Scalar(place, str(event.value), plain=not event.style))
            case events.SequenceStartEvent() | events.MappingStartEvent():
                self._refuse_extras(event, place)
                if len(self._stack) >= MAX_DEPTH:
                    raise place.error(f"nested deeper than {MAX_DEPTH} levels", "flatten it")
                self._stack.append(_Open(place, isinstance(event, events.MappingStartEvent)))
            case events.SequenceEndEvent() | events.MappingEndEvent():
                self._put(self._stack.pop().close())
            case _:
                pass

    def _refuse_extras(self, event: Event, place: Place) -> None:
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor is not None:
            raise place.error(f"anchor &{anchor} is not allowed", "write the value out where it is needed")
        if tag is not None:
            raise place.error(f"tag {quoted(str(tag))} is not allowed", "remove it; types are known from the key")

    def _put(self, node: Node) -> None:
        if self._stack:
            self._stack[-1].add(node)
        else:
            self.root = node


# ---------------------------------------------------------------------------------------------- typed answers


def is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and node.text in ("", "~", "null")


def table(node: Node, what: str) -> Table:
    if not isinstance(node, Table):
        raise _wrong(node, what, "a mapping", "write 'key: value' lines")
    return node


def items(node: Node, what: str) -> tuple[Node, ...]:
    if not isinstance(node, Items):
        raise _wrong(node, what, "a list", "write [a, b]")
    return node.nodes


def text(node: Node, what: str) -> str:
    if not isinstance(node, Scalar) or is_null(node) or not node.text:
        raise _wrong(node, what, "text", "write a word")
    if node.plain and (node.text in ("true", "false") or re.fullmatch(_DECIMAL, node.text)):
        raise _wrong(node, what, "text", "put it in quotes if it is meant as text")
    return node.text


def boolean(node: Node, what: str) -> bool:
    if not isinstance(node, Scalar) or not node.plain or node.text not in ("true", "false"):
        raise _wrong(node, what, "true or false", "write true or false")
    return node.text == "true"


def integer(node: Node, what: str, low: int, high: int) -> int:
    if not isinstance(node, Scalar) or not node.plain or not re.fullmatch(_INTEGER, node.text):
        raise _wrong(node, what, "a whole number", f"write a number from {low} to {high}, without quotes")
    number = int(node.text)
    if not low <= number <= high:
        raise node.place.error(f"{what} must be from {low} to {high}, not {number}", "change it")
    return number


def decimal(node: Node, what: str) -> Decimal:
    if not isinstance(node, Scalar) or not node.plain or not re.fullmatch(_DECIMAL, node.text):
        raise _wrong(node, what, "a number", "write one such as 1.50, without quotes")
    return Decimal(node.text)


def duration_us(node: Node, what: str) -> int:
    """A positive duration in microseconds: `15s`, `200ms`, `1.5h`, or a plain number of seconds."""
    found = re.fullmatch(_DURATION, node.text) if isinstance(node, Scalar) else None
    if not isinstance(node, Scalar) or found is None:
        raise _wrong(node, what, "a duration", "write 200ms, 15s, 1m or 1h")
    amount = Decimal(found[1]) * _UNIT_US[found[2] or "s"]
    if not 1 <= amount <= MAX_DURATION_US:
        raise node.place.error(f"{what} must be over 0 and at most a year, not {quoted(node.text)}", "change it")
    return int(amount)


def plain(node: Node) -> Json:
    """The JSON value of a node whose meaning somebody else checks."""
    if isinstance(node, Table):
        return {key: plain(inner) for key, inner in node}
    if isinstance(node, Items):
        return [plain(inner) for inner in node.nodes]
    if is_null(node):
        return None
    if not node.plain:
        return node.text
    if node.text in ("true", "false"):
        return node.text == "true"
    if re.fullmatch(_INTEGER, node.text):
        return int(node.text)
    return float(node.text) if re.fullmatch(_DECIMAL, node.text) else node.text


def _wrong(node: Node, what: str, wanted: str, remedy: str) -> UsageError:
    if isinstance(node, Scalar):
        got = "nothing" if is_null(node) else quoted(node.text)
    else:
        got = "a mapping" if isinstance(node, Table) else "a list"
    return node.place.error(f"{what} must be {wanted}, not {got}", remedy)
