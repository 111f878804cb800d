"""A trial: one scenario played with real processes, in a journal and with ledgers of its own.

The host is that of `tape dev`; kills and holds are armed before anything can drive the run; orders go the way of the
command line's. Nothing is judged here: what came of it is an `Outcome`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from tape.core.clock import SkewedClock, format_us
from tape.core.config import Config
from tape.core.journal.audit import examine
from tape.core.journal.audit_facts import Severity
from tape.core.journal.shapes import Need, NeedKind
from tape.core.journal.views import JournalMissing, open_reader
from tape.core.kernel.errors import NotFound, Refused, UsageError
from tape.core.kernel.events import PointReached
from tape.core.kernel.lifecycle import RUN_ENDS, RunStatus
from tape.core.kernel.points import Arm, Pass
from tape.core.server.orders import Order
from tape.core.server.supervisor import carriers
from tape.lab.bench import Bench
from tape.lab.contract_count import ContractCount, ContractLine
from tape.lab.family import Family, Kinship, ids_of, read_family
from tape.lab.hearing import Course, Hearing
from tape.lab.outcome import Fork, Outcome
from tape.lab.probe import FalseAbsent, ask_again, false_absents, us_of
from tape.lab.rest import due_us, still
from tape.lab.scenario import UNSET, ForkExpect, How, Moment, Scenario, ScriptedOrder, Timers, Verb
from tape.lab.upstream import environment_variable, parse_options, read_ledger
from tape.lab.upstream_ledger import Act
from tape.reactors.host import Host

ACTOR = "scenario"
POLL_SECONDS = 0.02
ZOMBIE_US = 1_000_000
"""For how long a thawed worker is waited for until its late write is refused."""
BURIAL_US = 5_000_000
QUIET_US = 1_500_000
"""After so long without any news from a run that rests, what an order waits for will not come."""
MOST_STEPS = 30
"""For so many decisions and effects of a run a proof raises caps."""
RESOLVED = (NeedKind.EFFECT, NeedKind.OBLIGATION)
ASKED = (NeedKind.GATE, NeedKind.BUDGET)
"""What a proof answers in a person's place."""
REHEARSAL_VARIABLE = "TAPE_REHEARSAL"
"""Where the agent's process finds the recorded run that plays its models and tools."""

Acts = dict[str, tuple[Act, ...]]


class Prover(Protocol):
    """What a proof adds to the scenario as it is written."""

    def decide(self, kinship: Kinship, family: Family, needs: list[Need], acts: Acts) -> list[ScriptedOrder]:
        """What a person who knows the ledgers orders for a STUCK run of the family; nothing: it stays so."""
        ...


class Trial:
    """One scenario on a bench, once. `folder` is made, and keeps journal and ledgers. Without `strict` an order whose
    moment does not come keeps nobody waiting."""

    def __init__(
        self,
        scenario: Scenario,
        config: Config,
        bench: Bench,
        folder: Path,
        *,
        prover: Prover | None = None,
        strict: bool = True,
    ) -> None:
        self._scenario = scenario
        self._config = replace(scenario.over(config), journal=folder / "journal.db", telemetry="")
        self._bench = bench
        self._folder = folder
        self._prover = prover
        self._strict = strict
        self._absents: list[FalseAbsent] = []
        self._clock = SkewedClock()
        self._heard = Hearing(self._real_us)
        self._passes: list[Pass] = []
        self._waiting = list(scenario.orders)
        self._as_person: list[ScriptedOrder] = []
        self._given_up: set[str] = set()
        """Runs that are STUCK, and for which the prover orders nothing."""
        self._read: dict[tuple[str, bool], tuple[int, bool]] = {}
        """By run, and how strictly: after how many entries the journal was read last, and whether its family rested."""
        self._ledgers: dict[str, Path] = {}
        self._advances: list[tuple[str, int]] = []
        """When the clock was put forward, by the stand-ins' clock, and by how much in all."""
        self._run_id = ""
        self._forks: dict[str, str] = {}
        """The runs of the forks, by their names."""

    def run(self) -> Outcome:
        """Raises UsageError for wrong options of a stand-in, a project that cannot be loaded, or an input or agent
        that is refused; EnvironmentTrouble for what the machine refuses."""
        self._folder.mkdir(parents=True, mode=0o700)
        started_us = self._clock.boot_us()
        host = self._new_host()
        with host:
            host.server.do(lambda: host.server.points.listen(self._passes.append))
            self._run_id = host.start_armed(self._start_order(), self._arms)
            late = self._watch(host)
            self._probe(host)
            unreached = self._unreached()
        taken_us = self._clock.boot_us() - self._clock.skew_us - started_us
        self._heard.drain()
        return self._outcome(late, unreached, taken_us / 1_000_000)

    # --- the start --------------------------------------------------------------------------------------------

    def _new_host(self) -> Host:
        environment = dict(self._bench.environment)
        for name, given in self._config.upstream.items():
            options = parse_options(given, f"{self._scenario.place('upstream', name)}: upstream {name}")
            self._ledgers[name] = self._folder / f"{name}.jsonl"
            upstream = self._bench.upstream(name, self._ledgers[name], options)
            environment[environment_variable(name)] = upstream.url
        environment |= self._scenario.environment
        if (recorded := self._scenario.rehearsal()) is not None:
            environment[REHEARSAL_VARIABLE] = str(recorded)
        # No spare: a trial waits for its own processes only, and a fork is as quick as a handover.
        return Host(
            self._config,
            clock=self._clock,
            voice=self._heard.voice(),
            environment=environment,
            spare=0,
            forks=self._bench.forks,
        )

    def _start_order(self) -> Order:
        scenario = self._scenario
        args = {"agent": scenario.agent, "input": scenario.input, "key": None}
        return Order("start", None, args, ACTOR, scenario.name)

    def _arms(self, run_id: str, fork: str | None = None) -> list[Arm]:
        """Who dies where: the fork of that name, or else whoever comes there first: the run, a child, a fork."""
        story = self._scenario
        holds = [order.hold(run_id) for order in story.orders if order.moment is Moment.POINT and order.run == fork]
        kills = [kill.arm(run_id) for kill in story.kill if kill.run == fork]
        return [*(kills if fork is not None else (replace(arm, run_id=None) for arm in kills)), *holds]

    # --- watching ---------------------------------------------------------------------------------------------

    def _watch(self, host: Host) -> str:
        """Until the run has come to rest and everything scripted has happened. Returns why it has not, in time."""
        deadline = self._real_us() + self._scenario.within_us
        while not self._at_rest(host):
            if self._real_us() > deadline:
                return self._lateness(host)
            self._heard.take(POLL_SECONDS)
            host.check()
            self._place_due(host)
        self._bury(host)
        return ""

    def _real_us(self) -> int:
        return self._clock.boot_us() - self._clock.skew_us

    def _at_rest(self, host: Host) -> bool:
        """Nothing moves any more, and nothing is to be ordered; or what an order waits for will not come."""
        if not self._heard.silent or not self._rests(host):
            return False
        return not (self._waiting and self._strict) or self._real_us() - self._heard.latest_us > QUIET_US

    def _rests(self, host: Host) -> bool:
        """The run and its forks move no more, unless somebody orders it; and what they left to the outbox has been
        dispatched."""
        expect = self._scenario.expect
        forks = [(run_id, expect.forks.get(name, ForkExpect()).status) for name, run_id in self._forks.items()]
        return all(self._rests_one(host, run_id, wanted) for run_id, wanted in [(self._run_id, expect.status), *forks])

    def _rests_one(self, host: Host, run_id: str, wanted: RunStatus) -> bool:
        status = self._heard.courses[run_id].status
        if status in RUN_ENDS:
            return not self._heard.left
        stuck = self._heard.stuck & self._heard.family(run_id) if self._heard.stuck else frozenset[str]()
        for_ever = bool(stuck) and (self._prover is None or stuck <= self._given_up)
        if status is RunStatus.STUCK:
            return for_ever
        waits = status is RunStatus.WAITING and wanted is RunStatus.WAITING and not host.arms()
        return (waits or for_ever) and not _awake(host) and self._still(run_id, timeless=not waits)

    def _still(self, run_id: str, *, timeless: bool) -> bool:
        """By the journal, which is read again only after news. `timeless`: no timer, and nobody who plays a person,
        must be left to move it either."""
        heard = len(self._heard.entries)
        known, rests = self._read.get((run_id, timeless), (0, False))
        if known != heard:
            with open_reader(self._config.journal) as reader:
                family, needs = read_family(reader, run_id), reader.needs()
            rests = still(family)
            if timeless and rests:
                ids = ids_of(family) if self._prover is not None else ()
                asked = any(need.kind in ASKED and need.run_id in ids for need in needs)
                rests = not asked and not any(due_us(family))
            self._read[run_id, timeless] = heard, rests
        return rests

    @property
    def _course(self) -> Course:
        """The story's own run."""
        return self._heard.courses[self._run_id]

    def _run_of(self, order: ScriptedOrder) -> str:
        return self._run_id if order.run is None else self._forks[order.run]

    def _bury(self, host: Host) -> None:
        """The run is at its end: whoever was killed there is dead, whatever point is there has been passed."""
        deadline = self._real_us() + BURIAL_US
        host.server.do(lambda: None)  # what the server does after its last commit is done
        self._heard.drain()
        while self._heard.dying and self._real_us() < deadline:
            self._heard.take(POLL_SECONDS)

    def _lateness(self, host: Host) -> str:
        limit = f"within {round(self._scenario.within_us / 1_000_000, 1):g} s"
        words = f"; {host.broken}" if host.broken else ""
        last = f"; the last that it said: {self._heard.said[-1]}" if self._heard.said else ""
        forks = "".join(f", {name} {self._heard.courses[run_id].status}" for name, run_id in self._forks.items())
        return f"{self._run_id} did not come to rest {limit}: it is {self._course.status}{forks}{words}{last}"

    def _unreached(self) -> tuple[int, ...]:
        """The kills that were not dealt. What is armed for a run goes with its end, so the journal tells."""
        self._heard.drain()
        heard = ((entry.run_id, entry.event) for entry in self._heard.entries)
        dealt = Counter((run, event.point, event.death) for run, event in heard if isinstance(event, PointReached))
        kills = list(enumerate(self._scenario.kill))
        found: list[int] = []
        for number, kill in sorted(kills, key=lambda numbered: numbered[1].run is None):
            run_id = None if kill.run is None else self._forks.get(kill.run, "")
            where = [place for place in +dealt if place[1:] == (kill.at, kill.signal) and run_id in (None, place[0])]
            if where:
                dealt[where[0]] -= 1
            else:
                found.append(number)
        return tuple(sorted(found))

    # --- orders -----------------------------------------------------------------------------------------------

    def _place_due(self, host: Host) -> None:
        while self._waiting and self._is_due(self._waiting[0]) and self._may(host, self._waiting[0]):
            number = len(self._scenario.orders) - len(self._waiting)
            try:
                self._place(host, self._waiting.pop(0))
            except (UsageError, Refused) as error:
                raise UsageError(f"{self._scenario.place('orders', number)}: orders.{number}: {error}") from None
        if not self._heard.silent:
            return
        if self._prover is not None and self._heard.stuck - self._given_up and not (self._waiting and self._strict):
            self._decide(host, self._prover)
        if RunStatus.WAITING in [self._heard.courses[run].status for run in (self._run_id, *self._forks.values())]:
            if self._prover is not None and not self._may_answer(host):
                return
            if self._prover is not None and (self._answer_gates(host) or self._answer_caps(host)):
                return
            if self._scenario.timers is Timers.SKIPPED:
                self._skip_timer(host)

    def _is_due(self, order: ScriptedOrder) -> bool:
        course = self._heard.courses[self._run_of(order)]
        if order.moment is Moment.POINT:
            return course.held[order.on] > 0
        return course.seen[order.on] >= order.nth

    def _may(self, host: Host, order: ScriptedOrder) -> bool:
        """Time is put forward only while nobody awake drives the run: it would lose its lease for nothing."""
        if order.do is not Verb.ADVANCE:
            return True
        return not _awake(host)

    def _place(self, host: Host, order: ScriptedOrder, run_id: str | None = None) -> None:
        """`run_id`: whom the order is about, if that is a child."""
        self._heard.latest_us = self._real_us()
        run_id = run_id or self._run_of(order)
        if order.do is Verb.ADVANCE:
            assert order.by_us is not None
            self._advance(host, order.by_us)
        elif order.do is Verb.THAW:
            host.order(Order("thaw", None, {}, ACTOR, order.reason))
            self._await_zombie(self._heard.courses[run_id])
        elif order.do in (Verb.KILL, Verb.FREEZE):
            args = {"signal": "STOP" if order.do is Verb.FREEZE else "KILL"}
            host.order(Order("kill", run_id, args, ACTOR, order.reason))
        elif order.do is Verb.RESOLVE:
            self._resolve(host, order, run_id)
        elif order.do is Verb.ANSWER:
            said = {"gate": order.gate, "value": order.value, "ordinal": order.ordinal}
            host.order(Order("answer", run_id, said, ACTOR, order.reason))
        elif order.do is Verb.BUDGET:
            told = {"deny": True} if order.deny else {"caps": dict(order.caps or {})}
            host.order(Order("budget", run_id, told, ACTOR, order.reason))
        elif order.do in (Verb.FORK, Verb.PROMOTE):
            self._fork(host, order)
        else:
            host.order(Order(str(order.do), run_id, {}, ACTOR, order.reason))
        if order.moment is Moment.POINT:
            self._heard.courses[run_id].held[order.on] -= 1
            steps = host.server.points.steps
            host.server.do(lambda: steps.go(run_id))

    def _fork(self, host: Host, order: ScriptedOrder) -> None:
        assert order.name is not None
        args = {} if order.do is Verb.PROMOTE else {"at": order.at}
        if order.input is not UNSET:
            args["input"] = order.input
        wish = Order(str(order.do), self._run_of(order), args, ACTOR, order.reason)
        self._forks[order.name] = host.start_armed(wish, lambda run_id: self._arms(run_id, order.name))

    def _advance(self, host: Host, by_us: int) -> None:
        self._clock.advance(by_us / 1_000_000)
        self._advances.append((format_us(self._clock.wall_us() - self._clock.skew_us), self._clock.skew_us))
        host.wake()

    def _resolve(self, host: Host, order: ScriptedOrder, run_id: str) -> None:
        result = order.result if order.how is How.CONFIRM else None
        args = {"key": self._key_of(order, run_id), "how": str(order.how), "result": result}
        host.order(Order("resolve", run_id, args, ACTOR, order.reason or "as the scenario says"))

    def _key_of(self, order: ScriptedOrder, run_id: str) -> str:
        """Raises UsageError if what is to be resolved is not there."""
        if isinstance(order.key, str):
            return f"{run_id}/{order.key}"
        with open_reader(self._config.journal) as reader:
            mine = self._heard.family(run_id)
            needs = [
                need
                for need in reader.needs()
                if need.kind in RESOLVED and need.tool == order.tool and need.run_id in mine
            ]
        if not needs:
            raise UsageError(f"nothing of {order.tool} waits for a person")
        return needs[0].key

    def _await_zombie(self, course: Course) -> None:
        """A thawed worker writes on, and is refused; one that had nothing to write says nothing."""
        refused, deadline = course.seen["write_refused"], self._real_us() + ZOMBIE_US
        while course.seen["write_refused"] == refused and self._real_us() < deadline:
            self._heard.take(POLL_SECONDS)

    def _decide(self, host: Host, prover: Prover) -> None:
        """For every run of the family that is STUCK."""
        with open_reader(self._config.journal) as reader:
            family, needs = read_family(reader, self._run_id), reader.needs()
        for kinship, dump in family.items():
            if dump.run.status != RunStatus.STUCK or dump.run.id in self._given_up:
                continue
            decided = prover.decide(kinship, family, needs, self._acts())
            if not decided:  # nothing that anybody could do: it stays STUCK
                self._given_up.add(dump.run.id)
                self._read.clear()
            for order in decided:
                self._as_person.append(order)
                self._place(host, order, dump.run.id)

    def _may_answer(self, host: Host) -> bool:
        """Whoever plays a person comes when all others rest, so parent and children go on in one order, trial by trial;
        or when one of them works for so long that it may wait for the answer itself."""
        if self._real_us() - self._heard.latest_us > QUIET_US:
            return True
        return not _awake(host) and self._still(self._run_id, timeless=False)

    def _answer_gates(self, host: Host) -> bool:
        """In a proof somebody answers each gate, with its first option. False if none is open."""
        with open_reader(self._config.journal) as reader:
            gates = [need for need in reader.needs() if need.kind is NeedKind.GATE]
        for gate in gates:
            said = {"gate": gate.gate, "ordinal": gate.ordinal, "value": gate.options[0]}
            with contextlib.suppress(Refused):  # the run has ended meanwhile
                host.order(Order("answer", gate.run_id, said, ACTOR, "the proof takes the first option"))
        return bool(gates)

    def _answer_caps(self, host: Host) -> bool:
        """In a proof somebody raises each cap that a run waits for, to what is just enough; but not for ever: what a
        run does after its first steps is denied, at the same place whoever was killed. False if nothing waits."""
        with open_reader(self._config.journal) as reader:
            waiting = [need for need in reader.needs() if need.kind is NeedKind.BUDGET]
            done = {need.run_id: reader.run(need.run_id) for need in waiting}
        for need in waiting:
            run = done[need.run_id]
            with contextlib.suppress(Refused):  # the run has ended, or goes on, meanwhile
                if run.decisions + run.effects >= MOST_STEPS:
                    host.order(Order("budget", need.run_id, {"deny": True}, ACTOR, "the proof comes to an end"))
                    continue
                enough = {need.unit: (need.spent or 0) + (need.reserved or 0) + (need.most or 0)}
                host.order(Order("budget", need.budget, {"caps": enough}, ACTOR, "the proof raises each cap"))
        return bool(waiting)

    def _skip_timer(self, host: Host) -> None:
        """Nothing but a timer is waited for: it is time."""
        if _awake(host) or (self._heard.stuck and self._waiting and self._strict):
            return
        with open_reader(self._config.journal) as reader:
            families = [read_family(reader, first) for first in (self._run_id, *self._forks.values())]
        due = [at_us for family in families for at_us in due_us(family)]
        if due and all(map(still, families)):
            self._advance(host, max(0, min(due) - self._clock.wall_us()))

    def _probe(self, host: Host) -> None:
        """Look-ups that did not find what was there are asked once more, for a proof."""
        if self._prover is None or not self._run_id:
            return
        self._heard.drain()
        for absent in false_absents(self._heard.entries, self._acts()):
            with open_reader(self._config.journal) as reader:
                later = ask_again(host, self._clock, reader.dump(absent.key.partition("/")[0]), absent)
            self._absents.append(replace(absent, seen_after_us=None if later is None else absent.age_us + later))

    # --- the end ----------------------------------------------------------------------------------------------

    def _acts(self) -> Acts:
        """By the trial's clock: a stand-in's own is never put forward."""
        return {name: tuple(map(self._in_time, read_ledger(ledger))) for name, ledger in self._ledgers.items()}

    def _in_time(self, act: Act) -> Act:
        skew_us = max((skew_us for since, skew_us in self._advances if since <= act.at), default=0)
        return replace(act, at=format_us(us_of(act.at) + skew_us)) if skew_us else act

    def _outcome(self, late: str, unreached: tuple[int, ...], seconds: float) -> Outcome:
        journal = self._config.journal
        acts = self._acts()
        forks, lines = dict[str, Fork](), list[ContractLine]()
        family: Family = {}
        with contextlib.suppress(JournalMissing), open_reader(journal) as reader:
            with contextlib.suppress(NotFound):
                family = read_family(reader, self._run_id)
            for name, run_id in self._forks.items():
                forks[name] = Fork(run_id, reader.dump(run_id), self._heard.family(run_id))
            for name, ledger in self._ledgers.items():
                counted = ContractCount(name, ledger)
                line = counted.refresh(reader)
                while line.holds is None and counted.readable:
                    line = counted.refresh(reader)
                lines.append(line)
        found = [finding for finding in examine(journal).findings if finding.severity is Severity.ERROR]
        return Outcome(
            run_id=self._run_id,
            family=family,
            entries=tuple(self._heard.entries),
            acts=acts,
            contract=tuple(lines),
            surplus=tuple(key for line in lines for key in line.offenders if _acts_of(acts, key) > 0),
            missing=tuple(key for line in lines for key in line.offenders if _acts_of(acts, key) == 0),
            findings=tuple(finding.what for finding in found),
            passes=tuple(self._passes),
            unreached=unreached,
            unplaced=tuple(range(len(self._scenario.orders) - len(self._waiting), len(self._scenario.orders))),
            as_person=tuple(self._as_person),
            absents=tuple(self._absents),
            late=late,
            orphans=tuple(carriers(*self._heard.nonces) or ()) if self._heard.nonces else (),
            said=tuple(self._heard.said),
            seconds=seconds,
            folder=self._folder,
            forks=forks,
        )


def _awake(host: Host) -> bool:
    """Whether an agent process drives a run or runs a hook; a frozen one does neither."""
    return any((peer.drives or peer.hooks) and not peer.frozen for peer in list(host.server.peers.values()))


def _acts_of(acts: Acts, key: str) -> int:
    return sum(act.key == key and not act.undone for found in acts.values() for act in found)
