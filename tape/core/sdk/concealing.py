"""A tool call's arguments on their way to the record: what is secret or redacted stays out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tape.core.kernel.errors import UsageError
from tape.core.kernel.hidden import REDACTED, pointer
from tape.core.sdk.decorators import Tool
from tape.core.sdk.hiding import Plain, keyed_hash, lifted, opened
from tape.core.sdk.values import signature_of, to_json


@dataclass(frozen=True, slots=True)
class Concealed:
    """`args` and `hidden` go on the record, and are what the call is compared and hashed by (`kernel.hidden`); `live`
    are the redacted arguments by parameter, plain. `passed` is what was passed, with `tape.Secret` objects; the
    parameters that hold one are `untyped`: what they resolve to is checked when the body is entered."""

    args: dict[str, Any]
    hidden: dict[str, dict[str, str]] | None
    live: dict[str, Any]
    passed: dict[str, Any]
    untyped: frozenset[str]


def conceal(tool: Tool[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], plain: Plain) -> Concealed:
    """The call's arguments. Redacted ones are noted in `plain`. Raises UsageError for arguments that do not fit."""
    signature = signature_of(tool.function)
    lightened, hidden = lifted(signature.named(args, kwargs))
    recorded: dict[str, Any] = to_json(lightened, f"the arguments of {tool.name}")
    untyped = frozenset(name for name in recorded if _within(name, hidden))
    passed = opened(recorded, hidden) if hidden else recorded
    live: dict[str, Any] = {}
    for name in tool.options.redact:
        place = pointer((name,))
        if name not in recorded or place in hidden:
            continue  # a secret as a whole: its name says nothing
        if name in untyped:
            raise UsageError(f"{tool.name}({name}): a secret within a redacted argument: pass it as one of its own")
        live[name] = recorded[name]
        plain.add(recorded[name], f"[redacted {name}]")
        hidden[place] = {REDACTED: keyed_hash(recorded[name])}
    if live:
        recorded = {name: None if name in live else value for name, value in recorded.items()}
    return Concealed(recorded, hidden or None, live, passed, untyped)


def _within(name: str, hidden: Mapping[str, Any]) -> bool:
    place = pointer((name,))
    return any(found == place or found.startswith(f"{place}/") for found in hidden)
