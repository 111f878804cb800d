"""Hooks under way: which worker runs one, until when, and whom its answer goes to. On the server's thread."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from tape.core.clock import Clock
from tape.core.server.peers import HookCall, HookLost, WorkerPeer
from tape.core.server.points import CrashPoints
from tape.core.wire import Frame

NEVER_US = 1 << 62


class Hooks:
    """Sends hooks to workers that drive no run and takes their answers. A hook over its time ends its worker, and so
    does silence: such a worker has no lease that would run out."""

    def __init__(self, clock: Clock, points: CrashPoints, silence_us: int) -> None:
        self._clock = clock
        self._points = points
        self._silence_us = silence_us
        self._tickets = 0

    def send(
        self,
        peer: WorkerPeer | None,
        what: str,
        key: str,
        effect: dict[str, Any],
        limit_us: int,
        future: Future[Frame],
    ) -> None:
        if peer is not None:
            peer.promised.discard(future)
        if peer is None or not peer.takes_work():
            future.set_exception(HookLost("the hook worker is gone", proven=True))  # it never had it
            return
        self._tickets += 1
        frame = {"t": "hook", "ticket": self._tickets, "what": what, "tool": effect["tool"], "key": key}
        call = HookCall(
            ticket=self._tickets,
            what=what,
            run_id=effect["run_id"],
            tool=effect["tool"],
            decision_index=effect["decision_index"],
            deadline_boot_us=self._clock.boot_us() + limit_us,
            future=future,
            frame={**frame, "effect": effect},
        )
        peer.hooks[call.ticket] = call
        self.heard(peer)
        if what == "body" and self._points.reached_by_hook(peer, call, "dispatch"):
            return
        peer.send(call.frame)

    def send_again(self, peer: WorkerPeer, in_hand: Iterable[int]) -> None:
        """After a lost connection: what the worker does not have in hand was lost on the way there, or its answer on
        the way back; the worker knows which, and runs nothing twice."""
        for ticket in peer.hooks.keys() - set(in_hand):
            peer.send(peer.hooks[ticket].frame)

    def heard(self, peer: WorkerPeer) -> None:
        """The worker has shown that it lives, or has just been given something to do."""
        peer.silent_at_boot_us = self._clock.boot_us() + self._silence_us

    def take_answer(self, peer: WorkerPeer, frame: Frame) -> None:
        call = peer.hooks.get(frame["ticket"])
        if call is None or self._points.reached_by_hook(peer, call, call.what.removeprefix("undo-")):
            return
        del peer.hooks[call.ticket]
        call.future.set_result(frame)

    def lose(self, peer: WorkerPeer, how: str, *, proven: bool) -> None:
        """The worker is dead: whoever waits for its hooks is told, and whether nothing of it can act any more."""
        for call in peer.hooks.values():
            call.future.set_exception(HookLost(how, proven=proven))
        peer.hooks.clear()

    def end_late(self, peers: Iterable[WorkerPeer]) -> None:
        now = self._clock.boot_us()
        for peer in list(peers):
            if peer.doomed or not peer.hooks:
                continue
            if any(call.deadline_boot_us <= now for call in peer.hooks.values()):
                self._points.end(peer, "a hook is over its time")
            elif peer.silent_at_boot_us <= now:
                self._points.end(peer, "it was silent while it ran a hook")

    def next_deadline_us(self, peers: Iterable[WorkerPeer]) -> int:
        """When the first hook is over its time, or its worker silent; far away if none is under way."""
        watched = [(peer, call) for peer in peers if not peer.doomed for call in peer.hooks.values()]
        return min((min(call.deadline_boot_us, peer.silent_at_boot_us) for peer, call in watched), default=NEVER_US)
