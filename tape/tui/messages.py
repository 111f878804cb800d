"""Everything that reaches the screen from its other threads. Newer scenes replace queued older ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

from tape.tui.scene import Scene

if TYPE_CHECKING:
    from tape.core.server.orders import Order


@dataclass(frozen=True, slots=True)
class Strike:
    """An armed place as a recipe remembers it."""

    point: str
    death: str
    tool: str | None = None
    decision_index: int | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """One act of the person at the screen: an order like its twin on the command line. `told` is what the screen says
    when it is done; `recipe` arms a fresh run before anything can drive it."""

    order: Order
    told: str
    recipe: tuple[Strike, ...] = ()


class SceneReady(Message):
    """A newer scene."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        super().__init__()

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SceneReady)


class ActDone(Message):
    """An act has been done, or refused: `text` says which, safe or not; `result` is the order's."""

    def __init__(self, act: Act, *, ok: bool, text: str, result: dict[str, Any]) -> None:
        self.act, self.ok, self.text, self.result = act, ok, text, result
        super().__init__()


@dataclass(frozen=True, slots=True)
class ProofWanted:
    """A proof to be started; `agent` is None where the project has not named any. `number` tells it from others;
    `pairs`: with a second death during each recovery."""

    number: int
    agent: str | None
    value: Any
    pairs: bool = False


class ProofTold(Message):
    """A line of `tape prove --events`."""

    def __init__(self, number: int, line: str) -> None:
        self.number, self.line = number, line
        super().__init__()


class ProofEnded(Message):
    """Its process is gone. `last_words` is the last line of its standard error, safe or not."""

    def __init__(self, number: int, code: int, last_words: str) -> None:
        self.number, self.code, self.last_words = number, code, last_words
        super().__init__()


@dataclass(frozen=True, slots=True)
class PlayWanted:
    """Scenario files to be played, by their paths from the project's folder. `number` tells it from other times."""

    number: int
    files: tuple[str, ...]


class PlayTold(Message):
    """A line of `tape scenario run --events`."""

    def __init__(self, number: int, line: str) -> None:
        self.number, self.line = number, line
        super().__init__()


class PlayEnded(Message):
    """Its process is gone. `last_words` is the last line of its standard error, safe or not."""

    def __init__(self, number: int, code: int, last_words: str) -> None:
        self.number, self.code, self.last_words = number, code, last_words
        super().__init__()


class Said(Message):
    """A word in the last line: the code was reloaded, a file was written."""

    def __init__(self, text: str, *, wrong: bool = False) -> None:
        self.text, self.wrong = text, wrong
        super().__init__()


class Ended(Message):
    """The service has ended by itself; the console stays and says why."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__()
