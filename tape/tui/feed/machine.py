"""What the journal does not say: the reactors' pace, and the processes with their memory and processor time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from tape.core.kernel import events
from tape.core.kernel.lifecycle import WorkerStatus
from tape.core.marks import LEASE_MARKS, WORKER_MARKS, Style
from tape.core.render import line
from tape.core.text import count, duration, show
from tape.tui.feed.log import who_of
from tape.tui.scene import ProcessRow, ReactorRow

if TYPE_CHECKING:
    import psutil

    from tape.core.clock import Clock
    from tape.core.journal.shapes import Backlog, LeaseRef, Queue
    from tape.core.kernel.events import Entry
    from tape.reactors.host import Host

NAMES = ("recovery", "reconciler", "outbox", "timers", "compensation")
NOUNS: Mapping[str, str] = {
    "recovery": "to drive",
    "reconciler": "to ask",
    "outbox": "to send",
    "timers": "set",
    "compensation": "to undo",
}
SPARK_SECONDS = 24
KEPT_DEAD = 6
ON_TIMER_US = 250_000


class Reactors:
    """Rows of the five reactors, sampled once a second. Belongs to the feed's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moved: dict[str, int] = {}
        self._spark: dict[str, deque[int]] = {name: deque([0] * 8, maxlen=SPARK_SECONDS) for name in NAMES}
        self._last: dict[str, str] = {}
        self._rows: tuple[ReactorRow, ...] = ()

    def note(self, entries: Iterable[Entry]) -> None:
        """The last thing that each has done."""
        for entry in entries:
            who = who_of(entry.event)
            if who in self._spark:
                self._last[who] = line(entry).text

    def sample(self, host: Host) -> None:
        """A second's worth of movement."""
        for name in NAMES:
            state = host.states.get(name)
            moved = state.moved if state else 0
            self._spark[name].append(max(0, moved - self._moved.get(name, moved)))
            self._moved[name] = moved

    def rows(self, host: Host, backlog: Backlog, now_us: int, boot_us: int) -> tuple[ReactorRow, ...]:
        made = tuple(self._row(host, name, getattr(backlog, name), now_us, boot_us) for name in NAMES)
        if made != self._rows:
            self._rows = made
        return self._rows

    def _row(self, host: Host, name: str, queue: Queue, now_us: int, boot_us: int) -> ReactorRow:
        state = host.states.get(name)
        last = self._last.get(name, "")
        busy = bool(queue.claimed) or (bool(queue.queued) and name not in ("timers",) and _due(queue, boot_us))
        return ReactorRow(
            name=name,
            busy=busy,
            queue=_queue_text(name, queue, now_us, boot_us),
            last=last,
            moved=state.moved if state else 0,
            errors=state.errors if state else 0,
            last_error=state.last_error if state and state.errors else "",
            spark=tuple(self._spark[name]),
        )


def _due(queue: Queue, boot_us: int) -> bool:
    return queue.next_us is not None and queue.next_us <= boot_us


def _queue_text(name: str, queue: Queue, now_us: int, boot_us: int) -> str:
    parts: list[str] = []
    if queue.claimed:
        parts.append(f"{queue.claimed} in hand")
    parts.append(f"{queue.queued} {NOUNS[name]}" if queue.queued else "")
    if queue.queued and queue.next_us is not None:
        left = queue.next_us - (now_us if name == "timers" else boot_us)
        if left > ON_TIMER_US:
            parts.append(f"next in {duration(left // 100_000 * 100_000)}")
    return ", ".join(part for part in parts if part)


class Processes:
    """Rows of the workers: those that live, and the last that died. Belongs to the feed's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._dead: deque[ProcessRow] = deque(maxlen=KEPT_DEAD)
        self._watched: dict[int, psutil.Process] = {}
        self._usage: dict[int, tuple[int | None, float | None]] = {}
        self._refused: dict[int, int] = {}
        self._rows: tuple[ProcessRow, ...] = ()

    def note(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            event = entry.event
            if isinstance(event, events.WorkerDied):
                self._dead.append(_dead_row(event))
                self._watched.pop(event.worker, None)
                self._usage.pop(event.worker, None)
            elif isinstance(event, events.WriteRefused) and event.worker is not None:
                self._refused[event.worker] = self._refused.get(event.worker, 0) + 1

    def sample(self, host: Host) -> None:
        """Memory and processor time of our own children; one that has just ended has none."""
        import psutil

        for process in host.supervisor.processes():
            try:
                watched = self._watched.get(process.number)
                if watched is None:
                    watched = self._watched[process.number] = psutil.Process(process.pid)
                with watched.oneshot():
                    self._usage[process.number] = (watched.memory_info().rss, watched.cpu_percent())
            except psutil.Error:
                self._usage[process.number] = (None, None)

    def rows(
        self, host: Host, leases: Iterable[LeaseRef], stopped: Callable[[str], str | None], boot_us: int
    ) -> tuple[ProcessRow, ...]:
        held = {lease.worker: lease for lease in leases}
        ttl_us = host.config.lease.ttl_us
        living: list[ProcessRow] = []
        for number, peer in sorted(host.server.peers.items()):
            lease = held.get(number)
            status = WorkerStatus.FROZEN if peer.frozen else WorkerStatus.READY if peer.ready else WorkerStatus.STARTED
            mark = WORKER_MARKS[status]
            rss, cpu = self._usage.get(number, (None, None))
            at = stopped(lease.run_id) if lease else None
            living.append(
                ProcessRow(
                    worker=number,
                    pid=peer.pid,
                    state="stopped" if at else str(status).lower(),
                    glyph="◆" if at else mark.glyph,
                    style=Style.ACCENT if at else mark.style,
                    run=lease.run_id if lease else None,
                    epoch=lease.epoch if lease else 0,
                    lease_left_us=max(0, lease.lease_until_boot_us - boot_us) if lease else None,
                    ttl_us=ttl_us,
                    rss=rss,
                    cpu=cpu,
                    note=self._note(number, lease, at, len(peer.hooks)),
                )
            )
        made = (*living, *reversed(self._dead))
        if made != self._rows:
            self._rows = made
        return self._rows

    def _note(self, number: int, lease: LeaseRef | None, at: str | None, hooks: int) -> str:
        parts = [f"at {at}" if at else "", show(lease.run_id, 20) if lease else "", "a hook" if hooks else ""]
        refused = self._refused.get(number, 0)
        parts.append(f"{count(refused, 'write')} refused" if refused else "")
        return "  ".join(part for part in parts if part) or "spare"


def _dead_row(event: events.WorkerDied) -> ProcessRow:
    mark = LEASE_MARKS["DIED"]
    how, _, why = event.how.partition(": ")
    return ProcessRow(
        worker=event.worker,
        pid=event.pid,
        state="dead",
        glyph=mark.glyph,
        style=Style.DIM if "code has changed" in why else mark.style,
        run=None,
        epoch=0,
        lease_left_us=None,
        ttl_us=0,
        rss=None,
        cpu=None,
        note=show(f"{how}  {why}".strip(), 80),
    )
