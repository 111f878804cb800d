"""The commands that prove: `tape prove`, `tape scenario run`, `tape scenario record`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tape.cli_common import FAILED, USAGE, AsJson, hint, output, parse_json, project
from tape.core.kernel.errors import TapeError, UsageError, one_line

if TYPE_CHECKING:
    from tape.core.config import Config
    from tape.lab.good import Good
    from tape.lab.proof import Cell, Place, Proof, Result
    from tape.lab.proof_progress import Progress
    from tape.lab.prove import Wanted

Jobs = Annotated[
    int, typer.Option("--jobs", min=0, max=64, metavar="N", help="Trials at a time (0: one more than there are cores).")
]
Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML, for CI.")]

scenario_app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Scripted kill-resume stories: play them, or write down what just happened.",
)


class Keys(StrEnum):
    HONOURED = "honoured"
    IGNORED = "ignored"


class Keep(StrEnum):
    WRONG = "wrong"
    ALL = "all"


def prove(
    agent: Annotated[
        str | None, typer.Argument(metavar="[AGENT]", help="May be left out if there is one.", show_default=False)
    ] = None,
    input: Annotated[
        str | None, typer.Option("--input", metavar="JSON", help="What the agent works on (default: null).")
    ] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Also a second death during each recovery.")] = False,
    jobs: Jobs = 0,
    junit: Junit = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write everything as JSON (-: print it).")
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write the matrix as a picture.")] = None,
    from_run: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="A recorded run plays the models and tools, one stand-in the upstreams.",
        ),
    ] = None,
    keys: Annotated[
        Keys | None,
        typer.Option("--keys", help="With --from: what the stand-in does with idempotency keys (default: honoured)."),
    ] = None,
    within: Annotated[
        str, typer.Option("--within", metavar="TIME", help="How long the good run may take, such as 5m.")
    ] = "60s",
    keep: Annotated[
        Keep, typer.Option("--keep", help="Which journals stay in .tape/prove: those that are wrong, or all.")
    ] = Keep.WRONG,
    events: Annotated[bool, typer.Option("--events", hidden=True, help="Print JSON lines as it goes.")] = False,
) -> None:
    """Kill the agent at every boundary of its own run, and judge by the upstream's ledger.

    One good run gives the boundaries; then each of them is killed in each way, in a journal of its own, with real
    processes and the stand-ins of tape.yaml. Exit 1 if anything does not hold: with one sentence of cause, a scenario
    that plays it again, and the kept journal.

    \b
    Examples:
      tape prove --input '"pay invoice 7"'
      tape prove treasury --input '"pay invoice 7"' --pairs
      tape prove --from r-0123456789ab --keys ignored
      tape prove --junit proof.xml --svg proof.svg
    """
    from tape.lab.prove import Prover, Wanted

    config = project()
    from tape.lab.upstream_options import parse_duration

    if keys is not None and from_run is None:
        raise UsageError("--keys is about the stand-in of a recorded run: add --from RUN")
    within_us = int(parse_duration(within, "--within") * 1_000_000)
    wanted = Wanted(agent=agent, pairs=pairs, jobs=jobs, keep_all=keep is Keep.ALL, within_us=within_us)
    if from_run is not None:
        wanted = _from_run(wanted, config, from_run, input, keys)
    else:
        wanted = replace(wanted, input=parse_json("null" if input is None else input, "--input"))
    if events:
        raise typer.Exit(_with_events(config, wanted))
    _check_targets(junit, json_file, svg)
    with _Watch() as watch:
        proof = Prover(config, wanted, watch).prove()
    _write(proof, junit, json_file, svg)
    if json_file is None or str(json_file) != "-":
        from tape.lab.proof_report import print_proof

        print_proof(output(), proof)
    raise typer.Exit(0 if proof.holds else FAILED)


class _Watch:
    """A proof's progress on standard error."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.close()

    def good(self, good: Good, seconds: float) -> None: ...

    def plan(self, agent: str, places: tuple[Place, ...], cells: tuple[Cell, ...], jobs: int) -> None:
        from tape.core.clock import SystemClock
        from tape.lab.proof_progress import Progress

        if self._progress is None:
            self._progress = Progress(len(cells), SystemClock(), sys.stderr)
        else:
            self._progress.total = len(cells)

    def result(self, result: Result) -> None:
        if self._progress is not None:
            self._progress.tick(result)


def _check_targets(*files: Path | None) -> None:
    """A proof of a minute is not to end at a folder that is not there."""
    for file in files:
        if file is not None and str(file) != "-" and not file.absolute().parent.is_dir():
            raise UsageError(f"{file}: there is no folder {file.parent}; make it first")


def _write(proof: Proof, junit: Path | None, json_file: Path | None, svg: Path | None) -> None:
    if junit is not None:
        from tape.lab.proof_junit import junit_text

        _save(junit, junit_text(proof))
    if svg is not None:
        from tape.lab.proof_svg import svg_text

        _save(svg, svg_text(proof))
    if json_file is not None:
        from tape.lab.proof import proof_json

        text = json.dumps(proof_json(proof), indent=2) + "\n"
        if str(json_file) == "-":
            sys.stdout.write(text)
        else:
            _save(json_file, text)


def _save(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None


def _from_run(wanted: Wanted, config: Config, run_id: str, given: str | None, keys: Keys | None) -> Wanted:
    """A recorded run knows its agent and its input. Raises UsageError if another one is asked for."""
    from tape.lab.recorded import recorded_run

    if given is not None:
        raise UsageError("--from takes the input of the recorded run: leave --input out")
    recorded = recorded_run(config.journal, run_id)
    if wanted.agent not in (None, recorded.agent):
        raise UsageError(f"{run_id} is a run of {recorded.agent}, not of {wanted.agent}: leave the agent out")
    return replace(
        wanted,
        agent=recorded.agent,
        input=recorded.input,
        recorded=recorded,
        keys_honoured=keys is not Keys.IGNORED,
    )


def _with_events(config: Config, wanted: Wanted) -> int:
    """The same for a program that watches: JSON lines, an error among them."""
    from tape.lab.proof import proof_json
    from tape.lab.proof_events import Events, tell
    from tape.lab.prove import Prover

    try:
        proof = Prover(config, wanted, Events()).prove()
    except TapeError as error:
        tell({"error": one_line(error)})
        raise
    tell({"proof": proof_json(proof)})
    return 0 if proof.holds else FAILED


@scenario_app.command("run")
def scenario_run(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Files, or folders of them (default: scenarios).", show_default=False),
    ] = None,
    jobs: Jobs = 0,
    junit: Junit = None,
    keep: Annotated[
        Keep, typer.Option("--keep", help="Which journals stay in .tape/scenarios: those that are wrong, or all.")
    ] = Keep.WRONG,
    as_json: AsJson = False,
    events: Annotated[bool, typer.Option("--events", hidden=True, help="Print JSON lines as it goes.")] = False,
) -> None:
    """Play scenario files with real processes, and judge what came of them. Exit 1 if one does not hold.

    \b
    Examples:
      tape scenario run
      tape scenario run scenarios/lost-reply.yaml
      tape scenario run scenarios --junit scenarios.xml
    """
    from tape.core.clock import SystemClock
    from tape.lab.proof_progress import Progress
    from tape.lab.scenario_file import find_scenarios
    from tape.lab.scenario_run import run_scenarios

    if events:
        raise typer.Exit(_scenarios_with_events(paths or [Path("scenarios")], jobs, keep))
    _check_targets(junit)
    files = find_scenarios(paths or [Path("scenarios")])
    clock = SystemClock()
    since_us = clock.boot_us()
    with Progress(len(files), clock, sys.stderr, "scenarios") as progress:
        try:
            results = run_scenarios(files, jobs, lambda _, result: progress.tick(result), keep_all=keep is Keep.ALL)
        except UsageError as error:  # all mistakes of all files, a line for each
            progress.close()
            for line in str(error).splitlines():
                hint(f"tape: {line}")
            raise typer.Exit(USAGE) from None
    seconds = (clock.boot_us() - since_us) / 1_000_000
    if junit is not None:
        from tape.lab.scenario_report import scenarios_junit

        _save(junit, scenarios_junit(results, seconds=seconds))
    if as_json:
        from tape.lab.scenario_result import scenario_json

        output().json([scenario_json(result) for result in results], indent=2)
    else:
        from tape.lab.scenario_report import print_scenarios

        print_scenarios(output(), results, seconds=seconds)
    raise typer.Exit(0 if all(result.ok for result in results) else FAILED)


def _scenarios_with_events(paths: list[Path], jobs: int, keep: Keep) -> int:
    """The same for a program that watches: JSON lines, each file as it ends, an error among them. `number` is the
    file's place among those that were found."""
    from tape.lab.proof_events import tell
    from tape.lab.scenario_file import find_scenarios
    from tape.lab.scenario_result import ScenarioResult, scenario_json
    from tape.lab.scenario_run import run_scenarios

    def tick(number: int, result: ScenarioResult) -> None:
        tell({"result": {"number": number, **scenario_json(result)}})

    try:
        results = run_scenarios(find_scenarios(paths), jobs, tick, keep_all=keep is Keep.ALL)
    except TapeError as error:
        tell({"error": str(error)})
        raise
    tell({"done": len(results)})
    return 0 if all(result.ok for result in results) else FAILED


@scenario_app.command("record")
def scenario_record(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, as `tape status` lists it.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where to (default: scenarios/RUN.yaml; -: print it).")
    ] = None,
) -> None:
    """Write down a run with its kills and orders as a scenario, expecting what came of it.

    \b
    Examples:
      tape scenario record r-0123456789ab
      tape scenario record r-0123456789ab --to scenarios/the-lost-answer.yaml
    """
    from tape.lab.scenario_record import record

    config = project()
    text = record(config, run_id)
    if to is not None and str(to) == "-":
        sys.stdout.write(text)
        return
    file = to or Path("scenarios") / f"{run_id}.yaml"
    if file.exists():
        raise UsageError(f"{file} is there already: choose another one with --to")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}; choose another place with --to") from None
    _save(file, text)
    output().say(str(file))
