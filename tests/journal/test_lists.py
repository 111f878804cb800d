"""Lists over all runs: what they show, and that a page of them costs the same in a small journal and in a big one."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterator

import pytest

from tape.core.journal import backlog, claims, effect_lists, lists, needs, obligations, records, runs
from tape.core.journal.dialect import create_statements
from tape.core.journal.shapes import Backlog, DutyFacts, KeyFacts, Queue
from tape.core.journal.tables import TABLES
from tape.core.journal.views import Reader, open_reader
from tape.core.kernel.policy import SECOND_US
from tape.core.kernel.resolution import Answer
from tape.core.run_filter import parse_filter
from tests.journal.big import START_US, Made, build
from tests.journal.book import CLAIM_US, LOOK_UP, OUTBOX, TTL_US, UNDOABLE, Book

SMALL, BIG, OPEN_EVERY = 400, 4_000, 20
NOW_US = START_US + BIG * 1_000_000


@pytest.fixture
def reader(book: Book) -> Iterator[Reader]:
    with open_reader(book.path) as opened:
        yield opened


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    path = tmp_path_factory.mktemp("big") / "dev.db"
    build(path, BIG, OPEN_EVERY)
    with open_reader(path) as opened:
        yield opened


MADE = [Made(no, OPEN_EVERY) for no in range(1, BIG + 1)]


# --- runs by number ---------------------------------------------------------------------------------------------


def test_the_numbers_of_all_runs(big: Reader) -> None:
    assert big.run_numbers() == array("q", range(1, BIG + 1))
    assert big.run_numbers(after_no=BIG - 2) == array("q", [BIG - 1, BIG])
    assert big.run_numbers(after_no=10, until_no=12) == array("q", [11, 12])
    assert big.run_numbers(after_no=BIG) == array("q")


def test_numbers_with_a_gap(book: Book, reader: Reader) -> None:
    for _ in range(4):
        book.start()
    book.writer.connection.execute("DELETE FROM entry WHERE run_no = 2")
    book.writer.connection.execute("DELETE FROM budget WHERE run_no = 2")
    book.writer.connection.execute("DELETE FROM run WHERE no = 2")
    assert [*reader.run_numbers()] == [1, 3, 4]
    assert [*reader.run_numbers(after_no=1)] == [3, 4]
    assert [run.no for run in reader.runs_by_no([4, 2, 1])] == [4, 1]


FILTERS: dict[str, Callable[[Made], bool]] = {
    "state:stuck": lambda run: run.status == "STUCK",
    "state:ended": lambda run: not run.open,
    "state:open": lambda run: run.open,
    "state:failed state:waiting": lambda run: run.status in ("FAILED", "WAITING"),
    "agent:TRAV": lambda run: run.no % 3 == 0,
    "agent:trav agent:treas": lambda run: True,
    "effect:unknown": lambda run: run.status in ("WAITING", "STUCK", "RUNNABLE"),
    "effect:confirmed": lambda run: not run.open,
    "effect:pending effect:confirmed": lambda run: not run.open or run.status == "RUNNING",
    "effect:wire_money": lambda run: run.tool == "wire_money",
    "effect:wire_money effect:unknown": lambda run: (
        run.tool == "wire_money" and run.status in ("WAITING", "STUCK", "RUNNABLE")
    ),
    "effect:nothing": lambda run: False,
    "No SUCH": lambda run: run.status == "FAILED",
    "000123": lambda run: "000123" in run.id,
    "state:waiting mail": lambda run: run.status == "WAITING" and run.tool == "send_mail",
    "since:1m": lambda run: run.at_us + 500_000 >= NOW_US - 60_000_000,
    "agent:travel state:stuck since:30m": lambda run: (
        run.no % 3 == 0 and run.status == "STUCK" and run.at_us + 500_000 >= NOW_US - 1_800_000_000
    ),
}


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_says_the_same_by_the_journal_and_by_the_run(big: Reader, text: str) -> None:
    wanted = parse_filter(text, NOW_US)
    expected = [run.no for run in MADE if FILTERS[text](run)]
    assert [*big.run_numbers(wanted)] == expected
    assert [*big.run_numbers(wanted, after_no=2000, until_no=3000)] == [no for no in expected if 2000 < no <= 3000]
    for run in big.runs_by_no(range(1, BIG + 1)):
        by_view = wanted.matches(run)
        if by_view is not None:
            assert by_view is FILTERS[text](MADE[run.no - 1])


def test_a_page_comes_in_the_order_it_was_asked_for(big: Reader) -> None:
    asked = [7, BIG, 3, BIG + 1, 0, 40]
    assert [run.no for run in big.runs_by_no(asked)] == [7, BIG, 3, 40]
    assert big.runs_by_no([3]) == big.runs(run_id=MADE[2].id)
    assert big.runs_by_no([]) == []


def test_runs_are_counted_by_state(big: Reader) -> None:
    counts = big.status_counts()
    assert {status: count for status, count in counts.items() if count} == {
        status: sum(run.status == status for run in MADE) for status in {run.status for run in MADE}
    }
    assert counts["COMPENSATING"] == 0
    assert sum(counts.values()) == BIG == big.counts().total == big.last_no()


def test_an_empty_journal_has_empty_lists(book: Book, reader: Reader) -> None:
    assert reader.run_numbers() == array("q")
    assert set(reader.status_counts().values()) == {0}
    assert reader.open_effects(5) == reader.recent_effects(5) == reader.live_leases() == reader.needs() == []
    assert reader.last_no() == 0
    nothing = Queue(0, 0, None)
    assert reader.backlog() == Backlog(nothing, nothing, nothing, nothing, nothing)


# --- effects ----------------------------------------------------------------------------------------------------


def test_open_effects_of_all_runs_newest_first(book: Book, reader: Reader) -> None:
    one, epoch = book.driven()
    ended = book.begin(one, epoch, LOOK_UP)
    book.end(one, epoch, ended)
    pending = book.begin(one, epoch, LOOK_UP, 1)
    begun_us = book.clock.wall
    book.clock.advance(5)
    other, epoch = book.driven()
    unknown = book.begin(other, epoch, LOOK_UP)
    book.die(other)
    found = reader.open_effects(10)
    assert [(effect.key, effect.status, effect.step) for effect in found] == [
        (unknown, "UNKNOWN", "ask"),
        (pending, "PENDING", ""),
    ]
    assert (found[1].run_id, found[1].tool, found[1].attempts, found[1].begun_us, found[1].ended_us) == (
        *(one, "tool", 1, begun_us),
        None,
    )
    assert reader.open_effects(1) == found[:1]


def test_recent_effects_are_those_that_moved_last(book: Book, reader: Reader) -> None:
    one, epoch = book.driven()
    first = book.begin(one, epoch, LOOK_UP)
    second = book.begin(one, epoch, LOOK_UP, 1)
    assert [effect.key for effect in reader.recent_effects(9)] == [second, first]
    book.clock.advance(5)
    book.end(one, epoch, first)
    found = reader.recent_effects(9)
    assert [effect.key for effect in found] == [first, second]
    assert (found[0].status, found[0].resolution, found[0].writer) == ("CONFIRMED", "returned", "agent")
    assert found[0].ended_us == book.clock.wall == found[0].begun_us + 5 * SECOND_US
    assert reader.recent_effects(1) == found[:1]


def test_recent_effects_are_looked_for_further_back_if_there_are_few(
    book: Book, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, epoch = book.driven()
    key = book.begin(one, epoch, LOOK_UP)
    for _ in range(30):
        book.start()
    monkeypatch.setattr(effect_lists, "WALKS", (10, 20))
    assert reader.recent_effects(5) == []
    monkeypatch.setattr(effect_lists, "WALKS", (10, 100))
    assert [effect.key for effect in reader.recent_effects(5)] == [key]


def test_what_the_journal_says_about_keys(book: Book, reader: Reader) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, UNDOABLE)
    other = book.begin(run_id, epoch, UNDOABLE, 1)
    book.die(run_id)
    book.observe(run_id, key, Answer.DUPLICATE, [{"id": number} for number in range(12)])
    book.observe(run_id, other, Answer.PRESENT)
    book.undo(run_id, f"{key}/undo/12")
    armed = DutyFacts("ARMED", False, 0)
    expected = KeyFacts(
        *(key, "tool", "CONFIRMED", "observed"),
        (armed, *(DutyFacts("DUE", True, 0),) * 10, DutyFacts("DONE", True, 1)),
    )
    missing = f"{run_id}/7/0/tool"
    found = reader.key_facts([key, "r-000000000000/0/0/tool", "no key", missing, other])
    assert found == [
        expected,
        KeyFacts(missing, "", "", ""),
        KeyFacts(other, "tool", "CONFIRMED", "observed", (armed,)),
    ]
    assert reader.key_facts([]) == []
    assert reader.tool_facts(["tool"], 0, 1) == [expected, found[2]]
    assert reader.tool_facts(["tool"], 1, 9) == reader.tool_facts(["other"], 0, 9) == []


# --- backlog and leases -----------------------------------------------------------------------------------------


def test_what_waits_for_each_reactor(book: Book, reader: Reader) -> None:
    book.start()
    asked, epoch = book.driven()
    keys = [book.begin(asked, epoch, LOOK_UP, ordinal) for ordinal in range(2)]
    book.die(asked)
    claim = book.claim(asked, keys[0])
    sent, epoch = book.driven()
    dispatched = book.begin(sent, epoch, OUTBOX)
    owing, epoch = book.driven()
    duties = [book.begin(owing, epoch, UNDOABLE, ordinal) for ordinal in range(2)]
    for key in duties:
        book.end(owing, epoch, key)
    book.do(runs.end_run, owing, epoch, "FAILED", None, {"type": "Boom", "message": "no"})
    sleeping, epoch = book.driven()
    book.do(records.set_timer, sleeping, epoch, 0, 60.0, "f")
    found = reader.backlog()
    assert found.recovery == Queue(1, 0, 0)
    assert (found.reconciler.queued, found.reconciler.claimed) == (1, 1)
    assert found.outbox == Queue(1, 0, 0)
    assert found.timers == Queue(1, 0, book.clock.wall + 60 * SECOND_US)
    assert (found.compensation.queued, found.compensation.claimed) == (2, 0)

    book.claim(sent, dispatched, "body")
    book.do(obligations.claim_duty, owing, f"{duties[1]}/undo/1", "x", claim_us=CLAIM_US, worker_no=None)
    book.do(claims.record_observation, claim, Answer.UNCLEAR, [], "")
    found = reader.backlog()
    assert (found.outbox.queued, found.outbox.claimed, found.outbox.next_us) == (0, 1, None)
    assert (found.compensation.queued, found.compensation.claimed) == (1, 1)
    assert (found.reconciler.queued, found.reconciler.claimed) == (2, 0)
    assert found.reconciler.next_us == 0, "the other one is due now"


def test_a_back_off_says_when_it_is_over(book: Book, reader: Reader) -> None:
    run_id = book.start()
    for _ in range(3):
        book.again(run_id)
        book.die(run_id)
    assert reader.backlog().recovery == Queue(1, 0, book.run(run_id)["next_boot_us"])
    assert book.run(run_id)["next_boot_us"] > book.clock.boot


def test_live_leases(book: Book, reader: Reader) -> None:
    first, _ = book.driven()
    book.clock.advance(1)
    second, _ = book.driven()
    book.die(first)
    book.clock.advance(1)
    third = book.again(first)
    one, two = reader.live_leases()
    assert (one.run_id, one.worker, one.pid, one.host, one.epoch, one.drive) == (second, 2, 100, "here", 1, 1)
    assert one.lease_until_boot_us == one.granted_us - book.clock.wall + book.clock.boot + TTL_US
    assert (two.run_id, two.worker, two.epoch, two.drive, two.granted_us) == (first, 3, third, 2, book.clock.wall)


# --- what it costs ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema_only() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    for statement in create_statements(TABLES):
        connection.execute(statement)
    yield connection
    connection.close()


WALKS_OVER_RUNS = {"run_count", "end_counts", "run_span", "run_numbers"}
"""What is read once, at the start, or from a given number on."""


@pytest.mark.parametrize(
    "name", [name for room in (lists, effect_lists, backlog, needs) for name in room.SQL if name not in WALKS_OVER_RUNS]
)
def test_no_list_walks_over_a_whole_table(schema_only: sqlite3.Connection, name: str) -> None:
    texts = {**lists.SQL, **effect_lists.SQL, **backlog.SQL, **needs.SQL}
    values = dict.fromkeys(("run_id", "before_no", "after_no", "until_no", "numbers", "limit", "status"), 0)
    values |= dict.fromkeys(("floor", "key", "keys", "tools", "run_no"), 0)
    steps = [row[3] for row in schema_only.execute(f"EXPLAIN QUERY PLAN {texts[name]}", values)]
    for table in ("entry", "run", "effect", "obligation", "attempt", "lease", "timer", "begun", "ended"):
        walks = [step for step in steps if step.startswith(f"SCAN {table}")]
        partial = ("INDEX run_open", "INDEX lease_live", "INDEX timer_due", "INDEX effect_open")
        partial += ("INDEX obligation_open",)
        assert all(any(index in step for index in partial) for step in walks), steps


def work(reader: Reader, read: Callable[[], object]) -> int:
    """Hundreds of steps of SQLite's machine."""
    done = 0

    def count() -> int:
        nonlocal done
        done += 1
        return 0

    connection: sqlite3.Connection = reader._connection
    connection.set_progress_handler(count, 100)
    read()
    connection.set_progress_handler(None, 0)
    return done


PAGES: dict[str, Callable[[Reader], object]] = {
    "runs_by_no": lambda reader: reader.runs_by_no(range(1, 101)),
    "newer numbers": lambda reader: reader.run_numbers(after_no=reader.last_no() - 5),
    "numbers of stuck runs": lambda reader: reader.run_numbers(parse_filter("state:stuck", NOW_US)),
    "numbers by open effects": lambda reader: reader.run_numbers(parse_filter("effect:unknown", NOW_US)),
    "a slice by text": lambda reader: reader.run_numbers(parse_filter("no such", NOW_US), after_no=10, until_no=200),
    "open_effects": lambda reader: reader.open_effects(20),
    "recent_effects": lambda reader: reader.recent_effects(20),
    "backlog": lambda reader: reader.backlog(),
    "live_leases": lambda reader: reader.live_leases(),
    "needs": lambda reader: reader.needs(),
    "key_facts": lambda reader: reader.key_facts([run.key for run in MADE[:50]]),
    "tool_facts": lambda reader: reader.tool_facts(["wire_money"], 10, 100),
}


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Reader, Reader]]:
    """Two journals with the same number of open runs, the second with ten times as many in all."""
    folder = tmp_path_factory.mktemp("sizes")
    build(folder / "small.db", SMALL, OPEN_EVERY)
    build(folder / "big.db", BIG, OPEN_EVERY * BIG // SMALL)
    with open_reader(folder / "small.db") as small, open_reader(folder / "big.db") as large:
        yield small, large


@pytest.mark.parametrize("name", PAGES)
def test_a_page_costs_the_same_in_a_bigger_journal(sizes: tuple[Reader, Reader], name: str) -> None:
    small, large = (work(reader, lambda reader=reader: PAGES[name](reader)) for reader in sizes)
    assert large <= 1.5 * small + 5, f"{name}: {small} in the small one, {large} in the big one"


def test_work_is_counted_at_all(sizes: tuple[Reader, Reader]) -> None:
    small, large = (work(reader, reader.status_counts) for reader in sizes)
    assert large > 5 * small > 0
