"""The console's backstage: the project's whole service, started, asked and ended on a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tape.core.clock import Clock
from tape.core.config import Config
from tape.core.kernel.errors import EnvironmentTrouble, TapeError, one_line
from tape.core.marks import Style
from tape.tui.acts import READ_ONLY
from tape.tui.backstage import Post
from tape.tui.choices import Choices
from tape.tui.messages import Act, ActDone, Ended, PlayWanted, ProofWanted, Said
from tape.tui.scene import Phase, Scene, Source, View

if TYPE_CHECKING:
    from tape.core.kernel.events import Entry
    from tape.core.kernel.points import Arm
    from tape.core.server.orders import Order
    from tape.lab.service import Service
    from tape.reactors.host import Host
    from tape.tui.feed.feed import Feed
    from tape.tui.proving import Playing, Proving

SAME_TROUBLE_US = 10_000_000
DRAIN_SECONDS = 5.0
Work = Callable[[], None]


class Live:
    """A `Backstage` over a real service. Everything heavy is imported on its thread, after the first paint."""

    def __init__(self, config: Config, clock: Clock, scene: Scene, choices: Choices) -> None:
        self._config = config
        self._clock = clock
        self._scene = scene
        self._choices = choices
        self._jobs: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._service: Service | None = None
        self._feed: Feed | None = None
        self._view = scene.view
        self._post: Post = lambda message: None
        self._failure = ""
        self._imported = False
        self._last_trouble = ("", -SAME_TROUBLE_US)
        self._stopping = False
        self._proving: Proving | None = None
        self._playing: Playing | None = None
        self.own_points: tuple[str, ...] = ()
        self.start_error: TapeError | None = None
        self._thread = threading.Thread(target=self._run, name="service", daemon=True)

    # --- from the screen's thread -------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        return self._config

    def start(self, post: Post) -> None:
        self._post = post
        self._thread.start()

    def look(self, view: View) -> None:
        self._view = view
        if self._feed is not None:
            self._feed.look(view)

    def act(self, act: Act) -> None:
        self._jobs.put(lambda: self._do(act))

    def prove(self, wanted: ProofWanted) -> None:
        from tape.tui.proving import Proving, prove_command

        self.stop_proof()
        self._proving = Proving(wanted.number, prove_command(wanted), self._config.root, self._post)
        self._proving.start()

    def stop_proof(self) -> None:
        if self._proving is not None:
            self._proving.stop()

    def play(self, wanted: PlayWanted) -> None:
        from tape.tui.proving import Playing, play_command

        self.stop_play()
        self._playing = Playing(wanted.number, play_command(wanted), self._config.root, self._post)
        self._playing.start()

    def stop_play(self) -> None:
        if self._playing is not None:
            self._playing.stop()

    def living(self) -> int:
        host = self.host
        return sum(1 for peer in list(host.server.peers.values()) if peer.drives) if host is not None else 0

    def stop(self, *, drain: bool) -> None:
        self._stopping = True
        self.stop_proof()
        self.stop_play()
        if self._thread.is_alive():
            if drain and self.host is not None:
                self.host.drain(DRAIN_SECONDS)
            self._jobs.put(None)
            self._thread.join()
        for child in (self._proving, self._playing):
            if child is not None:
                child.join()

    # --- what the feed asks -------------------------------------------------------------------------------------

    @property
    def host(self) -> Host | None:
        return self._service.host if self._service is not None else None

    @property
    def phase(self) -> Phase:
        if self._stopping:
            return Phase.STOPPING
        host = self.host
        if self._imported:
            return Phase.READ_ONLY
        if self._failure or (host is not None and (host.fatal or host.server.fatal)):
            return Phase.BROKEN
        return Phase.STARTING if host is None else Phase.LIVE

    @property
    def trouble(self) -> str:
        host = self.host
        if self._failure:
            return self._failure
        if host is None:
            return ""
        fatal = host.server.fatal or host.fatal
        if fatal is not None:
            return f"the server has ended: {one_line(fatal)}; q quits, the next start takes up what is open"
        return host.broken or host.load_error or ""

    # --- the service's thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        from tape.tui.feed.feed import Feed

        feed = self._feed = Feed(self._config, self._clock, self, self._scene, self._post)
        feed.look(self._view)
        feed.start()
        try:
            self._imported = is_imported(self._config)
            if not self._imported:
                self._open()
        except TapeError as error:
            self._fail(error)
        except Exception as error:  # nobody foresaw it: better said than a console that starts for ever
            self._fail(EnvironmentTrouble(f"the service cannot start: {type(error).__name__}: {one_line(error)}"))
        while (work := self._jobs.get()) is not None:
            work()
        if self._service is not None:
            self._service.__exit__()
        feed.stop()

    def _fail(self, error: TapeError) -> None:
        self.start_error = error
        self._failure = one_line(error)
        self._post(Ended(self._failure))
        if self._feed is not None:
            self._feed.wake()

    def _open(self) -> None:
        from tape.lab.own_points import own_points
        from tape.lab.service import Service
        from tape.reactors.host import Voice

        voice = Voice(
            entries=self._entries, agent_said=self._agent_said, trouble=self._trouble, reloaded=self._reloaded
        )
        service = Service(self._config, clock=self._clock, voice=voice, reload=True, patient=True)
        service.__enter__()
        self._service = service
        self.own_points = own_points(self._config)
        for point, death, _ in self._choices.armed:
            self._arm_again(point, death)
        if self._choices.armed:
            self._post(Said(f"armed since last time: {', '.join(point for point, *_ in self._choices.armed)}"))
        assert self._feed is not None
        self._feed.wake()

    def _arm_again(self, point: str, death: str) -> None:
        """What was armed when the console was last closed; a point that is gone is let go."""
        from tape.core.server.orders import Order

        try:
            args = {"at": point, "signal": death, "each_run": True}
            self._place(Order("kill", args=args, reason="armed since last time"))
        except TapeError as error:
            self._trouble(one_line(error))

    def _place(self, order: Order) -> dict[str, Any]:
        host = self.host
        if self._imported:
            from tape.core.kernel.errors import JournalUnavailable

            raise JournalUnavailable(READ_ONLY)
        if host is None:
            from tape.core.kernel.errors import ServerUnavailable

            raise ServerUnavailable(self._failure or "the service is still starting: try again in a moment")
        return host.order(order)

    def _do(self, act: Act) -> None:
        """One act, then how it went."""
        try:
            result = self._start_armed(act) if act.recipe else self._place(act.order)
        except TapeError as error:
            self._say(act, f"{one_line(error)}", Style.WARNING)
            self._post(ActDone(act, ok=False, text=one_line(error), result={}))
            return
        self._post(ActDone(act, ok=True, text=told(act, result), result=result))
        assert self._feed is not None
        self._feed.look(self._view)

    def _say(self, act: Act, text: str, style: Style) -> None:
        if self._feed is not None:
            self._feed.say(Source.YOU, "you", f"{act.order.verb}: {text}", style)

    def _start_armed(self, act: Act) -> dict[str, Any]:
        from tape.core.kernel.points import Arm, Death, find_point

        host = self.host
        if host is None:
            return self._place(act.order)
        strikes = [(find_point(strike.point), Death(strike.death), strike) for strike in act.recipe]

        def arms(run_id: str) -> list[Arm]:
            return [
                Arm(point, death, run_id=run_id, tool=strike.tool, decision_index=strike.decision_index)
                for point, death, strike in strikes
            ]

        return {"run": host.start_armed(act.order, arms)}

    # --- the voice: other threads -------------------------------------------------------------------------------

    def _entries(self, entries: list[Entry]) -> None:
        del entries
        if self._feed is not None:
            self._feed.wake()

    def _agent_said(self, pid: int, line: str) -> None:
        if self._feed is not None:
            self._feed.say(Source.AGENT, f"agent {pid}", line)

    def _trouble(self, line: str) -> None:
        """The same trouble is said again only after a while: it may be met many times a second."""
        now = self._clock.boot_us()
        if line == self._last_trouble[0] and now - self._last_trouble[1] < SAME_TROUBLE_US:
            return
        self._last_trouble = (line, now)
        if self._feed is not None:
            self._feed.say(Source.TAPE, "trouble", line, Style.ERROR)

    def _reloaded(self, what: str) -> None:
        from tape.lab.own_points import own_points

        self.own_points = own_points(self._config)
        self._post(Said(what))
        if self._feed is not None:
            self._feed.say(Source.TAPE, "reload", what)


def is_imported(config: Config) -> bool:
    """Whether the journal is an imported one, which nothing drives or writes."""
    from tape.core.journal.views import open_reader

    try:
        with open_reader(config.journal) as reader:
            return reader.imported() is not None
    except TapeError:  # there is none yet, or the service will say what is wrong with it
        return False


def told(act: Act, result: dict[str, Any]) -> str:
    """What the last line says of an act that was done."""
    if act.order.verb == "start":
        return f"{result['run']} {act.told}"
    if act.order.verb in ("fork", "promote"):
        how = "in quarantine" if act.order.verb == "fork" else "and acts for real"
        note = f" ({result['note']})" if result.get("note") else ""
        return f"{result['run']} goes on from seq {result['seq']} of {result['source']} {how}{note}"
    if act.order.verb == "thaw" and not result.get("thawed"):
        return "no agent is frozen"
    if act.order.verb == "budget" and result.get("waiting"):
        from tape.core.render import amount

        still = result["waiting"][0]
        return f"{still['run']} still waits: {amount(still['unit'], still['enough'])} would be enough"
    return act.told
