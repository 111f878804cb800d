"""Where hidden values stood: pointers, labels, hashes; a damaged record is shown as far as it goes."""

from __future__ import annotations

from typing import Any

import pytest

from tape.core.kernel.hidden import filled, label, pointer, visible
from tape.core.kernel.identity import hash_args, hash_json

HIDDEN = {"/token": {"secret": "API_TOKEN"}, "/rows/1/a~1b": {"redacted": "0123456789abcdef" * 2}}
ARGS = {"token": None, "rows": [1, {"a/b": None, "c": 2}], "n": 3}


def test_labels_stand_where_values_stood_and_the_record_stays_as_it_is() -> None:
    assert visible(ARGS, HIDDEN) == {
        "token": "‹secret API_TOKEN›",
        "rows": [1, {"a/b": "‹redacted 01234567›", "c": 2}],
        "n": 3,
    }
    assert ARGS == {"token": None, "rows": [1, {"a/b": None, "c": 2}], "n": 3}
    assert visible(ARGS, None) is ARGS


@pytest.mark.parametrize(
    ("path", "text"), [((), ""), (("a",), "/a"), (("a/b", 0, "~"), "/a~1b/0/~0"), (("",), "/"), (("~1",), "/~01")]
)
def test_pointers(path: tuple[str | int, ...], text: str) -> None:
    assert pointer(path) == text
    value: Any = "here"
    for part in reversed(path):
        value = {part: value} if isinstance(part, str) else [value]
    gone = filled(value, {text: {"secret": "X"}}, lambda marker: marker)
    for part in path:
        gone = gone[part]
    assert gone == {"secret": "X"}


@pytest.mark.parametrize(
    "hidden",
    [{"/none": {}}, {"/rows/9": {}}, {"/rows/x": {}}, {"/n/deeper": {}}, {"/rows/-1": {}}, ["/token"], "text", 7],
)
def test_a_place_that_is_not_there_is_passed_over(hidden: Any) -> None:
    assert visible(ARGS, hidden) == ARGS


def test_a_damaged_marker_has_a_label_too() -> None:
    assert label(None) == label({}) == label("x") == "‹redacted ?›"
    assert label({"redacted": 5}) == "‹redacted 5›"


def test_hashes_tell_what_is_hidden_apart() -> None:
    other = {**HIDDEN, "/token": {"secret": "OTHER"}}
    assert hash_args(ARGS) == hash_args(ARGS, None) == hash_args(ARGS, {}) == hash_json(ARGS)
    assert len({hash_args(ARGS), hash_args(ARGS, HIDDEN), hash_args(ARGS, other)}) == 3
