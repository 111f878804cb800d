"""An agent's input type as a form: schema to fields, answers to a JSON value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from tape.core.sdk.values import schema_of
from tape.tui.screens.form import WHOLE, Form, Kind, form_of


class Currency(Enum):
    EUR = "EUR"
    USD = "USD"


class Account(BaseModel):
    iban: str


class Invoice(BaseModel):
    to: str = Field(description="who is paid")
    amount_minor: int = Field(ge=1, le=10_000)
    currency: Currency
    urgent: bool
    account: Account
    rate: float = 1.5
    note: str | None = None
    limit: int | None
    mode: Literal["fast", "slow"] = "fast"
    lines: list[str] = []


class Node(BaseModel):
    name: str
    next: Node | None = None


@dataclass
class Plain:
    invoice: int
    note: str = ""


FULL = {
    "to": "ACME",
    "amount_minor": 12,
    "currency": "EUR",
    "urgent": False,
    "account": {"iban": "DE1"},
    "rate": 0.5,
    "note": "soon",
    "limit": 7,
    "mode": "slow",
    "lines": ["a", "b"],
}


def form(annotation: Any) -> Form:
    return form_of(schema_of(annotation))


def kinds(made: Form) -> dict[str, tuple[Kind, bool]]:
    return {field.name: (field.kind, field.required) for field in made.fields}


def test_a_plain_type_is_one_field() -> None:
    assert kinds(form(str)) == {WHOLE: (Kind.TEXT, True)}
    assert kinds(form(int)) == {WHOLE: (Kind.INTEGER, True)}
    assert kinds(form(list[str])) == {WHOLE: (Kind.JSON, True)}
    assert kinds(form(dict[str, Any])) == {WHOLE: (Kind.JSON, True)}
    assert form(str).fill({WHOLE: "pay invoice 7"}).value == "pay invoice 7"


def test_an_object_has_a_field_per_property() -> None:
    made = form(Invoice)
    assert kinds(made) == {
        "to": (Kind.TEXT, True),
        "amount_minor": (Kind.INTEGER, True),
        "currency": (Kind.CHOICE, True),
        "urgent": (Kind.CHOICE, True),
        "account": (Kind.JSON, True),
        "rate": (Kind.NUMBER, False),
        "note": (Kind.TEXT, False),
        "limit": (Kind.INTEGER, True),
        "mode": (Kind.CHOICE, False),
        "lines": (Kind.JSON, False),
    }
    by_name = {field.name: field for field in made.fields}
    assert by_name["currency"].options == ('"EUR"', '"USD"')
    assert by_name["urgent"].options == ("true", "false")
    assert by_name["to"].hint == "who is paid"
    assert by_name["rate"].hint == "a number, else 1.5"
    assert by_name["limit"].nullable and by_name["note"].nullable


def test_references_are_followed_and_a_type_that_refers_to_itself_is_json() -> None:
    assert kinds(form(Node)) == {"name": (Kind.TEXT, True), "next": (Kind.JSON, False)}
    assert kinds(form(Plain)) == {"invoice": (Kind.INTEGER, True), "note": (Kind.TEXT, False)}
    looped = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert kinds(form_of(looped)) == {WHOLE: (Kind.JSON, False)}


def test_a_required_field_that_may_be_null_is_null_when_empty() -> None:
    assert form(str | None).fill({WHOLE: ""}).value is None
    filled = form(Invoice).fill(form(Invoice).answers({**FULL, "limit": None}))
    assert filled.value["limit"] is None


def test_what_is_left_empty_and_optional_is_left_out() -> None:
    answers = {name: "" for name in FULL}
    answers |= {"to": "A", "amount_minor": "1", "currency": '"USD"', "urgent": "true", "account": "{}"}
    assert form(Invoice).fill(answers).value == {
        "to": "A", "amount_minor": 1, "currency": "USD", "urgent": True, "account": {}, "limit": None,
    }  # fmt: skip


def test_null_can_be_written_where_it_is_not_the_default() -> None:
    made = form_of(
        {"type": "object", "properties": {"n": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 5}}}
    )
    assert made.fill({"n": "null"}).value == {"n": None}
    assert made.answers({"n": None}) == {"n": "null"}


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("to", "", "needed: text"),
        ("amount_minor", "", "needed: a whole number"),
        ("amount_minor", "1.5", "not a whole number"),
        ("amount_minor", "१२", "not a whole number"),
        ("amount_minor", "1_000", "not a whole number"),
        ("amount_minor", "0", "at least 1"),
        ("amount_minor", "10001", "at most 10000"),
        ("currency", "", "choose one of them"),
        ("currency", '"GBP"', "choose one of them"),
        ("urgent", "", "choose one of them"),
        ("rate", "fast", "not a number"),
        ("rate", "nan", "not a number that JSON knows"),
        ("rate", "1e999", "not a number that JSON knows"),
        ("limit", "99999999999999999999", "beyond 64 bits"),
        ("account", "{iban: 1}", "not JSON at character 2"),
        ("account", "NaN", "NaN is not JSON"),
        ("account", "[" * 100_000, "nested too deep"),
        ("to", "a\ud800", "lone surrogate"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_in_one_line(name: str, answer: str, says: str) -> None:
    answers = form(Invoice).answers(FULL)
    filled = form(Invoice).fill({**answers, name: answer})
    assert set(filled.wrong) == {name}
    assert says in filled.wrong[name]
    assert "\n" not in filled.wrong[name]
    assert form(Invoice).fill(answers).wrong == {}


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert set(form(Invoice).fill({}).wrong) == {"to", "amount_minor", "currency", "urgent", "account"}


def test_an_input_over_a_mebibyte_is_refused() -> None:
    assert "over 1 MiB" in form(str).fill({WHOLE: "x" * 1_100_000}).wrong[WHOLE]
    assert "over 1 MiB" in form(list[str]).fill({WHOLE: '"' + "x" * 1_100_000 + '"'}).wrong[WHOLE]


def test_an_unknown_type_takes_any_json_and_empty_is_null() -> None:
    made = form_of({})
    assert kinds(made) == {WHOLE: (Kind.JSON, False)}
    assert made.fill({WHOLE: ""}).value is None
    assert made.fill({WHOLE: '{"a": [1]}'}).value == {"a": [1]}
    assert "a text needs quotes" in made.fill({WHOLE: "pay invoice 7"}).wrong[WHOLE]


@pytest.mark.parametrize(
    "schema",
    [
        None, 7, [], "string", {"type": 3}, {"type": ["string", "integer"]}, {"anyOf": []}, {"anyOf": 3},
        {"$ref": 3}, {"$ref": "#/nowhere"}, {"$ref": "http://elsewhere/x"}, {"type": "object", "properties": [1]},
        {"type": "object", "properties": {}}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"enum": 3},
        {"type": "object", "properties": {f"p{at}": {} for at in range(500)}},
    ],
)  # fmt: skip
def test_a_damaged_or_unknown_schema_takes_any_json(schema: Any) -> None:
    made = form_of(schema)
    assert [field.kind for field in made.fields] == [Kind.JSON]
    assert made.fill({WHOLE: "[1]"}).value == [1]


def test_a_damaged_property_takes_any_json() -> None:
    schema = {"type": "object", "properties": {"a": 3, "b": {"minimum": "x", "type": "integer", "maximum": 10**400}}}
    made = form_of(schema)
    assert [field.kind for field in made.fields] == [Kind.JSON, Kind.INTEGER]
    assert made.fill({"a": "[]", "b": "5"}).value == {"a": [], "b": 5}


def test_the_only_possible_answer_is_given_already() -> None:
    made = form_of({"type": "object", "properties": {"kind": {"const": "wire"}}, "required": ["kind"]})
    assert made.fill(made.answers()).value == {"kind": "wire"}


def test_what_no_longer_fits_is_left_empty() -> None:
    assert form(int).answers("seven") == {WHOLE: ""}
    assert form(int).answers(True) == {WHOLE: ""}
    assert form(Plain).answers([1]) == {"invoice": "", "note": ""}
    assert form(Currency).answers("GBP") == {WHOLE: ""}


def test_hints_are_safe_to_print() -> None:
    schema = {"type": "string", "description": "\x1b[2Jwho\nis \u202epaid" + "x" * 1_000_000}
    hint = form_of(schema).fields[0].hint
    assert hint.isprintable() and "\\x1b" in hint and len(hint) <= 100


def test_json_answers_hide_nothing() -> None:
    answer = form_of({}).answers({"a": "\u202e\x1b[2J"})[WHOLE]
    assert answer.isprintable() and json.loads(answer) == {"a": "\u202e\x1b[2J"}


VALUES = st.fixed_dictionaries(
    {
        "to": st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        "amount_minor": st.integers(1, 10_000),
        "currency": st.sampled_from(["EUR", "USD"]),
        "urgent": st.booleans(),
        "account": st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-9, 9)),
        "limit": st.none() | st.integers(-(2**63), 2**63 - 1),
    },
    optional={
        "rate": st.floats(allow_nan=False, allow_infinity=False),
        "note": st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        "mode": st.sampled_from(["fast", "slow"]),
        "lines": st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
    },
)


@given(VALUES)
def test_a_remembered_value_fills_the_form_and_comes_back(value: dict[str, Any]) -> None:
    made = form(Invoice)
    filled = made.fill(made.answers(value))
    assert (filled.value, dict(filled.wrong)) == (value, {})
