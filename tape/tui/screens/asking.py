"""The acts that ask something first: what to run, why, and whether it is meant."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tape.core.text import short_key
from tape.tui import acts
from tape.tui.scene import Scene

if TYPE_CHECKING:
    from tape.core.journal.shapes import EffectRef, Need, RunView
    from tape.core.story import EffectFact
    from tape.tui.screens.answer import Answered
    from tape.tui.screens.dialog import Dialog
    from tape.tui.screens.inbox import Way
    from tape.tui.screens.main import MainScreen
    from tape.tui.screens.quit import Quit
    from tape.tui.screens.settle import Settled
    from tape.tui.screens.trigger import Trigger

REMEMBERED_CHARACTERS = 16_000
REMEMBERED_AGENTS = 8
Answer = TypeVar("Answer")


class Asking:
    """Part of the main screen. A dialog is bound to the run, or key, that was selected when it opened."""

    @property
    def _main(self) -> MainScreen:
        return cast("MainScreen", self)

    def ask(self, dialog: Dialog[Answer], then: Callable[[Answer], None]) -> None:
        """Opens a dialog; `then` gets its answer, unless it was left without one."""
        main = self._main
        dialog.plain_glyphs = main.console.ascii
        dialog.interrupt = main.action_interrupt

        def answered(answer: Answer | None) -> None:
            if answer is not None:
                then(answer)

        main.console.push_screen(dialog, answered)

    def show_in_front(self, scene: Scene) -> None:
        """The newer scene for the dialogs."""
        from tape.tui.screens.dialog import Dialog

        for screen in self._main.console.screen_stack:
            if isinstance(screen, Dialog):
                screen.show(scene)

    def selected_run(self) -> RunView | None:
        """The run that the screen is looking at now, which a scene on its way may not show yet."""
        main = self._main
        selected, under, wanted = main.scene.selected, main.runs.run, main.view.run_id
        if selected is not None and wanted in (None, selected.run.id):
            return selected.run
        return under if under is not None and under.id == wanted else None

    # --- a run ------------------------------------------------------------------------------------------------------

    def action_trigger(self) -> None:
        from tape.tui.screens.trigger import TriggerScreen

        if not self._main.may_write():
            return
        self.ask(TriggerScreen(self._main.scene, self._main.choices.inputs), self._start)

    def _start(self, trigger: Trigger) -> None:
        main = self._main
        if trigger.agent is not None:
            inputs = remember(main.choices.inputs, trigger.agent, trigger.value)
            main.choices = replace(main.choices, inputs=inputs)
        main.do(acts.start(trigger.agent, trigger.value))

    def action_cancel(self) -> None:
        run = self.selected_run()
        if run is None:
            self._main.say(acts.NO_RUN, wrong=True)
        elif run.ended or run.end_status:
            self._main.say(f"{run.id} has ended ({run.end_status or run.status}): nothing to cancel", wrong=True)
        elif self._main.may_write():
            self._cancel(run.id)

    def _cancel(self, run_id: str) -> None:
        from tape.tui.screens.confirm import ConfirmScreen

        says = (
            "No new work begins. What is open is settled first, what can be undone is undone; then it ends CANCELLED."
        )
        dialog = ConfirmScreen(f"Cancel {run_id}", says, "cancel")
        self.ask(dialog, lambda reason: self._main.do(acts.cancel(run_id, reason)))

    def action_redrive(self) -> None:
        run = self.selected_run()
        if run is None:
            self._main.say(acts.NO_RUN, wrong=True)
        elif run.status != "STUCK":
            self._main.say(f"{run.id} is {run.status}, not STUCK: there is nothing to redrive", wrong=True)
        elif self._main.may_write():
            self._redrive(run.id)

    def _redrive(self, run_id: str) -> None:
        from tape.tui.screens.confirm import ConfirmScreen

        says = "It is taken up again from its tape, with a clear crash count: recorded decisions are not asked again."
        dialog = ConfirmScreen(f"Redrive {run_id}", says, "redrive")
        self.ask(dialog, lambda reason: self._main.do(acts.redrive(run_id, reason)))

    # --- what only a person can settle ----------------------------------------------------------------------------

    def action_settle(self) -> None:
        """What the cursor of the effects stands on, else what the selected run needs."""
        main = self._main
        run = self.selected_run()
        if main.focused is main.effects and (main.effects.effect or main.effects.ref) is not None:
            found = need_under(main.scene, main.effects.effect, main.effects.ref)
        elif run is None:
            found = acts.NO_RUN
        else:
            mine = [need for need in main.scene.needs if need.run_id == run.id and need.key and need.kind != "conflict"]
            found = mine[0] if mine else f"{run.id} has nothing that a person must settle"
        if isinstance(found, str):
            main.say(found, wrong=True)
        elif main.may_write():
            self._settle(found)

    def _answer(self, need: Need) -> None:
        from tape.tui.screens.answer import AnswerScreen

        def answered(said: Answered) -> None:
            gate = said.need
            self._main.do(acts.answer(gate.run_id, gate.gate, gate.ordinal, said.value, said.reason))

        self.ask(AnswerScreen(need, self._main.scene), answered)

    def _settle(self, need: Need) -> None:
        if need.kind == "gate":
            self._answer(need)
            return
        from tape.tui.screens.settle import SettleScreen

        def settled(answer: Settled) -> None:
            self._main.do(acts.resolve(answer.key, answer.how, answer.result, answer.reason))

        self.ask(SettleScreen(need, self._main.scene), settled)

    def action_inbox(self) -> None:
        from tape.tui.screens.inbox import InboxScreen

        self.ask(InboxScreen(self._main.scene, self._take_way), lambda _: None)

    def _take_way(self, need: Need, way: Way) -> None:
        from tape.tui.screens.inbox import Way

        if way is not Way.LOOK and not self._main.may_write():
            return
        if way is Way.CLOSE:
            self._main.close_conflict(need)
        elif way is Way.RAISE:
            self._main.raise_cap(need)
        elif way is Way.DENY:
            self._main.deny_cap(need)
        elif way in (Way.SETTLE, Way.ANSWER):
            self._settle(need)
        elif way is Way.REDRIVE:
            self._redrive(need.run_id)
        elif way is Way.CANCEL:
            self._cancel(need.run_id)
        else:
            main = self._main
            main.console.pop_screen()
            main.runs.following = False
            main.wanted_run = need.run_id
            main.look(replace(main.view, run_id=need.run_id, at=None))

    # --- the end ------------------------------------------------------------------------------------------------------

    def action_quit(self) -> None:
        main = self._main
        living = main.backstage.living()
        if not living:
            main.console.leave(drain=False)
            return
        from tape.tui.screens.quit import Quit, QuitScreen

        def leave(how: Quit) -> None:
            main.console.leave(drain=how is Quit.DRAIN)

        self.ask(QuitScreen(living), leave)


def need_under(scene: Scene, fact: EffectFact | None, ref: EffectRef | None) -> Need | str:
    """What a person must settle about the effect under the cursor, its undo included; a text says why nothing."""
    key = fact.key if fact else ref.key if ref else ""
    for need in scene.needs:
        if need.kind != "conflict" and (need.key == key or need.key.startswith(f"{key}/undo/")):
            return need
    if fact is not None and scene.selected is not None:  # time may stand in the past, what is to be settled never does
        fact = next((now for now in scene.selected.live.effects if now.key == key), fact)
    status = fact.status if fact else ref.status if ref else ""
    step = fact.step if fact else ref.step if ref else ""
    if step == "person" and fact is not None:
        return _need_of(scene, fact)
    if step == "person":
        return f"{short_key(key)}: select its run first, its arguments are not at hand"
    if status in ("CONFIRMED", "FAILED"):
        return f"{short_key(key)} has ended already: {status}"
    return f"{short_key(key)} is {status}, and not for a person: {step or 'its body is running'}"


def _need_of(scene: Scene, fact: EffectFact) -> Need:
    """The need that the next scene will bring."""
    from tape.core.journal.shapes import Need, NeedKind

    run_id = fact.key.partition("/")[0]
    return Need(
        kind=NeedKind.EFFECT,
        run_id=run_id,
        agent=scene.selected.run.agent if scene.selected else "",
        key=fact.key,
        tool=fact.tool,
        args=fact.args,
        evidence=fact.evidence or None,
        why=f"only a person can know whether {fact.key} happened",
        row=fact.row,
        commands=(),
        since_us=scene.now_us,
    )


def remember(inputs: Mapping[str, Any], agent: str, value: Any) -> dict[str, Any]:
    """The last inputs by agent, the newest last; one that is too large to keep is not kept."""
    kept = {name: given for name, given in inputs.items() if name != agent}
    if len(json.dumps(value)) <= REMEMBERED_CHARACTERS:
        kept[agent] = value
    return dict(list(kept.items())[-REMEMBERED_AGENTS:])
