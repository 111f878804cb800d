"""The filter of the list of runs: what may be typed, and what it lets through."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tape.core.journal.shapes import RunView
from tape.core.kernel.errors import UsageError
from tape.core.kernel.lifecycle import RUN_ENDS, EffectStatus, RunStatus
from tape.core.run_filter import RunFilter, fold, parse_filter
from tape.core.text import show

NOW_US = 1_800_000_000_000_000
MINUTE_US = 60_000_000
RUN = RunView(
    no=1,
    id="r-7f3a00000001",
    agent="Treasury",
    status="WAITING",
    decisions=2,
    effects=1,
    epoch=1,
    seq=6,
    drive=1,
    crashes=0,
    waiting_on="look-up of 1/0/wire_money",
    end_status=None,
    error="",
    cancel=False,
    created_us=NOW_US - 60 * MINUTE_US,
    updated_us=NOW_US - 5 * MINUTE_US,
    worker=None,
    conflicts=0,
)


def matches(text: str, run: RunView = RUN) -> bool | None:
    return parse_filter(text, NOW_US).matches(run)


@pytest.mark.parametrize("text", ["", "  ", '""', '"'])
def test_nothing_typed_lets_everything_through(text: str) -> None:
    assert parse_filter(text, NOW_US) == RunFilter()
    assert parse_filter(text, NOW_US).chips() == []
    assert matches(text) is True


def test_a_line_becomes_its_parts() -> None:
    found = parse_filter(
        'ACME "no such" state:st state:OPEN agent:Tre effect:Pending effect:wire_money since:2h', NOW_US
    )
    assert found == RunFilter(
        words=("acme", "no such"),
        states=("stuck", "open"),
        agents=("tre",),
        effect_statuses=(EffectStatus.PENDING,),
        tools=("wire_money",),
        since="2h",
        since_us=NOW_US - 120 * MINUTE_US,
    )
    assert found.chips() == [
        *("acme", '"no such"', "state:stuck", "state:open", "agent:tre"),
        *("effect:pending", "effect:wire_money", "since:2h"),
    ]
    assert parse_filter(" ".join(found.chips()), NOW_US) == found


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("state:stuck", {"STUCK"}),
        ("state:S", {"STUCK"}),
        ("state:t", {"TERMINAL"}),
        ("state:runnin", {"RUNNING"}),
        ("state:ended", set(RUN_ENDS)),
        ("state:en", set(RUN_ENDS)),
        ("state:open", set(RunStatus) - set(RUN_ENDS)),
        ("state:w state:f", {"WAITING", "FAILED"}),
    ],
)
def test_states_are_named_by_a_prefix(text: str, states: set[str]) -> None:
    found = parse_filter(text, NOW_US)
    assert found.statuses == states
    assert {status for status in RunStatus if found.matches(replace(RUN, status=status))} == states


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stat:stuck", "did you mean state?"),
        ("agnet:x", "did you mean agent?"),
        ("zzzzzz:x", "there are: state, agent, effect, since; put it in quotes"),
        ("state:stukc", "did you mean stuck?"),
        ("state:runn", "may be runnable or running; type one letter more"),
        ("state:", "write it as in state:stuck"),
        ("since:", "write it as in since:10m"),
        ("since:yesterday", "write 30s, 10m, 2h or 3d"),
        ("since:-5m", "write 30s, 10m, 2h or 3d"),
        ("since:9999999d", "write 30s, 10m, 2h or 3d"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_filter(f"acme {text}", NOW_US)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_quotes_search_for_what_looks_like_a_filter() -> None:
    found = parse_filter('"stat:x"', NOW_US)
    assert found.words == ("stat:x",)
    assert parse_filter(found.chips()[0], NOW_US) == found


@pytest.mark.parametrize("word", ["7F3a", "treas", "LOOK-UP", "wire_money", '"of 1/0"', "treas wire"])
def test_words_are_looked_for_in_what_the_list_shows(word: str) -> None:
    assert matches(word) is True
    assert matches(f"{word} nowhere") is False


def test_an_error_is_searched_too() -> None:
    assert matches("boom", replace(RUN, error="ValueError: Boom")) is True
    assert matches("boom") is False


def test_a_word_does_not_reach_over_two_columns() -> None:
    assert matches('"treasurylook"') is False


def test_since_means_that_something_happened() -> None:
    assert matches("since:6m") is True
    assert matches("since:4m") is False


def test_the_agent_is_named_by_a_part() -> None:
    assert matches("agent:REAS") is True
    assert matches("agent:travel") is False
    assert matches("agent:travel agent:treas") is True


def test_effects_are_for_the_journal_to_say() -> None:
    assert matches("effect:pending") is None
    assert matches("effect:wire_money") is None
    assert matches("effect:pending nowhere") is False
    assert matches("effect:wire_money", replace(RUN, effects=0)) is False
    ended = replace(RUN, status="TERMINAL")
    assert matches("effect:unknown", ended) is False, "no run ends with an open effect"
    assert matches("effect:confirmed", ended) is None
    assert matches("effect:unknown effect:failed", ended) is None


def test_chips_are_safe_to_show() -> None:
    assert parse_filter("\x1b[31mred", NOW_US).chips() == ["\\x1b[31mred"]
    with pytest.raises(UsageError) as caught:
        parse_filter("state:\x1b]0;x\x07", NOW_US)
    assert str(caught.value).isprintable()


@given(st.text(max_size=40) | st.text(alphabet='"state:gnfc x', max_size=20))
def test_any_line_is_a_filter_or_a_usage_error(text: str) -> None:
    try:
        found = parse_filter(text, NOW_US)
    except UsageError as error:
        assert "\n" not in str(error)
    else:
        assert found.matches(RUN) in (True, False, None)
        assert all(show(chip) == chip for chip in found.chips())


def test_half_a_character_is_no_word() -> None:
    assert parse_filter("a\ud800", NOW_US).words == ("a?",)


@given(st.text(alphabet="aZÄé kK\u212a", max_size=12))
def test_folding_is_the_journals(text: str) -> None:
    connection = sqlite3.connect(":memory:")
    assert connection.execute("SELECT lower(?)", (text,)).fetchone()[0] == fold(text)
    connection.close()
