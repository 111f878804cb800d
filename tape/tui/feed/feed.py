"""The feed's thread: reads what is new, folds it, and sends scenes, at most twenty a second.

It is woken by commits and by the screen's wishes, and wakes by itself once a second for clocks and gauges. It is no
Textual worker and never touches a widget: a terminal that stalls holds up nothing here, and nothing that it does
holds up a key.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from tape.core.journal.views import JournalMissing, open_reader
from tape.core.kernel.errors import TapeError, UsageError, one_line
from tape.core.marks import Style
from tape.core.text import show
from tape.tui.backstage import Post
from tape.tui.feed.log import Log
from tape.tui.feed.machine import Processes, Reactors
from tape.tui.feed.run_list import RunLists
from tape.tui.feed.selection import Selection
from tape.tui.messages import SceneReady
from tape.tui.report import write_report
from tape.tui.scene import Leased, Phase, Scene, Selected, Source, Strip, View

if TYPE_CHECKING:
    from tape.core.clock import Clock
    from tape.core.config import Config
    from tape.core.journal.shapes import LeaseRef, Need
    from tape.core.journal.views import Reader
    from tape.core.kernel.events import Entry
    from tape.lab.contract_count import ContractCount
    from tape.reactors.host import Host

TICK_SECONDS = 1.0
LEAST_GAP_SECONDS = 0.05
PAGE = 2_000
LOG_BEFORE = 300
"""How many entries of before the start the log shows."""
EFFECTS_SHOWN = 200


class Facts(Protocol):
    """What the feed asks of the service beside the journal."""

    @property
    def host(self) -> Host | None: ...
    @property
    def phase(self) -> Phase: ...
    @property
    def trouble(self) -> str: ...
    @property
    def own_points(self) -> tuple[str, ...]: ...


class Feed:
    """`look` and `wake` may be called from any thread, `say` too; the rest is for its own."""

    def __init__(self, config: Config, clock: Clock, facts: Facts, scene: Scene, post: Post) -> None:
        self._config = config
        self._clock = clock
        self._facts = facts
        self._scene = scene
        self._post = post
        self._view = scene.view
        self._wake = threading.Event()
        self._urgent = False
        self._stopping = False
        self._said: list[tuple[int, Source, str, str, Style]] = []
        self._gate = threading.Lock()
        self._reader: Reader | None = None
        self._cursor = 0
        self._log = Log()
        self._reactors = Reactors(clock)
        self._processes = Processes(clock)
        self._selection: Selection | None = None
        self._other: Selection | None = None
        self._counts: list[ContractCount] = []
        self._sampled_us = 0
        self._tick = False
        self._turned_us = 0
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    # --- from any thread --------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def look(self, view: View) -> None:
        """A wish of the screen is answered at once."""
        self._view = view
        self._urgent = True
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    def say(self, source: Source, who: str, text: str, style: Style = Style.PLAIN) -> None:
        """A line for the log that is in no journal."""
        with self._gate:
            self._said.append((self._clock.wall_us(), source, who, text, style))
        self._wake.set()

    # --- the thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._wait()
                if not self._stopping:
                    self.turn()
        except Exception as error:  # nobody foresaw it: the console says so instead of standing still
            where = write_report(self._config.journal.parent, error)
            trouble = f"the view has stopped: {type(error).__name__}: {one_line(error)}; {where}"
            self._post(SceneReady(replace(self._scene, phase=Phase.BROKEN, trouble=trouble)))
        finally:
            if self._reader is not None:
                self._reader.close()

    def wait_us(self, *, woken: bool) -> int:
        """How long until the next turn is due. A wish of the screen has it at once, all else keeps a gap."""
        if self._urgent:
            return 0
        due_us = self._turned_us + int(LEAST_GAP_SECONDS * 1_000_000)
        if not woken:
            due_us = max(due_us, self._sampled_us + int(TICK_SECONDS * 1_000_000))
        return max(0, due_us - self._clock.boot_us())

    def _wait(self) -> None:
        woken = False
        while not self._stopping and (left_us := self.wait_us(woken=woken)):
            woken = self._wake.wait(left_us / 1_000_000) or woken
            self._wake.clear()
        self._wake.clear()

    def turn(self) -> None:
        """One reading, and one scene of it. While the view is paused only what the screen wishes is shown."""
        now = self._turned_us = self._clock.boot_us()
        if now - self._sampled_us >= TICK_SECONDS * 1_000_000:
            self._sampled_us, self._tick = now, True
        urgent, self._urgent = self._urgent, False
        try:
            entries = self._read()
            if self._view.paused and not urgent:
                self._tick = self._tick or bool(entries)
                return
            self._scene, trouble = self._made(entries)
        except TapeError as error:
            trouble = one_line(error)
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        now = self._facts.trouble or trouble
        if self._scene.trouble and not now:
            self._log.errors = 0  # it is mended; the log keeps the lines
        self._scene = replace(self._scene, trouble=now, phase=self._facts.phase)
        self._send()

    def _made(self, entries: list[Entry]) -> tuple[Scene, str]:
        """The scene, and what is wrong with the view: with a filter that does not read, the list keeps its last one."""
        tick = self._tick
        try:
            return self._make(entries, self._view), ""
        except UsageError as error:
            self._tick = tick
            return self._make(entries, replace(self._view, filter=self._scene.runs.filter)), one_line(error)

    def _send(self) -> None:
        self._post(SceneReady(self._scene))

    def _read(self) -> list[Entry]:
        """New entries, all of them, folded into what is kept; nothing while there is no journal yet."""
        with self._gate:
            said, self._said = self._said, []
        for at_us, source, who, text, style in said:
            self._log.say(at_us, source, who, text, style)
        if self._reader is None and not self._open():
            return []
        reader = self._reader
        assert reader is not None
        whole: list[Entry] = []
        while entries := reader.entries(after=self._cursor, limit=PAGE):
            self._cursor = entries[-1].id
            self._fold(entries)
            whole += entries
            if len(entries) < PAGE:
                break
        return whole

    def _open(self) -> bool:
        try:
            self._reader = open_reader(self._config.journal)
        except JournalMissing:
            return False
        self._runs = RunLists(self._reader, self._clock)
        self._selection = self._other = None
        self._scene = replace(self._scene, imported=_imported(self._reader))
        if not self._cursor:
            self._cursor = max(0, self._reader.last_id() - LOG_BEFORE)
            self._counts = self._contract_counts()
        return True

    def _contract_counts(self) -> list[ContractCount]:
        """One per stand-in; none where the journal was imported: its upstreams are somewhere else."""
        from tape.lab.contract_count import ContractCount

        if self._scene.imported:
            return []

        folder = self._config.journal.parent
        return [ContractCount(name, folder / f"{name}.jsonl") for name in self._config.upstream]

    def _fold(self, entries: list[Entry]) -> None:
        self._runs.note(entries)
        self._log.take(entries)
        self._reactors.note(entries)
        self._processes.note(entries)
        for counter in self._counts:
            counter.add(entries)
        for selection in (self._selection, self._other):
            if selection is not None:
                selection.add(entries)

    # --- the scene --------------------------------------------------------------------------------------------

    def _make(self, entries: list[Entry], view: View) -> Scene:
        host, reader, before = self._facts.host, self._reader, self._scene
        now_us, boot_us = self._clock.wall_us(), self._clock.boot_us()
        if reader is None:
            return replace(before, view=view, now_us=now_us, boot_us=boot_us, log=self._log.lines())
        tick, self._tick = self._tick, False
        leases = reader.live_leases()
        ttl_us = self._config.lease.ttl_us
        held = {
            lease.run_id: Leased(lease.worker, lease.pid, lease.epoch, lease.lease_until_boot_us, ttl_us)
            for lease in leases
        }
        stops = {stop.run_id: stop for stop in host.stops()} if host is not None else {}
        runs = self._runs.make(view, held, stops, len(self._config.agents) > 1)
        contract = before.strip.contract
        if entries or tick:
            contract = tuple(counter.refresh(reader) for counter in self._counts)
        scene = replace(
            before,
            view=view,
            now_us=now_us,
            boot_us=boot_us,
            cursor=self._cursor,
            runs=runs,
            selected=self._select(view, news=bool(entries) or tick),
            other=self._select_other(view),
            log=self._log.lines(),
            own_points=self._facts.own_points,
        )
        if host is not None:
            scene = self._add_host(scene, host, reader, leases, news=bool(entries) or tick, tick=tick)
        if entries or tick or view.all_effects != before.view.all_effects:
            needs = _same(before.needs, tuple(reader.needs()))
            scene = replace(scene, needs=needs, letters=_same(before.letters, self._letters(reader, needs)))
            if view.all_effects:
                scene = replace(scene, effects=_same(before.effects, _effects(reader)))
        return replace(scene, strip=self._strip(scene, contract, tick=tick))

    def _letters(self, reader: Reader, needs: tuple[Need, ...]) -> frozenset[str]:
        """What needs a person although no run is STUCK over it: `tape status` calls them dead letters."""
        found = [need for need in needs if need.kind in ("effect", "obligation")]
        stuck = {run.id for run in reader.runs(status="STUCK")} if found else set[str]()
        return frozenset(need.key for need in found if need.run_id not in stuck)

    def _add_host(
        self, scene: Scene, host: Host, reader: Reader, leases: list[LeaseRef], *, news: bool, tick: bool
    ) -> Scene:
        if tick:
            self._reactors.sample(host)
            self._processes.sample(host)
        reactors = scene.reactors
        if news or not reactors:
            reactors = self._reactors.rows(host, reader.backlog(), scene.now_us, scene.boot_us)
        stops = scene.runs.stops

        def stopped(run_id: str) -> str | None:
            stop = stops.get(run_id)
            return stop.point if stop is not None else None

        processes = self._processes.rows(host, leases, stopped, scene.boot_us)
        return replace(
            scene, reactors=reactors, processes=processes, arms=tuple(host.arms()), manifest=host.server.manifest
        )

    def _strip(self, scene: Scene, contract: tuple[Any, ...], *, tick: bool) -> Strip:
        host, runs = self._facts.host, self._runs
        size = scene.strip.size
        if tick or not size:
            size = _size(self._config)
        peers = list(host.server.peers.values()) if host is not None else []
        driving = sum(1 for peer in peers if peer.drives)
        recovering = sum(1 for run in scene.runs.views.values() if run.status == "RUNNABLE" and run.drive > 0)
        return replace(
            scene.strip,
            size=size,
            counts=runs.counts,
            total=runs.total,
            recovering=min(recovering, runs.counts.get("RUNNABLE", 0)),
            stopped=len(scene.runs.stops),
            reactors_up=len(scene.reactors) if host is not None and host.fatal is None else 0,
            agents=driving,
            spares=sum(1 for peer in peers if peer.ready and not peer.drives),
            contract=contract,
            errors=self._log.errors,
            needs=len(scene.needs),
        )

    def _select(self, view: View, *, news: bool) -> Selected | None:
        self._selection = self._followed(self._selection, view.run_id)
        if self._selection is not None and news:
            self._selection.look_at_purse()
        return self._shown(self._selection, view.at, full=view.full_story)

    def _select_other(self, view: View) -> Selected | None:
        self._other = self._followed(self._other, view.other)
        return self._shown(self._other, None, full=view.full_story)

    def _followed(self, known: Selection | None, run_id: str | None) -> Selection | None:
        if run_id is None or self._reader is None:
            return None
        if known is not None and known.run_id == run_id:
            return known
        return Selection(self._reader, run_id) if self._runs.view(run_id) is not None else None

    def _shown(self, selection: Selection | None, at: int | None, *, full: bool) -> Selected | None:
        if selection is None:
            return None
        run = self._runs.view(selection.run_id)
        if run is None:
            return None
        readable = bool(self._counts) and all(counter.readable for counter in self._counts)

        def acts(keys: list[str]) -> Mapping[str, int]:
            return {key: number for counter in self._counts for key, number in counter.acts_of(keys).items()}

        return selection.show(run, at, full=full, acts=acts, readable=readable)


def _imported(reader: Reader) -> str:
    """Where an imported journal comes from; empty for one of this project."""
    facts = reader.imported()
    if facts is None:
        return ""
    hashed = ", its values are hashes" if facts.get("values") == "hashed" else ""
    return (
        f"imported: {show(str(facts.get('run')), 20)}, written by release {show(str(facts.get('release')), 20)}{hashed}"
    )


def _effects(reader: Reader) -> tuple[Any, ...]:
    """Open effects first, then the newest others."""
    still = reader.open_effects(EFFECTS_SHOWN)
    keys = {effect.key for effect in still}
    return (*still, *(effect for effect in reader.recent_effects(EFFECTS_SHOWN) if effect.key not in keys))


def _same(before: Any, now: Any) -> Any:
    """The old object if nothing has changed: panes look at identity."""
    return before if before == now else now


def _size(config: Config) -> int:
    """What the journal takes on the disk, with its write-ahead log; by path, never by opening it."""
    total = 0
    for suffix in ("", "-wal"):
        path = config.journal.with_name(config.journal.name + suffix)
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total
