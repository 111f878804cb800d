"""A cap holds only if what is held back is what an ask costs at most: `tape prove` says where it is not."""

from __future__ import annotations

import pytest

from tests.prove.conftest import Prove, assert_acquitted, sentences

pytestmark = pytest.mark.slow


def test_a_mark_that_says_too_little(prove: Prove) -> None:
    proofs = prove("spending", "honest", "boastful")
    assert_acquitted(proofs["honest"])
    assert not proofs["boastful"]["holds"]
    assert sentences(proofs["boastful"]) == {
        (
            "budget-overrun",
            "chatty",
        ): "chatty cost 210 tokens where its mark @tape.model holds back 100 tokens: a run passes its cap that way; "
        "set max_tokens= to what one ask costs at most"
    }


def test_somebody_raises_each_cap_that_is_waited_for(prove: Prove) -> None:
    """Killed before, while and after it waits, at every boundary; whoever is killed, the run comes to the same."""
    proof = prove("spending", "patient")["patient"]
    assert_acquitted(proof)
    points = {result["label"].split()[0] for result in proof["results"]}
    assert any("budget.awaited" in result["label"] for result in proof["results"]), points
