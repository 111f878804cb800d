"""Whom the host tells what happens outside the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tape.core.kernel.events import Entry


@dataclass(frozen=True, slots=True)
class Voice:
    """Whom the host tells what happens outside the journal, from threads of its own."""

    entries: Callable[[list[Entry]], None] = lambda entries: None
    agent_said: Callable[[int, str], None] = lambda pid, line: None
    trouble: Callable[[str], None] = lambda line: None
    reloaded: Callable[[str], None] = lambda what: None
