"""The command line: parse, call, print, exit code. No policy; imports are inside the commands, so each loads only
what it needs (`tape status` neither an ORM nor pydantic nor psutil).

Exit codes: 0 fine; 1 an expectation or a run failed; 2 wrong usage or configuration; 3 journal or environment broken.
Only data goes to stdout; hints and errors, each on one line, go to stderr.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tape.cli_common import (
    FAILED,
    INTERRUPTED,
    PIPE_CLOSED,
    TROUBLE,
    USAGE,
    AsJson,
    await_end,
    drop_unwritten,
    hint,
    open_streams,
    output,
    parse_json,
    place_order,
    project,
)
from tape.cli_history import export, gc, import_
from tape.cli_persons import answer, budget, cancel, redrive, resolve
from tape.cli_proving import prove, scenario_app
from tape.cli_strikes import disarm, kill, step, thaw
from tape.cli_tapes import diff, fork, replay
from tape.core.kernel.errors import EnvironmentTrouble, RunInterrupted, TapeError, UsageError, machine_line

if TYPE_CHECKING:
    from tape.core.config import Config
    from tape.core.journal.views import Reader

TABLE_RUNS = 50

# Typer carries its own copy of click in some releases and uses the installed one in others.
_CommandLineError = cast(type[Exception], typer.BadParameter.__mro__[2])

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

# --- what all commands share ------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code. No traceback for what a user or a machine did wrong."""
    open_streams()
    try:
        code = _command(arguments)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        code = PIPE_CLOSED
    except OSError as error:
        code = TROUBLE
        what = "standard output: " if drop_unwritten(sys.stdout) else ""
        with contextlib.suppress(OSError):  # standard error may be what cannot be written
            _say_error(what + machine_line(error), code)
    for stream in (sys.stdout, sys.stderr):
        drop_unwritten(stream)
    return code


def _command(arguments: Sequence[str] | None) -> int:
    try:
        code = app(args=None if arguments is None else list(arguments), prog_name="tape", standalone_mode=False)
        return code if isinstance(code, int) else 0
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
    from tape.core.report_doctor import journal_recovery, print_doctor

    found = examine(config.journal)
    machine, recovery = check_environment(config.journal), journal_recovery(config.journal, found)
    if not print_doctor(output(), config.journal, machine, found, as_json, recovery):
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
    placed = place_order(config, "start", args={"agent": agent, "input": value, "key": key})
    run_id: str = placed.result["run"]
    paper = output()
    if not as_json:
        paper.say(run_id)
    elif not (wait and placed.served):  # else its end says it all
        paper.json({"run": run_id, "served": placed.served})
    sys.stdout.flush()
    if wait:
        await_end(config, run_id, served=placed.served, as_json=as_json)


# --- striking, and a person's decisions --------------------------------------------------------------------------

app.command()(kill)
app.command()(disarm)
app.command()(step)
app.command()(thaw)
app.command()(cancel)
app.command()(redrive)
app.command()(answer)
app.command()(budget)
app.command()(resolve)


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
