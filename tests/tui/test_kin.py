"""Forks, jumps, the purse, gates, hidden values, and orders on what was done: each by the order that a server takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tape.core.bundles import export_run, import_file
from tape.core.journal import forks
from tape.core.journal.views import open_reader
from tape.core.kernel.events import BudgetRaised, ConflictClosed, ForkPromoted, ObligationMoved
from tape.tui.acts import READ_ONLY
from tape.tui.live import is_imported
from tape.tui.panes.detail import DetailPane
from tape.tui.scene import Phase
from tape.tui.screens.confirm import ConfirmScreen
from tape.tui.screens.fork import ForkScreen
from tape.tui.screens.inbox import InboxScreen
from tape.tui.screens.main import MainScreen
from tape.tui.screens.purse import PurseScreen
from tape.tui.screens.text_field import TextField
from tests.tui.kin_stories import SHOWN, Kin
from tests.tui.stage import Seat, Stage, config_of

WIDE, MEDIUM, NARROW = (200, 60), (120, 40), (80, 24)


def front(seat: Seat) -> type[object]:
    return type(seat.app.screen)


def bottom(seat: Seat) -> str:
    return seat.lines()[-1].strip()


def words(seat: Seat) -> str:
    """The words of the detail."""
    subject = seat.main.query_one("#detail", DetailPane).subject
    return "" if subject is None else "\n".join(text for text, _ in subject.words)


async def fill(seat: Seat, **answers: str) -> None:
    """Puts answers into the dialog's questions: keys one by one take a tenth of a second each."""
    for name, text in answers.items():
        seat.app.screen.query_one(f"#{name} TextField", TextField).value = text
    await seat.pause()


async def choose(seat: Seat, stage: Stage, run_id: str) -> None:
    stage.named["this"] = run_id
    await seat.choose("this")


# --- forks ----------------------------------------------------------------------------------------------------------


async def test_f_forks_at_the_record_under_the_cursor_and_shows_the_fork(stage: Stage, kin: Kin) -> None:
    async with stage.console() as seat:
        await seat.choose("quiet")
        await seat.press("2", "g", "j", "j", "F")
        assert front(seat) is ForkScreen
        assert "at seq         * 3" in seat.text() and '"pay invoice 7"' in seat.text()
        await fill(seat, input='"pay 8"', reason="what if")
        await seat.press("enter", "enter", "enter")
        assert front(seat) is MainScreen
        act = stage.acts[-1].order
        assert (act.verb, act.args, act.reason) == ("fork", {"at": 3, "input": "pay 8"}, "what if")
        fork = seat.main.runs.run
        assert fork is not None and fork.source_id == stage.named["quiet"] and fork.quarantine
        assert seat.main.view.run_id == fork.id
        assert f"{fork.id} goes on from seq 3 of {stage.named['quiet']} in quarantine" in bottom(seat)
        assert "↱ quarantine" in seat.of("runs")[2]
        assert "↱ in quarantine" in seat.of("tape")[0]


async def test_a_cursor_between_records_or_at_the_end_takes_the_record_before(stage: Stage, kin: Kin) -> None:
    async with stage.console() as seat:
        await seat.choose("quiet")
        await seat.press("2", "G", "F", *["enter"] * 3)
        last = stage.scene.selected
        assert stage.acts[-1].order.args == {"at": 9}, "the end itself is not taken over"
        assert last is not None and last.run.source_seq == 9


async def test_a_fork_that_cannot_be_says_why(stage: Stage, kin: Kin) -> None:
    async with stage.console() as seat:
        await seat.choose("asked")
        await seat.press("F", "backspace", *"99", "enter", "enter", "enter")
        assert front(seat) is ForkScreen
        assert "a seq of this tape: 1 to 6" in seat.text()
        await seat.press("backspace", "backspace", *"6", "enter", *"{", "enter", "enter")
        assert "not JSON" in seat.text()
        await seat.press("backspace", "enter", "enter")
        assert "no outcome yet" in bottom(seat), bottom(seat)
        assert seat.main.view.run_id == stage.named["asked"]


async def test_what_a_fork_took_over_and_did_not_call_is_said_in_words(stage: Stage, kin: Kin) -> None:
    fork = kin.fork(stage.named["quiet"], 3)
    async with stage.console(WIDE) as seat:
        await choose(seat, stage, fork)
        tape = seat.of("tape")
        assert [line[1] for line in tape[2:6]] == ["↱", "↱", "↱", " "], "three records were taken over"
        assert sum("↱ not called" in line for line in tape) == 2
        assert "↱ not called" in "\n".join(seat.of("effects"))
        taken = kin.do(forks.fork_run, stage.named["quiet"], 7).run
        await choose(seat, stage, taken)
        assert "↱ taken over" in "\n".join(seat.of("effects"))


async def test_a_fork_is_promoted_only_with_the_word(stage: Stage, kin: Kin) -> None:
    fork = kin.fork(stage.named["quiet"], 3)
    async with stage.console() as seat:
        await seat.choose("quiet")
        await seat.press("P")
        assert "is no fork: F makes one" in bottom(seat)
        await choose(seat, stage, fork)
        await seat.press("P")
        assert front(seat) is ConfirmScreen
        await fill(seat, reason="right", word="yes")
        await seat.press("enter", "enter")
        assert stage.acts == [], "any other word confirms nothing"
        await fill(seat, word="promote")
        await seat.press("enter")
        act = stage.acts[-1].order
        assert (act.verb, act.run_id, act.reason) == ("promote", fork, "right")
        made = seat.main.runs.run
        assert made is not None and made.source_id == fork and not made.quarantine
        with open_reader(stage.config.journal) as reader:
            told = [entry.event for entry in reader.entries(run_id=fork)][-1]
        assert isinstance(told, ForkPromoted) and told.run == made.id
        await seat.press("P")
        assert "acts for real already" in bottom(seat)
        await choose(seat, stage, fork)
        await seat.press("1")
        assert f"↱ promoted: {made.id} acts for it" in words(seat)
        assert f"↱ fork of {stage.named['quiet']} at seq 3, in quarantine" in words(seat)


# --- families -------------------------------------------------------------------------------------------------------


async def test_a_jump_to_the_child_and_back_to_its_record(stage: Stage, kin: Kin) -> None:
    parent, started = kin.family(30)
    async with stage.console() as seat:
        await choose(seat, stage, parent)
        await seat.press("2", "g", "j")
        seat.main.tape.select(21)
        await seat.pause()
        line = seat.main.tape.line
        assert line is not None and started[20] in line.text
        await seat.press("J")
        assert seat.main.view.run_id == started[20]
        assert seat.main.runs.run is not None and seat.main.runs.run.id == started[20], "its closed family is opened"
        await seat.press("J")
        assert seat.main.view.run_id == parent
        assert seat.main.tape.line is not None and seat.main.tape.line.id == line.id, "on the record of this child"
        await seat.press("backspace")
        assert seat.main.view.run_id == started[20]
        await seat.press("backspace")
        assert (seat.main.view.run_id, seat.main.tape.line and seat.main.tape.line.id) == (parent, line.id)
        await seat.press("backspace")
        assert "no jump to go back from" in bottom(seat)


async def test_a_jump_without_a_target_says_so(stage: Stage, kin: Kin) -> None:
    async with stage.console() as seat:
        await seat.choose("quiet")
        await seat.press("J")
        assert "J goes from a child's record" in bottom(seat)


# --- the purse, gates, the past -------------------------------------------------------------------------------------


async def test_the_detail_of_a_run_tells_its_purse_its_gates_and_its_recovery(stage: Stage, kin: Kin) -> None:
    run_id = kin.gated()
    async with stage.console(WIDE) as seat:
        await choose(seat, stage, run_id)
        await seat.press("1")
        told = words(seat)
        assert "budget tokens  spent 210  held 0  lost 0  no cap" in told
        assert "budget usd  spent $0.002" in told
        assert 'gate pay 0  ● approve by me@here: seen  for charge(card="‹redacted 5d0cfeed›"' in told
        assert ", used by 0/0/charge" in told
        assert "gate sure 0  ◇ waits for an answer" in told
        await seat.choose("acted")
        assert "recovery: 1 crash, 1 second act prevented" in words(seat)


async def test_b_sets_a_cap_which_the_detail_then_shows(stage: Stage, kin: Kin) -> None:
    run_id = kin.gated()
    async with stage.console() as seat:
        await seat.choose("quiet")
        await seat.press("B")
        assert "it spends nothing any more" in bottom(seat)
        await choose(seat, stage, run_id)
        await seat.press("B")
        assert front(seat) is PurseScreen
        assert "budget tokens  spent 210" in seat.text()
        await seat.press("enter", *"x", "enter", "enter")
        assert "choose one: left and right" in seat.text() and stage.acts == []
        await seat.press("right", "enter", "enter", "enter")
        assert "an amount of dollars" in seat.text()
        await fill(seat, cap="1e999999")
        await seat.press("enter", "enter")
        assert "an amount of dollars" in seat.text()
        await fill(seat, cap="2.50", reason="worth it")
        await seat.press("enter", "enter")
        act = stage.acts[-1].order
        assert (act.verb, act.args, act.reason) == ("budget", {"caps": {"usd_micro": 2_500_000}}, "worth it")
        with open_reader(stage.config.journal) as reader:
            told = [one.event for one in reader.entries(run_id=run_id) if isinstance(one.event, BudgetRaised)]
        assert [(one.unit, one.was, one.cap) for one in told] == [("usd_micro", None, 2_500_000)]
        await seat.press("1")
        assert "cap $2.50" in words(seat)
        await seat.press("B", "right", "right", "enter", *"7", "enter", "enter")
        assert "has used up 210 tokens" in bottom(seat), "the journal's own line"


async def test_the_past_of_a_run_says_that_it_is_the_past(stage: Stage, kin: Kin) -> None:
    run_id = kin.gated()
    kin.lost(run_id)
    async with stage.console(WIDE) as seat:
        await choose(seat, stage, run_id)
        await seat.press("2", "g", *["j"] * 3, "at")
        assert seat.main.view.at is not None
        assert "◆ past: as of entry" in seat.of("tape")[0] and "◆ past" in seat.of("effects")[0]
        assert "◆ as of seq 4" in "\n".join(seat.of("runs"))
        await seat.press("1")
        told = words(seat)
        assert told.startswith("◆ the past: as of entry") and "esc goes back to now" in told
        assert "gate pay 0  ◇ waits for an answer" in told and "sure" not in told
        assert "its own records had charged 210 tokens $0.002; no caps then" in told and "lost" not in told
        await seat.press("escape")
        assert seat.main.view.at is None and "lost 0" in words(seat)


async def test_the_caps_of_the_past_are_those_of_then(stage: Stage, kin: Kin) -> None:
    run_id = kin.gated()
    async with stage.console(WIDE) as seat:
        await choose(seat, stage, run_id)
        await seat.press("B", "right", "right", "enter", *"500", "enter", "enter", "2", "at")
        assert seat.main.view.at is None, "the last line is now"
        await seat.press("k", "k", "at", "1")
        assert "; no caps then" in words(seat)
        await seat.press("escape", "B", "right", "right", "enter", *"900", "enter", "enter", "2", "G", "k", "at", "1")
        assert "caps then: tokens 500" in words(seat)


# --- hidden values --------------------------------------------------------------------------------------------------


async def test_hidden_values_are_labels_on_every_pane_and_in_what_is_copied(stage: Stage, kin: Kin) -> None:
    run_id = kin.gated()
    async with stage.console(WIDE) as seat:
        await choose(seat, stage, run_id)
        await seat.press("3", "enter")
        assert all(label in seat.text() for label in SHOWN), "the effect's arguments, in the detail"
        await seat.press("2", "g", *["j"] * 5)
        assert all(label in seat.main.tape.line.text for label in SHOWN)
        text = seat.main._text()
        assert '"card": null' in text and '"redacted": "5d0cfeed' in text, "the entry is as the journal has it"


# --- orders on what was done ----------------------------------------------------------------------------------------


async def test_an_act_is_undone_by_its_key_with_a_reason_and_the_word(stage: Stage, kin: Kin) -> None:
    run_id, key = kin.undoable()
    async with stage.console() as seat:
        await choose(seat, stage, run_id)
        await seat.press("u")
        assert "choose an effect in its pane" in bottom(seat)
        await seat.press("3", "u", "enter")
        await fill(seat, word="undo")
        await seat.press("enter")
        assert "say why" in seat.text() and stage.acts == []
        await fill(seat, reason="wrong account")
        await seat.press("enter", "enter")
        act = stage.acts[-1].order
        assert (act.verb, act.args["key"], act.args["how"], act.reason) == ("resolve", key, "undo", "wrong account")
        with open_reader(stage.config.journal) as reader:
            last = [one.event for one in reader.entries(run_id=run_id) if isinstance(one.event, ObligationMoved)][-1]
        assert last.status == "DUE" and "wrong account" in last.why
        await seat.choose("quiet")
        await seat.press("3", "u")
        await fill(seat, reason="why", word="undo")
        await seat.press("enter", "enter")
        assert "cannot be undone" in bottom(seat)


async def test_a_conflict_is_closed_from_the_inbox(stage: Stage, kin: Kin) -> None:
    run_id, key = kin.surplus()
    async with stage.console() as seat:
        await seat.press("i", "g")
        assert "c close" in seat.text()
        await seat.press("c")
        await fill(seat, reason="sent back", word="close")
        await seat.press("enter", "enter")
        assert front(seat) is InboxScreen
        act = stage.acts[-1].order
        assert (act.run_id, act.args["key"], act.args["how"]) == (run_id, key, "close")
        with open_reader(stage.config.journal) as reader:
            closed = [one.event for one in reader.entries(run_id=run_id) if isinstance(one.event, ConflictClosed)]
            assert [(one.key, one.reason) for one in closed] == [(key, "sent back")]
            assert not [need for need in reader.needs() if need.key == key]
        assert seat.app.screen.list.count() == 1, "the one that was there before"


@pytest.mark.parametrize("way", ["raise", "deny"])
async def test_who_waits_for_a_cap_is_answered_from_the_inbox(stage: Stage, kin: Kin, way: str) -> None:
    run_id = kin.capped()
    async with stage.console() as seat:
        await seat.press("i", "g")
        text = seat.text()
        assert "b raise the cap" in text.replace("enter", "b") and "n deny" in text
        assert "decision 0 may take $0.07, and $0.05 are left of $0.05" in text
        if way == "raise":
            await seat.press("enter")
            assert "$0.05 now; $0.07 is enough" in seat.text()
            await fill(seat, cap="0.06")
            await seat.press("enter", "enter", "enter")
            assert "still waits" in bottom(seat)
            await seat.press("enter")
            await fill(seat, cap="0.07", reason="worth it")
        else:
            await seat.press("n")
            await fill(seat, reason="not this month", word="deny")
        await seat.press("enter", "enter", *(["enter"] if way == "raise" else []))
        assert front(seat) is InboxScreen
        with open_reader(stage.config.journal) as reader:
            assert reader.run(run_id).status == "RUNNABLE"
            assert not [need for need in reader.needs() if need.kind == "budget"]
        assert stage.acts[-1].order.reason == ("worth it" if way == "raise" else "not this month")


async def test_a_dead_letter_is_called_one_and_settled_like_the_rest(stage: Stage, kin: Kin) -> None:
    run_id, key = kin.letter()
    async with stage.console() as seat:
        await seat.press("i", "g")
        shown = seat.text()
        assert "† letter" in shown and "1 dead letter" in shown and "its run has gone on, or ended" in shown
        await seat.press("s", "right", "right")
        await fill(seat, reason="no mail", word="fail")
        await seat.press("enter", "enter", "enter")
        assert (stage.acts[-1].order.run_id, stage.acts[-1].order.args["how"]) == (run_id, "fail")
        assert [need.key for need in stage.scene.needs if need.key == key] == [] and not stage.scene.letters


# --- a journal that is only looked at -------------------------------------------------------------------------------


async def test_an_imported_journal_is_read_only_and_every_verb_says_so(stage: Stage, kin: Kin, tmp_path: Path) -> None:
    run_id = stage.named["acted"]
    bundle = tmp_path / "run.tape"
    export_run(stage.config.journal, run_id, bundle, redact=True, redact_values=False)
    folder = tmp_path / "elsewhere"
    done = import_file(bundle, folder / "imported.db", None)
    assert is_imported(config_of(folder, done.file)) and not is_imported(stage.config)
    look = Stage(folder, done.file, stage.clock)
    look.host, look.phase = None, Phase.READ_ONLY
    before = done.file.read_bytes()
    async with look.console() as seat:
        assert "⊘ read-only" in seat.lines()[0] and "reactors" not in seat.lines()[0]
        assert "bank" not in seat.lines()[0], "its upstream is somewhere else"
        assert f"⊘ imported: {run_id}" in words(seat)
        await seat.press("3")
        for key in ("r", "C", "K", "F", "R", "t", "n", "c", "T"):
            seat.main.keys._hush()
            await seat.press(key)
            assert front(seat) is MainScreen, key
            assert bottom(seat) == READ_ONLY or "nothing to" in bottom(seat) or "not being driven" in bottom(seat), key
        await seat.press("x", "space")
        assert bottom(seat) == READ_ONLY
        assert look.acts == []
        await seat.press("2", "g", "j", "at")
        assert "⊘ read-only  ◆ time" in seat.lines()[0]
    assert done.file.read_bytes() == before
