"""What an agent's input type asks for, as the fields of a form, and what was written into them as a JSON value. Pure.

The type is a JSON schema as the agent process told it. It may be damaged or of a kind that is not known here: then the
field takes any JSON, and the agent judges it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from tape.core.kernel.errors import UsageError
from tape.core.kernel.identity import RECORD_LIMIT_BYTES, check_json
from tape.core.text import show

Schema = Mapping[str, Any]
WHOLE = ""
"""The name of the one field that is the whole value."""
NULL = "null"
DEPTH = 12
FIELDS = 60
BEYOND = 1e300
_INTEGER = re.compile(r"[+-]?[0-9]+")
_MISSING = object()


class Kind(StrEnum):
    TEXT = "text"
    INTEGER = "a whole number"
    NUMBER = "a number"
    CHOICE = "one of"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `options` are the JSON texts to choose from, and an answer to it is one of them; `hint` is safe to
    print. An empty answer leaves the field out, or is null where it must be there and may be null."""

    name: str
    kind: Kind
    required: bool
    hint: str = ""
    options: tuple[str, ...] = ()
    nullable: bool = False
    limits: Mapping[str, float] = field(default_factory=lambda: {})


@dataclass(frozen=True, slots=True)
class Filled:
    """A value, or what is wrong per field (under `WHOLE` what is wrong with the whole)."""

    value: Any
    wrong: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one input type."""

    fields: tuple[Field, ...]

    @property
    def whole(self) -> bool:
        return len(self.fields) == 1 and self.fields[0].name == WHOLE

    def answers(self, value: Any = _MISSING) -> dict[str, str]:
        """The texts that fill the form with `value`, as far as it fits; without one those of an empty form."""
        if self.whole:
            return {WHOLE: _answer(self.fields[0], value)}
        known = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        return {part.name: _answer(part, known.get(part.name, _MISSING)) for part in self.fields}

    def fill(self, answers: Mapping[str, str]) -> Filled:
        """The value that these answers mean."""
        values: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for part in self.fields:
            try:
                value = _value(part, answers.get(part.name, ""))
                if value is not _MISSING:
                    check_json(value)
                    values[part.name] = value
            except UsageError as error:
                wrong[part.name] = show(str(error), 200)
        if wrong:
            return Filled(None, wrong)
        value = values.get(WHOLE) if self.whole else values
        size = len(json.dumps(value, ensure_ascii=False).encode())
        if size > RECORD_LIMIT_BYTES:
            return Filled(None, {self.fields[-1].name: "all of it is over 1 MiB: pass a reference to it instead"})
        return Filled(value, {})


def form_of(schema: object) -> Form:
    """The form for values of this schema: a field per property of an object, else one field for the whole."""
    root = _mapping(schema)
    resolved, nullable = _resolve(root, root)
    properties = _mapping(resolved.get("properties"))
    if resolved.get("type") == "object" and properties and not nullable and len(properties) <= FIELDS:
        required = resolved.get("required")
        names: list[Any] = cast("list[Any]", required) if isinstance(required, list) else []
        return Form(tuple(_field(name, part, root, required=name in names) for name, part in properties.items()))
    return Form((_field(WHOLE, root, root, required=bool(resolved)),))


def parse_json(text: str) -> Any:
    """The JSON value of a text. Raises UsageError that says how a text is written."""
    if len(text) > RECORD_LIMIT_BYTES:
        raise UsageError("over 1 MiB: pass a reference to it instead")
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise UsageError("nested too deep") from None
    except json.JSONDecodeError as error:
        raise UsageError(f"not JSON at character {error.pos + 1}; a text needs quotes") from None
    except ValueError as error:
        raise UsageError(f"not JSON ({error})") from None
    check_json(value)
    return value


def _refuse(constant: str) -> Any:
    raise UsageError(f"{constant} is not JSON")


# --- from the schema --------------------------------------------------------------------------------------------


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _resolve(schema: Schema, root: Schema) -> tuple[dict[str, Any], bool]:
    """The schema with references followed and `null` taken out; and whether it may be null."""
    found = dict(schema)
    nullable = False
    for _ in range(DEPTH):
        inner = _inner(found, root)
        if inner is None:
            break
        part, may_be_null = inner
        nullable = nullable or may_be_null
        outer = {key: value for key, value in found.items() if key not in ("$ref", "allOf", "anyOf", "oneOf")}
        found = {**part, **outer}
    else:
        return {}, nullable  # it refers to itself
    kind = found.get("type")
    nullable = nullable or kind == "null"
    if isinstance(kind, list):
        kinds = cast("list[Any]", kind)
        nullable = nullable or "null" in kinds
        named = [one for one in kinds if one != "null"]
        found["type"] = named[0] if len(named) == 1 else None
    return found, nullable


def _inner(schema: Schema, root: Schema) -> tuple[Schema, bool] | None:
    """What this schema only points to, and whether null is the other choice; None where it speaks for itself."""
    if isinstance(schema.get("$ref"), str):
        return _referred(cast(str, schema["$ref"]), root), False
    for word in ("allOf", "anyOf", "oneOf"):
        parts = schema.get(word)
        if isinstance(parts, list) and parts:
            every = [_mapping(part) for part in cast("list[Any]", parts)]
            others = [part for part in every if part.get("type") != "null"]
            if len(others) == 1 and (word != "allOf" or len(every) == 1):
                return others[0], len(others) < len(every)
            return {}, False
    return None


def _referred(reference: str, root: Schema) -> Schema:
    if not reference.startswith("#"):
        return {}
    found: Any = root
    for step in reference[1:].split("/")[1:]:
        found = _mapping(found).get(step.replace("~1", "/").replace("~0", "~"))
    return _mapping(found)


def _field(name: str, schema: object, root: Schema, *, required: bool) -> Field:
    found, nullable = _resolve(_mapping(schema), root)
    options = _options(found)
    kind = Kind.CHOICE if options else _KINDS.get(str(found.get("type")), Kind.JSON)
    if options and nullable and NULL not in options:
        options = (*options, NULL)
    limits = {
        word: float(found[word])
        for word in ("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
        if isinstance(found.get(word), int | float) and abs(found[word]) < BEYOND
    }
    return Field(name, kind, required, _hint(found, kind, name), options, nullable, limits)


_KINDS = {"string": Kind.TEXT, "integer": Kind.INTEGER, "number": Kind.NUMBER}


def _options(schema: Schema) -> tuple[str, ...]:
    if "const" in schema:
        return (_dump(schema["const"]),)
    if schema.get("type") == "boolean":
        return ("true", "false")
    options = schema.get("enum")
    return (
        tuple(dict.fromkeys(_dump(option) for option in cast("list[Any]", options)))
        if isinstance(options, list)
        else ()
    )


def _hint(schema: Schema, kind: Kind, name: str) -> str:
    """What the author says about it, else what it takes."""
    said = schema.get("description") or schema.get("title")
    default = f", else {_dump(schema['default'])}" if "default" in schema else ""
    if isinstance(said, str) and said.replace(" ", "_").lower() != name.lower():
        return show(" ".join(said.split()), 100) + show(default, 60)
    shape = {"array": "a list as JSON", "object": "an object as JSON"}.get(str(schema.get("type")))
    form = schema.get("format")
    word = f"{kind} ({form})" if isinstance(form, str) else shape or str(kind)
    return show(word + default, 120)


def _dump(value: Any) -> str:
    """JSON on one line, in which nothing is invisible."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if show(text) == text else json.dumps(value, default=str)


# --- answers and values -----------------------------------------------------------------------------------------


def _answer(asked: Field, value: Any) -> str:
    if value is _MISSING:
        return asked.options[0] if asked.required and len(asked.options) == 1 else ""
    if value is None and asked.kind is not Kind.CHOICE:
        left_out = asked.name == WHOLE or asked.kind is Kind.TEXT or (asked.required and asked.nullable)
        return NULL if not left_out and (asked.nullable or asked.kind is Kind.JSON) else ""
    if asked.kind is Kind.TEXT:
        return value if isinstance(value, str) else ""
    text = _dump(value)
    if asked.kind is Kind.CHOICE:
        return text if text in asked.options else ""
    if asked.kind is Kind.JSON:
        return text
    return text if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _value(asked: Field, answer: str) -> Any:
    """Raises UsageError, which says in one line what is wrong."""
    if not (answer if asked.kind is Kind.TEXT else answer.strip()):
        return _empty(asked)
    if asked.kind is Kind.TEXT:
        _check_length(asked, answer)
        return answer
    if asked.kind is Kind.CHOICE:
        if answer not in asked.options:
            raise UsageError("choose one of them")
        return json.loads(answer)
    text = answer.strip()
    if asked.kind is Kind.JSON or (text == NULL and asked.nullable):
        return parse_json(text)
    number = _number(asked, text)
    _check_size(asked, number)
    return number


def _empty(asked: Field) -> Any:
    if not asked.required:
        return _MISSING
    if asked.nullable:
        return None
    raise UsageError("choose one of them" if asked.kind is Kind.CHOICE else f"needed: {asked.kind}")


def _number(asked: Field, text: str) -> int | float:
    if _INTEGER.fullmatch(text) and len(text) <= 40:
        return int(text)
    if asked.kind is Kind.INTEGER:
        raise UsageError("not a whole number")
    try:
        number = float(text)
    except ValueError:
        raise UsageError("not a number") from None
    if not math.isfinite(number) or "_" in text:
        raise UsageError("not a number that JSON knows")
    return number


def _check_size(asked: Field, number: float) -> None:
    limits = asked.limits
    if number < limits.get("minimum", number):
        raise UsageError(f"at least {limits['minimum']:g}")
    if number > limits.get("maximum", number):
        raise UsageError(f"at most {limits['maximum']:g}")
    if "exclusiveMinimum" in limits and number <= limits["exclusiveMinimum"]:
        raise UsageError(f"more than {limits['exclusiveMinimum']:g}")
    if "exclusiveMaximum" in limits and number >= limits["exclusiveMaximum"]:
        raise UsageError(f"less than {limits['exclusiveMaximum']:g}")


def _check_length(asked: Field, text: str) -> None:
    if len(text) < asked.limits.get("minLength", 0):
        raise UsageError(f"at least {asked.limits['minLength']:g} characters")
    if len(text) > asked.limits.get("maxLength", len(text)):
        raise UsageError(f"at most {asked.limits['maxLength']:g} characters")
