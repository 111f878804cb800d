"""Plays the person in a proof: decides as somebody would who looks into the upstreams' ledgers."""

from __future__ import annotations

from dataclasses import dataclass

from tape.core.journal.dump import RunDump
from tape.core.journal.shapes import Need, NeedKind
from tape.lab.good import Good, acts_of_effect, place_of
from tape.lab.scenario import How, ScriptedOrder, Verb
from tape.lab.trial import Acts

MOST_DECISIONS = 40


@dataclass(slots=True)
class Person:
    """One trial's person. An effect that stands in a ledger is confirmed with what it returned in the good run, one
    that does not is tried again. Without a good run nothing is decided."""

    good: Good | None
    decided: int = 0

    def decide(self, dump: RunDump, needs: list[Need], acts: Acts) -> list[ScriptedOrder]:
        if self.good is None or self.decided >= MOST_DECISIONS:
            return []
        orders: list[ScriptedOrder] = []
        for need in needs:
            if need.run_id == dump.run.id and need.kind in (NeedKind.EFFECT, NeedKind.OBLIGATION):
                orders.append(self._order(dump, need, acts, self.good))
        self.decided += len(orders)
        return orders

    def _order(self, dump: RunDump, need: Need, acts: Acts, good: Good) -> ScriptedOrder:
        key, act = place_of(need.key), need.key.partition("/undo/")[0]
        effect = next(effect for effect in dump.effects if effect.key == act)
        standing = [found for _, found in acts_of_effect(effect, dump, acts) if not found.undone]
        if need.kind is NeedKind.OBLIGATION:
            how = How.RETRY if standing else How.CONFIRM
            return ScriptedOrder("STUCK", Verb.RESOLVE, key=key, how=how, result=None, reason="as the ledger says")
        if not standing:
            return ScriptedOrder("STUCK", Verb.RESOLVE, key=key, how=How.RETRY, reason="the ledger holds no such act")
        twin = next((one for one in good.dump.effects if place_of(one.key) == key), None)
        result = twin.result if twin is not None else {"id": standing[0].id}
        reason = "the ledger holds the act"
        return ScriptedOrder("STUCK", Verb.RESOLVE, key=key, how=How.CONFIRM, result=result, reason=reason)
