"""A proof as JUnit XML: one test case a trial, and one for the good run if that is wrong."""

from __future__ import annotations

from pathlib import Path

from tape.lab.junit import Case, How, Problem, suite_text
from tape.lab.proof import Cause, Mark, Proof, Result
from tape.lab.proof_table import WORDS, near, open_command

GOOD_RUN = "good run"


def junit_text(proof: Proof, *, here: Path | None = None) -> str:
    """`here` is the folder that paths are shown from; the working folder if it is left out."""
    folder = here or Path.cwd()
    prefix = f"prove.{proof.agent}"
    cases: list[Case] = []
    if proof.about_good:
        cases.append(Case(GOOD_RUN, f"{prefix}.{GOOD_RUN.replace(' ', '_')}", 0.0, _failure(proof.about_good, ())))
    for result in proof.results:
        classname = f"{prefix}.{result.cell.place.point}"
        cases.append(Case(result.cell.label, classname, result.seconds, _problem(result, folder)))
    properties = {
        "boundaries": str(len(proof.boundaries)),
        "kills": str(proof.kills),
        "good_run": proof.status,
        **{str(mark): str(proof.count(mark)) for mark in Mark},
        **{f"note.{number}": note for number, note in enumerate(proof.notes, 1)},
    }
    return suite_text(proof.agent, cases, properties, proof.seconds)


def _problem(result: Result, here: Path) -> Problem | None:
    if result.mark.fine:
        return None
    if result.mark is Mark.MISSED:
        reason = result.causes[0].sentence if result.causes else WORDS[Mark.MISSED]
        kind = str(result.causes[0].mistake) if result.causes else str(Mark.MISSED)
        return Problem(How.SKIPPED, kind, reason)
    files: list[str] = []
    if result.scenario is not None:
        files.append(f"scenario: {near(result.scenario, here)}")
    if result.journal is not None:
        files.append(f"journal: {open_command(result.journal, here)}")
    return _failure(result.causes, tuple(files))


def _failure(causes: tuple[Cause, ...], files: tuple[str, ...]) -> Problem:
    if not causes:
        return Problem(How.FAILURE, str(Mark.WRONG), WORDS[Mark.WRONG], files)
    lines = (*(cause.sentence for cause in causes), *files)
    return Problem(How.FAILURE, str(causes[0].mistake), causes[0].sentence, lines)
