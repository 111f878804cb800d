"""Secrets and redacted arguments inside a drive: what is sent, what the body gets, what replay compares."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import tape
from tape.core.agent.hooks import run_hook
from tape.core.kernel.hidden import identified
from tape.core.kernel.identity import fingerprint
from tape.core.sdk import hiding
from tests.sdk.player import RUN, FakeServer, Played, play
from tests.sdk.test_gates import played as waited
from tests.sdk.test_gates import same_everywhere

CARD = "4111-1111-canary"
TOKEN = "t0ken-canary"
KEY = "ab" * 32
got: list[Any] = []


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    got.clear()
    monkeypatch.setattr(hiding, "KNOWN", hiding.Plain(most=hiding.MOST_KNOWN))
    monkeypatch.setenv("BANK_TOKEN", TOKEN)
    hiding.set_key(KEY)
    yield
    hiding._key.clear()


@tape.tool(semantics="idempotent", redact=("card",))
async def pay_card(card: str, cents: int) -> dict[str, Any]:
    got.append((card, cents, tape.current_effect().args))
    return {"paid": cents}


@tape.tool(semantics="idempotent", retries=1)
async def ask_shop(token: str, headers: dict[str, str] | None = None, *more: str) -> str:
    got.append((token, headers, more, dict(tape.current_effect().args)))
    return "ok"


def sent(played: Played) -> str:
    return json.dumps([played.server.frames, played.server.records])


def begun(played: Played) -> dict[str, Any]:
    return next(body for _, kind, body in played.server.records if kind == "effect_begun")


def plays(work: Callable[[tape.Run], Any], server: FakeServer | None = None) -> Played:
    async def agent(run: tape.Run) -> Any:
        return await work(run)

    return play(agent, server)


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_a_secret_travels_by_name_wherever_it_stands() -> None:
    bearer = tape.secret("BANK_TOKEN")
    played = plays(lambda run: ask_shop(bearer, {"Authorization": bearer, "x": "1"}, "a", bearer))
    assert played.result == "ok"
    secret = {"secret": "BANK_TOKEN"}
    assert begun(played)["args"] == {"token": None, "headers": {"Authorization": None, "x": "1"}, "more": ["a", None]}
    assert begun(played)["hidden"] == {"/token": secret, "/headers/Authorization": secret, "/more/1": secret}
    assert TOKEN not in sent(played)
    token, headers, more, args = got[0]
    assert (token, headers, more) == (TOKEN, {"Authorization": TOKEN, "x": "1"}, ("a", TOKEN))
    assert args == {"token": bearer, "headers": {"Authorization": bearer, "x": "1"}, "more": ["a", bearer]}
    assert (str(args["token"]), repr(bearer), args["token"].value()) == (
        "secret BANK_TOKEN", "<secret BANK_TOKEN>", TOKEN
    )  # fmt: skip


def test_a_secret_is_resolved_anew_at_each_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    @tape.tool(semantics="idempotent", retries=1)
    async def twice(token: str) -> str:
        seen.append(token)
        monkeypatch.setenv("BANK_TOKEN", "another")
        if len(seen) == 1:
            raise OSError("the line is down")
        return "ok"

    server = FakeServer(
        [(1, "run_started", {})],
        [1],
        failing=lambda frame: {"step": "again"} if frame["ending"]["how"] == "raised" else None,
    )
    assert plays(lambda run: twice(tape.secret("BANK_TOKEN")), server).result == "ok"
    assert seen == [TOKEN, "another"]


def test_replay_compares_names_not_values(monkeypatch: pytest.MonkeyPatch) -> None:
    first = plays(lambda run: ask_shop(tape.secret("BANK_TOKEN")))
    monkeypatch.delenv("BANK_TOKEN")
    assert plays(lambda run: ask_shop(tape.secret("BANK_TOKEN")), first.server.cut(3)).result == "ok"
    other = plays(lambda run: ask_shop(tape.secret("OTHER_TOKEN")), first.server.cut(3))
    assert "<secret BANK_TOKEN>" in other.diverged and "<secret OTHER_TOKEN>" in other.diverged
    same_record = plays(lambda run: run.call("ask_shop", token=TOKEN), first.server.cut(3))
    assert "<secret BANK_TOKEN>" in same_record.diverged, "a value is not its name"


def test_a_secret_that_is_not_there_rejects_the_attempt_before_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BANK_TOKEN")
    played = plays(lambda run: ask_shop(tape.secret("BANK_TOKEN")))
    assert played.server.sent("end")[0]["ending"]["how"] == "rejected"
    assert "the environment variable BANK_TOKEN is not set in the agent's process" in played.ended["error"]["message"]
    assert got == []


def test_the_annotation_is_checked_at_entering_only(monkeypatch: pytest.MonkeyPatch) -> None:
    @tape.tool
    async def count(number: int) -> int:
        got.append(number)
        return 1

    monkeypatch.setenv("NUMBER", "17")
    assert plays(lambda run: count(tape.secret("NUMBER"))).result == 1
    assert got == [17]
    monkeypatch.setenv("NUMBER", "canary")
    played = plays(lambda run: count(tape.secret("NUMBER")))
    assert played.server.sent("end")[0]["ending"]["how"] == "rejected"
    assert "count(number) does not fit int" in played.ended["error"]["message"]
    assert "canary" not in sent(played)


@pytest.mark.parametrize("name", ["", "A B", "1A", "A=B", None, 7, "é"])
def test_what_is_no_name(name: Any) -> None:
    with pytest.raises(tape.UsageError, match="takes the name of an environment variable"):
        tape.secret(name)


@dataclass
class Box:
    inside: Any


WHERE: list[Callable[[tape.Run], Any]] = [
    lambda run: run.sample(lambda: tape.secret("BANK_TOKEN")),
    lambda run: run.decide(lambda: {"deep": [tape.secret("BANK_TOKEN")]}),
    lambda run: ask_shop(Box(tape.secret("BANK_TOKEN"))),  # type: ignore[arg-type]
    lambda run: run.decide(lambda box: None, Box(tape.secret("BANK_TOKEN"))),
]


@pytest.mark.parametrize("work", WHERE)
def test_a_secret_where_none_can_be_is_refused_in_one_line(work: Callable[[tape.Run], Any]) -> None:
    played = plays(work)
    assert played.ended["outcome"] == "FAILED"
    message = played.ended["error"]["message"]
    assert "<secret BANK_TOKEN>" in message and "secrets can be passed to tools and models only" in message
    assert "\n" not in message and TOKEN not in sent(played)


def test_a_secret_in_a_result_is_an_act_whose_result_cannot_be_recorded() -> None:
    @tape.tool
    async def give() -> Any:
        return {"token": tape.secret("BANK_TOKEN")}

    played = plays(lambda run: give())
    assert "secrets can be passed to tools and models only" in played.server.sent("end")[0]["ending"]["result_error"]
    assert played.ended["error"]["type"] == "ResultUnrecordable"


def test_a_model_gets_the_value_and_the_record_the_name() -> None:
    async def ask(prompt: str, token: str, *, extra: list[Any]) -> str:
        got.append((prompt, token, extra))
        return f"the model says {token} back"

    played = plays(lambda run: run.decide(ask, "hi", tape.secret("BANK_TOKEN"), extra=[1, tape.secret("BANK_TOKEN")]))
    assert got == [("hi", TOKEN, [1, TOKEN])]
    decision = played.server.sent("decision")[0]["decision"]
    secret = {"secret": "BANK_TOKEN"}
    assert decision["request"] == {
        "args": ["hi", None], "kwargs": {"extra": [1, None]}, "hidden": {"/args/1": secret, "/kwargs/extra/1": secret},
    }  # fmt: skip
    assert played.result == "the model says [secret BANK_TOKEN] back"
    assert TOKEN not in sent(played)


def test_a_model_without_its_secret_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BANK_TOKEN")
    played = plays(lambda run: run.decide(lambda token: "x", tape.secret("BANK_TOKEN")))
    assert played.ended["error"]["type"] == "ModelFailed"
    assert "BANK_TOKEN is not set" in played.ended["error"]["message"]


# --- redacted arguments ----------------------------------------------------------------------------------------------


def test_a_redacted_argument_is_a_keyed_hash() -> None:
    played = plays(lambda run: pay_card(CARD, 7))
    hashed = begun(played)["hidden"]["/card"]["redacted"]
    assert begun(played)["args"] == {"card": None, "cents": 7}
    assert re.fullmatch("[0-9a-f]{32}", hashed)
    card, cents, args = got[0]
    assert (card, cents, args["cents"]) == (CARD, 7, 7)
    assert (str(args["card"]), args["card"].hash) == ("redacted", hashed)
    assert args["card"] == tape.Redacted(hashed) != tape.Redacted("0" * 32)
    assert CARD not in sent(played)
    hiding.set_key("cd" * 32)
    assert begun(plays(lambda run: pay_card(CARD, 7)))["hidden"]["/card"]["redacted"] != hashed


def test_replay_compares_by_hash_and_a_re_run_takes_the_live_value() -> None:
    first = plays(lambda run: pay_card(CARD, 7))
    done = plays(lambda run: pay_card(CARD, 7), first.server.cut(3))
    assert done.result == {"paid": 7} and len(got) == 1
    again = plays(lambda run: pay_card(CARD, 7), first.server.cut(2))
    assert again.result == {"paid": 7}
    assert [entered[0] for entered in got] == [CARD, CARD]
    other = plays(lambda run: pay_card("4222-2222-canary", 7), first.server.cut(2))
    assert re.search(
        r"card=<redacted \w{8}>, cents=7\) \| the code asks effect pay_card\(card=<redacted", other.diverged
    )
    assert "canary" not in other.diverged and len(got) == 2


def test_errors_and_results_lose_what_is_hidden() -> None:
    @tape.tool(redact=("card",), semantics="read_only")
    async def leaky(card: str, token: str, how: str) -> Any:
        if how == "raises":
            raise ValueError(f"no {card!r} for {token}")
        if how == "refuses":
            raise tape.Rejected(f"card {card} expired")
        return {"echo": f"<{card}>", card: [token, 7], "unrecordable": object() if how == "object" else None}

    for how in ("raises", "refuses", "returns", "object"):
        played = plays(lambda run, how=how: leaky(CARD, tape.secret("BANK_TOKEN"), how))
        assert CARD not in sent(played) and TOKEN not in sent(played), how
        said = json.dumps([played.server.sent("end"), played.ended])
        assert how == "object" or "[redacted card]" in said
    assert got == []


def test_the_runs_own_end_loses_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    async def raises(run: tape.Run) -> None:
        await pay_card(CARD, 7)
        raise RuntimeError(f"after {CARD}")

    async def returns(run: tape.Run) -> Any:
        await pay_card(CARD, 7)
        return {"card": CARD, "TERMINAL": "FAILED"}

    assert play(raises).ended["error"] == {"type": "RuntimeError", "message": "after [redacted card]"}
    assert play(returns).result == {"card": "[redacted card]", "TERMINAL": "FAILED"}


def test_another_calls_result_is_its_own_business() -> None:
    @tape.tool
    async def other(text: str) -> str:
        return text

    async def both(run: tape.Run) -> Any:
        await pay_card("2026", 7)
        return (await other("in 2026"))[3:5]

    played = play(both)
    assert played.server.sent("end")[1]["ending"]["result"] == "in 2026"
    assert played.result == "20"


def test_a_wrong_redacted_value_is_refused_without_being_said() -> None:
    from typing import Annotated

    from pydantic import AfterValidator

    def luhn(card: str) -> str:
        raise ValueError(f"{card} is no card")

    async def body(card: Any) -> None: ...

    body.__annotations__["card"] = Annotated[str, AfterValidator(luhn)]
    tool = tape.tool(name="checked", redact=("card",))(body)
    played = plays(lambda run: tool(CARD))
    assert played.ended["error"]["message"].endswith("Value error, [redacted card] is no card")
    assert CARD not in sent(played)


def test_a_secret_may_be_a_redacted_argument_and_not_be_inside_of_one() -> None:
    played = plays(lambda run: pay_card(tape.secret("BANK_TOKEN"), 7))
    assert begun(played)["hidden"] == {"/card": {"secret": "BANK_TOKEN"}}
    assert got[0][0] == TOKEN
    nested = plays(lambda run: pay_card([tape.secret("BANK_TOKEN")], 7))  # type: ignore[arg-type]
    assert "pay_card(card): a secret within a redacted argument" in nested.ended["error"]["message"]


def test_a_redacted_value_cannot_be_passed_on() -> None:
    played = plays(lambda run: pay_card(tape.Redacted("0" * 32), 7))  # type: ignore[arg-type]
    assert "cannot be passed on" in played.ended["error"]["message"]


def test_business_keys_get_what_was_passed() -> None:
    @tape.tool(redact=("card",), business_key=lambda card, token: f"{card[-6:]}/{token}")
    async def keyed(card: str, token: str) -> None: ...

    played = plays(lambda run: keyed(CARD, tape.secret("BANK_TOKEN")))
    assert begun(played)["business_key"] == "canary/secret BANK_TOKEN"


def test_without_a_key_nothing_is_redacted_and_nothing_called() -> None:
    hiding._key.clear()
    played = plays(lambda run: pay_card(CARD, 7))
    assert "there is no key to hash it with" in played.ended["error"]["message"]
    assert got == [] and CARD not in sent(played)


# --- hooks -----------------------------------------------------------------------------------------------------------


def hooked(what: str, tool: str, args: dict[str, Any], hidden: dict[str, Any] | None) -> dict[str, Any]:
    effect = {
        "key": f"r/-/0/{tool}", "tool": tool, "args": args, "hidden": hidden, "run_id": "r", "decision_index": None,
        "call_ordinal": 0, "attempt": 1, "epoch": 1, "business_key": None, "begun_at": "", "result": None, "act": None,
    }  # fmt: skip
    frame = {"t": "hook", "ticket": 7, "what": what, "tool": tool, "key": f"r/-/0/{tool}", "effect": effect}
    return asyncio.run(run_hook(frame))


@tape.tool(name="send_out", semantics="idempotent", dispatch="outbox")
def send_out(token: str, text: str) -> str:
    got.append((token, tape.current_effect().args["token"]))
    return f"sent {text} with {token}"


@send_out.observe
def sent_out(effect: tape.Effect) -> tape.Observation:
    token, card = effect.args["token"], effect.args["text"]
    got.append((token, card))
    return tape.present(f"for {token.value()}")


@send_out.compensate(semantics="idempotent")
def recall(effect: tape.Effect) -> None:
    raise OSError(f"no such thing for {effect.args['token'].value()}")


SECRET = {"/token": {"secret": "BANK_TOKEN"}}


def test_an_outbox_body_gets_the_value_and_its_answer_the_mark() -> None:
    answer = hooked("body", "send_out", {"token": None, "text": "hi"}, SECRET)
    assert got == [(TOKEN, tape.secret("BANK_TOKEN"))]
    assert (answer["how"], answer["result"]) == ("returned", "sent hi with [secret BANK_TOKEN]")


def test_an_outbox_body_without_its_secret_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BANK_TOKEN")
    answer = hooked("body", "send_out", {"token": None, "text": "hi"}, SECRET)
    assert answer["how"] == "rejected" and "BANK_TOKEN is not set" in answer["error"]["message"]
    assert got == []


def test_look_ups_and_undos_get_objects_and_are_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = {**SECRET, "/text": {"redacted": hiding.keyed_hash(CARD)}}
    answer = hooked("look-up", "send_out", {"token": None, "text": None}, hidden)
    assert got == [(tape.secret("BANK_TOKEN"), tape.Redacted(hiding.keyed_hash(CARD)))]
    assert answer["acts"] == ["for [secret BANK_TOKEN]"]
    undone = hooked("undo", "send_out", {"token": None, "text": None}, hidden)
    assert undone["error"]["message"] == "no such thing for [secret BANK_TOKEN]"
    monkeypatch.delenv("BANK_TOKEN")
    unclear = hooked("look-up", "send_out", {"token": None, "text": None}, hidden)
    assert (unclear["answer"], "BANK_TOKEN is not set" in unclear["why"]) == ("unclear", True)


# --- what is plain ---------------------------------------------------------------------------------------------------


def test_plain_values_are_found_as_they_are_written() -> None:
    plain = hiding.Plain()
    plain.add({"number": "a b'\"\n+secret", "cvv": 123, "big": 4111111111111111, "deep": ["öäü-öäü"]}, "[x]")
    for text in (
        "a b'\"\n+secret", repr("a b'\"\n+secret"), json.dumps("a b'\"\n+secret"), "a+b%27%22%0A%2Bsecret",
        "a%20b%27%22%0A%2Bsecret", "card 4111111111111111.", "öäü-öäü", json.dumps("öäü-öäü"),
    ):  # fmt: skip
        assert "[x]" in plain.scrub(text), text
        assert "secret" not in plain.scrub(text) and "4111" not in plain.scrub(text)
    assert plain.scrub("123 and abc") == "123 and abc", "short ones are everywhere"


def test_the_longer_value_goes_first() -> None:
    plain = hiding.Plain()
    plain.add("abcd", "[short]")
    plain.add("abcdefgh", "[long]")
    assert plain.scrub("abcdefgh abcd") == "[long] [short]"


def test_only_the_latest_are_kept() -> None:
    plain = hiding.Plain(most=2)
    for text in ("first", "second", "first", "third"):
        plain.add(text, "[x]")
    assert plain.scrub("first second third") == "[x] second [x]"


def test_many_values_at_once_do_not_hold_up_the_event_loop() -> None:
    known = hiding.Plain(most=hiding.MOST_KNOWN)
    plain = hiding.Plain(known)
    begun = time.process_time()
    plain.add([f"customer-{number}@example.com" for number in range(4000)], "[x]")
    assert plain.scrub("to customer-7@example.com") == "to [x]"
    assert time.process_time() - begun < 1, "quadratic, it was 5 s"


def test_what_a_hook_finds_is_compared_by_hash() -> None:
    args = {"card": tape.Redacted(hiding.keyed_hash(CARD)), "n": 1}
    found = {"card": CARD, "list": [CARD, f"no {CARD}", 5], "other": "x"}
    cleaned = hiding.without_redacted(found, args)
    assert cleaned == {"card": "[redacted card]", "list": ["[redacted card]", f"no {CARD}", 5], "other": "x"}
    assert hiding.without_redacted(found, {"n": 1}) is found


def test_the_environment_is_the_processs_own() -> None:
    assert os.environ["BANK_TOKEN"] == TOKEN
    assert tape.secret("BANK_TOKEN") == tape.secret("BANK_TOKEN") != tape.secret("OTHER")
    assert len({tape.secret("A"), tape.secret("A"), tape.secret("B")}) == 2


# --- beside gates, caps and forks -----------------------------------------------------------------------------------


def gated(card: str = CARD) -> Callable[[tape.Run], Any]:
    async def agent(run: tape.Run) -> list[Any]:
        await run.gate("go", f"pay with {card}?", options=("yes", "no"), approves=pay_card.bind(card, 7))
        with pytest.raises(tape.NotApproved, match="approved it with other arguments"):
            await pay_card("4222-other", 7)
        return [await pay_card(card, 7)]

    return agent


def test_an_approval_is_for_the_hidden_value_and_shows_it_nowhere() -> None:
    done = waited(gated(), {("go", 0): "yes"})
    assert done.result == [{"paid": 7}]
    opened = next(body for _, kind, body in done.server.records if kind == "gate_opened")
    hidden = {"/card": {"redacted": begun(done)["hidden"]["/card"]["redacted"]}}
    assert opened["approves"]["args"] == {"card": None, "cents": 7} and opened["approves"]["hidden"] == hidden
    assert opened["prompt"] == "pay with [redacted card]?"
    assert (begun(done)["approval"], begun(done)["args_hash"]) == ("go 0", opened["approves"]["args_hash"])
    assert CARD not in sent(done) and got[0][0] == CARD
    same_everywhere(gated(), done)


def test_a_gate_for_another_hidden_value_diverges_and_says_labels() -> None:
    done = waited(gated(), {("go", 0): "yes"})
    why = play(gated("4333-other"), done.server.cut(3)).diverged
    assert "recorded gate go 0 (yes | no) for pay_card(card=<redacted " in why and "4333" not in why


def test_a_secret_may_be_approved_by_its_name_and_left_to_the_outbox() -> None:
    async def agent(run: tape.Run) -> str:
        bearer = tape.secret("BANK_TOKEN")
        await run.gate("go", options=("yes", "no"), approves=mail.bind(bearer))
        return await mail.enqueue(bearer)

    done = waited(agent, {("go", 0): "yes"})
    assert done.result.endswith("/mail_shop")
    assert (begun(done)["awaited"], begun(done)["hidden"]) == (False, {"/token": {"secret": "BANK_TOKEN"}})
    assert TOKEN not in sent(done)
    same_everywhere(agent, done)


@tape.tool(name="mail_shop", semantics="idempotent", dispatch="outbox")
async def mail(token: str) -> str:
    raise AssertionError("a body that the agent enters")


def test_a_call_with_hidden_arguments_fits_in_a_fork_of_its_run() -> None:
    """The request holds the run's id: in the copy its fingerprint was made under the source's."""

    async def agent(run: tape.Run) -> list[Any]:
        return [await ask_shop(run.id, {"token": tape.secret("BANK_TOKEN")}), await pay_card(CARD, 7)]

    whole = plays(agent)
    source = "r-0000000source"
    taken = whole.server.cut(len(whole.server.records) - 1)
    for _, kind, body in taken.records:
        if kind == "effect_begun":
            body["args"] = json.loads(json.dumps(body["args"]).replace(RUN, source))
            body["fingerprint"] = fingerprint("effect", body["tool"], identified(body["args"], body["hidden"]))
    other = play(agent, taken, sources=[source], quarantine=True)
    assert other.result == whole.result
    assert "recorded effect ask_shop" in play(agent, taken.cut(3)).diverged, "and not in any other"
