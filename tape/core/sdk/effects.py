"""Small things that tools, hooks and model functions use. Light: neither asyncio nor pydantic is loaded here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, Protocol

from tape.core.kernel.errors import UsageError

COST_LIMIT = 1 << 40
"""Tokens, and millionths of a dollar: what one reply or act can have cost at most."""
CAP_LIMIT = 10**15
"""The largest cap: tokens, calls, and millionths of a dollar."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a hook gets, and `tape.current_effect()` inside a body.

    `result` is what the body returned, None if unknown; `act` is the act to undo (a surplus one, or the result).
    `begun_at` is RFC 3339 UTC.
    """

    key: str
    tool: str
    args: Mapping[str, Any]
    run_id: str
    decision_index: int | None
    call_ordinal: int
    attempt: int = 1
    epoch: int = 0
    business_key: str | None = None
    begun_at: str = ""
    result: Any = None
    act: Any = None


@dataclass(frozen=True, slots=True)
class Observation:
    """A look-up's answer: one of `present(x)`, `absent()`, `duplicate([x, y])`, `unclear(why)`."""

    answer: str
    acts: tuple[Any, ...] = ()
    why: str = ""


def present(result: Any) -> Observation:
    """The act is in effect; `result` is what the body would have returned."""
    return Observation("present", (result,))


def absent() -> Observation:
    """The upstream does not have it."""
    return Observation("absent")


def duplicate(results: list[Any]) -> Observation:
    """The upstream has it more than once; the first counts, the others are surplus."""
    if len(results) < 2:
        raise UsageError("tape.duplicate needs at least two acts; use tape.present for one")
    return Observation("duplicate", tuple(results))


def unclear(why: str = "") -> Observation:
    """The upstream cannot say now; it is asked again."""
    return Observation("unclear", (), why)


ON_EXCEEDED = ("error", "gate")


@dataclass(frozen=True, slots=True)
class Budget:
    """Caps of one run: dollars, tokens, calls per tool. None is no cap. `on_exceeded`: where a cap of the run is in the
    way of an ask or a call, of its own or of a child run's, the agent gets BudgetExceeded ("error"), or the run waits
    until a person raises the cap or will not ("gate"). Raises UsageError for what is no cap."""

    usd: float | None = None
    tokens: int | None = None
    calls: Mapping[str, int] = field(default_factory=lambda: {})
    on_exceeded: Literal["error", "gate"] = "error"

    def __post_init__(self) -> None:
        if self.usd is not None:
            micro_usd(self.usd, "the budget's usd", CAP_LIMIT)
        if self.tokens is not None:
            _whole(self.tokens, "the budget's tokens")
        calls: Any = self.calls
        if not isinstance(calls, Mapping):
            raise UsageError(f'the budget\'s calls are {calls!r}; they are a mapping such as {{"wire_money": 3}}')
        for tool, cap in self.calls.items():
            name: Any = tool
            if not isinstance(name, str) or not name:
                raise UsageError(f"the budget's calls are by the names of tools, not by {name!r}")
            _whole(cap, f"the budget's calls of {name}")
        object.__setattr__(self, "calls", dict(self.calls))
        if self.on_exceeded not in ON_EXCEEDED:
            near = get_close_matches(str(self.on_exceeded), ON_EXCEEDED, 1)
            hint = f"did you mean {near[0]!r}?" if near else "it is 'error' or 'gate'"
            raise UsageError(f"the budget's on_exceeded is {self.on_exceeded!r}; {hint}")

    def caps(self) -> dict[str, int]:
        """By unit: tokens, usd_micro, `calls:<tool>`."""
        found = {f"calls:{tool}": cap for tool, cap in self.calls.items()}
        if self.tokens is not None:
            found["tokens"] = self.tokens
        if self.usd is not None:
            found["usd_micro"] = micro_usd(self.usd, "usd", CAP_LIMIT)
        return found


def _whole(value: Any, what: str) -> None:
    if type(value) is not int or not 0 <= value <= CAP_LIMIT:
        raise UsageError(f"{what} is {value!r}; it is a whole number, not negative and at most {CAP_LIMIT}")


def micro_usd(value: Any, what: str, limit: int = COST_LIMIT - 1) -> int:
    """Millionths of a dollar. Raises UsageError for what is no amount: negative, not finite, a bool, absurdly large."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= limit / 1_000_000:
        raise UsageError(
            f"{what} is {value!r}; it is a finite number of dollars, not negative, at most {limit // 10**6}"
        )
    return round(value * 1_000_000)


@dataclass(slots=True)
class UsageMeter:
    """Adds up what one model call or one body reported."""

    tokens_in: int = 0
    tokens_out: int = 0
    usd_micro: int = 0
    reported: bool = False

    def as_json(self) -> dict[str, int]:
        return {"tokens_in": self.tokens_in, "tokens_out": self.tokens_out, "usd_micro": self.usd_micro}


class ToolCaller(Protocol):
    """The run, as a tool needs it."""

    def call_tool(self, tool: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]: ...
    def enqueue_tool(self, tool: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[str]: ...


CURRENT_RUN: ContextVar[ToolCaller | None] = ContextVar("tape_run", default=None)
CURRENT_EFFECT: ContextVar[Effect | None] = ContextVar("tape_effect", default=None)
CURRENT_METER: ContextVar[UsageMeter | None] = ContextVar("tape_meter", default=None)
POINT_HANDLER: ContextVar[Callable[[str], None] | None] = ContextVar("tape_points", default=None)


def current_effect() -> Effect:
    """The effect whose body this is. Raises UsageError outside a tool's body."""
    effect = CURRENT_EFFECT.get()
    if effect is None:
        raise UsageError("there is no current effect here: call this inside a tool's body, during a run")
    return effect


def idempotency_key() -> str:
    """The effect's key, the same on every attempt: send it upstream. Raises UsageError outside a tool's body."""
    return current_effect().key


def report_usage(*, tokens_in: int = 0, tokens_out: int = 0, usd: float = 0.0) -> None:
    """Inside a model function or a tool: what it cost. Several reports add up. Outside a run it does nothing."""
    for count in (tokens_in, tokens_out):
        if type(count) is not int or not 0 <= count < COST_LIMIT:
            raise UsageError(f"tokens are counted in whole numbers, not {count!r}")
    if not 0 <= usd * 1_000_000 < COST_LIMIT:
        raise UsageError(f"usd must be a finite amount, not negative and below a million: {usd!r}")
    meter = CURRENT_METER.get()
    if meter is not None:
        meter.tokens_in = min(meter.tokens_in + tokens_in, COST_LIMIT - 1)
        meter.tokens_out = min(meter.tokens_out + tokens_out, COST_LIMIT - 1)
        meter.usd_micro = min(meter.usd_micro + round(usd * 1_000_000), COST_LIMIT - 1)
        meter.reported = True


def crash_point(name: str) -> None:
    """A place of the author's own, `at:NAME`, where the console or a scenario can kill the agent. Costs nothing
    while no such point is armed."""
    handler = POINT_HANDLER.get()
    if handler is not None:
        handler(name)
