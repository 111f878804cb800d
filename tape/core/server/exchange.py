"""Boundaries between an agent and the journal: each frame is taken once and in its order, and answered once.

`boundaries` says what a frame means; here is when it is taken, and what becomes of its reply. All of this runs on the
server's thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tape.core.journal import claims, workers
from tape.core.journal.writer import Outcome
from tape.core.kernel.errors import Fenced, JournalUnavailable, TapeError, UsageError
from tape.core.kernel.events import BudgetAwaited, BudgetRefused, Charge, Entry
from tape.core.server.boundaries import Verb, answer_to, body_key, ending_of, refusal, verb_of
from tape.core.server.peers import WorkerPeer
from tape.core.wire import AWAITS, NOTHING_BEGUN, Frame

if TYPE_CHECKING:
    from tape.core.server.server import Server


@dataclass(slots=True)
class Boundary:
    """An agent's frame on its way: its worker, and the verb made of it."""

    peer: WorkerPeer
    frame: Frame
    verb: Verb


class Exchange:
    """Takes boundaries for the next commit, and gives their replies. A frame that is sent again after a lost
    connection gets the answer that it had; one that could not be written, or is out of order, is told to come again."""

    def __init__(self, server: Server) -> None:
        self._server = server

    # --- frames -----------------------------------------------------------------------------------------------

    def take(self, peer: WorkerPeer, frame: Frame, batch: list[Boundary]) -> None:
        """A boundary has arrived: it joins the batch, unless it may be a place to stop or to die; then the batch is
        committed before it."""
        known, number = peer.replies_of(frame), frame["n"]
        known.forget(frame.get("had", 0))
        if number in known.kept:  # sent again after a lost connection: the same answer, or none yet
            reply = known.kept[number]
            if reply is not None:
                peer.send(reply)
            return
        if number <= known.had:
            return  # it had that answer, and says so itself
        if number > known.next():  # the one before it could not be written, and comes again: never out of order
            peer.send(answer_to(frame, "busy", {}))
            return
        known.kept[number] = None
        if frame["t"] == "end":
            peer.open_bodies.discard((frame["run"], frame["key"]))
        verb = self._verb_of(peer, frame)
        if verb is None:
            return
        points = self._server.points
        if points.steps.defer(frame["run"], frame["epoch"], lambda: self._take_turn(peer, frame, verb)):
            return
        if not points.waits() or frame.get("waits") is False:
            batch.append(Boundary(peer, frame, verb))
            return
        self._server.commit_batch(batch)
        batch.clear()
        self._take_turn(peer, frame, verb)

    def _take_turn(self, peer: WorkerPeer, frame: Frame, verb: Verb) -> None:
        """A boundary that may be a place to stop or to die: taken alone, after every earlier one of its drive."""
        known = peer.replies_of(frame)
        if not known.follows(frame["n"]):
            known.kept.pop(frame["n"], None)
            peer.send(answer_to(frame, "busy", {}))
        elif not self._server.points.received(peer, frame, verb):
            self._server.commit_boundary(peer, frame, verb)

    def _verb_of(self, peer: WorkerPeer, frame: Frame) -> Verb | None:
        try:
            return verb_of(frame, self._server.policy.recovery)
        except (TapeError, KeyError, TypeError, ValueError) as error:
            bad = UsageError(f"a frame that the server does not understand: {error}")
            peer.reply(answer_to(frame, "refused", refusal(bad)))
            return None

    def take_held(self, peer: WorkerPeer, frame: Frame) -> None:
        """A frame that a freeze withheld is taken as if it arrived now."""
        verb = self._verb_of(peer, frame)
        if verb is not None:
            self._server.commit_boundary(peer, frame, verb)

    # --- replies ----------------------------------------------------------------------------------------------

    def reply(self, peer: WorkerPeer, frame: Frame, outcome: Outcome[Frame], *, lose: bool) -> None:
        """The boundary's commit is over: its reply is given, withheld at a point, or with `lose` lost."""
        error = outcome.error
        if isinstance(error, JournalUnavailable):
            peer.replies_of(frame).kept.pop(frame["n"], None)
            self._server.on_trouble(str(error))
            peer.send(answer_to(frame, "busy", {}))
            return
        if error is None:
            told = {"records": _records(frame["run"], outcome.entries), **_money(frame, outcome.entries)}
            reply = answer_to(frame, "ok", {**(outcome.result or {}), **told})
            body = body_key(frame)
            if body is not None and not reply.keys() & NOTHING_BEGUN:
                peer.open_bodies.add(body)
        else:
            reply = answer_to(frame, "refused", refusal(error))
            self.keep_evidence(peer, frame, error)
        if lose:
            self.lose_reply(peer, reply)
            return
        points = self._server.points
        if points.steps.defer(frame["run"], frame["epoch"], lambda: points.give(peer, frame, reply)):
            return
        waits = points.waits() and error is None and frame.get("waits") is not False and "refusal" not in reply
        passed = {**frame, "t": AWAITS} if AWAITS in reply else frame
        if not (waits and points.committed(peer, passed, reply)):
            peer.reply(reply)

    def lose_reply(self, peer: WorkerPeer, reply: Frame) -> None:
        """Hangs up instead of answering; the agent dials again, sends again, and gets the same answer."""
        peer.keep(reply)
        if peer.connection is not None:
            self._server.hang_up(peer.connection)

    def keep_evidence(self, peer: WorkerPeer, frame: Frame, error: TapeError) -> None:
        """A fenced write is kept as evidence; a fenced outcome may contradict a final state."""
        if not isinstance(error, Fenced):
            return
        run_id, epoch, kind, worker, why = frame["run"], frame["epoch"], frame["t"], peer.number, str(error)
        ending = frame.get("ending", {})
        if kind == "end" and ending.get("how") in ("returned", "failed"):
            key, certain = frame["key"], ending_of(ending)
            self._server.submit(lambda tx: claims.note_fenced_end(tx, run_id, worker, epoch, key, certain))
        else:
            self._server.submit(lambda tx: workers.refuse_write(tx, run_id, worker, epoch, kind, why, None))


def _money(frame: Frame, entries: Iterable[Entry]) -> Frame:
    """What the agent must know beside its own boundary's fields: that a cap was in the way of it, what its act cost (in
    quarantine with its begin)."""
    for entry in entries:
        if isinstance(entry.event, BudgetAwaited):
            return {AWAITS: asdict(entry.event)}
    events = [entry.event for entry in entries if entry.seq is not None]
    refused = [asdict(event) for event in events if isinstance(event, BudgetRefused)]
    charged = [asdict(event) for event in events if isinstance(event, Charge) and frame["t"] in ("begin", "end")]
    return ({"refusal": refused[0]} if refused else {}) | ({"charged": charged} if charged else {})


def _records(run_id: str, entries: Iterable[Entry]) -> int:
    """How many of these stand on the run's tape: the agent must have seen every record before it hands over a later
    one. A child's start and end write to the other's tape too."""
    return sum(entry.seq is not None and entry.run_id == run_id for entry in entries)
