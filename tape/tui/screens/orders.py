"""Acts on what has been done: forks and their promotion, an act that is undone, conflicts that are closed, caps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tape.core.text import short_key, show
from tape.tui import acts
from tape.tui.messages import ActDone
from tape.tui.scene import Phase

if TYPE_CHECKING:
    from tape.core.journal.shapes import Need, RunView
    from tape.tui.screens.fork import Wanted
    from tape.tui.screens.main import MainScreen
    from tape.tui.screens.purse import Cap

MAKES_A_RUN = ("start", "fork", "promote")


class Orders:
    """Part of the main screen. Like all that asks: a dialog is bound to the run that was selected when it opened."""

    @property
    def _main(self) -> MainScreen:
        return cast("MainScreen", self)

    def may_write(self) -> bool:
        """False, and the reason in the last line, where the journal is only looked at."""
        if self._main.scene.phase is Phase.READ_ONLY:
            self._main.say(acts.READ_ONLY, wrong=True)
            return False
        return True

    def made_run(self, message: ActDone) -> str | None:
        """The run that an act has made."""
        made = message.ok and message.act.order.verb in MAKES_A_RUN
        return str(message.result["run"]) if made else None

    # --- forks ------------------------------------------------------------------------------------------------------

    def action_fork(self) -> None:
        """A fork of the selected run behind the record under the tape's cursor."""
        main = self._main
        selected = main.scene.selected
        if selected is None or selected.run.id != main.view.run_id:
            main.say(acts.NO_RUN, wrong=True)
            return
        if not self.may_write():
            return
        from tape.tui.screens.fork import ForkScreen

        run_id, last = selected.run.id, selected.live.seq
        at = max(1, min(main.tape.seq or last, last - selected.run.ended))

        def wanted(answer: Wanted) -> None:
            main.do(acts.fork(run_id, answer.at, answer.given, answer.reason))

        main.ask(ForkScreen(run_id, at, last, selected.live.input), wanted)

    def action_promote(self) -> None:
        main, run = self._main, self._main.selected_run()
        refused = _why_not_promoted(run)
        if refused:
            main.say(refused, wrong=True)
        elif run is not None and self.may_write():
            from tape.tui.screens.confirm import ConfirmScreen

            run_id = run.id
            says = (
                "A third run takes this fork's tape up to the first call that was not made, and makes it: it acts for "
                "real, under keys of its own. What the first run did stays done."
            )
            dialog = ConfirmScreen(f"Let {run_id} act for real", says, "promote")
            main.ask(dialog, lambda reason: main.do(acts.promote(run_id, reason)))

    # --- what was done ------------------------------------------------------------------------------------------------

    def action_undo(self) -> None:
        """The act of the effect under the cursor, of a run that goes on."""
        main = self._main
        effect = main.effects.effect or main.effects.ref
        if main.focused is not main.effects or effect is None:
            main.say("choose an effect in its pane (3) first: u undoes its act", wrong=True)
            return
        if not self.may_write():
            return
        from tape.tui.screens.confirm import ConfirmScreen

        key = effect.key
        says = (
            f"{show(effect.tool, 60)} is undone by its compensation while the run goes on. The run's end waits for it; "
            "its code is told nothing. Of a run that has ended nothing is undone this way."
        )
        dialog = ConfirmScreen(f"Undo {short_key(key)}", says, "undo", needs_reason=True)
        main.ask(dialog, lambda reason: main.do(acts.undo(key, reason)))

    def close_conflict(self, need: Need) -> None:
        from tape.tui.screens.confirm import ConfirmScreen

        key = need.key
        says = "You have looked at what contradicts the record of this key. Its conflicts are closed, no more is done."
        dialog = ConfirmScreen(f"Close the conflicts of {short_key(key)}", says, "close", needs_reason=True)
        self._main.ask(dialog, lambda reason: self._main.do(acts.close(key, reason)))

    # --- money --------------------------------------------------------------------------------------------------------

    def action_budget(self) -> None:
        """The caps of the selected run."""
        main = self._main
        selected = main.scene.selected
        if selected is None or selected.run.id != main.view.run_id:
            main.say(acts.NO_RUN, wrong=True)
            return
        run = selected.run
        if run.ended or run.end_status:
            main.say(f"{run.id} has ended ({run.end_status or run.status}): it spends nothing any more", wrong=True)
        elif self.may_write():
            from tape.tui.screens.purse import PurseScreen

            told: Any = (main.scene.manifest or {}).get("tools")
            declared = cast("list[dict[str, Any]]", told) if isinstance(told, list) else []
            tools = [str(tool.get("name")) for tool in declared]

            def wanted(cap: Cap) -> None:
                main.do(acts.budget(run.id, cap.unit, cap.cap, cap.reason))

            main.ask(PurseScreen(run.id, selected.budget, tools), wanted)

    def raise_cap(self, need: Need) -> None:
        """The cap that a run waits for: its own, or that of the run whose budget it draws from."""
        from tape.core.journal.dump import BudgetView
        from tape.tui.screens.purse import PurseScreen

        purse = BudgetView(need.unit, need.cap, need.reserved or 0, need.spent or 0)
        enough = (need.spent or 0) + (need.reserved or 0) + (need.most or 0)

        def wanted(cap: Cap) -> None:
            self._main.do(acts.budget(need.budget, cap.unit, cap.cap, cap.reason))

        self._main.ask(PurseScreen(need.budget, [purse], (), waits_for=(need.unit, enough)), wanted)

    def deny_cap(self, need: Need) -> None:
        from tape.tui.screens.confirm import ConfirmScreen

        says = f"{show(need.why, 300)}. The cap stays as it is, and the agent is told that nobody raises it."
        dialog = ConfirmScreen(f"Leave {need.run_id} within its cap", says, "deny")
        self._main.ask(dialog, lambda reason: self._main.do(acts.deny_cap(need.run_id, reason)))


def _why_not_promoted(run: RunView | None) -> str:
    if run is None:
        return acts.NO_RUN
    if run.source_id is None:
        return f"{run.id} is no fork: F makes one"
    if not run.quarantine:
        return f"{run.id} is not in quarantine: it acts for real already"
    if run.status == "RUNNING":
        return f"{run.id} is being driven: promote it when it has ended or waits, or cancel it (C)"
    return ""
