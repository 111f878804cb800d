"""A value of a tool's return type, for a call in a fork that the source has no result of. The same each time."""

from __future__ import annotations

from typing import Any, cast

from tape.core.kernel.errors import UsageError
from tape.core.sdk.decorators import Tool
from tape.core.sdk.values import schema_of, signature_of, to_json, typed

Schema = dict[str, Any]
MOST_LEVELS = 20

_FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "binary": "",
}


def stand_in(tool: Tool[..., Any]) -> Any:
    """None where the tool says nothing about its result, or nothing can be made that fits."""
    try:
        returns = signature_of(tool.function).returns
        made = to_json(_made(schema_of(returns)), "a stand-in")
        typed(made, returns, "a stand-in")
    except UsageError:
        return None
    return made


def _made(schema: Schema) -> Any:
    return _value(schema, cast(Schema, schema.get("$defs", {})), 0)


def _value(schema: Any, known: Schema, level: int) -> Any:
    if not isinstance(schema, dict) or level > MOST_LEVELS:
        return None
    shape = cast(Schema, schema)
    for name in ("const", "default"):
        if name in shape:
            return shape[name]
    for name in ("enum", "examples"):
        if shape.get(name):
            return shape[name][0]
    if "$ref" in shape:
        return _value(known.get(str(shape["$ref"]).rpartition("/")[2]), known, level + 1)
    for name in ("anyOf", "oneOf", "allOf"):
        if shape.get(name):
            return _value(shape[name][0], known, level + 1)
    return _of_type(shape, known, level)


def _of_type(shape: Schema, known: Schema, level: int) -> Any:
    match shape.get("type"):
        case "object":
            parts = cast(Schema, shape.get("properties", {}))
            wanted = cast("list[str]", shape.get("required", []))
            return {name: _value(parts.get(name), known, level + 1) for name in wanted}
        case "array":
            heads = cast("list[Any]", shape.get("prefixItems", []))
            items = [_value(part, known, level + 1) for part in heads]
            more = min(shape.get("minItems", 0), 100) - len(items)
            return items + [_value(shape.get("items"), known, level + 1) for _ in range(more)]
        case "string":
            text = _FORMATS.get(str(shape.get("format")), "")
            return text + "x" * (min(shape.get("minLength", 0), 1000) - len(text))
        case "integer" | "number" as kind:
            return _number(shape, whole=kind == "integer")
        case "boolean":
            return False
        case _:
            return None


def _number(shape: Schema, *, whole: bool) -> Any:
    """0, or the nearest to it that is allowed."""
    least, most = shape.get("minimum", 0), shape.get("maximum", 0)
    if "exclusiveMinimum" in shape:
        least = max(least, shape["exclusiveMinimum"] + 1)
    if "exclusiveMaximum" in shape:
        most = min(most, shape["exclusiveMaximum"] - 1)
    found = least if least > 0 else most if most < 0 else 0
    step = shape.get("multipleOf")
    if step and found % step:
        found = (found // step + (1 if found > 0 else 0)) * step
    return int(found) if whole else found
