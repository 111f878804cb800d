"""Agents with children, judged: what is wrong in a child is wrong, and the child is named. Without processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tape.core.clock import format_us
from tape.core.journal import runs
from tape.core.journal.dump import EffectView, RunDump
from tape.core.journal.views import open_reader
from tape.core.kernel.identity import undo_key
from tape.lab.convict import about_good, causes
from tape.lab.family import Family, Kinship, read_family
from tape.lab.good import Good, good_of
from tape.lab.outcome import Outcome
from tape.lab.upstream_ledger import Act
from tests.journal.book import IDEMPOTENT, Book

CHILD: Kinship = (0,)
ENDED = {"outcome": "TERMINAL", "result": "paid", "error": None}


@pytest.fixture
def family(tmp_path: Path) -> Family:
    """A parent that has acted, and its child that has."""
    book = Book(tmp_path / "tape" / "dev.db")
    parent, epoch = book.driven()
    book.clock.advance(1)
    book.end(parent, epoch, book.begin(parent, epoch, IDEMPOTENT))
    child = book.child(parent)
    inner = book.grant(child)
    book.clock.advance(1)
    book.end(child, inner, book.begin(child, inner, IDEMPOTENT))
    book.do(runs.end_run, child, inner, **ENDED)
    with open_reader(book.path) as reader:
        found = read_family(reader, parent)
    book.close()
    return found


def effect_of(family: Family, kinship: Kinship = CHILD) -> EffectView:
    return family[kinship].effects[0]


def act(effect: EffectView, number: int = 1, key: str | None = None) -> Act:
    """One act of an effect, under its key unless told otherwise."""
    sent = effect.key if key is None else key or None
    return Act(f"p-{effect.key}-{number}", "payments", sent, None, None, {}, format_us(effect.begun_us))


def outcome(family: Family, *acts: Act, **told: Any) -> Outcome:
    dump = family[()]
    nothing: Mapping[str, Any] = dict.fromkeys(
        ("entries", "contract", "surplus", "missing", "findings", "passes", "unreached", "unplaced", "as_person"), ()
    )
    rest = {"absents": (), "late": "", "orphans": (), "said": (), "seconds": 1.0, "folder": Path()}
    return Outcome(run_id=dump.run.id, family=family, acts={"bank": acts}, **(nothing | rest | told))


def good(family: Family) -> Good:
    one = outcome(family, act(effect_of(family, ())), act(effect_of(family)))
    return good_of(one, one)


def changed(family: Family, kinship: Kinship = CHILD, run: Mapping[str, Any] = {}, **effect: Any) -> Family:
    dump: RunDump = family[kinship]
    effects = [replace(dump.effects[0], **effect)]
    return {**family, kinship: replace(dump, effects=effects, run=replace(dump.run, **run))}


def sentences(outcome: Outcome, good: Good) -> list[str]:
    return [cause.sentence for cause in causes(outcome, good)]


def test_everybody_stands_at_a_place(family: Family) -> None:
    assert [*family] == [(), CHILD]
    assert good(family).runs[CHILD].tools["-/0/tool"].keyed


def test_a_second_act_of_a_child(family: Family) -> None:
    mine, theirs = act(effect_of(family, ())), act(effect_of(family))
    found = outcome(family, mine, theirs)
    assert sentences(found, good(family)) == []
    again = changed(family, attempts=2)
    (sentence,) = sentences(outcome(again, mine, theirs, act(effect_of(family), 2)), good(family))
    assert sentence.startswith("in a child run of agent: tool is declared idempotent and ran again with the same key")


def test_a_lost_act_of_a_child(family: Family) -> None:
    found = outcome(family, act(effect_of(family, ())))
    assert sentences(found, good(family)) == [
        "in a child run of agent: tool is CONFIRMED, but bank holds no act of it: the act is lost"
    ]


def test_acts_without_a_key_are_told_apart_over_the_whole_family(family: Family) -> None:
    """Each was open alone, so each has its own; two of the child's while it ran again are too many."""
    bare = [act(effect_of(family, kinship), key="") for kinship in family]
    one = outcome(family, *bare)
    keyless = good_of(one, one)
    assert [run.tools["-/0/tool"].times for run in keyless.runs.values()] == [1, 1]
    assert sentences(one, keyless) == []
    found = outcome(changed(family, attempts=2), *bare, act(effect_of(family), 2, key=""))
    (cause,) = {cause.same: cause for cause in causes(found, keyless)}.values()
    assert "in a child run of agent: tool is declared idempotent and ran again, but it sends no" in cause.sentence


def test_a_child_that_stays_stuck(family: Family) -> None:
    found = outcome(changed(family, run={"status": "STUCK"}), *(act(effect_of(family, kinship)) for kinship in family))
    assert sentences(found, good(family)) == ["in a child run of agent: the run stays STUCK after the kill: "]
    (cause,) = about_good(found)
    assert cause.sentence.startswith("in a child run of agent: the run is STUCK although nothing is killed")


def test_another_end_of_a_child(family: Family) -> None:
    acts = [act(effect_of(family, kinship)) for kinship in family]
    failed = outcome(changed(family, run={"status": "FAILED", "error": "E: no"}), *acts)
    assert sentences(failed, good(family)) == [
        "in a child run of agent: the run ends FAILED after the kill, TERMINAL without: E: no"
    ]
    assert sentences(outcome(changed(family, run={"status": "CANCELLED"}), *acts), good(family)) == []


def test_two_acts_in_one_effect_of_a_child(family: Family) -> None:
    acts = [act(effect_of(family, ())), act(effect_of(family)), act(effect_of(family), 2)]
    (cause,) = about_good(outcome(family, *acts))
    assert cause.sentence.startswith("in a child run of agent: tool acts 2 times in one effect")


def test_what_an_undo_does_in_its_own_name_is_no_second_act(family: Family) -> None:
    """It pays back where nothing can be taken back, under the key that it has for that."""
    paid, back = (act(effect_of(family), number) for number in (1, 2))
    back = replace(back, collection="refunds", key=undo_key(paid.key or "", 1))
    acts = [act(effect_of(family, ())), paid, back]
    assert about_good(outcome(family, *acts)) == ()
    assert good_of(outcome(family, *acts), None).runs[CHILD].tools["-/0/tool"].times == 1


def test_an_act_outside_of_every_tool(family: Family) -> None:
    """Children are no excuse: what they did is known."""
    acts = [act(effect_of(family, kinship)) for kinship in family]
    stray = replace(act(effect_of(family), 3, key=""), at="2000")
    assert about_good(outcome(family, *acts)) == ()
    (cause,) = about_good(outcome(family, *acts, stray))
    assert "bank holds acts that no tool has made (payments)" in cause.sentence
