"""Values by hash: what is long, or comes again and again, is stored once per journal in the table `blob`.

An entry's stored body may end with `refs`, a list of `[path, hash]`: at that path (keys and indexes) the body holds
null, and the value is the blob of that name. Events never show this: bodies are packed where entries are written, and
filled where they are read. A blob is one of two things:

- the JSON of a value, named by its hash. An object's keys stay in their order: agents' code may go by it on replay;
- a list of messages, as `+` and `{"before": NAME or null, "items": [...]}`: the list of the name `before`, then these
  items, each the hash of a value, or `[value]` where that is shorter. Its name is the hash folded over the hashes of
  all its items, however they are cut into blobs. So a conversation that grows costs each turn what the turn adds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import cast

import orjson

from tape.core.kernel.errors import JournalUnavailable
from tape.core.kernel.events import TAPE_KINDS, Decision, Event, Json
from tape.core.kernel.identity import hash_text
from tape.core.kernel.preview import preview

MESSAGE_CHARACTERS = 64
"""An item of a list of messages is stored by its hash from this length of its JSON on."""
TEXT_CHARACTERS = 256
"""The same for a single text of a request."""
VALUE_CHARACTERS = 8 << 10
"""The same for any other value of a tape record: a result, a reply, one argument, an input."""

REFS, PREVIEW = "refs", "preview"
_LIST = "+"
SQL = {"blob": "SELECT body FROM blob WHERE hash = :hash"}

Known = Callable[[str], bool]


def exact_text(value: Json) -> str:
    """The value's JSON, its keys in their order. Raises ValueError for NaN and infinities."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


Path = tuple[str | int, ...]


class LostValue(JournalUnavailable):
    """The journal refers to a value that it does not hold, or holds damaged."""


# --- writing ------------------------------------------------------------------------------------------------------


def pack(event: Event, text: str, known: Known) -> tuple[str, dict[str, str]]:
    """The body to be stored for an event (`text` is its JSON), and the blobs that it needs and `known` denies."""
    decides = isinstance(event, Decision)
    if event.kind not in TAPE_KINDS or not (decides or len(text) > VALUE_CHARACTERS):
        return text, {}
    packing = _Packing(known, long=len(text) > VALUE_CHARACTERS)
    body: dict[str, Json] = {}
    for field in fields(event):
        value = getattr(event, field.name)
        if decides and field.name == "request":
            value = packing.request(value)
        elif field.name == "args" and isinstance(value, dict):
            value = {key: packing.value(part, ("args", key)) for key, part in cast("dict[str, Json]", value).items()}
        else:
            value = packing.value(value, (field.name,))
        body[field.name] = value
    if not packing.refs:
        return text, {}
    if isinstance(event, Decision):
        body[PREVIEW] = preview(event.request)
    body[REFS] = packing.refs
    return orjson.dumps(body).decode(), packing.new


class _Packing:
    """One body: the references that stand for its long values, and the blobs that the journal has not got yet."""

    def __init__(self, known: Known, *, long: bool) -> None:
        self._known = known
        self._long = long
        self.refs: list[list[Json]] = []
        self.new: dict[str, str] = {}

    def value(self, value: Json, path: Path) -> Json:
        """The value, or null in its place if it is long."""
        if not self._long or not isinstance(value, (str, list, dict)):
            return value
        text = exact_text(value)
        return self._refer(path, self._store(text)) if len(text) > VALUE_CHARACTERS else cast(Json, value)

    def request(self, request: Json) -> Json:
        """What a model was asked: `{"args": [...], "kwargs": {...}}`; the list of arguments is no list of messages."""
        if not isinstance(request, dict):
            return self._walk(request, ("request",))
        body: dict[str, Json] = {}
        for key, part in cast("dict[str, Json]", request).items():
            path = ("request", key)
            if key == "args" and isinstance(part, list):
                body[key] = [self._walk(each, (*path, at)) for at, each in enumerate(cast("list[Json]", part))]
            else:
                body[key] = self._walk(part, path)
        return body

    def _walk(self, value: Json, path: Path) -> Json:
        if isinstance(value, str):
            if len(value) < TEXT_CHARACTERS:
                return value
            return self._refer(path, self._store(exact_text(value)))
        count = len(self.refs)
        if isinstance(value, list):
            items = cast("list[Json]", value)
            named = _messages(items)
            if named is not None:
                return self._refer(path, self._list(items, named))
            walked: Json = [self._walk(item, (*path, at)) for at, item in enumerate(items)]
        elif isinstance(value, dict):
            parts = cast("dict[str, Json]", value)
            walked = {key: self._walk(part, (*path, key)) for key, part in parts.items()}
        else:
            return value
        return walked if len(self.refs) > count else self.value(value, path)

    def _refer(self, path: Path, name: str) -> None:
        self.refs.append([list(path), name])

    def _store(self, text: str) -> str:
        name = hash_text(text)
        if not self._has(name):
            self.new[name] = text
        return name

    def _list(self, items: Sequence[Json], named: Sequence[tuple[str, bool]]) -> str:
        names = list(_fold("", (name for name, _ in named)))
        stored = len(names)
        while stored and not self._has(names[stored - 1]):
            stored -= 1
        if stored < len(names):
            added = [
                self._store(exact_text(item)) if is_long else [item]
                for item, (_, is_long) in zip(items[stored:], named[stored:], strict=True)
            ]
            node = {"before": names[stored - 1] if stored else None, "items": added}
            self.new[names[-1]] = _LIST + exact_text(node)
        return names[-1]

    def _has(self, name: str) -> bool:
        return name in self.new or self._known(name)


def _messages(items: list[Json]) -> list[tuple[str, bool]] | None:
    """The items' names, and which are long enough to be stored by them, if the list is one of messages: objects or
    texts, and one of them long enough."""
    if not items or not all(isinstance(item, (str, dict)) for item in items):
        return None
    named = [_name_of(item) for item in items]
    return named if any(is_long for _, is_long in named) else None


_NAMES_KEPT = 100_000
_names: dict[bytes, tuple[str, bool]] = {}


def _name_of(item: Json) -> tuple[str, bool]:
    """The name of a message, and whether it is long. Each turn brings all earlier ones again, and JSON text costs
    many times what a hash of their bytes does: so names are kept under that."""
    key = hashlib.blake2b(orjson.dumps(item), digest_size=16).digest()
    known = _names.get(key)
    if known is None:
        text = exact_text(item)
        if len(_names) >= _NAMES_KEPT:
            _names.clear()
        known = _names[key] = hash_text(text), len(text) >= MESSAGE_CHARACTERS
    return known


def _fold(before: str, hashes: Iterator[str]) -> Iterator[str]:
    """The names of all beginnings of a list, the shortest first."""
    for item in hashes:
        before = hash_text(f'["{before}","{item}"]')
        yield before


# --- reading ------------------------------------------------------------------------------------------------------


class Values:
    """Fills bodies from the journal. What is read once is kept: make one for each look at the journal."""

    def __init__(self, body_of: Callable[[str], str | None]) -> None:
        self._body_of = body_of
        self._kept: dict[str, Json] = {}

    def fill(self, body: dict[str, Json], *, lost: bool = False, requests: bool = True) -> dict[str, Json]:
        """The body with its values in place, changed here. Raises LostValue, unless a value that is `lost` is to be
        shown as such. Without `requests`, what a model was asked stays a `preview`."""
        refs = body.pop(REFS, None)
        if refs is None:
            return body
        short = body.pop(PREVIEW, None)
        skipped = not requests and short is not None
        if skipped:
            body |= {"request": None, PREVIEW: short}
        try:
            for path, name in refs:
                if not (skipped and path[0] == "request"):
                    _put(body, path, self._shown(name) if lost else self.value(name))
        except (TypeError, ValueError, LookupError):
            raise LostValue(f"a record's references cannot be read: {str(refs)[:120]}; see `tape doctor`") from None
        return body

    def _shown(self, name: str) -> Json:
        try:
            return self.value(name)
        except LostValue as error:
            return str(error)

    def value(self, name: str) -> Json:
        """Raises LostValue."""
        kept = self._kept.get(name)
        if kept is None:
            text = self._text(name)
            kept = self._list(name) if text.startswith(_LIST) else self._load(name, text)
            self._kept[name] = kept
        return list(cast("list[Json]", kept)) if isinstance(kept, list) else kept

    def _list(self, name: str) -> list[Json]:
        """The list of that name, from its beginning, or from the longest part of it that was read before."""
        parts: dict[str, list[Json]] = {}
        at: str | None = name
        while at is not None and at not in self._kept:
            if at in parts:
                raise LostValue(f"the list of messages {name} goes round in the journal: it is damaged")
            before, items = read_list(self._text(at))
            parts[at] = items
            at = before
        whole: list[Json] = [] if at is None else list(self._kept[at])
        for items in reversed(parts.values()):
            whole += [self._message(item) if isinstance(item, str) else item[0] for item in items]
        return whole

    def _message(self, name: str) -> Json:
        """An item of a list: a text or an object. A list in its place could name itself, or double at each level."""
        kept = self._kept.get(name)
        if kept is None:
            kept = self._kept[name] = self._load(name, self._text(name))
        if isinstance(kept, list):
            raise LostValue(f"the value {name} is no message, and a list names it as one: the journal is damaged")
        return kept

    def _text(self, name: str) -> str:
        text = self._body_of(name)
        if text is None:
            raise LostValue(f"the value {name} is missing from the journal: `tape doctor` says what needs it")
        return text

    def _load(self, name: str, text: str) -> Json:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            raise LostValue(f"the value {name} is damaged in the journal: `tape doctor` says what needs it") from None


NOTHING = Values(lambda name: None)
"""For entries that were never stored."""


def read_list(text: str) -> tuple[str | None, list[Json]]:
    """The name before, and the items, of a blob that is a list. Raises LostValue for what is none."""
    try:
        node = orjson.loads(text.removeprefix(_LIST)) if text.startswith(_LIST) else None
    except orjson.JSONDecodeError:
        node = None
    if isinstance(node, dict):
        parts = cast("dict[str, Json]", node)
        before, items = parts.get("before"), parts.get("items")
        if isinstance(items, list) and (before is None or isinstance(before, str)):
            listed = cast("list[Json]", items)
            if all(isinstance(item, str) or (isinstance(item, list) and len(item) == 1) for item in listed):  # pyright: ignore[reportUnknownArgumentType]
                return before, listed
    raise LostValue("a list of messages is damaged in the journal: `tape doctor` says what needs it")


def _put(body: Json, path: Sequence[str | int], value: Json) -> None:
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value


# --- looking after ------------------------------------------------------------------------------------------------


def rightly_named(name: str, text: str) -> bool:
    """Whether a blob's text gives its name."""
    if not text.startswith(_LIST):
        return hash_text(text) == name
    try:
        before, items = read_list(text)
        hashes = (item if isinstance(item, str) else hash_text(exact_text(item[0])) for item in items)
        whole = text == _LIST + exact_text({"before": before, "items": items})
        return whole and list(_fold(before or "", hashes))[-1:] == [name]
    except (LostValue, ValueError, RecursionError):
        return False


def named_in(text: str) -> list[str]:
    """The names that an entry's body, or a blob that is a list, refers to; none if it cannot be read."""
    try:
        if text.startswith(_LIST):
            before, items = read_list(text)
            return [*([] if before is None else [before]), *(item for item in items if isinstance(item, str))]
        if f'"{REFS}":' not in text:
            return []
        return [name for _, name in orjson.loads(text).get(REFS, []) if isinstance(name, str)]
    except (LostValue, ValueError, TypeError, AttributeError):
        return []
