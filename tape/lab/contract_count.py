"""The contract counted against a stand-in's ledger: confirmed <= acts not undone <= confirmed + open, key by key.

Ledger and journal are two files, read one after the other: ledger, journal, and the ledger again if a key is out of
its bounds. Only what is out of bounds in both readings of the ledger is an offence; everything else is a boundary
that was being written in between.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, cast

from tape.core.journal.shapes import KeyFacts
from tape.core.kernel.events import EffectBegun, EffectEnded, Entry, ObligationMoved
from tape.core.kernel.lifecycle import OBLIGATION_OPEN, EffectStatus, ObligationStatus
from tape.core.kernel.resolution import Resolution
from tape.core.text import show

LEDGER_CHUNK_BYTES = 1 << 18
KEYS_AT_ONCE = 1_000
SUSPECTS_AT_ONCE = 500
RUNS_AT_ONCE = 2_000
OFFENDERS_SHOWN = 20

Bounds = tuple[int, int]
_KEY = re.compile(r"[^/]+/(?:-|\d+)/\d+/(?P<tool>.+)", re.DOTALL)
_DUTY = re.compile(r"(?P<key>.+)/undo/\d+", re.DOTALL)


class Facts(Protocol):
    """What a `Reader` says about idempotency keys."""

    def key_facts(self, keys: Iterable[str]) -> list[KeyFacts]: ...
    def tool_facts(self, tools: Iterable[str], after_no: int, until_no: int) -> list[KeyFacts]: ...
    def last_no(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ContractLine:
    """The figures of one stand-in. `holds`: every key is within its bounds; None while the ledger cannot be read or
    is not read through yet. `offenders` are keys that are not, at most `OFFENDERS_SHOWN` of them. `noun`: what one
    act is called, from its collection."""

    name: str
    confirmed: int = 0
    open: int = 0
    acts: int = 0
    holds: bool | None = None
    offenders: tuple[str, ...] = ()
    noun: str = field(default="act", compare=False)

    def text(self) -> str:
        """`bank 1 = 1 ✓`, `bank 1+1 = 2 ✓`, `bank 1+1 ≥ 1 ✓`, `bank 1 ≠ 2 ✗`, `bank –`."""
        name = show(self.name, 20)
        if self.holds is None:
            return f"{name} –"
        bound = f"{self.confirmed}+{self.open}" if self.open else str(self.confirmed)
        if not self.holds:
            return f"{name} {bound} ≠ {self.acts} ✗"
        return f"{name} {bound} {'=' if self.acts == self.confirmed + self.open else '≥'} {self.acts} ✓"


def bounds_of(facts: KeyFacts) -> Bounds:
    """How many acts of one key may stand at the upstream, by what the journal says: at least, at most."""
    if not facts.status:
        return 0, 0  # nobody was allowed to act: no intent was recorded (invariant I4)
    low, high = {EffectStatus.CONFIRMED: (1, 1), EffectStatus.FAILED: (0, 0)}.get(EffectStatus(facts.status), (0, 1))
    if facts.resolution == Resolution.DECIDED:
        low, high = 0, 1  # a person said so: what happened is not known
    own = [duty for duty in facts.duties if not duty.surplus][-1:]
    for duty in own:
        if duty.status == ObligationStatus.DONE:
            low = high = 0
        elif duty.status in OBLIGATION_OPEN or (duty.status == ObligationStatus.DROPPED and duty.attempts):
            low = 0  # an undo was tried, or is about to be, and nobody knows how it ended
    undone = (ObligationStatus.DONE, ObligationStatus.ARMED)
    return low, high + sum(duty.surplus and duty.status not in undone for duty in facts.duties)


class LedgerTail:
    """Reads what was appended to a ledger since the last time. A torn last line waits for its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: tuple[int, int] | None = None
        self._offset = 0
        self._seen: tuple[int, int] | None = None
        self._damaged: tuple[int, int] | None = None
        self.readable = False
        self.caught_up = False
        self.replaced = False

    def read(self) -> list[dict[str, Any]]:
        """The next lines, up to a chunk of them. `readable` is False where there is no file, or one that is damaged;
        `replaced` says that this is another file than before, which is read from its beginning."""
        self.replaced = False
        try:
            data = self._more()
            whole = data[: data.rfind(b"\n") + 1]
            events = [_event(line) for line in whole.split(b"\n")[:-1]]
        except OSError:
            self.readable = False
            return []
        except ValueError:
            self.readable, self._damaged = False, self._seen
            return []
        self._offset += len(whole)
        self.readable, self.caught_up = True, len(data) < LEDGER_CHUNK_BYTES
        return events

    def _more(self) -> bytes:
        with self._path.open("rb") as file:
            state = os.fstat(file.fileno())
            same = (state.st_dev, state.st_ino)
            if self._file not in (None, same) or state.st_size < self._offset:
                self._offset, self.replaced = 0, True
            self._file, self._seen = same, (state.st_size, state.st_mtime_ns)
            if self._seen == self._damaged:
                raise ValueError("nothing has changed since a damaged line was found")
            file.seek(self._offset)
            data = file.read(LEDGER_CHUNK_BYTES)
            while len(data) >= LEDGER_CHUNK_BYTES and b"\n" not in data and (more := file.read(LEDGER_CHUNK_BYTES)):
                data += more
            return data


def _event(line: bytes) -> dict[str, Any]:
    """Raises ValueError for what is no line of a ledger."""
    event: Any = json.loads(line)
    if not isinstance(event, dict):
        raise ValueError("not an object")
    known = cast("dict[str, Any]", event)
    if known.get("event") not in ("act", "undo") or not isinstance(known.get("id"), str):
        raise ValueError("neither an act nor an undo")
    return known


class ContractCount:
    """The counter of one stand-in, kept in step by the feed: `add` what the journal tells, then `refresh`.

    A tool belongs to the stand-in once an act there carries the key of one of its effects; from then on each of its
    effects counts. Acts without a key, of other journals' runs, or under an undo's key are not counted. Both sides
    are read in pages, a page of each per refresh, so a long ledger never holds up the feed.
    """

    def __init__(self, name: str, ledger: Path) -> None:
        self.name = name
        self._tail = LedgerTail(ledger)
        self._clear()

    def _clear(self) -> None:
        self._standing: dict[str, str] = {}  # by the act's id: the key of an act that is not undone
        self._acts: Counter[str] = Counter()
        self._bounds: dict[str, Bounds] = {}
        self._tools: dict[str, int] = {}  # by tool: its effects in runs up to this number are known
        self._changed: dict[str, None] = {}
        self._noun = "act"
        self._out: set[str] = set()
        self._sums = [0, 0, 0]

    def add(self, entries: Iterable[Entry]) -> None:
        """What the journal tells, from the newest entry at construction on: bounds that may have moved."""
        for entry in entries:
            if isinstance(entry.event, EffectBegun | EffectEnded):
                self._note(entry.event.key)
            elif isinstance(entry.event, ObligationMoved) and (duty := _DUTY.fullmatch(entry.event.key)):
                self._note(duty["key"])

    def _note(self, key: str) -> None:
        named = _KEY.fullmatch(key)
        if named is not None and named["tool"] in self._tools:
            self._changed[key] = None

    def refresh(self, facts: Facts) -> ContractLine:
        """Reads what is new on both sides, and judges. Raises what `facts` raises."""
        self._read_ledger()
        if not self._tail.readable:
            return ContractLine(self.name)
        self._ask(facts)
        self._load(facts)
        if not self._tail.caught_up or self._changed or any(upto >= 0 for upto in self._tools.values()):
            return ContractLine(self.name)
        offenders = self._offenders()
        low, high, acts = self._sums
        shown = tuple(sorted(offenders)[:OFFENDERS_SHOWN])
        return ContractLine(self.name, low, high - low, acts, not offenders, shown, self._noun)

    @property
    def readable(self) -> bool:
        """Whether the ledger could be read last time."""
        return self._tail.readable

    def acts_of(self, keys: Iterable[str]) -> dict[str, int]:
        """Per key the acts there that are not undone; keys without any are left out."""
        return {key: self._acts[key] for key in keys if self._acts.get(key)}

    def _offenders(self) -> set[str]:
        """The keys that are out of bounds by the ledger before and after the journal was read, on the same side."""
        if not self._out:
            return set()
        suspects = {key: self._acts[key] for key in islice(self._out, SUSPECTS_AT_ONCE)}
        self._read_ledger()
        return {
            key
            for key, before in suspects.items()
            if key in self._out and (before < self._bounds[key][0]) == (self._acts[key] < self._bounds[key][0])
        }

    # --- the ledger -------------------------------------------------------------------------------------------

    def _read_ledger(self) -> None:
        events = self._tail.read()
        if self._tail.replaced:
            self._clear()
        for event in events:
            if event["event"] == "act":
                key = event.get("key")
                if isinstance(key, str) and _KEY.fullmatch(key) and not _DUTY.fullmatch(key):
                    self._standing[event["id"]] = key
                    self._noun = str(event.get("collection") or "act").removesuffix("s")
                    self._count(key, 1)
            elif (key := self._standing.pop(event["id"], None)) is not None:
                self._count(key, -1)

    def _count(self, key: str, change: int) -> None:
        self._weigh(key, -1)
        self._acts[key] += change
        self._weigh(key, 1)
        self._changed[key] = None

    # --- the journal ------------------------------------------------------------------------------------------

    def _ask(self, facts: Facts) -> None:
        """Bounds of the keys that moved, a page of them."""
        keys = [*self._changed][:KEYS_AT_ONCE]
        if not keys:
            return
        for found in facts.key_facts(keys):
            self._bind(found)
            named = _KEY.fullmatch(found.key)
            if named is not None:
                self._tools.setdefault(named["tool"], 0)
        for key in keys:
            del self._changed[key]

    def _load(self, facts: Facts) -> None:
        """Every effect of a tool seen for the first time, a page of runs at a time; -1 stands for all of them. What
        begins later is told by its entry."""
        loading = {tool: upto for tool, upto in self._tools.items() if upto >= 0}
        if not loading:
            return
        after = min(loading.values())
        tools = [tool for tool, upto in loading.items() if upto == after]
        until = after + RUNS_AT_ONCE
        last = facts.last_no()
        for found in facts.tool_facts(tools, after, until):
            self._bind(found)
        self._tools |= dict.fromkeys(tools, -1 if until >= last else until)

    def _bind(self, found: KeyFacts) -> None:
        self._weigh(found.key, -1)
        self._bounds[found.key] = bounds_of(found)
        self._weigh(found.key, 1)

    def _weigh(self, key: str, sign: int) -> None:
        """Takes one key's share out of the sums (-1), or puts it in (1)."""
        bounds = self._bounds.get(key)
        if bounds is None:
            return
        acts = self._acts.get(key, 0)
        for at, share in enumerate((*bounds, acts)):
            self._sums[at] += sign * share
        if sign > 0 and not bounds[0] <= acts <= bounds[1]:
            self._out.add(key)
        else:
            self._out.discard(key)
