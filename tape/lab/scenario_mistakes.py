"""Mistakes of a scenario file: what pydantic found and where, as `FILE:LINE: where: what; what to do`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tape.core.strict_yaml import Items, Node, Place, Table, quoted, suggest
from tape.lab.scenario import Loc

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_REMEDIES = {
    "string_type": "write some text",
    "list_type": "write [a, b], or lines that start with '- '",
    "dict_type": "write 'key: value' lines",
    "model_type": "write 'key: value' lines",
}


def places(node: Node, loc: Loc) -> Iterator[tuple[Loc, Place]]:
    """Where everything below a node stands: a value is where its key is."""
    if isinstance(node, Table):
        for key, inner in node:
            yield (*loc, key), node.keys[key]
            yield from places(inner, (*loc, key))
    elif isinstance(node, Items):
        for index, inner in enumerate(node.nodes):
            yield (*loc, index), inner.place
            yield from places(inner, (*loc, index))


def told(details: ErrorDetails, known: Mapping[Loc, Place]) -> Iterator[tuple[Loc, str]]:
    """What pydantic found, as places and texts of ours."""
    from tape.lab.scenario_shape import BETWEEN
    from tape.lab.scenario_words import CUSTOM

    kind, loc = details["type"], details["loc"]
    context: dict[str, Any] = details.get("ctx", {})
    if kind == BETWEEN:
        yield from (((*loc, *_steps(field)), text) for field, text in context["problems"])
    elif kind == CUSTOM and loc[-1:] == ("[key]",):
        yield loc[:-1], f"this name {context['text']}"
    elif kind == CUSTOM and loc[:1] == ("upstream",):
        yield _option(loc, context["text"], known)
    elif kind == CUSTOM:
        yield loc, context["text"]
    elif kind == "extra_forbidden":
        yield loc, _unknown_key(loc)
    elif kind == "missing":
        yield loc, "is missing; add it"
    else:
        yield loc, f"{_wanted(kind, context)}, not {_shown(details['input'])}{_quotes(kind, details['input'])}"


def _steps(field: str | Loc) -> Loc:
    return field if isinstance(field, tuple) else (field,) if field else ()


def _option(loc: Loc, text: str, known: Mapping[Loc, Place]) -> tuple[Loc, str]:
    """A stand-in's options are judged whole: the one that the text begins with, or names as unknown, has the place."""
    if found := re.match(r"(\w+)(?:\[(\d+)\])?: ", text):
        inner: Loc = (*loc, found[1], int(found[2])) if found[2] else (*loc, found[1])
        if inner in known:
            return inner, text[found.end() :]
    if (found := re.match(r"unknown option '(\w+)'", text)) and (*loc, found[1]) in known:
        return (*loc, found[1]), text
    return loc, text


def _unknown_key(loc: Loc) -> str:
    from tape.lab.scenario_model import keys_at

    names = keys_at(loc[:-1])
    near = suggest(str(loc[-1]), names)
    return f"unknown key; did you mean {near}?" if near else f"unknown key; keys here: {', '.join(names)}"


def _wanted(kind: str, context: Mapping[str, Any]) -> str:
    if kind.startswith("greater"):
        return f"must be {context['ge']} or more"
    if kind.startswith("less"):
        return f"must be at most {context['le']}"
    return f"must be {_KINDS.get(kind, 'of another kind')}"


def _quotes(kind: str, given: object) -> str:
    if kind == "string_type" and isinstance(given, int | float):
        return "; put it in quotes if it is meant as text"
    return f"; {_REMEDIES.get(kind, 'change it')}"


def _shown(given: object) -> str:
    from tape.lab.scenario_words import shown

    return shown(given)


def report(known: Mapping[Loc, Place], problems: Sequence[tuple[Loc, str]]) -> list[str]:
    """A line for each, in the order of the file; what is of one line stays in its order."""
    found = [(_place_of(loc, known), loc, text) for loc, text in problems]
    found.sort(key=lambda mistake: mistake[0].line)
    return [f"{place.file}:{place.line}: {way(loc)}{text}" for place, loc, text in found]


def _place_of(loc: Loc, known: Mapping[Loc, Place]) -> Place:
    """Its own, or that of the nearest value around it."""
    return next(known[loc[:length]] for length in range(len(loc), -1, -1) if loc[:length] in known)


def way(loc: Loc) -> str:
    """How a message begins that is about this value."""
    words = [str(part) for part in loc]
    safe = (word if re.fullmatch(r"[\w./-]{1,60}", word) else quoted(word) for word in words)
    return f"{'.'.join(safe)}: " if loc else ""
