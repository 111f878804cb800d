"""Identity is derived, never random: canonical JSON, fingerprints, keys, run ids."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tape.core.kernel import identity
from tape.core.kernel.errors import UsageError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def test_one_and_one_point_zero_and_true_are_three_values() -> None:
    texts = {identity.canonical_json(value) for value in (1, 1.0, True, "1", [1], None, 0, False, 0.0, -0.0)}
    assert len(texts) == 10
    assert len({identity.hash_json(value) for value in (1, 1.0, True)}) == 3


def test_the_order_of_keys_does_not_count_that_of_lists_does() -> None:
    assert identity.canonical_json({"b": 1, "a": {"d": 1, "c": 2}}) == '{"a":{"c":2,"d":1},"b":1}'
    assert identity.hash_json({"b": 1, "a": 2}) == identity.hash_json({"a": 2, "b": 1})
    assert identity.hash_json([1, 2]) != identity.hash_json([2, 1])


def test_unicode_is_kept_as_it_is() -> None:
    assert identity.canonical_json("é😀\u202e") == '"é😀\u202e"'
    assert identity.hash_json("é") != identity.hash_json("e\u0301"), "no normalisation: other code points, other text"
    assert identity.canonical_json("\x00\x1f") == '"\\u0000\\u001f"'
    assert identity.canonical_json({"ключ": 1}) == '{"ключ":1}'


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (math.nan, "not JSON"),
        (math.inf, "not JSON"),
        ({"a": [1, -math.inf]}, r"\$\.a\[1\]: -inf is not JSON"),
        ("a\ud800", "lone surrogate at character 1"),
        ({"\udfff": 1}, "lone surrogate"),
        (2**63, "beyond 64 bits"),
        (-(2**63) - 1, "beyond 64 bits"),
        ({1: "one"}, "the key 1 is not a string"),
        ({None: 1}, "not a string"),
        ((1, 2), "tuple is not JSON"),
        ({1, 2}, "set is not JSON"),
        (b"bytes", "bytes is not JSON"),
        (object(), "object is not JSON"),
    ],
)
def test_what_json_cannot_hold_is_named_with_its_path(value: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        identity.canonical_json(value)


def test_64_bits_fit() -> None:
    assert identity.canonical_json([2**63 - 1, -(2**63)]) == "[9223372036854775807,-9223372036854775808]"


def test_depth_has_a_limit_and_no_recursion_error() -> None:
    identity.canonical_json(nested(200))
    with pytest.raises(UsageError, match="deeper than 200"):
        identity.canonical_json(nested(201))
    with pytest.raises(UsageError, match="deeper than 200"):
        identity.canonical_json(nested(100_000))


@given(VALUES)
def test_the_canonical_text_reads_back_as_the_same_value(value: object) -> None:
    text = identity.canonical_json(value)
    again = json.loads(text)
    assert again == value
    assert identity.canonical_json(again) == text


@given(VALUES, VALUES)
def test_equal_texts_mean_equal_values(one: object, other: object) -> None:
    if identity.canonical_json(one) == identity.canonical_json(other):
        assert one == other


def test_fingerprints_tell_kind_name_and_request_apart() -> None:
    prints = {
        identity.fingerprint("decision", "ask", {"q": 1}),
        identity.fingerprint("tool", "ask", {"q": 1}),
        identity.fingerprint("decision", "ask2", {"q": 1}),
        identity.fingerprint("decision", "ask", {"q": 1.0}),
    }
    assert len(prints) == 4
    assert all(len(text) == 32 and set(text) <= set("0123456789abcdef") for text in prints)
    assert identity.fingerprint("decision", "ask", {"q": 1}) in prints


def test_effect_keys_are_the_path_of_the_call() -> None:
    assert identity.effect_key("r-1", 2, 0, "wire_money") == "r-1/2/0/wire_money"
    assert identity.effect_key("r-1", None, 3, "wire_money") == "r-1/-/3/wire_money"
    assert identity.undo_key("r-1/2/0/wire_money", 1) == "r-1/2/0/wire_money/undo/1"


@given(
    st.lists(st.integers(identity.RUN_ID_EPOCH_MS, identity.RUN_ID_EPOCH_MS + (1 << 40) - 1), min_size=2, max_size=5),
    st.integers(0, 2**20 - 1),
)
def test_run_ids_sort_by_time_and_are_14_characters(times: list[int], bits: int) -> None:
    ids = [identity.run_id(at_ms, bits) for at_ms in times]
    assert [identity.run_id(at_ms, bits) for at_ms in sorted(times)] == sorted(ids)
    for run_id in ids:
        assert len(run_id) == 14 and run_id.startswith("r-")
        assert run_id == run_id.lower() and run_id[2:].isalnum()


def test_run_ids_of_one_millisecond_differ_by_their_bits() -> None:
    assert len({identity.run_id(1_800_000_000_000, bits) for bits in range(1000)}) == 1000


def test_the_chain_depends_on_every_link() -> None:
    first = identity.chain_hash(b"", identity.chained_text(1, "run_started", 0, 5, "{}"))
    assert len(first) == 32
    others = [
        identity.chained_text(2, "run_started", 0, 5, "{}"),
        identity.chained_text(None, "run_started", 0, 5, "{}"),
        identity.chained_text(1, "run_ended", 0, 5, "{}"),
        identity.chained_text(1, "run_started", 1, 5, "{}"),
        identity.chained_text(1, "run_started", 0, 6, "{}"),
        identity.chained_text(1, "run_started", 0, 5, "{ }"),
    ]
    assert len({first, *(identity.chain_hash(b"", text) for text in others)}) == 7
    text = identity.chained_text(2, "decision", 1, 6, "{}")
    assert identity.chain_hash(first, text) != identity.chain_hash(b"", text)
