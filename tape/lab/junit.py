"""JUnit XML as Jenkins, GitLab and GitHub's reporters read it (the structure is that of Jenkins' junit-10.xsd).

All text went through `show`, which leaves nothing that XML 1.0 forbids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from xml.etree import ElementTree

from tape.core.text import show

MESSAGE_LIMIT = 2000


class How(StrEnum):
    """FAILURE: an expectation was not met; ERROR: it could not be found out; SKIPPED: it was not tried."""

    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Problem:
    """`kind` is a word to group by, `lines` all that is to be said."""

    how: How
    kind: str
    message: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    classname: str
    seconds: float
    problem: Problem | None = None


def suite_text(name: str, cases: Sequence[Case], properties: Mapping[str, str], seconds: float) -> str:
    """One suite, as a whole file in UTF-8."""
    counts = {"tests": len(cases), "failures": _count(cases, How.FAILURE), "errors": _count(cases, How.ERROR)}
    shared = {"name": show(name), **{key: str(number) for key, number in counts.items()}, "time": _time(seconds)}
    root = ElementTree.Element("testsuites", shared)
    suite = ElementTree.SubElement(root, "testsuite", {**shared, "skipped": str(_count(cases, How.SKIPPED))})
    if properties:
        told = ElementTree.SubElement(suite, "properties")
        for key, value in properties.items():
            ElementTree.SubElement(told, "property", {"name": show(key), "value": show(value, MESSAGE_LIMIT)})
    for case in cases:
        _add(suite, case)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _add(suite: ElementTree.Element, case: Case) -> None:
    about = {"name": show(case.name), "classname": show(case.classname), "time": _time(case.seconds)}
    element = ElementTree.SubElement(suite, "testcase", about)
    problem = case.problem
    if problem is not None:
        told = {"type": show(problem.kind), "message": show(problem.message, MESSAGE_LIMIT)}
        inner = ElementTree.SubElement(element, str(problem.how), told)
        if problem.lines:
            inner.text = "\n".join(show(line) for line in problem.lines)


def _count(cases: Sequence[Case], how: How) -> int:
    return sum(case.problem is not None and case.problem.how is how for case in cases)


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"
