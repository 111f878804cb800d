"""What the screen shows, as immutable snapshots: the feed makes them, panes render them. No query, no toolkit here.

A part that has not changed is the same object in the next scene, so a pane sees by identity whether it has work.
Times ending in `_us` are microseconds of wall time, `_boot_us` of the monotonic clock.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tape.core.figures import Recovery
from tape.core.marks import Style
from tape.tui.particulars import Particulars

if TYPE_CHECKING:  # the first paint needs none of these
    from tape.core.journal.dump import BudgetView
    from tape.core.journal.shapes import EffectRef, Need, RunView
    from tape.core.kernel.events import Entry
    from tape.core.kernel.points import Arm, Stop
    from tape.core.story import RunStory
    from tape.core.verdict import Verdict
    from tape.lab.contract_count import ContractLine


class Phase(StrEnum):
    STARTING = "starting"
    LIVE = "live"
    BROKEN = "broken"
    READ_ONLY = "read-only"
    STOPPING = "stopping"


class Source(StrEnum):
    """Who speaks in the log."""

    AGENT = "agent"
    REACTORS = "reactors"
    YOU = "you"
    TAPE = "tape"


@dataclass(frozen=True, slots=True)
class View:
    """What the screen wants to see. The newest one counts; the feed answers with a scene made for it.

    `first`..`last` are the rows of the list of runs on screen, newest first; `at` is the entry that time stands at.
    `opened` and `closed` are the numbers of runs whose children are shown, or not, by the user's hand.
    """

    run_id: str | None = None
    at: int | None = None
    first: int = 0
    last: int = 60
    filter: str = ""
    sort: str = "newest"
    full_story: bool = False
    all_effects: bool = False
    paused: bool = False
    other: str | None = None
    opened: frozenset[int] = frozenset()
    closed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Leased:
    """A live lease as the list of runs shows it."""

    worker: int
    pid: int
    epoch: int
    until_boot_us: int
    ttl_us: int


@dataclass(frozen=True, slots=True)
class RunList:
    """The runs that pass the filter, newest first. `numbers` are their journal numbers, oldest first; `length` says
    how many of them belong to this scene; `ascending` unless they are sorted otherwise. `views` holds those near the
    screen.

    As a tree (`parents` is not empty) the newest ones stand otherwise: children under the run that started them, the
    first one on top. `places` has the positions in `numbers` of those; `depths` how deep the children are."""

    numbers: array[int] = field(default_factory=lambda: array("q"))
    length: int = 0
    views: Mapping[int, RunView] = field(default_factory=lambda: {})
    leases: Mapping[str, Leased] = field(default_factory=lambda: {})
    stops: Mapping[str, Stop] = field(default_factory=lambda: {})
    filter: str = ""
    chips: tuple[str, ...] = ()
    several_agents: bool = False
    ascending: bool = True
    parents: Mapping[int, int] = field(default_factory=lambda: {})
    places: Mapping[int, int] = field(default_factory=lambda: {})
    depths: Mapping[int, int] = field(default_factory=lambda: {})
    open: frozenset[int] = frozenset()
    deepest: int = 0

    def number(self, index: int) -> int | None:
        """The journal's number of the run in this row."""
        return self.numbers[self.length - 1 - index] if 0 <= index < self.length else None

    def at(self, index: int) -> RunView | None:
        """The run in this row; None where it has not been read yet."""
        number = self.number(index)
        return None if number is None else self.views.get(number)

    def find(self, number: int) -> int | None:
        """The row of the run with this number."""
        placed = self.places.get(number)
        if placed is not None:
            return self.length - 1 - placed
        if self.ascending:
            end = self.length - len(self.places)
            place = bisect_left(self.numbers, number, 0, end)
            return self.length - 1 - place if place < end and self.numbers[place] == number else None
        try:
            return self.length - 1 - self.numbers.index(number)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Selected:
    """The selected run: as of now, or as of the entry `at`, where `live` is still the whole story.

    `acts` counts per key what the upstream's ledger holds and has not undone, where it can be read. `budget` is the
    purse as it stands now, by unit.
    """

    run: RunView
    story: RunStory
    live: RunStory
    entries: tuple[Entry, ...]
    verdicts: tuple[Verdict, ...]
    at: int | None = None
    acts: Mapping[str, int] = field(default_factory=lambda: {})
    readable: bool = False
    recovery: Recovery = field(default_factory=Recovery)
    budget: tuple[BudgetView, ...] = ()
    particulars: Particulars = field(default_factory=Particulars)

    @property
    def position(self) -> tuple[int, int]:
        """Which of how many records time stands at."""
        ids = [entry.id for entry in self.entries]
        return (len(ids) if self.at is None else bisect_left(ids, self.at) + 1, len(ids))


@dataclass(frozen=True, slots=True)
class ReactorRow:
    """`queue` says what waits; `spark` is how much it moved in each of the last seconds."""

    name: str
    busy: bool
    queue: str
    last: str
    moved: int
    errors: int
    last_error: str
    spark: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A worker. `state` is a word with its style; `run` what it drives, with the lease's epoch."""

    worker: int
    pid: int
    state: str
    glyph: str
    style: Style
    run: str | None
    epoch: int
    lease_left_us: int | None
    ttl_us: int
    rss: int | None
    cpu: float | None
    note: str


@dataclass(frozen=True, slots=True)
class LogLine:
    id: int
    at_us: int
    source: Source
    who: str
    glyph: str
    text: str
    style: Style
    run_id: str | None = None
    entry_id: int | None = None


@dataclass(frozen=True, slots=True)
class Strip:
    """The one line on top."""

    project: str
    journal: str
    size: int = 0
    counts: Mapping[str, int] = field(default_factory=lambda: {})
    total: int = 0
    recovering: int = 0
    stopped: int = 0
    reactors_up: int = 0
    agents: int = 0
    spares: int = 0
    contract: tuple[ContractLine, ...] = ()
    errors: int = 0
    needs: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything on screen at one moment. `cursor` is the newest entry that went into it; `letters` are the keys of the
    needs over which no run is STUCK; `imported` says where a journal comes from that is only looked at."""

    view: View
    strip: Strip
    phase: Phase = Phase.STARTING
    trouble: str = ""
    now_us: int = 0
    boot_us: int = 0
    cursor: int = 0
    runs: RunList = RunList()
    selected: Selected | None = None
    other: Selected | None = None
    effects: tuple[EffectRef, ...] = ()
    reactors: tuple[ReactorRow, ...] = ()
    processes: tuple[ProcessRow, ...] = ()
    log: tuple[LogLine, ...] = ()
    needs: tuple[Need, ...] = ()
    letters: frozenset[str] = frozenset()
    arms: tuple[Arm, ...] = ()
    agents: tuple[str, ...] = ()
    manifest: Mapping[str, Any] | None = None
    own_points: tuple[str, ...] = ()
    honours_key: bool | None = None
    imported: str = ""
