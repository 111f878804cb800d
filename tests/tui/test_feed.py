"""The feed, turn by turn and without its thread, when journal, view and service are as hoped and when not."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tape.core.clock import ManualClock
from tape.core.journal import views
from tape.core.kernel import events
from tape.core.kernel.events import Entry
from tape.tui.feed.log import KEPT_LINES, LINE_LIMIT, Log, who_of
from tape.tui.messages import SceneReady
from tape.tui.scene import Phase, Scene, Source, View
from tests.tui.stage import Stage
from tests.tui.stories import Stories


def looking(stage: Stage, story: str = "", **view: object) -> Scene:
    run_id = stage.named[story] if story else None
    stage.look(replace(View(run_id=run_id), **view))  # type: ignore[arg-type]
    return stage.scene


# --- what a scene holds -----------------------------------------------------------------------------------------------


def test_the_strip(stage: Stage) -> None:
    stage.look(View())
    strip = stage.scene.strip
    assert strip.total == 12 and sum(strip.counts.values()) == 12
    assert strip.counts == {
        "RUNNING": 3, "WAITING": 1, "COMPENSATING": 1, "STUCK": 1, "TERMINAL": 4, "FAILED": 1, "CANCELLED": 1,
    }  # fmt: skip
    assert (strip.stopped, strip.agents, strip.spares, strip.reactors_up, strip.needs) == (1, 3, 1, 5, 1)
    assert [line.text() for line in strip.contract] == ["bank 3+4 ≥ 5 ✓"]
    assert strip.size > 0


def test_the_counts_follow_the_journal(stage: Stage, stories: Stories) -> None:
    looking(stage)
    for name in ("quiet", "failed", "cancelled", "running", "nobody", "undoing"):
        stories.story(f"{name} again", getattr(stories, name))
        stage.turn()
        with views.open_reader(stage.config.journal) as reader:
            truth = {status: number for status, number in reader.status_counts().items() if number}
        assert (stage.scene.strip.counts, stage.scene.strip.total) == (truth, sum(truth.values()))


def test_the_selected_run_and_its_acts(stage: Stage) -> None:
    scene = looking(stage, "acted")
    assert scene.selected
    (effect,) = scene.selected.story.effects
    assert scene.selected.acts == {effect.key: 1} and scene.selected.readable
    (verdict,) = scene.selected.verdicts
    assert verdict.point == "effect.acted"


def test_two_runs_compared(stage: Stage) -> None:
    scene = looking(stage, "acted", other=stage.named["quiet"])
    assert scene.selected and scene.other
    assert (scene.selected.run.id, scene.other.run.id) == (stage.named["acted"], stage.named["quiet"])
    assert [fact.status for fact in scene.other.story.effects] == ["CONFIRMED"]
    again = looking(stage, "acted", other=stage.named["quiet"], full_story=True)
    assert again.other and len(again.other.story.lines) > len(scene.other.story.lines)
    assert looking(stage, "acted").other is None


def test_a_run_that_is_not_there(stage: Stage) -> None:
    stage.look(View(run_id="r-000000000000", other="r-000000000001"))
    assert (stage.scene.selected, stage.scene.other, stage.scene.trouble) == (None, None, "")


def test_as_of_an_entry(stage: Stage) -> None:
    now = looking(stage, "acted").selected
    assert now
    reached = next(entry for entry in now.entries if isinstance(entry.event, events.PointReached))
    then = looking(stage, "acted", at=reached.id).selected
    assert then
    assert (then.story.status, then.live.status) == ("RUNNING", "TERMINAL")
    assert then.position[0] < then.position[1] == len(then.entries)
    assert then.verdicts == () or not then.verdicts[-1].complete


def test_parts_that_have_not_changed_are_the_same_objects(stage: Stage) -> None:
    before = looking(stage, "acted")
    stage.tick()
    stage.turn()
    after = stage.scene
    for part in ("selected", "log", "needs"):
        assert getattr(after, part) is getattr(before, part), part
    assert stage.scenes[-1].reactors is stage.scenes[-2].reactors


def test_the_stopped_worker_and_the_zombie(stage: Stage) -> None:
    looking(stage)
    rows = {row.pid: row for row in stage.scene.processes}
    (stopped,) = [row for row in rows.values() if row.state == "stopped"]
    assert stopped.run == stage.named["stopped"] and stopped.note.startswith("at effect.begun")
    assert [row.note for row in rows.values()].count("spare") == 1
    dead = [row for row in rows.values() if row.state == "dead"]
    assert 1 <= len(dead) <= 6 and all(row.rss is None for row in dead)


def test_a_refused_write_is_counted_at_its_worker(stage: Stage) -> None:
    with views.open_reader(stage.config.journal) as reader:
        refused = [entry.event for entry in reader.entries() if isinstance(entry.event, events.WriteRefused)]
    (event,) = refused
    assert event.worker is not None
    stage.host.peer(event.worker, 12349)
    stage.look(View())
    (row,) = [row for row in stage.scene.processes if row.worker == event.worker]
    assert "1 write refused" in row.note


# --- the view ---------------------------------------------------------------------------------------------------------


def test_a_filter_that_does_not_read_leaves_the_list_and_the_rest_goes_on(stage: Stage, stories: Stories) -> None:
    assert looking(stage, filter="state:stuck").runs.length == 1
    scene = looking(stage, "acted", filter="state:r")
    assert "state:r may be" in scene.trouble
    scene = looking(stage, "acted", filter="nonsense:x")
    assert "no filter is called 'nonsense'" in scene.trouble
    assert scene.runs.length == 1 and scene.runs.filter == "state:stuck", "the list keeps its last filter"
    assert scene.selected and scene.selected.run.id == stage.named["acted"]
    stories.story("new", stories.failed)
    stage.tick()
    assert stage.scene.strip.total == 13 and "nonsense" in stage.scene.trouble
    assert looking(stage).trouble == "" and stage.scene.runs.length == 13


def test_a_paused_view_is_still_told_what_it_wishes(stage: Stage, stories: Stories) -> None:
    looking(stage)
    looking(stage, paused=True)
    sent = len(stage.scenes)
    stories.story("new", stories.nobody)
    stage.tick()
    stage.tick()
    assert len(stage.scenes) == sent
    assert looking(stage, "acted", paused=True).selected is not None
    back = looking(stage)
    assert (back.strip.total, back.strip.needs, len(back.needs)) == (13, 2, 2), "nothing of the pause is lost"


def test_a_filtered_list_is_made_anew_not_too_often(stage: Stage, stories: Stories) -> None:
    assert looking(stage, filter="state:failed").runs.length == 1
    stories.story("new", stories.failed)
    stage.turn()
    assert stage.scene.runs.length == 2
    stories.clock.advance(0.1)
    stories.failed()
    stage.turn()
    known = stage.scene.runs.length
    stage.tick()
    assert (known, stage.scene.runs.length) == (2, 3)


def test_effects_of_all_runs_open_ones_first(stage: Stage) -> None:
    effects = looking(stage, all_effects=True).effects
    still = [effect.status in ("PENDING", "UNKNOWN") for effect in effects]
    assert still == sorted(still, reverse=True) and any(still) and len({effect.key for effect in effects}) == 8


# --- the journal ------------------------------------------------------------------------------------------------------


def test_a_journal_that_appears_later(new_project: Stage) -> None:
    stage = new_project
    stage.phase = Phase.STARTING
    stage.turn()
    assert (stage.scene.phase, stage.scene.runs.length, stage.scene.trouble) == (Phase.STARTING, 0, "")
    writing = Stories(stage.config.journal.parent)
    writing.clock = stage.clock
    stage.phase = Phase.LIVE
    stage.tick()
    assert stage.scene.trouble == ""
    stage.named["first"] = writing.quiet()
    stage.tick()
    assert (stage.scene.phase, stage.scene.runs.length) == (Phase.LIVE, 1)
    assert looking(stage, "first").selected is not None
    writing.close()


def test_a_journal_that_is_locked_and_then_is_not(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "BUSY_SECONDS", 0.0)
    lock = sqlite3.connect(stage.config.journal, isolation_level=None)
    lock.execute("PRAGMA locking_mode = EXCLUSIVE")
    lock.execute("BEGIN IMMEDIATE")
    stage.turn()
    assert "cannot be read: another process holds it" in stage.scene.trouble
    stage.tick()
    assert "another process holds it" in stage.scene.trouble
    lock.execute("ROLLBACK")
    lock.close()
    stage.tick()
    assert stage.scene.trouble == "" and stage.scene.runs.length == 12


def test_a_journal_that_disappears_while_it_is_read(stage: Stage) -> None:
    looking(stage, "acted")
    for path in stage.config.journal.parent.glob("dev.db*"):
        path.unlink()
    stage.tick()
    assert stage.scene.runs.length == 12, "what was open stays readable"
    assert looking(stage, "late").selected is not None


def test_a_journal_that_breaks_while_it_is_read(stage: Stage) -> None:
    before = looking(stage, "acted")
    assert stage.feed._reader is not None
    stage.feed._reader.close()

    def torn(*_: object, **__: object) -> list[Entry]:
        raise views.unreadable(stage.config.journal, sqlite3.DatabaseError("database disk image is malformed"))

    stage.feed._reader.entries = torn  # type: ignore[method-assign]
    stage.tick()
    assert "it is damaged; `tape doctor` says where" in stage.scene.trouble
    assert stage.scene.runs is before.runs and stage.scene.selected is before.selected, "the last good scene stays"
    stage.tick()
    assert stage.scene.trouble == "" and stage.scene.runs.length == 12, "it was read anew"


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"not a database at all" * 200, "it is no journal"), (b"", "")],
    ids=["no database", "empty file"],
)
def test_a_file_that_is_no_journal(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "dev.db").write_bytes(content)
    stage = Stage(tmp_path, tmp_path / "dev.db", ManualClock())
    stage.turn()
    assert says in stage.scene.trouble and bool(stage.scene.trouble) == bool(says)


def test_a_journal_of_a_newer_release(stage: Stage) -> None:
    connection = sqlite3.connect(stage.config.journal)
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    stage.turn()
    assert "upgrade tape-agents" in stage.scene.trouble


# --- the service ------------------------------------------------------------------------------------------------------


def test_the_services_trouble_is_shown_and_comes_first(stage: Stage) -> None:
    stage.trouble, stage.phase = "the server has ended: disk full", Phase.BROKEN
    scene = looking(stage, filter="nonsense:x")
    assert (scene.trouble, scene.phase) == ("the server has ended: disk full", Phase.BROKEN)


def test_without_a_host_the_journal_is_shown(stage: Stage) -> None:
    stage.host, stage.phase = None, Phase.STARTING
    scene = looking(stage, "acted")
    assert scene.selected and scene.runs.length == 12 and scene.reactors == () and scene.strip.reactors_up == 0


def test_an_error_of_the_feeds_own_is_told_before_its_thread_ends(stage: Stage) -> None:
    stage.feed.look(View())
    stage.host = object()
    sent: list[Scene] = []
    stage.feed._post = lambda message: sent.append(message.scene) if isinstance(message, SceneReady) else None
    stage.feed._run()  # returns: a traceback on the screen would tear it
    assert sent[-1].phase is Phase.BROKEN and "the view has stopped: AttributeError" in sent[-1].trouble
    assert "Traceback" in (stage.config.journal.parent / "console-crash.txt").read_text("utf-8")


def test_a_ledger_that_cannot_be_read_is_never_well(stage: Stage) -> None:
    (stage.config.journal.parent / "bank.jsonl").unlink()
    scene = looking(stage, "acted")
    assert [line.text() for line in scene.strip.contract] == ["bank –"]
    assert scene.selected and not scene.selected.readable and scene.selected.acts == {}


# --- the log ----------------------------------------------------------------------------------------------------------


def test_what_is_said_is_cut_and_safe_and_let_go_in_the_end() -> None:
    log = Log()
    for number in range(KEPT_LINES + 5):
        log.say(number, Source.AGENT, "a\x1b" * 50, "x\x1b[2J" * 1_000)
    lines = log.lines()
    assert len(lines) == KEPT_LINES and lines[0].id == 6
    assert len(lines[0].text) <= LINE_LIMIT and len(lines[0].who) <= 20 and "\x1b" not in lines[0].text + lines[0].who
    assert log.lines() is lines


def test_whose_entry_it_is() -> None:
    order = events.OrderPlaced(order=1, verb="kill", args={}, actor="me", reason="")
    assert who_of(order) == "you"
    assert who_of(events.ModelAsked(index=0, name="m")) is None
    for writer, who in (("agent", None), ("reconciler", "reconciler"), ("outbox", "outbox"), ("operator", None)):
        fields = {"key": "k", "tool": "t", "status": "CONFIRMED", "resolution": "observed", "attempt": 1}
        assert who_of(events.EffectEnded(writer=writer, **fields)) == who  # type: ignore[arg-type]


def test_errors_of_the_service_are_counted(stage: Stage) -> None:
    stage.look(View())
    for words in stage.words:
        stage.say(**words)
    stage.turn()
    assert stage.scene.strip.errors == 1
    assert [line.source for line in stage.scene.log[-3:]] == [Source.AGENT, Source.AGENT, Source.TAPE]
