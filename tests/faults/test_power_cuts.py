"""The power is cut: what was acknowledged is there, what was not is wholly there or wholly absent. The controls show
that the cuts bite: with less syncing than the journal asks for, acknowledged commits are lost."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tape.core.clock import ManualClock
from tape.core.journal.audit import examine
from tape.core.journal.audit_facts import Finding, Severity
from tape.core.journal.writer import Writer
from tests.faults.faulty import Scene, on_disk, scenes, state, tell_rest
from tests.faults.power import Cut, Statement, cuts, record, replay
from tests.journal import invariants

CUTS = 1500
SEED = 20


@dataclass
class Told:
    """The story's statements and scenes; `commits` says of how many commits (the first makes the schema) the tables
    tell: more than one answer where a commit changed nothing."""

    statements: list[Statement]
    scenes: list[Scene]
    commits: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("told")
    found = Told(record(folder / "recorded.db"), scenes(folder / "told.db"))
    empty = Writer(folder / "empty.db", ManualClock())
    found.commits[repr(None)].add(0)
    found.commits[repr(state(empty.connection))].add(1)
    empty.close()
    for number, scene in enumerate(found.scenes):
        found.commits[repr(scene.after)].add(2 + number)
    return found


def lay_out(folder: Path, files: dict[str, bytes]) -> Path:
    """What a cut has left, in the place of what the last one had."""
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / "dev.db"


def read(path: Path, told: Told) -> set[int]:
    """Of how many commits the tables tell. Raises sqlite3.DatabaseError for a damaged file, KeyError for tables that
    are no state of the story."""
    with closing(sqlite3.connect(path)) as link:
        link.row_factory = sqlite3.Row
        if [row[0] for row in link.execute("PRAGMA integrity_check")] != ["ok"]:
            raise sqlite3.DatabaseError("not whole")
        if not link.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return told.commits[repr(None)]
        text = repr(state(link))
        if text not in told.commits:
            raise KeyError("no state of the story")
        invariants.check(link)
        return told.commits[text]


@pytest.mark.slow
def test_no_acknowledged_commit_is_lost(told: Told, folder: Path) -> None:
    """1,500 cuts at random places of its writes and syncs, 136 commits; now and then the log was copied back. Whatever
    is left is the acknowledged state or the one that was being committed; after every 30th cut the writer opens it,
    and the story goes on to its end."""
    acknowledged = ahead = ended = 0
    lost: list[str] = []
    kinds: dict[Cut, int] = defaultdict(int)
    for number, (place, acked, cut, files) in enumerate(cuts(replay(told.statements, "FULL"), CUTS, SEED)):
        path = lay_out(folder, files)
        found = read(path, told)
        if max(found) < acked:
            lost.append(f"operation {place}, {cut}: {acked} acknowledged, {found} found")
            continue
        assert min(found) <= acked + 1, "found what was not committed yet"
        ahead += min(found) > acked
        acknowledged += acked
        kinds[cut] += 1
        if max(found):
            assert not errors(path), f"operation {place}, {cut}"
        if number % 30 == 0 and max(found) <= len(told.scenes):
            go_on(path, told, max(0, max(found) - 1))
            ended += 1
    print(f"\n{CUTS} cuts, {acknowledged} commits acknowledged, {len(lost)} lost, {ahead} found ahead, {ended} gone on")
    assert sum(kinds.values()) >= 1500 and min(kinds.values()) >= 500
    assert acknowledged > 50_000 and not lost
    assert ahead > 10 and ended > 40


def go_on(path: Path, told: Told, number: int) -> None:
    clock, tale, batch = told.scenes[number].open_story()
    writer = Writer(path, clock)
    assert tell_rest(writer, tale, batch) == 0
    assert on_disk(path, state) == told.scenes[-1].after
    writer.close()
    assert not errors(path)


def errors(path: Path) -> list[Finding]:
    return [finding for finding in examine(path).findings if finding.severity is Severity.ERROR]


@pytest.mark.slow
def test_with_less_syncing_acknowledged_commits_are_lost(told: Told, folder: Path) -> None:
    """The control, 300 cuts each: NORMAL loses commits and damages nothing, OFF loses more and damages the file."""
    lost = {"NORMAL": 0, "OFF": 0}
    damaged = {"NORMAL": 0, "OFF": 0}
    for synchronous in lost:
        for _, acked, _, files in cuts(replay(told.statements, synchronous), 300, SEED):
            try:
                found = read(lay_out(folder, files), told)
            except (sqlite3.DatabaseError, KeyError, AssertionError):
                damaged[synchronous] += 1
            else:
                lost[synchronous] += max(found) < acked
    print(f"\n300 cuts each: lost something {lost}, damaged {damaged}")
    assert lost["NORMAL"] > 100 and damaged["NORMAL"] == 0
    assert lost["OFF"] + damaged["OFF"] > lost["NORMAL"] and damaged["OFF"] > 50
