"""Crash points in the server: what is armed, and how a process dies, stops or loses a reply there (api.md section 5).

Every boundary passes the server, so each point is one of two places: *received, not committed* and *committed, reply
withheld*. A run that only stops there is the business of `steps`. All of this runs on the server's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tape.core.journal import workers
from tape.core.journal.transaction import Tx
from tape.core.kernel.errors import Fenced
from tape.core.kernel.events import PointReached
from tape.core.kernel.lifecycle import WorkerTrigger
from tape.core.kernel.points import BY_PLACE, Arm, Death, Pass, Point, Stage, Stop, find_point
from tape.core.server.boundaries import Verb, answer_to, refusal, subject_of
from tape.core.server.peers import HookCall, WorkerPeer
from tape.core.server.steps import Place, Steps
from tape.core.wire import Frame

if TYPE_CHECKING:
    from tape.core.server.server import Server


LAST_WORDS = frozenset({"finish", "park", "diverge"})
__all__ = ["CrashPoints", "Ender", "Stop"]


class Ender(Protocol):
    """The supervisor, as the server needs it: the only one that ends, stops or continues a process."""

    def kill(self, worker: int, why: str) -> int | None: ...
    def terminate(self, worker: int, why: str) -> int | None: ...
    def freeze(self, worker: int) -> int | None: ...
    def thaw(self, worker: int) -> int | None: ...


@dataclass(slots=True, eq=False)
class _Armed:
    """An arm, and how often it was passed: in all, or with `each_run` by each run."""

    arm: Arm
    passes: dict[str, int] = field(default_factory=lambda: {})

    def strikes(self, run_id: str) -> bool:
        """Counts a pass; True if it is the one that the arm waits for."""
        counted = self._counted(run_id)
        self.passes[counted] = self.passes.get(counted, 0) + 1
        return self.passes[counted] == self.arm.nth

    def take_back(self, run_id: str) -> None:
        """The pass does not count."""
        self.passes[self._counted(run_id)] -= 1

    def _counted(self, run_id: str) -> str:
        return run_id if self.arm.each_run else ""


class CrashPoints:
    """The armed points of one server, and what happens at them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._armed: tuple[_Armed, ...] = ()
        self._told = False
        self.ender: Ender | None = None
        self._on_pass: Callable[[Pass], None] | None = None
        self.steps = Steps(server)

    @property
    def arms(self) -> list[Arm]:
        """What is armed now: may be read from any thread."""
        return [armed.arm for armed in self._armed]

    def waits(self) -> bool:
        """Whether workers wait for every boundary's reply: while anything is armed, any run is in step mode, or passes
        are told."""
        return bool(self._armed) or self.steps.on or self._on_pass is not None

    def listen(self, on_pass: Callable[[Pass], None]) -> None:
        """Tells of every pass from now on, on the server's thread; workers wait at each boundary meanwhile."""
        self._on_pass = on_pass
        self.tell_workers()

    def arm(self, arm: Arm) -> None:
        """Arms a point, and tells the workers."""
        self._armed = (*self._armed, _Armed(arm))
        self.tell_workers()

    def disarm(self, unwanted: Callable[[Arm], bool] = lambda arm: True, *, always: bool = True) -> list[Arm]:
        """Takes arms away, and tells the workers. Returns those arms."""
        gone = [armed.arm for armed in self._armed if unwanted(armed.arm)]
        self._armed = tuple(armed for armed in self._armed if armed.arm not in gone)
        self.tell_workers(always=always)
        return gone

    def tell_workers(self, *, always: bool = True) -> None:
        """Says whether they are to wait for every boundary; unless `always`, only if that has changed."""
        waits = self.waits()
        if always or waits != self._told:
            self._told = waits
            for peer in self._server.peers.values():
                peer.send({"t": "arm", "armed": waits})

    def go(self, run_id: str) -> str | None:
        """The run goes on if it is stopped, and stops at no place any more: it is out of step mode, and has no stop of
        its own. Returns the name of the place where it was stopped."""
        self.drop_stops(run_id)
        stopped = self.steps.go(run_id)
        self.tell_workers(always=False)
        return stopped

    def drop_stops(self, run_id: str | None) -> list[Arm]:
        """Takes away the places where this run was to stop; with None those that are for any run."""
        return self.disarm(lambda arm: arm.death is Death.HOLD and arm.run_id == run_id, always=False)

    # --- ways to die ------------------------------------------------------------------------------------------

    def end(self, peer: WorkerPeer, why: str) -> None:
        """Kills the worker; whatever else it had sent is not taken any more."""
        self._doom(peer)
        self._ender.kill(peer.number, why)

    def strike(self, peer: WorkerPeer, death: Death) -> None:
        """Ends or stops a worker now, at whatever place it is. One with a stopped run dies at that run's place: what
        is withheld there is not taken, and nothing that came later."""
        if death is Death.KILL:
            if self.steps.lose(peer):
                peer.doomed = True
            self._ender.kill(peer.number, "killed by order")
        elif death is Death.TERM:
            self._drain(peer)
            self._ender.terminate(peer.number, "terminated by order")
        elif death is Death.STOP:
            self._ender.freeze(peer.number)
        elif peer.connection is not None:
            self._server.hang_up(peer.connection)

    @property
    def _ender(self) -> Ender:
        assert self.ender is not None
        return self.ender

    def _doom(self, peer: WorkerPeer) -> None:
        peer.doomed = True
        self.steps.lose(peer)

    def _drain(self, peer: WorkerPeer) -> None:
        """From now on its runs stop nowhere: they have their leases to give back."""
        peer.leaving = True
        self.steps.release_all(peer)

    def _end_at(self, arm: Arm, peer: WorkerPeer, run_id: str | None) -> None:
        self._doom(peer)
        self._tell(arm, peer, run_id)
        self._ender.kill(peer.number, f"killed at {arm.point.name}")

    def _terminate_at(self, arm: Arm, peer: WorkerPeer, run_id: str) -> None:
        self._tell(arm, peer, run_id)
        self._drain(peer)
        self._ender.terminate(peer.number, f"terminated at {arm.point.name}")

    def _freeze_at(self, arm: Arm, peer: WorkerPeer, run_id: str) -> None:
        peer.frozen = True
        self._tell(arm, peer, run_id)
        self._ender.freeze(peer.number)
        self._server.commit_verb(_moves(peer.number, WorkerTrigger.FREEZE))

    def _tell(self, arm: Arm, peer: WorkerPeer, run_id: str | None) -> None:
        reached = PointReached(point=arm.point.name, death=arm.death, worker=peer.number, pid=peer.pid, order=arm.order)
        self._server.commit_verb(lambda tx: workers.reach_point(tx, run_id, reached))

    # --- passing a point --------------------------------------------------------------------------------------

    def _hit(self, run_id: str, arrives: Callable[[Arm], bool], *, may_stop: bool) -> _Armed | None:
        """The armed point that this pass reaches; it is used up. Who is to die dies, and does not stop first."""
        deaths = [armed for armed in self._armed if armed.arm.death is not Death.HOLD]
        holds = [armed for armed in self._armed if armed.arm.death is Death.HOLD]
        for hit in [*deaths, *(holds if may_stop else [])]:
            if not arrives(hit.arm) or not hit.strikes(run_id):
                continue
            if not hit.arm.each_run:
                self._armed = tuple(armed for armed in self._armed if armed is not hit)
            return hit
        return None

    def _hit_at(self, place: Place, *, may_stop: bool = True) -> _Armed | None:
        self._note(Pass(place.run_id, place.point.name, place.tool, place.decision_index))
        return self._hit(
            place.run_id,
            lambda arm: (
                arm.point.name == place.point.name and arm.matches(place.run_id, place.tool, place.decision_index)
            ),
            may_stop=may_stop and not place.peer.leaving,
        )

    def _note(self, passed: Pass) -> None:
        if self._on_pass is not None:
            self._on_pass(passed)

    def _put_back(self, hit: _Armed, run_id: str) -> None:
        """What it asks for cannot be done here: the next pass."""
        hit.take_back(run_id)
        if hit not in self._armed:
            self._armed = (*self._armed, hit)

    def _stops(self, place: Place, hit: _Armed | None, go_on: Callable[[], None]) -> bool:
        """Stops the run here, if that is what is asked for; `go_on` does then what is withheld now."""
        if hit is not None and hit.arm.death is Death.HOLD:
            self.steps.hold(place, hit.arm.order, go_on)
            return True
        if hit is None and self.steps.wants(place):
            self.steps.hold(place, None, go_on)
            return True
        return False

    def received(self, peer: WorkerPeer, frame: Frame, verb: Verb) -> bool:
        """A boundary has arrived. True if a point was reached here, and the frame dealt with."""
        place = _place(Stage.RECEIVED, peer, frame)
        if place is None:
            return False
        server, run_id = self._server, place.run_id
        live = server.drives.live(peer, run_id, place.epoch)  # one that has lost its lease only learns so
        hit = self._hit_at(place, may_stop=live)
        if live and self._stops(place, hit, lambda: server.commit_boundary(peer, frame, verb)):
            return True
        if hit is None:
            return False
        arm = hit.arm
        if arm.death is Death.KILL:
            self._end_at(arm, peer, run_id)
        elif arm.death is Death.STOP and not peer.open_bodies:
            peer.held_frames.append(frame)
            self._freeze_at(arm, peer, run_id)
        elif arm.death is Death.STOP:  # a body is open: the next pass with none
            self._put_back(hit, run_id)
            server.commit_boundary(peer, frame, verb)
        elif arm.death is Death.TERM:
            self._terminate_at(arm, peer, run_id)
            server.commit_boundary(peer, frame, verb)
        else:
            self._tell(arm, peer, run_id)
            server.commit_boundary(peer, frame, verb, lose=True)
        return True

    def committed(self, peer: WorkerPeer, frame: Frame, reply: Frame) -> bool:
        """A boundary is durable, its reply not given yet. True if a point was reached here, and the reply dealt
        with."""
        place = _place(Stage.COMMITTED, peer, frame)
        if place is None:
            return False
        hit = self._hit_at(place)
        if self._stops(place, hit, lambda: self.give(peer, frame, reply)):
            return True
        if hit is None:
            return False
        arm, run_id = hit.arm, place.run_id
        begins = frame["t"] in ("begin", "attempt")  # then one of the open bodies is the one that waits for this reply
        if arm.death is Death.KILL:
            self._end_at(arm, peer, run_id)
        elif arm.death is Death.STOP and len(peer.open_bodies) <= int(begins):
            peer.held_replies.append((frame, reply))
            self._freeze_at(arm, peer, run_id)
        elif arm.death is Death.STOP:
            self._put_back(hit, run_id)
            peer.reply(reply)
        elif arm.death is Death.TERM:
            self._terminate_at(arm, peer, run_id)
            peer.reply(reply)
        else:
            self._tell(arm, peer, run_id)
            self._server.exchange.lose_reply(peer, reply)
        return True

    def granted(self, peer: WorkerPeer, run_id: str, epoch: int) -> bool:
        """A lease is durable, its drive not sent yet. True if it is not to be sent."""
        place = Place(peer, find_point("lease.granted"), run_id, epoch)
        self.steps.starts(run_id)
        hit = self._hit_at(place)
        if self._stops(place, hit, lambda: self._server.drives.send(peer, run_id, epoch)):
            return True
        if hit is None:
            return False
        arm = hit.arm
        if arm.death is Death.KILL:
            self._end_at(arm, peer, run_id)
            return True
        if arm.death is Death.TERM:
            self._terminate_at(arm, peer, run_id)
        elif arm.death is Death.STOP and not peer.open_bodies:
            self._freeze_at(arm, peer, run_id)
        elif arm.death is Death.STOP:
            self._put_back(hit, run_id)
        else:
            self._tell(arm, peer, run_id)
            if peer.connection is not None:
                self._server.hang_up(peer.connection)
        return False

    def reached_by_hook(self, peer: WorkerPeer, call: HookCall, frame_kind: str) -> bool:
        """Hook points kill the hook worker, whatever death was chosen: it drives no run."""
        place = BY_PLACE.get((frame_kind, Stage.HOOK))
        if place is not None:
            self._note(Pass(call.run_id, place.name, call.tool, call.decision_index))
        hit = self._hit(
            call.run_id,
            lambda arm: (
                arm.point.stage is Stage.HOOK
                and arm.point.frame == frame_kind
                and arm.matches(call.run_id, call.tool, call.decision_index)
            ),
            may_stop=False,
        )
        if hit is None:
            return False
        self._end_at(hit.arm, peer, call.run_id)
        return True

    def own(self, peer: WorkerPeer, frame: Frame, go_on: Callable[[], None]) -> None:
        """`tape.crash_point(name)`: lets the code go on with `go_on`, unless the worker dies here."""
        run_id, epoch = frame["run"], peer.drives.get(frame["run"], 0)
        if self.steps.defer(run_id, epoch, lambda: self.own(peer, frame, go_on)):
            return
        place = Place(peer, Point(str(frame["name"]), "point", Stage.OWN, ""), run_id, epoch)
        live = self._server.drives.live(peer, run_id, epoch)
        hit = self._hit_at(place, may_stop=live)
        if live and self._stops(place, hit, go_on):
            return
        if hit is not None and hit.arm.death is not Death.TERM:
            self._end_at(hit.arm, peer, run_id)
            return
        if hit is not None:
            self._terminate_at(hit.arm, peer, run_id)
        go_on()

    # --- thaw -------------------------------------------------------------------------------------------------

    def thaw(self, number: int | None) -> list[int]:
        """Lets stopped workers go on; what a frozen one held is answered as things stand now. Returns pids."""
        thawed: list[int] = []
        for peer in list(self._server.peers.values()):
            if number is not None and peer.number != number:
                continue
            if peer.frozen:
                thawed.append(peer.pid)
                self._thaw_one(peer)
            else:
                self._ender.thaw(peer.number)  # one that was stopped outside a drill just goes on
        return thawed

    def _thaw_one(self, peer: WorkerPeer) -> None:
        server = self._server
        server.commit_verb(_moves(peer.number, WorkerTrigger.THAW))
        peer.frozen = False
        self._ender.thaw(peer.number)
        replies, peer.held_replies = peer.held_replies, []
        frames, peer.held_frames = peer.held_frames, []
        for frame, reply in replies:
            self.give(peer, frame, reply)
        for frame in frames:
            server.exchange.take_held(peer, frame)

    def give(self, peer: WorkerPeer, frame: Frame, reply: Frame) -> None:
        """A reply that was withheld, as things stand now: a lease that has ended meanwhile permits nothing more, be it
        a body. (The run's own last word ends its lease by itself.)"""
        server, run_id, epoch = self._server, frame["run"], frame["epoch"]
        if reply["t"] == "refused" or frame["t"] in LAST_WORDS or server.drives.live(peer, run_id, epoch):
            peer.reply(reply)
            return
        fenced = Fenced(f"{run_id}: no write under lease epoch {epoch}: it has ended")
        peer.reply(answer_to(frame, "refused", refusal(fenced)))
        server.exchange.keep_evidence(peer, frame, fenced)


def _place(stage: Stage, peer: WorkerPeer, frame: Frame) -> Place | None:
    """The place where this boundary is now; None if it has no name."""
    point: Point | None = BY_PLACE.get((frame["t"], stage))
    return None if point is None else Place(peer, point, frame["run"], frame["epoch"], *subject_of(frame))


def _moves(worker: int, trigger: WorkerTrigger) -> Callable[[Tx], Any]:
    return lambda tx: workers.move_worker(tx, worker, trigger)
