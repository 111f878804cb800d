"""Contract.md section 4 as plain code, written apart from the table that it judges."""

from __future__ import annotations


def contract(
    *,
    semantics: str,
    look_up: bool,
    answer: str = "none",
    authoritative: bool = False,
    settled: bool = False,
    body_over: bool = True,
    key_expired: bool = False,
    asks_left: bool = True,
    on_unknown: str = "ask",
) -> tuple[str, str]:
    """Row and step as the contract's table has them; not asked yet and settling, in its prose, have names here."""
    kind = semantics
    if kind == "idempotent" and key_expired:
        kind = "non_idempotent"  # "whose key_lifetime has run out ... is treated as non_idempotent"

    if kind == "read_only":
        return "R-again", "again"

    if not look_up:
        if kind == "idempotent":
            return "I-again", "again"
        if on_unknown == "compensate":  # an undo must hold if the act never happened, not if it is still to come
            return "N-undo", "compensate" if body_over else "person"
        return "N-ask", "person"

    if answer == "duplicate":
        return "X-duplicate", "confirm_first"
    letter = "I" if kind == "idempotent" else "N"
    if answer == "present":
        return f"{letter}-present", "confirm"
    if answer == "none":
        return ("I-ask" if letter == "I" else "N-ask-look-up"), "ask"

    if letter == "I":
        if answer == "absent":
            return "I-absent", "again"
        return "I-unclear", "ask_later" if asks_left else "again"

    certain_absence = answer == "absent" and authoritative and body_over
    if certain_absence:
        return ("N-absent", "again") if settled else ("N-settling", "ask_later")
    return "N-unclear", "ask_later" if asks_left else "person"
