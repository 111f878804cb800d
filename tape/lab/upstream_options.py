"""What the stand-in may be told to do: its options, and the faults it plays.

Options come from people (tape.yaml, scenario files, `--options`, `POST /_faults`), so parsing is strict: an unknown
name, a wrong type or an option that cannot have the effect it promises is one line that says what to write instead.
Durations are written `20ms`, `1s`, `5m`, `24h`, `7d` or as a number of seconds.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from tape.core.kernel.errors import UsageError

METHODS = ("POST", "GET", "DELETE")
LONGEST_SECONDS = 366 * 86400.0

_OPTION_NAMES = ("honours_key", "key_lifetime", "latency", "lookup_lag", "seed", "faults")
_FAULT_NAMES = ("kind", "probability", "count", "nth", "delay", "status", "collection", "method")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class FaultKind(StrEnum):
    """How the stand-in misbehaves; see `Fault` for what each needs."""

    SLOW = "slow"  # sleeps `delay`, then goes on
    LOSE_ANSWER = "lose_answer"  # acts and records, then hangs up without an answer
    FAIL_BEFORE = "fail_before"  # answers `status` without acting
    FAIL_AFTER = "fail_after"  # acts and records, then answers `status`
    LAGGING = "lagging"  # a look-up is answered from a copy that is `delay` old


_DELAYED = (FaultKind.SLOW, FaultKind.LAGGING)
_FAILING = (FaultKind.FAIL_BEFORE, FaultKind.FAIL_AFTER)


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule. It matches requests by `method` (by default GET for lagging, else POST) and `collection` (None: any).

    Of the requests that match, it strikes the `nth` only (1-based, None: every one), with `probability`, and at most
    `count` times. On one request every slow and lagging rule may strike, but only the first listed of the others:
    a rule that had no chance to show its effect keeps its `count`.
    """

    kind: FaultKind
    method: str
    collection: str | None = None
    probability: float = 1.0
    count: int | None = None
    nth: int | None = None
    delay_seconds: float = 0.0
    status: int = 500

    def document(self) -> dict[str, Any]:
        """The rule as `parse_faults` reads it."""
        document: dict[str, Any] = {"kind": self.kind.value, "method": self.method, "probability": self.probability}
        optional = {"collection": self.collection, "count": self.count, "nth": self.nth}
        document.update({name: value for name, value in optional.items() if value is not None})
        if self.kind in _DELAYED:
            document["delay"] = self.delay_seconds
        if self.kind in _FAILING:
            document["status"] = self.status
        return document


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """Everything that can be set about a stand-in. The defaults are an honest, prompt one that ignores keys.

    honours_key: a known Idempotency-Key is answered with its first result instead of a second act.
    key_lifetime_seconds: how long a key is remembered after its act; None is for ever.
    latency_seconds: wait before each act and undo.
    lookup_lag_seconds: look-ups are answered from a copy that is this old.
    seed: where the chance of faults with a probability comes from.
    """

    honours_key: bool = False
    key_lifetime_seconds: float | None = None
    latency_seconds: float = 0.0
    lookup_lag_seconds: float = 0.0
    seed: int = 0
    faults: tuple[Fault, ...] = ()

    def document(self) -> dict[str, Any]:
        """The options as `parse_options` reads them."""
        document: dict[str, Any] = {
            "honours_key": self.honours_key,
            "latency": self.latency_seconds,
            "lookup_lag": self.lookup_lag_seconds,
            "seed": self.seed,
            "faults": [fault.document() for fault in self.faults],
        }
        if self.key_lifetime_seconds is not None:
            document["key_lifetime"] = self.key_lifetime_seconds
        return document


def parse_options(mapping: Mapping[str, Any], where: str) -> UpstreamOptions:
    """Read options as they stand in a file. `where` starts every message, for example `tape.yaml:9: upstream.bank`.

    Raises UsageError.
    """
    given = _mapping(mapping, where, _OPTION_NAMES, "option")
    lifetime = given.get("key_lifetime")
    return UpstreamOptions(
        honours_key=_flag(given.get("honours_key", False), f"{where}: honours_key"),
        key_lifetime_seconds=None if lifetime is None else parse_duration(lifetime, f"{where}: key_lifetime"),
        latency_seconds=parse_duration(given.get("latency", 0), f"{where}: latency"),
        lookup_lag_seconds=parse_duration(given.get("lookup_lag", 0), f"{where}: lookup_lag"),
        seed=_whole(given.get("seed", 0), f"{where}: seed", lowest=None),
        faults=parse_faults(given.get("faults", []), f"{where}: faults"),
    )


def parse_faults(raw: object, where: str) -> tuple[Fault, ...]:
    """Read a list of faults. Raises UsageError."""
    if isinstance(raw, str | bytes) or not isinstance(raw, Sequence):
        raise UsageError(f"{where}: expected a list such as [{{kind: lose_answer, nth: 1}}], not {_shown(raw)}")
    items = cast(Sequence[object], raw)
    return tuple(_parse_fault(item, f"{where}[{index}]") for index, item in enumerate(items))


def parse_duration(value: object, where: str) -> float:
    """Seconds from `20ms`, `1s`, `5m`, `24h`, `7d` or a number of seconds. Raises UsageError."""
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(min(value, LONGEST_SECONDS + 1))
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = float(match[1]) * _UNIT_SECONDS[match[2]]
    if not 0 <= seconds <= LONGEST_SECONDS:
        raise UsageError(f"{where}: {_shown(value)} is no duration; write 20ms, 1s, 5m or a number of seconds")
    return seconds


def nearest(name: str, names: Iterable[str]) -> str:
    """How a message goes on after an unknown name: the nearest right one, or all of them."""
    import difflib  # only on the way to an error: it would slow down every start of the stand-in

    known = list(names)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"


def _parse_fault(raw: object, where: str) -> Fault:
    given = _mapping(raw, where, _FAULT_NAMES, "field")
    kind = _kind(given.get("kind"), where)
    if "delay" in given and kind not in _DELAYED:
        raise UsageError(f"{where}: delay belongs to slow and lagging, not to {kind}; leave it out")
    if "status" in given and kind not in _FAILING:
        raise UsageError(f"{where}: status belongs to fail_before and fail_after, not to {kind}; leave it out")
    delay = parse_duration(given.get("delay", 0), f"{where}: delay")
    if kind in _DELAYED and delay == 0:
        raise UsageError(f"{where}: {kind} needs a delay, for example delay: 200ms")
    status = _whole(given.get("status", 500), f"{where}: status", lowest=400)
    if status > 599:
        raise UsageError(f"{where}: status: {status} is not an error; write a number from 400 to 599")
    count, nth = given.get("count"), given.get("nth")
    return Fault(
        kind=kind,
        method=_method(given.get("method"), kind, where),
        collection=_collection(given.get("collection"), where),
        probability=_probability(given.get("probability", 1.0), f"{where}: probability"),
        count=None if count is None else _whole(count, f"{where}: count", lowest=1),
        nth=None if nth is None else _whole(nth, f"{where}: nth", lowest=1),
        delay_seconds=delay,
        status=status,
    )


def _kind(value: object, where: str) -> FaultKind:
    names = [kind.value for kind in FaultKind]
    if not isinstance(value, str):
        raise UsageError(f"{where}: kind is missing; write one of {', '.join(names)}")
    if value not in names:
        raise UsageError(f"{where}: unknown kind {value!r}; {nearest(value, names)}")
    return FaultKind(value)


def _method(value: object, kind: FaultKind, where: str) -> str:
    if value is None:
        return "GET" if kind is FaultKind.LAGGING else "POST"
    if value not in METHODS:
        raise UsageError(f"{where}: method: {_shown(value)} is none of {', '.join(METHODS)}")
    if (kind is FaultKind.LAGGING) != (value == "GET") and kind in (FaultKind.LAGGING, FaultKind.FAIL_AFTER):
        right = "look-ups: leave method out" if kind is FaultKind.LAGGING else "acts: use fail_before for GET"
        raise UsageError(f"{where}: {kind} is about {right}")
    return cast(str, value)


def _collection(value: object, where: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{where}: collection: {_shown(value)} is no name such as wires")
    return value


def _mapping(raw: object, where: str, names: Sequence[str], noun: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise UsageError(f"{where}: expected a mapping such as {{{names[0]}: ...}}, not {_shown(raw)}")
    given = cast(Mapping[object, Any], raw)
    for name in given:
        if name not in names:
            raise UsageError(f"{where}: unknown {noun} {_shown(name)}; {nearest(str(name), names)}")
    return cast(Mapping[str, Any], given)


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{where}: {_shown(value)} is neither true nor false")
    return value


def _whole(value: object, where: str, *, lowest: int | None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or (lowest is not None and value < lowest):
        least = "" if lowest is None else f" of at least {lowest}"
        raise UsageError(f"{where}: {_shown(value)} is not a whole number{least}")
    return value


def _probability(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise UsageError(f"{where}: {_shown(value)} is not a number from 0 to 1")
    return float(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


@dataclass(frozen=True, slots=True)
class Strike:
    """What the faults do to one request. `ending` is the rule that takes its proper answer away, if one does."""

    slow_seconds: float = 0.0
    lag_seconds: float = 0.0
    ending: Fault | None = None


class FaultPlan:
    """The faults in force, and how often each has matched and struck. Safe to call from many threads."""

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self.replace(faults)

    def replace(self, faults: Sequence[Fault]) -> None:
        """Put other faults in force; all counting starts anew."""
        with self._lock:
            self._faults = tuple(faults)
            self._matched = [0] * len(faults)
            self._struck = [0] * len(faults)

    def document(self) -> list[dict[str, Any]]:
        """The faults with their counts, for `GET /_faults`."""
        with self._lock:
            counts = zip(self._faults, self._matched, self._struck, strict=True)
            return [{**fault.document(), "matched": matched, "struck": struck} for fault, matched, struck in counts]

    def strike(self, method: str, collection: str) -> Strike:
        """Count one request against every rule that matches it, and say what befalls it."""
        slow = lag = 0.0
        ending: Fault | None = None
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.method != method or fault.collection not in (None, collection):
                    continue
                self._matched[index] += 1
                ends = fault.kind not in _DELAYED
                if (ends and ending is not None) or not self._strikes(index, fault):
                    continue
                self._struck[index] += 1
                if fault.kind is FaultKind.SLOW:
                    slow += fault.delay_seconds
                elif fault.kind is FaultKind.LAGGING:
                    lag = max(lag, fault.delay_seconds)
                else:
                    ending = fault
        return Strike(slow, lag, ending)

    def _strikes(self, index: int, fault: Fault) -> bool:
        matched = self._matched[index]
        if fault.nth is not None and matched != fault.nth:
            return False
        if fault.count is not None and self._struck[index] >= fault.count:
            return False
        return fault.probability >= 1 or _chance(self._seed, index, matched) < fault.probability


def _chance(seed: int, index: int, matched: int) -> float:
    """A number in [0, 1) from the seed, the rule and the request's number alone, so that a run can be repeated."""
    import hashlib  # loads OpenSSL, which only a fault with a probability pays for

    digest = hashlib.blake2b(f"{seed}/{index}/{matched}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
