"""The filter of the list of runs: what a person types, what it lets through. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeVar

from tape.core.kernel.errors import UsageError
from tape.core.kernel.lifecycle import EFFECT_ENDS, RUN_ENDS, EffectStatus, RunStatus
from tape.core.text import show

if TYPE_CHECKING:
    from tape.core.journal.shapes import RunView

Value = TypeVar("Value")
NAMES = ("state", "agent", "effect", "since")
_STATES: Mapping[str, frozenset[RunStatus]] = {
    "open": frozenset(RunStatus) - RUN_ENDS,
    "ended": RUN_ENDS,
    **{status.lower(): frozenset({status}) for status in RunStatus},
}
_EFFECTS: Mapping[str, EffectStatus] = {status.lower(): status for status in EffectStatus}
_UNIT_US: Mapping[str, int] = {"s": 10**6, "m": 60 * 10**6, "h": 3_600 * 10**6, "d": 86_400 * 10**6}
_TOKEN = re.compile(r'"([^"]*)"?|(\S+)')
_NAMED = re.compile(r"([a-zA-Z_]+):(.*)", re.DOTALL)
_AGO = re.compile(r"(\d{1,6})([smhd])")
SEPARATOR = "\x1f"
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def fold(text: str) -> str:
    """Lower case in ASCII only, as the journal's `lower` does."""
    return text.translate(_LOWER)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Lets a run through that matches every part. Several values of one part mean any of them; effects must match
    status and tool with one and the same effect. `words` and `agents` are folded parts of text; a word is looked for
    in id, agent, and what the run waits for or failed with. `since_us` (wall time): something happened to it since."""

    words: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    effect_statuses: tuple[EffectStatus, ...] = ()
    tools: tuple[str, ...] = ()
    since: str = ""
    since_us: int | None = None

    @property
    def statuses(self) -> frozenset[RunStatus]:
        """The run states that are let through; empty: all."""
        return frozenset[RunStatus]().union(*(_STATES[state] for state in self.states))

    @property
    def open_effects_only(self) -> bool:
        """Only runs with an open effect match, and no run ends while it has one."""
        return bool(self.effect_statuses) and not EFFECT_ENDS.intersection(self.effect_statuses)

    def chips(self) -> list[str]:
        """The parts as they would be typed, safe to show. None for a filter that lets everything through."""
        parts = [f'"{word}"' if _NAMED.fullmatch(word) or " " in word else word for word in self.words]
        parts += [f"state:{state}" for state in self.states]
        parts += [f"agent:{agent}" for agent in self.agents]
        parts += [f"effect:{status.lower()}" for status in self.effect_statuses]
        parts += [f"effect:{tool}" for tool in self.tools]
        parts += [f"since:{self.since}"] if self.since else []
        return [show(part, 40) for part in parts]

    def matches(self, run: RunView) -> bool | None:
        """Whether the run is let through; None if only the journal can tell, because the filter is about effects."""
        if self.states and run.status not in self.statuses:
            return False
        if self.since_us is not None and run.updated_us < self.since_us:
            return False
        if self.agents and not any(agent in fold(run.agent) for agent in self.agents):
            return False
        text = fold(SEPARATOR.join((run.id, run.agent, run.waiting_on, run.error))) if self.words else ""
        if not all(word in text for word in self.words):
            return False
        if not (self.effect_statuses or self.tools):
            return True
        return False if not run.effects or (self.open_effects_only and run.ended) else None


def parse_filter(text: str, now_us: int) -> RunFilter:
    """The filter that a person typed: free words (or `"some words"`), `state:`, `agent:`, `effect:`, `since:`.

    Raises UsageError in one line with the nearest right name.
    """
    parts: dict[str, list[str]] = {name: [] for name in ("word", *NAMES)}
    whole = text.encode("utf-8", "replace").decode()  # half a surrogate pair could not be handed to the journal
    for quoted, plain in _TOKEN.findall(whole):
        named = _NAMED.fullmatch(plain)
        if named is None:
            word = fold(quoted or plain)
            parts["word"] += [word] if word else []
        else:
            name = _one_of(named[1].lower(), NAMES, "filter", "put it in quotes to search for it")
            parts[name].append(_not_empty(name, named[2]))
    effects = list(dict.fromkeys(parts["effect"]))
    since = parts["since"][-1:]
    return RunFilter(
        words=_unique(parts["word"]),
        states=_unique(_state(value) for value in parts["state"]),
        agents=_unique(fold(agent) for agent in parts["agent"]),
        effect_statuses=_unique(_EFFECTS[value.lower()] for value in effects if value.lower() in _EFFECTS),
        tools=_unique(value for value in effects if value.lower() not in _EFFECTS),
        since=since[0] if since else "",
        since_us=now_us - _ago_us(since[0]) if since else None,
    )


def _unique(values: Iterable[Value]) -> tuple[Value, ...]:
    return tuple(dict.fromkeys(values))


def _not_empty(name: str, value: str) -> str:
    if not value:
        examples = {"state": "state:stuck", "agent": "agent:treasury", "effect": "effect:pending", "since": "since:10m"}
        raise UsageError(f"{name}: lacks a value; write it as in {examples[name]}")
    return value


def _state(value: str) -> str:
    typed = value.lower()
    if typed in _STATES:
        return typed
    begun = [name for name in _STATES if name.startswith(typed)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise UsageError(f"state:{show(value, 40)} may be {' or '.join(begun)}; type one letter more")
    return _one_of(typed, _STATES, "state", "")


def _one_of(typed: str, names: Iterable[str], noun: str, hint: str) -> str:
    known = [*names]
    if typed in known:
        return typed
    near = get_close_matches(typed, known, 1, cutoff=0.5)
    says = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
    raise UsageError("; ".join(part for part in (f"no {noun} is called '{show(typed, 40)}'", says, hint) if part))


def _ago_us(value: str) -> int:
    found = _AGO.fullmatch(value.lower())
    if found is None:
        raise UsageError(f"since:{show(value, 40)} is no length of time; write 30s, 10m, 2h or 3d")
    return int(found[1]) * _UNIT_US[found[2]]
