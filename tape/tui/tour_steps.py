"""The five-minute tour: what the user does, and how a scene shows that it was done. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tape.core.text import show
from tape.tui.acts import HOLD, last_verdict
from tape.tui.ink import Ink, Row, Span
from tape.tui.scene import Scene

if TYPE_CHECKING:
    from tape.core.verdict import Verdict

POINT = "effect.acted"
ENOUGH_LINES = 3
"""Of a verdict, to have got the idea."""


@dataclass(frozen=True, slots=True)
class Tour:
    """Where the tour is. `runs` is how many there were when the step began; the rest is what was seen since then:
    whether the screen stood in the past, how many lines of a verdict were gone to."""

    step: int = 0
    runs: int = 0
    travelled: bool = False
    stepped: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """`words` names a key by its binding: `{kill}`."""

    title: str
    words: Callable[[Tour, Scene], str]
    done: Callable[[Tour, Scene], bool]


def _armed(scene: Scene) -> list[str]:
    return [arm.point.name for arm in scene.arms if arm.death != HOLD]


def _arm(tour: Tour, scene: Scene) -> str:
    return (
        f"{{pane-crash}} goes to the crash pane. The cursor stands on {POINT}: there the bank has paid, and the agent "
        "has not been able to tell anyone. {arm} arms it: whoever passes it dies."
    )


def _run(tour: Tour, scene: Scene) -> str:
    armed = _armed(scene)
    where = f"Armed: {show(armed[0], 40)}. " if armed else "Nothing is armed, so this run will live. "
    return f"{where}{{trigger}} asks for the input of a run: type pay invoice 7, then enter."


def _watch(tour: Tour, scene: Scene) -> str:
    verdict = last_verdict(scene.selected)
    if verdict is None:
        ended = scene.selected is not None and scene.selected.run.ended
        return (
            "Nobody died in this run. Arm a point ({pane-crash}, {arm}), run again ({trigger})."
            if ended
            else "The run goes on to the armed point. Watch the tape: each line is durable before the next."
        )
    if not verdict.complete:
        return "The agent is dead: the red line on the tape. Nobody on this side knows whether the bank has paid."
    return (
        f"It died at the red line. {_why(verdict, scene)} The verdict line says it with times. "
        "{pane-crash} goes there; {verdict-step} goes through it on the tape."
    )


def _why(verdict: Verdict, scene: Scene) -> str:
    """Why there is one act, in one sentence."""
    selected = scene.selected
    effect = next((one for one in selected.story.effects if one.key == verdict.effect), None) if selected else None
    if effect is None:
        return "Another process took the run up behind the last record."
    tool = show(effect.tool, 30)
    if effect.resolution == "observed":
        return f"The reconciler asked the upstream, found the act, and the body of {tool} did not run again: one act."
    if effect.resolution == "redispatched":
        return f"Nothing had been done, so {tool} ran once more, with the same key: one act."
    return f"{tool} was settled before anyone went on."


def _travel(tour: Tour, scene: Scene) -> str:
    if not tour.travelled:
        return "{time-back} steps back in time: the panes show what was known then. Go back to before the death."
    return "{time-back} goes on back, to before the death; {time-forth} steps forth again, esc goes to now at once."


def _again(tour: Tour, scene: Scene) -> str:
    return (
        "{repeat} does the same again on a fresh run: the same input, the same death. {kill} kills the agent of the "
        "selected run at once; {run-to} makes the next run stop at a point, so that there is time for that."
    )


def _end(tour: Tour, scene: Scene) -> str:
    return (
        "That is all of it. Try the other points and deaths ({death}). {step} goes from boundary to boundary. {help} "
        "has all keys. Read on: docs/guide/first-crash-survival.md, docs/guide/your-own-agent.md."
    )


def _gone_through(tour: Tour, scene: Scene) -> bool:
    verdict = last_verdict(scene.selected)
    return tour.stepped >= min(ENOUGH_LINES, len(verdict.steps) if verdict else ENOUGH_LINES)


STEPS: tuple[Step, ...] = (
    Step("arm a death", _arm, lambda tour, scene: bool(_armed(scene))),
    Step("run the agent", _run, lambda tour, scene: scene.strip.total > tour.runs),
    Step("see who noticed", _watch, _gone_through),
    Step("go back in time", _travel, lambda tour, scene: tour.travelled and scene.view.at is None),
    Step("do it again", _again, lambda tour, scene: scene.strip.total > tour.runs),
    Step("done", _end, lambda tour, scene: False),
)
LAST = len(STEPS) - 1


def begin(scene: Scene) -> Tour:
    return see(Tour(runs=scene.strip.total), scene)


def see(tour: Tour, scene: Scene) -> Tour:
    """The tour after this scene: what has been done is behind it."""
    if scene.view.at is not None and not tour.travelled:
        tour = replace(tour, travelled=True)
    return see(skip(tour, scene), scene) if STEPS[tour.step].done(tour, scene) else tour


def skip(tour: Tour, scene: Scene) -> Tour:
    """The next step, begun now."""
    return Tour(min(tour.step + 1, LAST), scene.strip.total)


def stepped(tour: Tour, scene: Scene) -> Tour:
    """A line of the verdict was gone to."""
    return see(replace(tour, stepped=tour.stepped + 1), scene)


def title(tour: Tour) -> str:
    number = f"{tour.step + 1}/{LAST} " if tour.step < LAST else ""
    return f"Tour {number}{STEPS[tour.step].title}"


def words(tour: Tour, scene: Scene, keys: Mapping[str, str]) -> Row:
    """The step's words, with the keys that its acts have now."""
    spans: list[Span] = []
    for at, part in enumerate(re.split(r"\{([a-z-]+)\}", STEPS[tour.step].words(tour, scene))):
        if part:
            spans.append((keys.get(part, "^p"), Ink.KEY) if at % 2 else (part, Ink.PLAIN))
    return tuple(spans)
