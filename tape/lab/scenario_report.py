"""Scenario results as text for a terminal and as JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from tape.core.marks import Style
from tape.core.report import Cell, Paper
from tape.core.text import count, duration, fit, show
from tape.lab.junit import Case, How, Problem, suite_text
from tape.lab.proof_table import open_command
from tape.lab.scenario_result import ScenarioResult

NAME_WIDTH = 60
LINE_LIMIT = 1000


def print_scenarios(
    paper: Paper, results: Sequence[ScenarioResult], *, seconds: float | None = None, here: Path | None = None
) -> None:
    """`seconds` is what all took together; their sum if it is left out. `here` is the working folder."""
    if not results:
        paper.say("no scenarios")
        return
    paper.table(("", "scenario", "kills", "seconds"), [_row(result) for result in results])
    for result in results:
        if not result.ok:
            paper.say()
            _print_failure(paper, result, here or Path.cwd())
    for sentence in dict.fromkeys(result.unkept for result in results if result.unkept):
        paper.say()
        paper.say(show(sentence, LINE_LIMIT), Style.WARNING)
    taken = sum(result.seconds for result in results) if seconds is None else seconds
    kills = count(sum(result.kills for result in results), "kill")
    failed = sum(not result.ok for result in results)
    text = f"{failed} of {len(results)} {'does' if failed == 1 else 'do'} not hold ✗" if failed else "all hold ✓"
    paper.say()
    line = f"{count(len(results), 'scenario')}, {kills} in {duration(int(taken * 1_000_000))}: {text}"
    paper.say(line, Style.ERROR if failed else Style.SUCCESS)


def _row(result: ScenarioResult) -> list[Cell]:
    mark = ("✓", Style.SUCCESS) if result.ok else ("✗", Style.ERROR)
    name = fit(show(result.name), NAME_WIDTH).rstrip()
    return [mark, (name, Style.PLAIN), (f"{result.kills:>5}", Style.PLAIN), (f"{result.seconds:>7.1f}", Style.PLAIN)]


def _print_failure(paper: Paper, result: ScenarioResult, here: Path) -> None:
    paper.say(f"✗ {show(result.name, LINE_LIMIT)}", Style.ERROR)
    for sentence in result.sentences:
        paper.say(f"  {show(sentence, LINE_LIMIT)}")
    if result.journal is not None:
        paper.say(f"  journal: {open_command(result.journal, here)}")


def scenarios_junit(
    results: Sequence[ScenarioResult], *, seconds: float | None = None, here: Path | None = None
) -> str:
    """One suite; what could not be played is an error, what came out otherwise a failure."""
    folder = here or Path.cwd()
    cases = [
        Case(result.name, f"scenario.{PurePath(result.shown).stem}", result.seconds, _problem(result, folder))
        for result in results
    ]
    taken = sum(result.seconds for result in results) if seconds is None else seconds
    return suite_text("scenarios", cases, {"kills": str(sum(result.kills for result in results))}, taken)


def _problem(result: ScenarioResult, here: Path) -> Problem | None:
    if result.ok:
        return None
    told = result.sentences
    files = () if result.journal is None else (f"journal: {open_command(result.journal, here)}",)
    how = How.ERROR if result.trouble else How.FAILURE
    return Problem(how, "trouble" if result.trouble else "miss", told[0], (*told, *files))
