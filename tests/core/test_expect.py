"""What is expected of a death, over every point, death and kind of tool."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tape.core.expect import LIMIT, ToolFacts, expect, outcome
from tape.core.kernel.errors import UsageError
from tape.core.kernel.points import BY_NAME, POINTS, Stage, find_point
from tape.core.kernel.resolution import RULES, Dispatch, OnUnknown, Rule, Semantics, Step
from tests.core.test_render import HOSTILE, is_harmless

PLACES = (*(point.name for point in POINTS), "at:mine")
DEATHS = ("KILL", "TERM", "STOP", "LOST")
LOSES_BODY = {
    "effect.begun": (False,),
    "effect.acted": (True,),
    "dispatch.started": (False,),
    "dispatch.acted": (True,),
}
BANK = ToolFacts("wire_money", look_up=True, authoritative=True, upstream="the bank")


def tools() -> Iterator[ToolFacts]:
    flags = (False, True)
    undo = ("", *Semantics)
    for semantics, look_up, sure, dispatch, unknown, can_undo, undo_semantics, undo_look_up in product(
        Semantics, flags, flags, Dispatch, OnUnknown, flags, undo, flags
    ):
        yield ToolFacts(
            "a_tool_with_a_longish_name", semantics, look_up, sure, dispatch, unknown, can_undo,
            "the accounts department", undo_semantics, undo_look_up,
        )  # fmt: skip


def lost_body(point: str, death: str, tool: ToolFacts) -> tuple[Rule, ...]:
    """The rows that the table may come to if a body or an undo is lost by this; none if nothing is."""
    hook = point in BY_NAME and BY_NAME[point].stage is Stage.HOOK
    if point == "at:mine":
        return () if death == "TERM" else tuple(outcome(tool.case(), acted) for acted in (True, False))
    if not hook and death in ("TERM", "LOST"):
        return ()
    if point == "compensate.acted":
        return (outcome(tool.undo_case(), True),) if tool.compensable and tool.undo_semantics else ()
    if hook != (tool.dispatch == Dispatch.OUTBOX):
        return ()
    return tuple(outcome(tool.case(), acted) for acted in LOSES_BODY.get(point, ()))


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("point", PLACES)
def test_every_sentence_says_what_the_table_says(point: str, death: str) -> None:
    for tool in tools():
        said = expect(point, death, tool)
        rows = lost_body(point, death, tool)
        steps = {rule.step for rule in rows}
        assert said and len(said) <= LIMIT, (tool, said)
        assert said == said.strip() and is_harmless(said)
        assert ("a person must decide" in said) == (Step.PERSON in steps), (tool, said)
        assert ("confirm" in said) == (Step.CONFIRM in steps and point != "compensate.acted"), (tool, said)
        assert ("it is undone, happened or not" in said) == (Step.COMPENSATE in steps), (tool, said)
        if Step.AGAIN in steps and point != "compensate.acted":
            assert "body runs" in said or "outbox runs" in said, (tool, said)
        assert "exactly" not in said


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("point", PLACES)
def test_without_a_tool_there_is_a_sentence_too(point: str, death: str) -> None:
    said = expect(point, death, None)
    assert 0 < len(said) <= LIMIT and "a person must decide" not in said


def test_every_final_row_is_reached() -> None:
    """No row of the table that can end an effect is without its words."""
    reached = {outcome(tool.case(), acted).row for tool in tools() for acted in (True, False)}
    asked = {"I-ask", "N-ask-look-up", "N-settling", "I-unclear", "X-duplicate"}
    assert reached == {rule.row for rule in RULES} - asked


ACTED = "the bank has acted, the answer died: "
BEGUN = "the intent is on the tape, the body not entered: "
PERSON = "so a person must decide"
WORDS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    (
        "effect.acted",
        "KILL",
        {},
        f"{ACTED}the reconciler asks it by key and confirms; the body does not run again",
    ),
    ("effect.acted", "KILL", {"look_up": False}, f"{ACTED}nobody can be asked about it, {PERSON}"),
    (
        "effect.begun",
        "KILL",
        {"authoritative": False},
        f"{BEGUN}a look-up that finds nothing proves nothing, {PERSON}",
    ),
    (
        "effect.begun",
        "STOP",
        {"semantics": "read_only"},
        f"frozen, its lease runs out: {BEGUN}it only reads, so the body runs; once thawed it is refused",
    ),
    (
        "effect.begun",
        "KILL",
        {"dispatch": "outbox"},
        "the intent is queued: the outbox runs the body, whatever becomes of the agent",
    ),
    ("dispatch.acted", "KILL", {}, "wire_money does not pass here: its body runs in the agent, not in the outbox"),
    (
        "decision.replied",
        "KILL",
        {},
        "the model has answered and billed, the reply died: it is asked, and paid, once more",
    ),
    (
        "run.ended",
        "STOP",
        {},
        "frozen after its lease was given back: the end is on the tape: there is nothing left to take up",
    ),
)


@pytest.mark.parametrize(("point", "death", "named", "said"), WORDS, ids=[f"{row[0]}-{row[1]}" for row in WORDS])
def test_some_word_by_word(point: str, death: str, named: dict[str, Any], said: str) -> None:
    declared = {"name": "wire_money", "look_up": True, "authoritative": True, "upstream": "the bank", **named}
    assert expect(point, death, ToolFacts.from_mapping(declared)) == said


@pytest.mark.parametrize("point", [point.name for point in POINTS if point.stage is Stage.HOOK])
def test_at_a_hook_every_death_is_a_kill(point: str) -> None:
    for tool in (BANK, None):
        assert len({expect(point, death, tool) for death in DEATHS}) == 1


def test_at_an_own_point_only_a_drain_is_no_kill() -> None:
    kill, term, stop, lost = (expect("at:mine", death, BANK) for death in DEATHS)
    assert kill == stop == lost != term


@pytest.mark.parametrize("death", ["HOLD", "SOMETHING"])
def test_what_is_no_death_harms_nothing(death: str) -> None:
    said = {
        expect(point, death, tool) for point in PLACES if find_point(point).stage is not Stage.HOOK for tool in tools()
    }
    assert said == {"the agent waits here until it is let go on: nothing dies, and nothing is lost"}


def test_wrong_words_are_refused() -> None:
    with pytest.raises(UsageError, match=r"effect\.acted"):
        expect("effect.actde", "KILL", None)
    with pytest.raises(ValueError, match="mostly"):
        ToolFacts.from_mapping({"name": "t", "semantics": "mostly"})


def test_an_undeclared_tool_is_the_most_careful_one() -> None:
    assert ToolFacts.from_mapping({}) == ToolFacts("the tool")
    assert ToolFacts("the tool").semantics == Semantics.NON_IDEMPOTENT and not ToolFacts("the tool").look_up


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names_are_shown_as_what_they_are(text: str) -> None:
    for point, death in product(PLACES, DEATHS):
        for dispatch in Dispatch:
            tool = ToolFacts(text, dispatch=dispatch, upstream=text)
            said = expect(point, death, tool)
            assert is_harmless(said) and len(said) <= LIMIT
