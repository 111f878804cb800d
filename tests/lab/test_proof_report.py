"""Proofs and scenario results as people and machines get them: text, progress, JUnit XML, SVG."""

from __future__ import annotations

import io
import json
import os
import pty
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pyte
import pytest

from tape.core.clock import ManualClock
from tape.core.kernel.points import Death
from tape.core.report import Paper
from tape.core.text import cells
from tape.lab.proof import DEATHS, Cause, Cell, Mark, Mistake, Place, Proof, Result, proof_json
from tape.lab.proof_junit import junit_text
from tape.lab.proof_progress import Progress
from tape.lab.proof_report import print_proof
from tape.lab.proof_svg import svg_text
from tape.lab.proof_table import place_text, rows_of, tally, verdict
from tape.lab.scenario_report import print_scenarios, scenarios_junit
from tape.lab.scenario_result import Miss, ScenarioResult, scenario_json

HERE = Path("/home/ada/treasury")
TOOL = "wire_money"
HOSTILE = "pay\x1b[31m</title><script>alert(\"1\")</script>]]>&\u202e\u200b\n\x00\ud800[@click=app.quit]'x'"
DOUBLED = Cause(
    Mistake.KEY_IGNORED,
    f"bank acted twice for one key of {TOOL}: declare it non_idempotent with a look-up, or make the upstream honour "
    "the key",
    TOOL,
)
PLACES = (
    Place("decision.asking", decision_index=0),
    Place("decision.recorded", decision_index=0),
    Place("effect.begun", TOOL, 0),
    Place("effect.acted", TOOL, 0),
    Place("effect.acted", TOOL, 0, 2),
    Place("at:after-plan"),
    Place("run.ended"),
)


def passing() -> Proof:
    cells_ = [Cell(n, place, death) for n, (place, death) in enumerate((p, d) for p in PLACES for d in DEATHS)]
    results = tuple(
        Result(cell, Mark.HOLDS, (), "TERMINAL", ("observed",), 1, 1, 0.08, f"r-{cell.number:012}")
        for cell in cells_
        if not (cell.place.point == "decision.asking" and cell.death is Death.LOST)
    )
    return Proof("treasury", "TERMINAL", PLACES, (), (), results, 4.1)


def mixed() -> Proof:
    """Wrong, missed and asked ones, second deaths, and a place that only those know."""
    proof = passing()
    changed: list[Result] = []
    for result in proof.results:
        place, death = result.cell.place, result.cell.death
        if place.point == "effect.acted":
            name = result.cell.slug
            kept = {"scenario": HERE / ".tape/prove" / f"{name}.yaml", "journal": Path("/var/tape tmp") / f"{name}.db"}
            result = replace(result, mark=Mark.WRONG, causes=(DOUBLED,), acts=2, resolutions=("redispatched",), **kept)
        elif place.point == "at:after-plan" and death is Death.STOP:
            missed = Cause(Mistake.NOT_PASSED, "the point at:after-plan was not passed again")
            result = replace(result, mark=Mark.MISSED, causes=(missed,), status="", resolutions=(), acts=0, kills=0)
        elif place.point == "effect.begun":
            result = replace(result, mark=Mark.PERSON, resolutions=("decided",))
        changed.append(result)
    observed = Place("observe.answered", TOOL, 0)
    for number, first in enumerate(PLACES[2:5], len(changed)):
        cell = Cell(number, first, Death.KILL, observed)
        wrong = number % 2 == 0
        changed.append(Result(cell, Mark.WRONG if wrong else Mark.HOLDS, (DOUBLED,) if wrong else (), "TERMINAL"))
    again = Cell(len(changed), PLACES[1], Death.KILL, PLACES[0])
    changed.append(Result(again, Mark.HOLDS, (), "TERMINAL", kills=2))
    notes = ("observe.answered is killed with SIGKILL only", "refund_money was not called by the good run")
    return replace(proof, results=tuple(changed), notes=notes)


def failing() -> Proof:
    """The good run did not end."""
    cause = Cause(Mistake.NO_GOOD_RUN, "the good run is STUCK: bank answered 503; start it by hand, then prove again")
    return Proof("treasury", "STUCK", PLACES[:3], (cause,), (), (), 0.7)


def hostile() -> Proof:
    places = (
        Place("effect.acted", HOSTILE, 0),
        Place("effect.acted", HOSTILE + "B" * 90, 0, 12),
        Place("effect.acted", HOSTILE + "B" * 89 + "C", 0, 12),
        Place(f"at:{HOSTILE}"),
        Place("effect.acted", "電信送金" * 20, 3),
    )
    cause = Cause(Mistake.DOUBLED, f"{HOSTILE} acted twice", HOSTILE)
    files = {"scenario": HERE / "a\x1b[2Jb.yaml", "journal": HERE / "it's a \u202e.db"}
    results = tuple(
        Result(Cell(n, p, Death.KILL), Mark.WRONG, (cause,), HOSTILE, **files) for n, p in enumerate(places)
    )
    return Proof(HOSTILE, "TERMINAL", places, (replace(cause, sentence=HOSTILE * 2),), (HOSTILE,), results, 1.0)


PROOFS = {"passing": passing, "mixed": mixed, "failing": failing, "hostile": hostile}
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e\ud800-\udfff]")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(file, text)` holds the text to its file in `golden/`; `--snapshot-update` writes it anew."""

    def check(name: str, text: str) -> None:
        path = Path(__file__).parent / "golden" / name
        if request.config.getoption("update_snapshots"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        known = path.read_text("utf-8") if path.exists() else ""
        assert text == known, f"{path.name} says otherwise; look at it, then --snapshot-update"

    return check


def printed(proof: Proof) -> str:
    out = io.StringIO()
    print_proof(Paper(out, {}), proof, cores=2, here=HERE)
    return out.getvalue()


# --- text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROOFS)
def test_text(name: str, golden: Callable[[str, str], None]) -> None:
    text = printed(PROOFS[name]())
    golden(f"proof_{name}.txt", text)
    assert not FORBIDDEN.search(text)


@pytest.mark.parametrize("name", PROOFS)
def test_the_matrix_fits_80_columns_and_is_aligned(name: str) -> None:
    lines = printed(PROOFS[name]()).split("\n")
    if not PROOFS[name]().results:
        return
    start = next(at for at, line in enumerate(lines) if line.startswith("place"))
    matrix = lines[start : lines.index("", start)]
    assert max(cells(line) for line in matrix) <= 80
    column = matrix[0].index("KILL")
    for line in matrix[1:]:
        if "not tried" in line:
            continue
        at = [cells(line[:n]) for n, sign in enumerate(line) if sign in "✓✗–" or (sign == "?" and n >= column)]
        assert all((place - column) % 6 == 0 for place in at if place >= column), line


def test_long_tools_that_differ_at_their_end_stay_apart() -> None:
    first, second = (place_text(place, 44) for place in hostile().boundaries[1:3])
    assert first != second
    assert first.endswith("#12")
    assert cells(first) <= 44


def test_wide_signs_are_cut_to_columns() -> None:
    assert cells(place_text(hostile().boundaries[4], 44)) <= 44


def test_a_second_death_stands_in_the_row_of_its_own_place() -> None:
    rows = rows_of(mixed())
    order = [row.place.label for row in rows]
    assert order.index("observe.answered 0/wire_money") == order.index("effect.begun 0/wire_money") + 1
    row = rows[order.index("observe.answered 0/wire_money")]
    assert not row.deaths
    assert tally(row.second) == "1/3"
    assert len(order) == len(set(order)) == len(PLACES) + 1
    assert len(rows[0].second) == 1


def test_what_was_not_tried_never_holds() -> None:
    proof = passing()
    missed = tuple(replace(result, mark=Mark.MISSED) for result in proof.results)
    assert verdict(replace(proof, results=missed)) == ("nothing was tried", Mark.MISSED)
    assert verdict(replace(proof, results=())) == ("nothing was tried", Mark.MISSED)
    assert verdict(proof) == ("all hold", Mark.HOLDS)
    some = (*proof.results[:5], missed[5])
    assert verdict(replace(proof, results=some)) == ("all hold, 1 not tried", Mark.HOLDS)


def test_a_wrong_good_run_is_said_beside_the_cells() -> None:
    proof = replace(mixed(), about_good=failing().about_good)
    text, mark = verdict(proof)
    assert text.startswith("the good run is wrong and ")
    assert mark is Mark.WRONG
    assert printed(proof).index("without any kill") < printed(proof).index("effect.acted 0/wire_money KILL:")


def test_the_legend_stands_only_where_it_is_needed() -> None:
    assert "not tried" not in printed(passing())
    assert "– not tried" in printed(mixed())


def test_colours_only_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    print_proof(Paper(out, {}), mixed(), here=HERE)
    assert "\x1b[31m" in out.getvalue()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert [line.rstrip() for line in plain.split("\n")] == printed(mixed()).replace(" on 2 cores", "").split("\n")


# --- progress -----------------------------------------------------------------------------------------------------


def a_result(mark: Mark = Mark.HOLDS) -> Result:
    return Result(Cell(0, PLACES[0], Death.KILL), mark)


def test_plain_progress_says_each_tenth() -> None:
    clock, out = ManualClock(), io.StringIO()
    progress = Progress(52, clock, out)
    for number in range(52):
        clock.advance(0.5)
        progress.tick(a_result(Mark.WRONG if number == 7 else Mark.HOLDS))
    progress.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "prove: 6 of 52 (11 %), 0 wrong, about 23 s left"
    assert lines[-1] == "prove: 52 of 52 (100 %), 1 wrong"
    assert "\r" not in out.getvalue()


def test_no_time_left_before_there_is_a_rate() -> None:
    clock, out = ManualClock(), io.StringIO()
    progress = Progress(4, clock, out)
    for _ in range(4):
        clock.advance(60)
        progress.tick(a_result())
    assert ["left" in line for line in out.getvalue().splitlines()] == [False, False, True, False]
    assert "about 1 m left" in out.getvalue()


def test_more_or_none_than_told_is_no_trouble() -> None:
    out = io.StringIO()
    progress = Progress(0, ManualClock(), out)
    progress.tick(a_result())
    progress.close()
    progress.close()
    assert out.getvalue() == "prove: 1 of 0 (100 %), 0 wrong\n"


@pytest.mark.parametrize("columns", [80, 40, 30, 8])
def test_a_terminal_shows_one_line_and_keeps_no_debris(columns: int) -> None:
    """A real terminal of that width, read by a screen that shows what a person would see."""
    master, slave = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, columns, 0, 0))
    screen = pyte.Screen(columns, 10)
    stream = pyte.ByteStream(screen)
    clock = ManualClock()
    with os.fdopen(slave, "w", encoding="utf-8") as out:

        def look() -> list[str]:
            out.flush()
            stream.feed(os.read(master, 65536))
            return [line.rstrip() for line in screen.display if line.strip()]

        progress = Progress(120, clock, out)
        assert len(look()) == 1
        for number in range(120):
            clock.advance(900 if number < 5 else 0.001)  # the time left becomes shorter and shorter
            progress.tick(a_result(Mark.WRONG if number % 3 == 0 else Mark.HOLDS))
            seen = look()
            assert len(seen) == 1
            if columns >= 30:
                assert re.fullmatch(r"prove (━*─* )?\d+/120, \d+ wrong(, about [\d smhd]+ left)?", seen[0]), seen
        if columns >= 80:
            assert seen == [f"prove {'━' * 24} 120/120, 40 wrong"]
        progress.close()
        assert look() == []
        assert (screen.cursor.x, screen.cursor.y) == (0, 0)
    os.close(master)


# --- JUnit --------------------------------------------------------------------------------------------------------

ATTRIBUTES = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set[str]()),
    "testsuite": ({"name", "time", "tests", "failures", "errors", "skipped"}, {"name", "tests", "failures", "errors"}),
    "testcase": ({"name", "time", "classname"}, {"name"}),
    "failure": ({"type", "message"}, set[str]()),
    "error": ({"type", "message"}, set[str]()),
    "skipped": ({"type", "message"}, set[str]()),
    "properties": (set[str](), set[str]()),
    "property": ({"name", "value"}, {"name", "value"}),
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "testcase": {"skipped", "error", "failure"},
    "properties": {"property"},
}


def checked(text: str) -> ElementTree.Element:
    """The suite of a file that is as Jenkins' junit-10.xsd wants it, with counts that are true."""
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    assert not FORBIDDEN.search(text)
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        allowed, required = ATTRIBUTES[element.tag]
        assert required <= set(element.attrib) <= allowed, element.tag
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set()), element.tag
        if "time" in element.attrib:
            assert re.fullmatch(r"[0-9]+\.[0-9]{3}", element.attrib["time"])
    (suite,) = root
    for tag, name in (("testcase", "tests"), ("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert suite.attrib[name] == str(len(list(suite.iter(tag))))
    assert root.attrib["failures"] == suite.attrib["failures"]
    names = [(case.attrib["classname"], case.attrib["name"]) for case in suite.iter("testcase")]
    assert len(names) == len(set(names))
    return suite


@pytest.mark.parametrize("name", PROOFS)
def test_junit(name: str, golden: Callable[[str, str], None]) -> None:
    proof = PROOFS[name]()
    text = junit_text(proof, here=HERE)
    golden(f"proof_{name}.xml", text)
    suite = checked(text)
    assert int(suite.attrib["tests"]) == len(proof.results) + bool(proof.about_good)
    assert int(suite.attrib["failures"]) == proof.count(Mark.WRONG) + bool(proof.about_good)
    assert int(suite.attrib["skipped"]) == proof.count(Mark.MISSED)


def test_junit_says_what_is_wrong_and_where() -> None:
    suite = checked(junit_text(mixed(), here=HERE))
    case = next(case for case in suite.iter("testcase") if case.attrib["name"] == "effect.acted 0/wire_money KILL")
    assert case.attrib["classname"] == "prove.treasury.effect.acted"
    failure = case[0]
    assert failure.attrib == {"type": "key-not-honoured", "message": DOUBLED.sentence}
    assert failure.text is not None
    assert failure.text.split("\n") == [
        DOUBLED.sentence,
        "scenario: .tape/prove/effect.acted-0-wire_money-KILL.yaml",
        "journal: TAPE_JOURNAL='sqlite:////var/tape tmp/effect.acted-0-wire_money-KILL.db' tape doctor",
    ]
    skipped = next(suite.iter("skipped"))
    assert skipped.attrib["message"] == "the point at:after-plan was not passed again"
    facts = {it.attrib["name"]: it.attrib["value"] for it in suite.iter("property")}
    assert (facts["boundaries"], facts["kills"]) == ("7", str(mixed().kills))


def test_a_failure_without_a_cause_is_one_all_the_same() -> None:
    proof = passing()
    bare = replace(proof, results=(replace(proof.results[0], mark=Mark.WRONG),))
    assert next(checked(junit_text(bare)).iter("failure")).attrib["message"] == "does not hold"


# --- SVG ----------------------------------------------------------------------------------------------------------

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", PROOFS)
def test_svg(name: str, golden: Callable[[str, str], None]) -> None:
    proof = PROOFS[name]()
    text = svg_text(proof)
    golden(f"proof_{name}.svg", text)
    assert not FORBIDDEN.search(text)
    root = ElementTree.fromstring(text)
    width, height = (float(root.attrib[key]) for key in ("width", "height"))
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "style", "rect", "text", "g", "line", "path"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not any("href" in name or name.startswith("on") for name in names)
    assert not any(word in text for word in ("url(", "@import", "<script"))  # nothing from outside, nothing that runs
    for element in root.iter(f"{SVG}g"):
        x, y = (float(part) for part in element.attrib["transform"][10:-1].split())
        assert 0 <= x <= width - 22
        assert 0 <= y <= height - 22
    for element in root.iter(f"{SVG}text"):
        assert 0 <= float(element.attrib["y"]) <= height
        if "middle" not in element.attrib.get("class", "") and element.attrib.get("class") != "ask":
            assert float(element.attrib["x"]) + cells(element.text or "") * 7.83 <= width


def test_each_cell_is_a_square_with_a_shape_and_a_tip() -> None:
    root = ElementTree.fromstring(svg_text(mixed()))
    squares = {group[0].text: group for group in root.iter(f"{SVG}g")}
    tip = f"effect.acted 0/wire_money KILL: TERMINAL: {DOUBLED.sentence}"
    _, rect, path = squares[tip]
    assert rect.attrib["class"] == "wrong"
    assert path.tag == f"{SVG}path"
    shapes = {group[1].attrib["class"]: group[2].attrib.get("d", group[2].text) for group in squares.values()}
    assert len(shapes) == len(set(shapes.values())) == 4  # to be told apart without colour
    firsts = sum(result.cell.second is None for result in mixed().results)
    assert len(list(root.iter(f"{SVG}g"))) == firsts + 2 + 3  # two rows with second deaths, three lines of legend


def test_the_same_proof_is_drawn_the_same_however_long_it_took() -> None:
    assert svg_text(passing()) == svg_text(replace(passing(), seconds=99.0))


# --- scenarios ----------------------------------------------------------------------------------------------------


def scenario_results() -> list[ScenarioResult]:
    stuck = Miss("scenarios/lost-ack.yaml:12: status", "TERMINAL", "STUCK")
    wires = Miss("scenarios/lost-ack.yaml:13: upstream bank.wires", "1", "2")
    kept = Path("/home/ada/treasury/.tape/scenarios/lost-ack/journal.db")
    return [
        ScenarioResult("the bank accepted, the agent died", "scenarios/accepted.yaml", True, (), "", 0.41, 2, "r-1"),
        ScenarioResult("the reply is lost", "scenarios/lost-ack.yaml", False, (stuck, wires), "", 3.2, 1, "r-2", kept),
        ScenarioResult("x" * 90, "scenarios/bad.yaml", False, trouble="scenarios/bad.yaml:3: no tool is called pay"),
        ScenarioResult(HOSTILE, HOSTILE, False, (Miss(HOSTILE, HOSTILE, HOSTILE),), "", 12.0, 10, "r-3"),
    ]


def scenarios_printed(results: list[ScenarioResult]) -> str:
    out = io.StringIO()
    print_scenarios(Paper(out, {}), results, here=HERE)
    return out.getvalue()


def test_scenarios_as_text(golden: Callable[[str, str], None]) -> None:
    text = scenarios_printed(scenario_results())
    golden("scenarios.txt", text)
    assert not FORBIDDEN.search(text)
    assert "  scenarios/lost-ack.yaml:12: status: expected TERMINAL, found STUCK\n" in text
    assert text.endswith("4 scenarios, 13 kills in 15.6 s: 3 of 4 do not hold ✗\n")
    assert max(cells(line) for line in text.split("\n\n")[0].split("\n")) <= 80


def test_scenarios_that_all_hold() -> None:
    text = scenarios_printed(scenario_results()[:1])
    assert text.splitlines()[-1] == "1 scenario, 2 kills in 410 ms: all hold ✓"
    assert scenarios_printed([]) == "no scenarios\n"


def test_scenarios_as_junit(golden: Callable[[str, str], None]) -> None:
    text = scenarios_junit(scenario_results(), here=HERE)
    golden("scenarios.xml", text)
    suite = checked(text)
    assert [suite.attrib[key] for key in ("tests", "failures", "errors")] == ["4", "2", "1"]
    failure = next(suite.iter("failure"))
    assert failure.attrib["message"] == "scenarios/lost-ack.yaml:12: status: expected TERMINAL, found STUCK"
    assert "scenarios/lost-ack.yaml:13" in (failure.text or "")
    assert next(suite.iter("error")).attrib["message"] == "scenarios/bad.yaml:3: no tool is called pay"


def test_a_scenario_that_fails_always_says_something() -> None:
    silent = ScenarioResult("x", "x.yaml", False)
    assert "x.yaml: it did not hold" in scenarios_printed([silent])
    assert next(checked(scenarios_junit([silent])).iter("failure")).attrib["message"] == "x.yaml: it did not hold"


def test_json_is_safe_and_whole() -> None:
    out = io.StringIO()
    paper = Paper(out, {})
    paper.json([scenario_json(result) for result in scenario_results()])
    paper.json(proof_json(hostile()))
    scenarios, proof = (json.loads(line) for line in out.getvalue().splitlines())
    assert out.getvalue().isascii()
    assert scenarios[1]["misses"][0] == {
        "where": "scenarios/lost-ack.yaml:12: status",
        "expected": "TERMINAL",
        "found": "STUCK",
    }
    assert scenarios[1]["journal"].endswith("journal.db")
    assert scenarios[3]["name"] == HOSTILE
    assert proof["agent"] == HOSTILE
