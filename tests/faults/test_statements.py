"""The n-th statement fails, for all n: whatever the database answers, each verb of a story is whole or absent, what was
acknowledged stays, and the story comes to the end that it has when nothing fails."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tape.core.clock import ManualClock
from tape.core.journal import (
    caps,
    children,
    claims,
    effects,
    forks,
    gates,
    obligations,
    persons,
    quarantine,
    records,
    retention,
    runs,
    workers,
)
from tape.core.journal.audit import examine
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import JournalUnavailable
from tests.faults.faulty import Fault, Plan, Scene, agrees, faulty, on_disk, scenes, state, tell, tell_rest
from tests.faults.story import whole
from tests.journal import invariants

BY_TURNS = {
    "locked": (Fault.LOCKED,),
    "full or I/O error": (Fault.FULL, Fault.IO),
    "disconnect": (Fault.DISCONNECT,),
}
ROOMS = (
    caps, children, claims, effects, forks, gates, obligations, persons, quarantine, records, retention, runs, workers
)  # fmt: skip
READS = {"next_duty", "sources_of", "lineage"}
"""What reads for other verbs: in a module of verbs, and none of them."""
COMPOSED = {"call_in_quarantine": "end_in_quarantine"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    return scenes(tmp_path_factory.mktemp("told") / "dev.db")


def verbs_of(module: ModuleType) -> Iterator[str]:
    for name, function in inspect.getmembers(module, inspect.isfunction):
        takes_tx = next(iter(inspect.signature(function).parameters), "") == "tx"
        if takes_tx and function.__module__ == module.__name__ and not name.startswith("_"):
            yield name


def test_the_story_uses_every_verb(told: list[Scene]) -> None:
    used = {name for scene in told for name in scene.names.split(", ")}
    used = {COMPOSED.get(name, name) for name in used}
    assert {name for module in ROOMS for name in verbs_of(module)} - READS == used
    assert len(told) > 90 and sum("," in scene.names for scene in told) > 12


def strike(folder: Path, scene: Scene, fault: Fault, number: int, last: int | None = None) -> tuple[Plan, int]:
    """The scene with its n-th statement struck (up to `last`); returns the plan, and how many verbs were put off."""
    path = folder / f"{scene.number}-{number}-{fault.name}.db"
    clock, _, batch = scene.take_up(path)
    plan = Plan()
    with faulty(path, plan):
        writer = Writer(path, clock)
        plan.arm(fault, lambda at, sql: number <= at <= (last or number))
        _, put_off = tell(writer, batch, lambda: setattr(plan, "armed", False))
        plan.armed = False
        assert len(plan.open) == 1
        after = state(writer.connection)
        writer.close()
    assert after == scene.after, f"{scene.names}: statement {number} {fault}"
    path.unlink()
    return plan, put_off


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", BY_TURNS)
def test_each_statement_of_each_batch_fails_once(told: list[Scene], folder: Path, kind: str) -> None:
    """About 2,200 statements, a third of them with each of the three; the first and the commit of each batch with
    all."""
    struck = put_off = commits = 0
    faults, turn = BY_TURNS[kind], [*BY_TURNS].index(kind)
    for scene in told:
        commit = len(strike(folder, scene, faults[0], 1 << 20)[0].seen)
        turns = (number for number in itertools.count(2) if number == commit or (number + scene.number) % 3 == turn)
        for number in itertools.chain([1], turns):
            plan, waited = strike(folder, scene, faults[number % len(faults)], number)
            if not plan.struck:
                break
            struck += 1
            commits += plan.seen[number - 1] == "COMMIT"
            put_off += waited
    print(f"\n{kind}: {struck} statements, {commits} of them commits, {put_off} verbs put off, 0 lost")
    assert struck > 800 and commits == len(told)
    assert (put_off > 800) == (kind == "locked"), "only a lock is not tried again at once"


def test_a_connection_stays_open_all_the_time(told: list[Scene], folder: Path) -> None:
    """The pages of a COMMIT whose sync failed are in the log: without a connection it would be recovered, and they
    would count as committed when the verb is applied again. Whatever fails, another is opened before one is closed."""
    for fault, scene in itertools.product(Fault, told[:8]):
        for number in (1, len(strike(folder, scene, fault, 1 << 20)[0].seen)):
            plan, _ = strike(folder, scene, fault, number)
            assert plan.struck == 1 and not plan.closed_alone


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_everything_fails_from_the_nth_statement_on(told: list[Scene], folder: Path) -> None:
    """Every verb of the batch is put off, nothing of it is there; when the trouble is over, all of it is. About 450
    statements."""
    struck = 0
    for scene in told:
        for number in itertools.count(1 + scene.number % 5, 5):
            fault = (Fault.FULL, Fault.IO, Fault.DISCONNECT)[struck % 3]
            plan, put_off = strike(folder, scene, fault, number, 1 << 20)
            if not plan.struck:
                break
            struck += 1
            assert put_off == scene.names.count(",") + 1
    print(f"\nfrom the n-th on: {struck} statements")
    assert struck > 200


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_verb_that_cannot_be_written_harms_no_other_chain(told: list[Scene], folder: Path) -> None:
    """The commit of a batch fails, and when its verbs are applied alone, one statement more: only that verb and those
    that build on it are put off. About 1,040 pairs of faults."""
    pairs = harmed = 0
    for scene in (scene for scene in told if "," in scene.names):
        commit = len(strike(folder, scene, Fault.IO, 1 << 20)[0].seen)
        for number in itertools.count(commit + 1):
            path = folder / f"{scene.number}-{number}.db"
            clock, _, batch = scene.take_up(path)
            plan = Plan()
            with faulty(path, plan):
                writer = Writer(path, clock)
                plan.arm(Fault.IO, lambda at, sql, pair=(commit, number): at in pair)
                outcomes = writer.commit(batch, [act.chain for act in batch])
                agrees(path, outcomes, scene.last_entry)
                if plan.struck < 2:
                    writer.close()
                    break
                off = [isinstance(outcome.error, JournalUnavailable) for outcome in outcomes]
                first = off.index(True) if True in off else len(batch)
                expected = [
                    place == first or (place > first and act.chain is not None and act.chain == batch[first].chain)
                    for place, act in enumerate(batch)
                ]
                assert off == expected, f"{scene.names}: {number}"
                plan.armed = False
                tell(writer, [act for act, missing in zip(batch, off, strict=True) if missing])
                assert state(writer.connection, ordered=False) == scene.census
                on_disk(path, invariants.check)
                writer.close()
            pairs += 1
            harmed += sum(off)
            path.unlink()
    print(f"\n{pairs} pairs, {harmed} verbs put off")
    assert pairs > 250 and harmed > 250


@pytest.mark.slow
def test_each_commit_fails_and_the_story_goes_on_to_its_end(told: list[Scene], folder: Path) -> None:
    """Half of the scenes, each on one writer from the failure to the end; the audit is clean."""
    faults = tuple(Fault)
    for scene in told[::2]:
        path = folder / f"{scene.number}.db"
        clock, tale, batch = scene.take_up(path)
        plan = Plan()
        with faulty(path, plan):
            writer = Writer(path, clock)
            plan.arm(
                faults[scene.number // 2 % len(faults)], lambda at, sql, plan=plan: sql == "COMMIT" and not plan.struck
            )
            tell_rest(writer, tale, batch)
            assert plan.struck == 1
            assert state(writer.connection) == told[-1].after
            writer.close()
        audit = examine(path)
        assert (audit.runs, audit.findings) == (7, ())
        path.unlink()


def test_each_statement_of_the_opening_fails(folder: Path) -> None:
    """A new journal, and one that is there: one error, and the next try opens it."""
    struck = 0
    for opens, fault in itertools.product((1, 2), Fault):
        for number in itertools.count(1):
            path = folder / f"{opens}-{number}-{fault.name}.db"
            if opens == 2:
                Writer(path, ManualClock()).close()
            plan = Plan()
            with faulty(path, plan):
                plan.arm(fault, lambda at, sql, number=number: at == number)
                if not plan_fails(path, plan):
                    break
                struck += 1
                plan.armed = False
                writer = Writer(path, ManualClock())
                assert tell(writer, next(whole(ManualClock())))[0] == [None]
                writer.close()
            assert examine(path).findings == ()
    print(f"\nopening: {struck} statements")
    assert struck > 150


def plan_fails(path: Path, plan: Plan) -> bool:
    try:
        Writer(path, ManualClock()).close()
    except JournalUnavailable as error:
        assert plan.struck == 1 and "cannot be used" in str(error)
        return True
    assert not plan.struck
    return False
