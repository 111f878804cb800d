"""The first place at which two JSON values differ."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tape.core.first_difference import first_difference
from tape.core.kernel.identity import canonical_json

CASES: list[tuple[Any, Any, str]] = [
    (1, 1, ""),
    ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, ""),
    (1, 2, "1 against 2"),
    (1, True, "1 against true"),
    (None, "null", 'null against "null"'),
    ([1, 2], [1, 3], "[1]: 2 against 3"),
    ([1], [1, 2], "[1]: nothing against 2"),
    ({"a": 1}, {}, "a: 1 against nothing"),
    ({}, {"b": [1]}, "b: nothing against [1]"),
    ({"args": [[{"say": "a"}]]}, {"args": [[{"say": "b"}]]}, 'args[0][0].say: "a" against "b"'),
    ({"x": 1, "y": 1}, {"y": 2, "x": 2}, "x: 1 against 2"),
    ("x" * 99 + "a", "x" * 99 + "b", f'"…{"x" * 16}a" against "…{"x" * 16}b"'),
    ("x" * 99, "x" * 100, f'"…{"x" * 16}" against "…{"x" * 16}x"'),
    ("a" * 99, "b", f'"{"a" * 60}…" against "b"'),
    ([[]], [{}], "[0]: [] against {}"),
    ("a\nb", "a\nc", '"a\\nb" against "a\\nc"'),
]


@pytest.mark.parametrize(("one", "other", "said"), CASES, ids=range(len(CASES)))
def test_what_is_said(one: Any, other: Any, said: str) -> None:
    assert first_difference(one, other) == said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=99),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON)
def test_something_is_said_exactly_where_they_are_not_the_same(one: Any, other: Any) -> None:
    said = first_difference(one, other)
    assert bool(said) == (canonical_json(one) != canonical_json(other))
    assert first_difference(one, one) == ""
