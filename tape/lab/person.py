"""Plays the person in a proof: decides as somebody would who looks into the upstreams' ledgers."""

from __future__ import annotations

from dataclasses import dataclass

from tape.core.journal.dump import EffectView
from tape.core.journal.shapes import Need, NeedKind
from tape.lab.family import Family, Kinship
from tape.lab.good import Good, acts_of_effect, place_of
from tape.lab.scenario import How, ScriptedOrder, Verb
from tape.lab.trial import Acts
from tape.lab.upstream_ledger import Act

MOST_DECISIONS = 40


@dataclass(slots=True)
class Person:
    """One trial's person. An effect that stands in a ledger is confirmed with what it returned in the good run, one
    that does not is tried again. Without a good run nothing is decided."""

    good: Good | None
    decided: int = 0

    def decide(self, kinship: Kinship, family: Family, needs: list[Need], acts: Acts) -> list[ScriptedOrder]:
        if self.good is None or self.decided >= MOST_DECISIONS:
            return []
        dump, twin = family[kinship], self.good.runs.get(kinship)
        known = [] if twin is None else twin.dump.effects
        orders: list[ScriptedOrder] = []
        for need in needs:
            if need.run_id == dump.run.id and need.kind in (NeedKind.EFFECT, NeedKind.OBLIGATION):
                effect = next(effect for effect in dump.effects if effect.key == need.key.partition("/undo/")[0])
                standing = [act for _, act in acts_of_effect(effect, family, acts) if not act.undone]
                orders.append(_order(need, standing, known))
        self.decided += len(orders)
        return orders


def _order(need: Need, standing: list[Act], known: list[EffectView]) -> ScriptedOrder:
    """`known`: the effects of the good run."""
    key = place_of(need.key)
    if need.kind is NeedKind.OBLIGATION:
        how = How.RETRY if standing else How.CONFIRM
        return ScriptedOrder("STUCK", Verb.RESOLVE, key=key, how=how, result=None, reason="as the ledger says")
    if not standing:
        return ScriptedOrder("STUCK", Verb.RESOLVE, key=key, how=How.RETRY, reason="the ledger holds no such act")
    twin = next((one for one in known if place_of(one.key) == key), None)
    result = twin.result if twin is not None else {"id": standing[0].id}
    reason = "the ledger holds the act"
    return ScriptedOrder("STUCK", Verb.RESOLVE, key=key, how=How.CONFIRM, result=result, reason=reason)
