"""Step mode: a run stops at a boundary because the server withholds its reply, or does not take its frame yet.

Nothing is killed and nothing is frozen: heartbeats keep the lease. Whatever else comes from a stopped run waits behind
it, in order. All of this runs on the server's thread, but for `stops`. Releases are posted, never done inside a commit:
what they commit comes after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tape.core.journal import workers
from tape.core.kernel.events import PointReached
from tape.core.kernel.points import OWN_PREFIX, Death, Point, Stop
from tape.core.server.peers import WorkerPeer

if TYPE_CHECKING:
    from tape.core.server.server import Server

Work = Callable[[], None]
ENDED, GRANTED = "run.ended", "lease.granted"


@dataclass(slots=True, eq=False)
class Hold:
    """One stopped run. `go_on` does what was withheld; `behind` is what came from the run since; `going`: it has been
    let go, and the release is on its way."""

    stop: Stop
    peer: WorkerPeer
    epoch: int
    go_on: Work
    behind: deque[Work] = field(default_factory=lambda: deque[Work]())
    going: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is: on which worker, under which lease, at what, about what."""

    peer: WorkerPeer
    point: Point
    run_id: str
    epoch: int
    tool: str | None = None
    decision_index: int | None = None


class Steps:
    """The runs in step mode, and those that are stopped. Step mode ends with `go`, with the run, and with a death of
    its worker while it is stopped; a run that parks is still in it when it is taken up again."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._runs: dict[str, int | None] = {}
        self._next: tuple[int | None] | None = None
        self._holds: dict[str, Hold] = {}
        self.stops: tuple[Stop, ...] = ()
        """What is stopped now: may be read from any thread."""

    @property
    def on(self) -> bool:
        return bool(self._runs or self._holds or self._next)

    @property
    def runs_stopped(self) -> list[str]:
        return list(self._holds)

    @property
    def runs(self) -> list[str]:
        """Runs that are in step mode or stopped."""
        return [*self._runs, *(run for run in self._holds if run not in self._runs)]

    # --- orders -----------------------------------------------------------------------------------------------

    def step(self, run_id: str, order: int | None) -> str | None:
        """The run stops at the next place. Returns the name of the one where it was stopped."""
        self._runs[run_id] = order
        return self._release(run_id)

    def step_next(self, order: int | None) -> None:
        """The next run that starts driving stops at its first place."""
        self._next = (order,)

    def go(self, run_id: str) -> str | None:
        """The run goes on and stops no more. Returns the name of the place where it was stopped."""
        self._runs.pop(run_id, None)
        return self._release(run_id)

    def drop_next(self) -> bool:
        """Whether the next run was to stop; it is not any more."""
        was, self._next = self._next is not None, None
        return was

    # --- stopping ---------------------------------------------------------------------------------------------

    def starts(self, run_id: str) -> None:
        """The run starts driving. A stop under an earlier lease that nobody has dealt with yet is over."""
        earlier = self._holds.get(run_id)
        if earlier is not None:
            self._go_on(earlier)
        if self._next is not None and run_id not in self._runs:
            (self._runs[run_id],), self._next = self._next, None

    def wants(self, place: Place) -> bool:
        """Whether the run is to stop here. One whose worker drains goes on until it has given its lease back."""
        return place.run_id in self._runs and not place.peer.leaving

    def hold(self, place: Place, order: int | None, go_on: Work) -> None:
        """Stops the run here, and records it; `order` is the one that wanted it, if not step mode."""
        peer, run_id = place.peer, place.run_id
        stop = Stop(run_id, peer.number, peer.pid, place.point.name, place.tool, place.decision_index)
        self._holds[run_id] = Hold(stop, peer, place.epoch, go_on)
        self._show()
        reached = PointReached(
            point=stop.point,
            death=Death.HOLD,
            worker=peer.number,
            pid=peer.pid,
            order=self._runs.get(run_id) if order is None else order,
        )
        self._server.commit_verb(lambda tx: workers.reach_point(tx, run_id, reached))

    def defer(self, run_id: str, epoch: int, work: Work) -> bool:
        """True if the run is stopped: then `work` waits behind what is withheld."""
        hold = self._holds.get(run_id)
        if hold is None or hold.epoch != epoch:
            return False
        hold.behind.append(work)
        return True

    def withholds_drive(self, run_id: str, epoch: int) -> bool:
        """Whether the worker has not been told of this drive yet because the run is stopped there."""
        hold = self._holds.get(run_id)
        return hold is not None and hold.epoch == epoch and hold.stop.point == GRANTED

    def blocks_loop(self, peer: WorkerPeer) -> bool:
        """Whether the worker's event loop may be silent because a run waits at a point of the author's own."""
        return any(hold.stop.point.startswith(OWN_PREFIX) for hold in self._of(peer))

    # --- going on ---------------------------------------------------------------------------------------------

    def _release(self, run_id: str) -> str | None:
        hold = self._holds.get(run_id)
        if hold is None or hold.going:
            return None
        self._let_go([hold])
        return hold.stop.point

    def release_all(self, peer: WorkerPeer) -> None:
        """The worker drains: what is stopped there goes on."""
        self._let_go(self._of(peer))

    def lease_ended(self, run_id: str) -> None:
        """A stopped run has lost its lease: what is withheld is dealt with as things stand now, so that its worker
        learns of it."""
        hold = self._holds.get(run_id)
        if hold is not None:
            self._let_go([hold])

    def _let_go(self, holds: Iterable[Hold]) -> None:
        for hold in holds:
            hold.going = True
            self._server.soon(lambda hold=hold: self._go_on(hold))
        self._show()

    def _go_on(self, hold: Hold) -> None:
        """What was withheld, then what came since, until the run stops again. Nothing if it is not stopped any more."""
        run_id = hold.stop.run_id
        if self._holds.get(run_id) is not hold:
            return
        del self._holds[run_id]
        if hold.stop.point.startswith(OWN_PREFIX):
            hold.peer.let_go_boot_us = self._server.clock.boot_us()
        if hold.stop.point == ENDED:
            self._server.points.go(run_id)
        hold.go_on()
        while hold.behind and run_id not in self._holds:
            hold.behind.popleft()()
        if hold.behind:
            self._holds[run_id].behind.extend(hold.behind)
        self._show()

    # --- ends -------------------------------------------------------------------------------------------------

    def lose(self, peer: WorkerPeer) -> bool:
        """The worker dies: what was withheld there is dropped, and those runs are in step mode no more. True if there
        was any."""
        lost = self._of(peer)
        for hold in lost:
            del self._holds[hold.stop.run_id]
            self._runs.pop(hold.stop.run_id, None)
        self._show()
        return bool(lost)

    def drop(self, run_id: str, epoch: int) -> None:
        """The worker has given up this drive by itself: nobody waits for what is withheld."""
        hold = self._holds.get(run_id)
        if hold is not None and hold.epoch == epoch:
            del self._holds[run_id]
            self._show()

    def ended(self, run_id: str) -> None:
        """The run is at its end: it is forgotten, at once or when it is let go on."""
        if run_id not in self._holds:
            self._server.points.go(run_id)

    def _of(self, peer: WorkerPeer) -> list[Hold]:
        return [hold for hold in self._holds.values() if hold.peer is peer]

    def _show(self) -> None:
        self.stops = tuple(hold.stop for hold in self._holds.values() if not hold.going)
        self._server.points.tell_workers(always=False)
