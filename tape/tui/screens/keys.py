"""The keys of the main screen, each with an id so that it can be given another key."""

from __future__ import annotations

from textual.binding import Binding


def _key(keys: str, action: str, says: str, id: str, *, priority: bool = False) -> Binding:
    return Binding(keys, action, says, show=False, id=id, priority=priority)


BINDINGS: tuple[Binding, ...] = (
    _key("1", "pane('runs')", "runs", "pane-runs"),
    _key("2", "pane('tape')", "tape", "pane-tape"),
    _key("3", "pane('effects')", "effects", "pane-effects"),
    _key("4", "pane('reactors')", "reactors", "pane-reactors"),
    _key("5", "pane('processes')", "leases and processes", "pane-processes"),
    _key("6", "pane('log')", "log", "pane-log"),
    _key("7", "pane('detail')", "detail", "pane-detail"),
    _key("x", "pane('crash')", "crash points", "pane-crash"),
    _key("tab", "next_pane(1)", "next pane", "pane-next"),
    _key("shift+tab", "next_pane(-1)", "pane before", "pane-before"),
    _key("escape", "back", "back", "back"),
    _key("slash", "filter", "filter runs", "filter"),
    _key("z", "zoom", "zoom the pane", "zoom"),
    _key("f", "follow", "follow what is new", "follow"),
    _key("S", "sort", "sort runs", "sort"),
    _key("o", "everywhere", "effects of this run or of all", "effects-of-all"),
    _key("w", "whole_story", "every entry on the tape, or the story only", "whole-story"),
    _key("l", "log_tab", "next tab of the log", "log-tab"),
    _key("less_than_sign", "travel(-1)", "back in time", "time-back"),
    _key("greater_than_sign", "travel(1)", "forth in time", "time-forth"),
    _key("at", "time_here", "as it was at the line under the cursor", "time-here"),
    _key("J", "jump", "to the child, the parent or the fork's source", "jump"),
    _key("backspace", "jump_back", "back from there", "jump-back"),
    _key("plus", "grow(1)", "a larger pane", "grow"),
    _key("minus", "grow(-1)", "a smaller pane", "shrink"),
    _key("left_parenthesis", "widen(-1)", "a narrower left side", "narrower"),
    _key("right_parenthesis", "widen(1)", "a wider left side", "wider"),
    _key("space", "arm", "arm the point (crash pane), else pause the view", "arm"),
    _key("t", "run_to", "run to the point and stop there", "run-to"),
    _key("n", "step", "to the next boundary", "step"),
    _key("c", "go", "let it run", "continue"),
    _key("K", "kill", "kill the agent of the selected run", "kill"),
    _key("X", "death", "choose the kind of death", "death"),
    _key("T", "thaw", "thaw frozen agents", "thaw"),
    _key("R", "repeat", "the same again on a fresh run", "repeat"),
    _key("a", "prove", "prove: kill this agent at every boundary", "prove"),
    _key("p", "scenarios", "play scenarios", "scenarios"),
    _key("W", "record", "record this run as a scenario", "record"),
    _key("F", "fork", "fork the run at the record under the cursor", "fork"),
    _key("P", "promote", "let a fork act for real", "promote"),
    _key("question_mark,f1", "help", "keys, signs, tour", "help"),
    _key("equals_sign", "compare", "compare two runs", "compare"),
    _key("y", "copy", "copy to the terminal's clipboard", "copy"),
    _key("e", "export", "write a line, a run or the screen to a file", "export"),
    Binding("enter", "tour_next", "next step of the tour", show=False, priority=True),
    Binding("escape", "tour_leave", "leave the tour", show=False, priority=True),
    _key("ctrl+c", "interrupt", "twice: kill the agent", "interrupt", priority=True),
    _key("r", "trigger", "trigger a run", "trigger"),
    _key("C", "cancel", "cancel the selected run", "cancel"),
    _key("D", "redrive", "take a STUCK run up again", "redrive"),
    _key("s", "settle", "settle an effect that nobody else can settle", "settle"),
    _key("u", "undo", "undo an effect of a run that goes on", "undo"),
    _key("B", "budget", "what the run may spend: set a cap", "budget"),
    _key("i", "inbox", "inbox: what needs a person", "inbox"),
    _key("q", "quit", "quit", "quit"),
)

_LINES = {
    "runs": "r run, K kill, x crash points, enter tape, / filter, f follow, ? help",
    "tape": "enter detail, <> time, F fork here, K kill, x crash points, z zoom, ? help",
    "effects": "o this run or all, enter detail, s settle, u undo, z zoom, ? help",
    "log": "l next tab, f follow, enter detail, z zoom, ? help",
    "detail": "y copy, e export, esc back, z zoom, ? help",
    "filter": "enter filters, esc leaves, state: stuck open ended, agent: effect: since:10m",
    "crash": "space arm, t run to it, X death, K kill, a prove all, v verdict, R again",
}
_ELSEWHERE = "K kill, x crash points, r run, enter detail, z zoom, ? help"
_STOPPED = "n next, c go on, K kill here, x crash points, z zoom, ? help"


def keys_for(pane: str, *, stopped: bool) -> tuple[tuple[str, str], ...]:
    """At most seven keys that fit where the focus is."""
    line = _STOPPED if stopped else _LINES.get(pane, _ELSEWHERE)
    return tuple((key, says) for key, _, says in (part.partition(" ") for part in line.split(", ")))
