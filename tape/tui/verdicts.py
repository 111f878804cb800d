"""The crash pane's sentence after a death: what the journal says, judged by the upstream's ledger. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tape.tui.acts import last_verdict
from tape.tui.scene import Scene

if TYPE_CHECKING:
    from tape.core.verdict import Verdict


def told(scene: Scene) -> tuple[Verdict | None, str, bool | None, str]:
    """The newest verdict of the selected run, its sentence, whether all is well (None: not known yet), and what would
    have happened without Tape."""
    from tape.core.verdict import counterfactual, holds, verdict_line

    selected = scene.selected
    verdict = last_verdict(selected)
    if selected is None or verdict is None:
        return None, "", None, ""
    effect = next((effect for effect in selected.story.effects if effect.key == verdict.effect), None)
    acts: int | None = None
    if selected.readable and selected.at is None:
        acts = selected.acts.get(effect.key, 0) if effect is not None else sum(selected.acts.values())
    only = scene.strip.contract[0] if len(scene.strip.contract) == 1 else None
    upstream, noun = (only.name, only.noun) if only is not None else ("upstream", "act")
    if acts is not None and not verdict.complete and holds(verdict, acts):
        acts = None  # nothing is wrong, and nothing is proven yet
    line = verdict_line(verdict, acts, upstream, noun)
    good = None if acts is None else holds(verdict, acts)
    return verdict, line, good, counterfactual(verdict, effect, scene.honours_key, noun=noun)
