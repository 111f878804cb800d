"""The console's list of runs when retention has removed some."""

from __future__ import annotations

from pathlib import Path

from tape.core.journal import retention
from tape.core.journal.views import open_reader
from tape.tui.feed.run_list import RunLists
from tape.tui.scene import View
from tests.core.view_journals import Journal


def test_runs_that_were_removed_leave_the_list(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "dev.db")
    first, second, newest = journal.whole(), journal.whole(), journal.start()
    with open_reader(journal.path) as reader:
        lists = RunLists(reader, journal.clock)
        lists.note(reader.entries())
        view = View(first=0, last=10)
        assert [run.id for run in lists.make(view, {}, {}, False).views.values()] == [newest, second, first]
        cursor = reader.last_id()
        until = retention.until_of({"terminal": 0}, journal.clock.wall_us())
        journal.writer.apply(lambda tx: retention.remove_runs(tx, [[1]], until, "me@here", ""))
        lists.note(reader.entries(after=cursor))
        shown = lists.make(view, {}, {}, False)
        assert (shown.length, [run.id for run in shown.views.values()]) == (2, [newest, second])
        assert (lists.total, lists.counts) == (2, {"RUNNABLE": 1, "TERMINAL": 1})
        assert lists.view(first) is None
    journal.close()
