"""A `Scenario` as YAML: one key a line in the documented order, small mappings in braces, defaults left out."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, cast

from tape.core.kernel.policy import Backoff
from tape.lab.scenario import (
    DEFAULT_WITHIN_US,
    UNSET,
    BudgetExpect,
    Count,
    Expect,
    ForkExpect,
    Scenario,
    ScriptedOrder,
    Settings,
    Timers,
)

WIDTH = 100
LONG_KEY = 200

_UNITS = (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1))
_PLAIN = r"[0-9]+(?:ms|[smhd])|at:[A-Za-z0-9_.-]+|[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*"
_PROSE = r"[A-Za-z][A-Za-z0-9_./,'();-]*(?: [A-Za-z0-9_./,'();-]+)*"
_WORDS_OF_YAML = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"}


class Raw(str):
    """Text that stands in the file as it is."""

    __slots__ = ()


def scenario_text(scenario: Scenario) -> str:
    """Ends with a line feed."""
    lines = [f"name: {_text(scenario.name, _PROSE)}"]
    lines += _about(scenario.about)
    for key in ("agent", "project", "recorded"):
        if (word := getattr(scenario, key)) is not None:
            lines.append(f"{key}: {_text(word)}")
    if scenario.input is not None:
        lines.append(f"input: {_flow(scenario.input)}")
    for key in ("upstream", "environment"):
        if mapping := getattr(scenario, key):
            lines.append(f"{key}: {_flow(mapping)}")
    if settings := _settings(scenario.settings):
        lines.append(f"settings: {_flow(settings)}")
    if scenario.within_us != DEFAULT_WITHIN_US:
        lines.append(f"within: {_duration(scenario.within_us)}")
    if scenario.timers is not Timers.REAL:
        lines.append(f"timers: {scenario.timers}")
    lines += _list("kill", (_told(kill) for kill in scenario.kill))
    lines += _list("orders", (_order(order) for order in scenario.orders))
    expect = _expect(scenario.expect)
    if expect:
        lines += ["expect:", *(f"  {key}: {_flow(value)}" for key, value in expect.items())]
    return "\n".join(lines) + "\n"


def _list(key: str, mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    items = [f"  - {_flow(mapping)}" for mapping in mappings]
    return [f"{key}:", *items] if items else []


def _order(order: ScriptedOrder) -> dict[str, Any]:
    told = _told(order, by_us="by")
    if order.by_us is not None:
        told["by"] = Raw(_duration(order.by_us))
    if order.caps is not None:
        named = {"usd" if unit == "usd_micro" else unit: cap for unit, cap in order.caps.items()}
        told["caps"] = {unit: Raw(_dollars(cap)) if unit == "usd" else cap for unit, cap in named.items()}
    return {Raw(key): value for key, value in told.items()}  # `on` would be quoted for the sake of other readers


def _expect(expect: Expect) -> dict[str, Any]:
    told = _told(expect)
    if effects := {place: _told(effect) for place, effect in expect.effects.items()}:
        told["effects"] = effects
    if purse := _purse(expect.budget):
        told["budget"] = purse
    if forks := {name: _fork(fork) for name, fork in expect.forks.items()}:
        told["forks"] = forks
    return told


def _fork(fork: ForkExpect) -> dict[str, Any]:
    told = _told(fork)
    if purse := _purse(fork.budget):
        told["budget"] = purse
    return told


def _purse(budget: Mapping[str, BudgetExpect]) -> dict[str, Any]:
    purse = {unit: _told(amounts) for unit, amounts in budget.items()}
    dollars = purse.get("usd", {})
    dollars |= {name: Raw(_dollars(dollars[name])) for name in ("spent", "reserved", "lost") if name in dollars}
    return purse


def _dollars(micro: int) -> str:
    return f"{micro // 1_000_000}.{micro % 1_000_000:06d}".rstrip("0").rstrip(".")


def _told(value: Any, **names: str) -> dict[str, Any]:
    """The fields of a value that are not as they are anyway."""
    told: dict[str, Any] = {}
    for field in fields(value):
        given = getattr(value, field.name)
        default = field.default_factory() if callable(field.default_factory) else field.default
        same = given is UNSET if default is UNSET else given == default
        if not same:
            told[names.get(field.name, field.name)] = given
    return told


def _settings(settings: Settings) -> dict[str, Any]:
    lease = {"ttl": settings.ttl_us, "heartbeat": settings.heartbeat_us, "stall": settings.stall_us}
    told: dict[str, Any] = {}
    if durations := {key: Raw(_duration(us)) for key, us in lease.items() if us is not None}:
        told["lease"] = durations
    recovery: dict[str, Any] = {}
    if settings.max_crashes is not None:
        recovery["max_crashes"] = settings.max_crashes
    if settings.backoff is not None:
        recovery["backoff"] = Raw(_backoff(settings.backoff))
    if settings.asks is not None:
        recovery["asks"] = settings.asks
    if settings.ask_backoff is not None:
        recovery["ask_backoff"] = Raw(_backoff(settings.ask_backoff))
    if recovery:
        told["recovery"] = recovery
    counts = {"workers": settings.workers, "concurrency": settings.concurrency}
    return {**told, **{key: number for key, number in counts.items() if number is not None}}


def _backoff(backoff: Backoff) -> str:
    return f"{_duration(backoff.first_us)}..{_duration(backoff.cap_us)}"


def _duration(us: int) -> str:
    """In the largest unit that leaves a whole number."""
    unit, size = next((unit, size) for unit, size in _UNITS if us % size == 0)
    return f"{us // size}{unit}"


# --- YAML ---------------------------------------------------------------------------------------------------------


def _about(about: str) -> list[str]:
    """Folded, if the folding can be undone: every paragraph in words with one blank between."""
    if not about:
        return []
    paragraphs = about.split("\n")
    if not all(line == " ".join(line.split()) and line.isprintable() for line in paragraphs):
        return [f"about: {_quoted(about)}"]
    folded: list[str] = []
    for paragraph in paragraphs:
        wrapped = textwrap.wrap(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)
        folded += [*(f"  {line}" for line in wrapped), ""]
    return ["about: >", *folded[:-1]]


def _flow(value: Any) -> str:
    """On one line, with braces and brackets."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Count):
        return _count(value)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Any]", value)
        return "{" + ", ".join(f"{_key(key)}: {_flow(inner)}" for key, inner in mapping.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(inner) for inner in cast("list[Any]", value)) + "]"
    if isinstance(value, str):
        return _text(value)
    return json.dumps(value)


def _count(count: Count) -> str:
    if count.min == count.max:
        return str(count.min)
    most = f", max: {count.max}" if count.max is not None else ""
    return f"{{min: {count.min}{most}}}"


def _key(key: str) -> str:
    if isinstance(key, Raw):
        return str(key)
    text = _text(key)
    return text if len(text) < LONG_KEY else f"? {text} "  # YAML looks for the colon of a key only so far


def _text(text: str, plain: str = _PLAIN) -> str:
    if re.fullmatch(plain, text) and text.casefold() not in _WORDS_OF_YAML:
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    """In double quotes; what cannot be seen is written as an escape."""
    return "".join(sign if sign.isprintable() else _escape(ord(sign)) for sign in json.dumps(text, ensure_ascii=False))


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
