"""Commands by which a person decides: cancel, redrive, answer, budget, resolve. Each is recorded with who and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tape.cli_common import FAILED, AsJson, Reason, Run, hint, output, parse_json, place_order, project
from tape.core.kernel.errors import UsageError

if TYPE_CHECKING:
    from tape.core.server.orders import Placed


def cancel(run_id: Run, reason: Reason = "", as_json: AsJson = False) -> None:
    """Cancel a run. No new work begins; what is open is settled, what can be undone is undone.

    \b
    Example:
      tape cancel r-0123456789ab --reason "wrong invoice"
    """
    _print_order("cancel", run_id, place_order(project(), "cancel", run_id, reason=reason), as_json)


def redrive(run_id: Run, reason: Reason = "", as_json: AsJson = False) -> None:
    """Take a STUCK run up again. Its crash count is cleared.

    \b
    Example:
      tape redrive r-0123456789ab --reason "the bug is fixed"
    """
    _print_order("redrive", run_id, place_order(project(), "redrive", run_id, reason=reason), as_json)


def answer(
    run_id: Run,
    gate: Annotated[str, typer.Argument(metavar="GATE", help="The gate's name.", show_default=False)],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="One of the gate's options.", show_default=False)],
    ordinal: Annotated[
        int | None,
        typer.Option("--ordinal", metavar="N", min=0, help="Which instance, if the run came to this gate before."),
    ] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Answer a gate that a run waits at. The first answer counts; exit 1 if there was one already.

    \b
    Examples:
      tape answer r-0123456789ab pay approve --reason "seen the invoice"
      tape answer r-0123456789ab pay deny --ordinal 1
    """
    placed = place_order(project(), "answer", run_id, {"gate": gate, "value": value, "ordinal": ordinal}, reason)
    done = placed.result
    if as_json:
        output().json({"run": run_id, "order": "answer", **done, "served": placed.served})
    elif done["status"] != "refused":
        early = ", used when the run comes to it, unless it approves a call" if done["status"] == "early" else ""
        output().say(f"{run_id} gate {done['gate']} {done['ordinal']}: {done['answer']}{early}")
    if done["status"] == "refused":
        hint(f"tape: {run_id}: {done['why']}; your answer is recorded, and changes nothing")
        raise typer.Exit(FAILED)


def budget(
    run_id: Run,
    usd: Annotated[float | None, typer.Option("--usd", metavar="N", help="Its cap in dollars from now on.")] = None,
    tokens: Annotated[int | None, typer.Option("--tokens", metavar="N", help="Its cap in tokens from now on.")] = None,
    calls: Annotated[
        list[str] | None, typer.Option("--calls", metavar="TOOL=N", help="Its cap on calls of a tool; may be repeated.")
    ] = None,
    deny: Annotated[bool, typer.Option("--deny", help="It waits for a cap: leave it, and let it be refused.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Show what a run may spend, holds back, has spent and lost; with a cap, set that first. A run that waits for a
    cap goes on at once, or with --deny is told that nobody raises it.

    \b
    Examples:
      tape budget r-0123456789ab
      tape budget r-0123456789ab --usd 2.50 --reason "worth it"
      tape budget r-0123456789ab --deny --reason "not this month"
    """
    from tape.cli_budget import asked_caps, print_run_budget, say_who_goes_on

    config = project()
    caps = asked_caps(usd, tokens, calls or [])
    done: Mapping[str, Any] = {}
    if deny and caps:
        raise UsageError("--deny leaves the caps as they are: give it, or a cap, not both")
    if deny or caps:
        done = place_order(config, "budget", run_id, {"deny": True} if deny else {"caps": caps}, reason).result
    elif reason:
        raise UsageError("--reason goes with a cap (--usd N, --tokens N or --calls TOOL=N) or with --deny")
    print_run_budget(config, run_id, as_json, done)
    say_who_goes_on(done)


def resolve(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The effect's or obligation's key.", show_default=False)],
    confirm: Annotated[
        str | None, typer.Option("--confirm", metavar="JSON", help="It happened, and this is what it returned.")
    ] = None,
    fail: Annotated[bool, typer.Option("--fail", help="It certainly did not happen.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Let the body run again, with the same key.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="It happened, and is to be undone; its run goes on.")] = False,
    close: Annotated[bool, typer.Option("--close", help="Close the open conflicts of this key.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Decide what only a person can: whether an effect happened, that it is undone, that a conflict is settled.

    \b
    Examples:
      tape resolve r-0123456789ab/1/0/wire_money --confirm '{"wire_id": "w-1"}' --reason "seen in the bank"
      tape resolve r-0123456789ab/1/0/wire_money --fail --reason "the bank has no such wire"
      tape resolve r-0123456789ab/1/0/wire_money --undo --reason "wrong account"
      tape resolve r-0123456789ab/1/0/wire_money --close --reason "the bank sent it back"
    """
    ways = {"confirm": confirm is not None, "fail": fail, "retry": retry, "undo": undo, "close": close}
    chosen = [how for how, given in ways.items() if given]
    if len(chosen) != 1:
        raise UsageError("say what is decided with exactly one of --confirm JSON, --fail, --retry, --undo, --close")
    if not reason.strip():
        raise UsageError("say why with --reason TEXT; it is recorded with your name")
    run_id, slash, _ = key.partition("/")
    if not slash:
        raise UsageError(f"{key} is no key; keys look like r-0123456789ab/1/0/wire_money, `tape status RUN` shows them")
    result = None if confirm is None else parse_json(confirm, "--confirm")
    args = {"key": key, "how": chosen[0], "result": result}
    _print_order("resolve", run_id, place_order(project(), "resolve", run_id, args, reason), as_json)


def _print_order(verb: str, run_id: str, placed: Placed, as_json: bool) -> None:
    status = placed.result.get("status", "")
    if as_json:
        output().json({"run": run_id, "order": verb, "status": status, "served": placed.served})
    else:
        later = verb == "cancel" and status not in ("CANCELLED", "COMPENSATING")
        output().say(f"{run_id} {status}{': CANCELLED when what is open is settled' if later else ''}")
