"""Trouble of proofs and stories: whose it is, and that a verdict stands where its journal cannot be kept."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tape.core.config import Config, load_config
from tape.core.kernel.errors import EnvironmentTrouble, TapeError, UsageError
from tape.core.kernel.points import Death
from tape.core.report import Paper
from tape.lab import prove_cell, scenario_run
from tape.lab.good import Good
from tape.lab.proof import Cause, Cell, Mark, Mistake, Place, Result
from tape.lab.prove import Prover, Wanted
from tape.lab.scenario import Scenario
from tape.lab.scenario_report import print_scenarios
from tape.lab.scenario_result import ScenarioResult
from tape.lab.scratch import keep

CELL = Cell(1, Place("effect.acted", "pay", 0), Death.KILL)
DOUBLED = Result(CELL, Mark.WRONG, (Cause(Mistake.DOUBLED, "it paid twice"),))


class Played:
    """A trial that leaves a journal."""

    def __init__(self, scenario: Scenario, config: Config, bench: object, folder: Path, **options: object) -> None:
        self._folder = folder

    def run(self) -> Any:
        self._folder.mkdir()
        (self._folder / "journal.db").write_text("told")
        return SimpleNamespace(passes=[])


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    (tmp_path / "tape.yaml").write_text("name: t\nagent: app:agent\n")
    for module in (prove_cell, scenario_run):
        monkeypatch.setattr(module, "bench_of", lambda *given: None)
        monkeypatch.setattr(module, "Trial", Played)
    monkeypatch.setattr(prove_cell, "judged", lambda *given: DOUBLED)
    monkeypatch.setattr(scenario_run, "judged", lambda *given: ScenarioResult("a", "a.yaml", ok=False))
    return load_config(tmp_path, {})


def of_proof(config: Config) -> prove_cell.Answer:
    good = cast(Good, SimpleNamespace(dump=SimpleNamespace(gates=[], entries=[])))
    place = config.root / ".tape" / "prove" / "cell"
    return prove_cell.play(
        prove_cell.Task(CELL, Scenario("a"), config, {}, config.root / "trial", place, good, keep_all=False)
    )


@pytest.mark.parametrize(
    "trouble", [UsageError("app.py: no such agent"), EnvironmentTrouble("the bank did not listen")]
)
def test_a_good_run_that_cannot_be_played_says_whose_trouble_it_is(
    config: Config, monkeypatch: pytest.MonkeyPatch, trouble: TapeError
) -> None:
    """The kind is the exit code of `tape prove`; it comes from another process."""

    def bench(*given: object) -> None:
        raise trouble

    monkeypatch.setattr(prove_cell, "bench_of", bench)
    task = prove_cell.Task(None, Scenario("a"), config, {}, config.root / "trial", config.root, None, keep_all=False)
    answer = pickle.loads(pickle.dumps(prove_cell.play(task)))
    prover: Any = Prover(config, Wanted())
    with pytest.raises(type(trouble), match=str(trouble)):
        prover._outcome_of(answer)
    prover._scenario = lambda *given: Scenario("a")
    ((_, result),) = prover._play(lambda tasks: [(SimpleNamespace(cell=CELL), answer)], [], None, 0, config.root)
    assert (result.mark, result.causes[0].sentence) == (Mark.WRONG, f"could not be played: {trouble}")


def of_scenario(config: Config) -> ScenarioResult:
    place = config.root / ".tape" / "scenarios" / "a"
    return scenario_run.play(scenario_run.Task(0, Scenario("a"), config, config.root / "trial", place))


def test_what_is_wrong_stays(config: Config) -> None:
    answer = of_proof(config)
    assert answer.result is not None and answer.result.journal is not None and answer.result.scenario is not None
    assert (answer.result.journal.read_text(), answer.unkept) == ("told", "")
    result = of_scenario(config)
    assert result.journal is not None and (result.journal.read_text(), result.unkept) == ("told", "")


def test_a_verdict_stands_though_its_journal_cannot_be_kept(config: Config) -> None:
    (config.root / ".tape").write_text("a file where the folder should be")
    why = f"the journal could not be kept: {config.root}/.tape/{{}}: Not a directory"
    answer = of_proof(config)
    assert (answer.result, answer.unkept) == (DOUBLED, why.format("prove"))
    result = of_scenario(config)
    assert (result.ok, result.journal, result.unkept) == (False, None, why.format("scenarios"))
    out = io.StringIO()
    print_scenarios(Paper(out, {}), [result, result])
    assert out.getvalue().count(why.format("scenarios")) == 1
    assert not (config.root / "trial").exists()


def test_a_proof_says_once_what_it_could_not_keep(config: Config) -> None:
    prover: Any = Prover(config, Wanted())
    answer = prove_cell.Answer(result=DOUBLED, unkept="no room")
    task = SimpleNamespace(cell=CELL)
    prover._scenario = lambda *given: Scenario("a")
    played = list(prover._play(lambda tasks: [(task, answer), (task, answer)], [], None, 0, config.root))
    assert [result for _, result in played] == [DOUBLED, DOUBLED]
    good = SimpleNamespace(family={(): SimpleNamespace(effects=[])}, status="TERMINAL", fixed=True)
    assert prover._notes(good) == ("no room",)


def test_half_a_journal_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, place = tmp_path / "trial", tmp_path / "kept" / "cell"
    folder.mkdir()

    def half(source: Path, target: Path) -> None:
        target.mkdir()
        raise OSError(28, "No space left on device", str(target / "journal.db"))

    monkeypatch.setattr("shutil.move", half)
    assert keep(folder, place) == f"the journal could not be kept: {place}/journal.db: No space left on device"
    assert (folder.exists(), place.exists()) == (False, False)
