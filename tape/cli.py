"""The command line: parse, call, print, exit code. No policy; imports are inside the commands, so each loads only
what it needs (`tape status` neither an ORM nor pydantic nor psutil).

Exit codes: 0 fine; 1 an expectation or a run failed; 2 wrong usage or configuration; 3 journal or environment broken.
Only data goes to stdout; hints and errors, each on one line, go to stderr.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer

from tape.cli_common import (
    FAILED,
    INTERRUPTED,
    PIPE_CLOSED,
    TROUBLE,
    USAGE,
    AsJson,
    hint,
    output,
    parse_json,
    project,
)
from tape.cli_history import export, gc, import_
from tape.cli_proving import prove, scenario_app
from tape.cli_tapes import diff, fork, replay
from tape.core.kernel.errors import EnvironmentTrouble, RunInterrupted, ServerUnavailable, TapeError, UsageError

if TYPE_CHECKING:
    from tape.core.config import Config
    from tape.core.journal.views import Reader
    from tape.core.server.orders import Placed

TABLE_RUNS = 50
RECORDED = "recorded; start `tape dev` to drive it"

# Typer carries its own copy of click in some releases and uses the installed one in others.
_CommandLineError = cast(type[Exception], typer.BadParameter.__mro__[2])

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, as `tape status` lists it.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded with your name.")]

OfTool = Annotated[str | None, typer.Option("--tool", metavar="T", help="Only at effects of this tool.")]
OfDecision = Annotated[
    int | None, typer.Option("--decision", min=0, metavar="N", help="Only in the turn of this decision.")
]
Nth = Annotated[int | None, typer.Option("--nth", min=1, metavar="N", help="Only at the n-th time it is passed.")]


class Signal(StrEnum):
    KILL = "KILL"
    TERM = "TERM"
    STOP = "STOP"
    LOST = "LOST"


# --- what all commands share ------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code. No traceback for what a user or a machine did wrong."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(args=None if arguments is None else list(arguments), prog_name="tape", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing more can be said; the exit must not say it either
        return PIPE_CLOSED
    except _CommandLineError as error:
        return _say_error(_with_help(error), USAGE)
    except UsageError as error:
        return _say_error(str(error), USAGE)
    except EnvironmentTrouble as error:
        return _say_error(str(error), TROUBLE)
    except (TapeError, RunInterrupted) as error:
        return _say_error(str(error) or type(error).__name__, FAILED)


def _with_help(error: Any) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "tape"
    return f"{error.format_message().rstrip('.')}; see `{path} --help`"


def _say_error(text: str, code: int) -> int:
    hint(f"tape: {' '.join(text.split())}")
    return code


def _order(
    config: Config, verb: str, run_id: str | None = None, args: Mapping[str, Any] | None = None, reason: str = ""
) -> Placed:
    from tape.core.server.orders import Order, operator_name, place

    placed = place(config, Order(verb=verb, run_id=run_id, args=args or {}, actor=operator_name(), reason=reason))
    if not placed.served:
        hint(RECORDED)
    return placed


def _print_order(verb: str, run_id: str, placed: Placed, as_json: bool) -> None:
    status = placed.result.get("status", "")
    if as_json:
        output().json({"run": run_id, "order": verb, "status": status, "served": placed.served})
    else:
        output().say(f"{run_id} {status}")


@app.callback(invoke_without_command=True)
def tape(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the release.")] = False
) -> None:
    """Tape keeps an AI agent's run alive across crashes.

    \b
    Start with:
      tape init treasury && cd treasury && pip install -e .
      tape dev --kill-resume-demo
    """
    if version:
        from importlib.metadata import version as release

        print(f"tape {release('tape-agents')}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


# --- projects and servers ---------------------------------------------------------------------------------------


@app.command()
def init(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the project and its folder.", show_default=False)
    ],
    template: Annotated[
        str,
        typer.Option(
            "--template", metavar="TEMPLATE", help="plain: a tool with a look-up; approvals: gate, budget, undo."
        ),
    ] = "plain",
) -> None:
    """Make a project that installs and runs offline.

    \b
    Example:
      tape init treasury
      tape init shop --template approvals
    """
    from tape.core.scaffold.scaffold import create_project

    create_project(name, Path("."), template)
    paper = output()
    paper.say(f"made {name}; now:")
    then = "tape dev --kill-resume-demo" if template == "plain" else "tape dev"
    for command in (f"cd {name}", "pip install -e .", then):
        paper.say(f"  {command}")


@app.command()
def dev(
    headless: Annotated[bool, typer.Option("--headless", help="Without the screen.")] = False,
    kill_resume_demo: Annotated[bool, typer.Option("--kill-resume-demo", help="Run the scripted demo.")] = False,
    kill_at: Annotated[
        str | None, typer.Option("--kill-at", metavar="POINT", help="Where the demo kills the agent.")
    ] = None,
    without_tape: Annotated[
        bool, typer.Option("--without-tape", help="The demo with a blind retry instead of Tape, for contrast.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print every entry.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what the console remembers.")] = False,
    ascii: Annotated[bool, typer.Option("--ascii", help="Draw the console with plain ASCII.")] = False,
    no_mouse: Annotated[bool, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")] = False,
) -> None:
    """Open the console: server, reactors and agent, and all that happens, live.

    \b
    Examples:
      tape dev
      tape dev --headless
      tape dev --kill-resume-demo
      tape dev --kill-resume-demo --kill-at effect.begun
    """
    from tape.core.kernel.points import find_point

    if not kill_resume_demo and (kill_at is not None or without_tape):
        option = "--kill-at" if kill_at is not None else "--without-tape"
        raise UsageError(f"{option} belongs to the demo: add --kill-resume-demo")
    if kill_at is not None:
        find_point(kill_at)
    config = project()
    if without_tape:
        from tape.lab.bare import run_bare

        code = run_bare(config, _say_line)
    elif kill_resume_demo or kill_at:
        from tape.lab.demo import run_demo

        code = run_demo(config, _say_line, point=kill_at, verbose=verbose)
    elif headless:
        from tape.lab.headless import Screenless

        code = Screenless(config, kills_first=True).run()
    else:
        from tape.tui.start import run_console

        code = run_console(config, fresh=fresh, ascii=ascii, mouse=not no_mouse)
    raise typer.Exit(code)


@app.command()
def server() -> None:
    """Start the same without a screen, for machines and CI.

    \b
    Example:
      tape server
    """
    from tape.lab.headless import Screenless

    raise typer.Exit(Screenless(project(), kills_first=False).run())


def _say_line(line: str) -> None:
    typer.echo(line)


# --- looking ----------------------------------------------------------------------------------------------------


@app.command()
def status(
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Only this run, with what it needs.", show_default=False)
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Then print each new entry, until Ctrl-C.")] = False,
    as_json: AsJson = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=0, metavar="N", help="The newest N, and all that have not ended (table: 50; 0: all)."
        ),
    ] = None,
) -> None:
    """List runs, finished ones too. Needs no server.

    \b
    Examples:
      tape status
      tape status r-0123456789ab
      tape status --follow
      tape status --json
    """
    from tape.core.journal.views import JournalMissing, open_reader

    config = project()
    try:
        reader = open_reader(config.journal)
    except JournalMissing as missing:
        if run_id is not None:
            raise
        reader = _no_runs(config, str(missing), follow=follow, as_json=as_json)
        if reader is None:
            return
    with reader:
        _status(reader, run_id, follow=follow, as_json=as_json, limit=limit)


def _no_runs(config: Config, why: str, *, follow: bool, as_json: bool) -> Reader | None:
    """A project without a journal has no runs: an empty list and a hint; `--follow` waits for the journal."""
    from tape.core.clock import SystemClock
    from tape.core.journal.views import JournalMissing, open_reader
    from tape.core.report import POLL_SECONDS, STATUS_HEAD

    hint(f"no runs yet: {why}")
    paper = output()
    if not follow:
        if as_json:
            paper.json([])
        else:
            paper.table(STATUS_HEAD, [])
        return None
    clock = SystemClock()
    while True:
        clock.sleep(POLL_SECONDS)
        try:
            return open_reader(config.journal)
        except JournalMissing:
            continue


def _status(reader: Reader, run_id: str | None, *, follow: bool, as_json: bool, limit: int | None) -> None:
    from tape.core import report
    from tape.core.clock import SystemClock

    clock, paper = SystemClock(), output()
    with reader.snapshot():
        after = reader.last_id()
        if run_id is not None:
            runs, counts = [reader.run(run_id)], None
        else:
            shown = (None if as_json else TABLE_RUNS) if limit is None else limit or None
            runs, counts = report.select_runs(reader, shown), reader.counts()
        if not as_json:
            letters = 0 if counts is None else report.dead_letters(reader)
            report.print_status(paper, runs, counts, clock.wall_us(), letters)
            if run_id is not None:
                report.print_needs(paper, reader, runs[0])
                report.print_recovery(paper, reader, run_id)
        elif not follow:
            facts = [report.status_json(run) for run in runs]
            if run_id is not None:
                facts[0]["recovery"] = report.recovery_facts(reader, run_id)
            paper.json(facts, indent=2)
    if follow:
        sys.stdout.flush()
        report.follow(paper, reader, clock, after=after, run_id=run_id, as_json=as_json)


@app.command()
def doctor(
    dump_run: Annotated[
        str | None, typer.Option("--dump-run", metavar="RUN", help="Print everything about one run instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check environment and journal. Needs no server; exit 3 if something is broken.

    \b
    Examples:
      tape doctor
      tape doctor --dump-run r-0123456789ab
    """
    config = project()
    if dump_run is not None:
        _dump(config, dump_run, as_json)
        return
    from tape.core.journal.audit import examine
    from tape.core.journal.environment import check_environment
    from tape.core.report_doctor import print_doctor

    if not print_doctor(output(), config.journal, check_environment(config.journal), examine(config.journal), as_json):
        raise typer.Exit(TROUBLE)


def _dump(config: Config, run_id: str, as_json: bool) -> None:
    from tape.core.journal.dump import dump_json
    from tape.core.journal.views import open_reader
    from tape.core.report_doctor import print_dump

    with open_reader(config.journal) as reader:
        dump = reader.dump(run_id)
    if as_json:
        from tape.core.figures import recovery_json, recovery_of

        output().json({**dump_json(dump), "recovery": recovery_json(recovery_of(dump.entries))}, indent=2)
    else:
        print_dump(output(), dump)


# --- orders -----------------------------------------------------------------------------------------------------


@app.command()
def run(
    agent: Annotated[
        str | None, typer.Argument(metavar="[AGENT]", help="May be left out if there is one.", show_default=False)
    ] = None,
    input: Annotated[str, typer.Option("--input", metavar="JSON", help="What the agent works on.")] = "null",
    wait: Annotated[bool, typer.Option("--wait", help="Until it ends: exit 0 if TERMINAL, else 1.")] = False,
    key: Annotated[
        str | None, typer.Option("--key", metavar="K", help="The same key gives the same run, never a second one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Trigger a run and print its id. It is durable by then.

    \b
    Examples:
      tape run --input '"pay invoice 7"'
      tape run treasury --input '"pay invoice 7"' --key invoice-7 --wait
    """
    value = parse_json(input, "--input")
    config = project()
    placed = _order(config, "start", args={"agent": agent, "input": value, "key": key})
    run_id: str = placed.result["run"]
    paper = output()
    if not as_json:
        paper.say(run_id)
    elif not wait:
        paper.json({"run": run_id, "served": placed.served})
    sys.stdout.flush()
    if wait:
        if not placed.served:
            raise ServerUnavailable(f"{run_id} is recorded, but no server runs to drive it: start `tape dev`")
        _wait(config, run_id, as_json)


def _wait(config: Config, run_id: str, as_json: bool) -> NoReturn:
    from tape.core import report
    from tape.core.clock import SystemClock
    from tape.core.journal.environment import is_served
    from tape.core.journal.views import open_reader

    with open_reader(config.journal) as reader:
        ended = report.await_end(reader, SystemClock(), run_id, lambda: is_served(config.journal), hint)
        if as_json:
            facts = {"run": run_id, "status": ended.status, "error": ended.error}
            output().json(facts | {"result": report.result_of(reader, run_id)})
    hint(report.status_line(ended))
    raise typer.Exit(0 if ended.status == "TERMINAL" else FAILED)


@app.command()
def kill(
    run_id: Annotated[str | None, typer.Option("--run", metavar="RUN", help="The agent that drives this run.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="POINT", help="Not now, but at a crash point, such as effect.acted.")
    ] = None,
    tool: OfTool = None,
    decision: OfDecision = None,
    nth: Nth = None,
    signal: Annotated[
        Signal,
        typer.Option("--signal", case_sensitive=False, help="How to die; LOST is a reply that does not arrive."),
    ] = Signal.KILL,
    each_run: Annotated[
        bool, typer.Option("--each-run", help="Stays armed, and strikes once in every run that passes it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Kill the agent, now or at a crash point. Needs a server.

    \b
    Examples:
      tape kill
      tape kill --at effect.acted --tool wire_money
      tape kill --at decision.recorded --decision 1 --signal STOP
      tape kill --at effect.acted --each-run
    """
    from tape.core.kernel.points import find_point

    if at is not None:
        find_point(at)
    elif tool is not None or decision is not None or nth is not None or each_run:
        raise UsageError("--tool, --decision, --nth and --each-run belong to a crash point: add --at POINT")
    elif signal is Signal.LOST:
        raise UsageError("a reply can only be lost at a crash point: add --at POINT")
    if each_run and run_id is not None:
        raise UsageError("--each-run is for every run: leave --run out")
    args = {"at": at, **_narrowed(tool, decision, nth), "signal": str(signal), "each_run": each_run or None}
    placed = _order(project(), "kill", run_id, args)
    if as_json:
        output().json(placed.result)
    elif at is not None:
        output().say(f"armed {at}: {signal}")
    else:
        _print_pids(placed, "killed", "no agent to kill", _DONE[signal])


def _narrowed(tool: str | None, decision: int | None, nth: int | None) -> dict[str, Any]:
    return {"tool": tool, "decision_index": decision, "nth": 1 if nth is None else nth}


@app.command()
def disarm(
    point: Annotated[
        str | None, typer.Argument(metavar="[POINT]", help="Only this crash point.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Disarm crash points, all of them or one. Needs a server.

    \b
    Examples:
      tape disarm
      tape disarm effect.acted
    """
    from tape.core.kernel.points import find_point

    if point is not None:
        find_point(point)
    placed = _order(project(), "disarm", args={"at": point})
    if as_json:
        output().json(placed.result)
        return
    gone = cast(list[dict[str, Any]], placed.result["disarmed"])
    for arm in gone:
        output().say(f"disarmed {arm['at']}: {arm['signal']}")
    if not gone:
        hint("nothing is armed" if point is None else f"{point} is not armed")
        raise typer.Exit(FAILED)


@app.command()
def step(
    run_id: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Only this run; else all that are being driven.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="POINT", help="Not to the next place, but to this crash point.")
    ] = None,
    tool: OfTool = None,
    decision: OfDecision = None,
    nth: Nth = None,
    go: Annotated[bool, typer.Option("--go", help="No more stops: let it run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a run go to its next boundary and stop there. Needs a server.

    \b
    Examples:
      tape step
      tape step --to effect.acted --tool wire_money
      tape step --go
    """
    from tape.core.kernel.points import find_point

    if to is not None:
        find_point(to)
    elif tool is not None or decision is not None or nth is not None:
        raise UsageError("--tool, --decision and --nth narrow a crash point: add --to POINT")
    if to is not None and go:
        raise UsageError("a run cannot go on and stop at a point: leave one of --go and --to out")
    args = {"to": to, **_narrowed(tool, decision, nth)} if to is not None else {"go": True} if go else {}
    placed = _order(project(), "step", run_id, args)
    if as_json:
        output().json(placed.result)
        return
    stepped = cast(list[dict[str, Any]], placed.result["stepped"])
    for one in stepped:
        output().say(_step_line(one))
    if not stepped:
        hint("no run is in step mode" if run_id is None else f"{run_id} is not in step mode")
        raise typer.Exit(FAILED)


def _step_line(done: Mapping[str, Any]) -> str:
    """What became of one run."""
    run, stopped, target = done["run"] or "the next run", done["from"], done["to"] or "the next place"
    on = f"{run} goes on from {stopped}" if stopped else ""
    if done["go"]:
        return on or f"{run} does not stop"
    return f"{on} and stops at {target}" if on else f"{run} stops at {target}"


@app.command()
def thaw(reason: Reason = "", as_json: AsJson = False) -> None:
    """Continue frozen agents (`tape kill --signal STOP`). Needs a server.

    \b
    Examples:
      tape thaw
      tape thaw --reason "the drill is over"
    """
    placed = _order(project(), "thaw", reason=reason)
    if as_json:
        output().json(placed.result)
    else:
        _print_pids(placed, "thawed", "no agent is stopped")


_DONE = {Signal.KILL: "killed", Signal.TERM: "told to end", Signal.STOP: "stopped"}


def _print_pids(placed: Placed, what: str, none: str, done: str = "") -> None:
    pids = cast(list[int], placed.result.get(what) or [])
    for pid in pids:
        output().say(f"{done or what} pid {pid}")
    if not pids:
        hint(none)
        raise typer.Exit(FAILED)


@app.command()
def cancel(run_id: Run, reason: Reason = "", as_json: AsJson = False) -> None:
    """Cancel a run. No new work begins; what is open is settled, what can be undone is undone.

    \b
    Example:
      tape cancel r-0123456789ab --reason "wrong invoice"
    """
    _print_order("cancel", run_id, _order(project(), "cancel", run_id, reason=reason), as_json)


@app.command()
def redrive(run_id: Run, reason: Reason = "", as_json: AsJson = False) -> None:
    """Take a STUCK run up again. Its crash count is cleared.

    \b
    Example:
      tape redrive r-0123456789ab --reason "the bug is fixed"
    """
    _print_order("redrive", run_id, _order(project(), "redrive", run_id, reason=reason), as_json)


@app.command()
def answer(
    run_id: Run,
    gate: Annotated[str, typer.Argument(metavar="GATE", help="The gate's name.", show_default=False)],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="One of the gate's options.", show_default=False)],
    ordinal: Annotated[
        int | None,
        typer.Option("--ordinal", metavar="N", min=0, help="Which instance; else the open one, or the next."),
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
    placed = _order(project(), "answer", run_id, {"gate": gate, "value": value, "ordinal": ordinal}, reason)
    done = placed.result
    if as_json:
        output().json({"run": run_id, "order": "answer", **done, "served": placed.served})
    elif done["status"] != "refused":
        early = ", used when the run comes to it" if done["status"] == "early" else ""
        output().say(f"{run_id} gate {done['gate']} {done['ordinal']}: {done['answer']}{early}")
    if done["status"] == "refused":
        hint(f"tape: {run_id}: {done['why']}; your answer is recorded, and changes nothing")
        raise typer.Exit(FAILED)


@app.command()
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
        done = _order(config, "budget", run_id, {"deny": True} if deny else {"caps": caps}, reason).result
    elif reason:
        raise UsageError("--reason goes with a cap (--usd N, --tokens N or --calls TOOL=N) or with --deny")
    print_run_budget(config, run_id, as_json, done)
    say_who_goes_on(done)


@app.command()
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
    _print_order("resolve", run_id, _order(project(), "resolve", run_id, args, reason), as_json)


# --- tapes ------------------------------------------------------------------------------------------------------

app.command()(replay)
app.command()(fork)
app.command()(diff)


# --- proving ----------------------------------------------------------------------------------------------------

app.command()(prove)
app.add_typer(scenario_app, name="scenario")

# --- history ----------------------------------------------------------------------------------------------------

app.command()(export)
app.command("import")(import_)
app.command()(gc)
