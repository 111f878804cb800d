"""What the console needs from behind the screen, as one small protocol: tests play it from a recording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from textual.message import Message

from tape.tui.messages import Act, ProofWanted
from tape.tui.scene import View

Post = Callable[[Message], Any]


class Backstage(Protocol):
    """Called from the screen's thread; every call returns at once, answers come as messages."""

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

    def living(self) -> int:
        """How many runs are being driven now."""
        ...

    def stop(self, *, drain: bool) -> None:
        """Ends a proof and the service; returns when both have ended. With `drain` agents finish their boundary."""
        ...
