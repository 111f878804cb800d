"""What the console needs from behind the screen, as one small protocol: tests play it from a recording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from textual.message import Message

from tape.core.config import Config
from tape.tui.messages import Act, PlayWanted, ProofWanted
from tape.tui.scene import View

Post = Callable[[Message], Any]


class Backstage(Protocol):
    """Called from the screen's thread; every call returns at once, answers come as messages."""

    @property
    def config(self) -> Config:
        """The project, for what a screen reads or writes on a thread of its own."""
        ...

    def start(self, post: Post) -> None:
        """Opens the journal, starts the service, then sends scenes."""
        ...

    def look(self, view: View) -> None:
        """Asks for scenes of this view from now on."""
        ...

    def act(self, act: Act) -> None:
        """Has an act done; `ActDone` says how it went."""
        ...

    def prove(self, wanted: ProofWanted) -> None:
        """Starts a proof in a process of its own; what it says comes as `ProofTold`, its end as `ProofEnded`."""
        ...

    def stop_proof(self) -> None:
        """Asks the proof that is under way to end."""
        ...

    def play(self, wanted: PlayWanted) -> None:
        """Plays scenario files in a process of its own; what it says comes as `PlayTold`, its end as `PlayEnded`."""
        ...

    def stop_play(self) -> None:
        """Asks it to end."""
        ...

    def living(self) -> int:
        """How many runs are being driven now."""
        ...

    def stop(self, *, drain: bool) -> None:
        """Ends a proof, a play and the service; returns when all have ended. With `drain` agents finish their
        boundary."""
        ...
