"""A run of the journal as a record to be played from: what its models said and its tools returned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tape.core.journal.dump import RunDump
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import UsageError
from tape.core.kernel.events import RunStarted
from tape.core.kernel.hidden import visible
from tape.core.kernel.lifecycle import EffectStatus, RunStatus
from tape.core.kernel.resolution import Resolution, Semantics

STAND_IN = "recorded"
"""The name of the one stand-in that takes the place of all upstreams."""

Json = Any


@dataclass(frozen=True, slots=True)
class Recorded:
    """`agent` and `input` are the run's; `body` is what the agent's process reads."""

    agent: str
    input: Json
    body: Json

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.body))


def recorded_run(journal: Path, run_id: str) -> Recorded:
    """Raises UsageError for a run that has not ended well, or has children, NotFound for one that is not there."""
    with open_reader(journal) as reader:
        dump = reader.dump(run_id)
    if dump.run.status not in (RunStatus.TERMINAL, RunStatus.FAILED):
        raise UsageError(f"{run_id} is {dump.run.status}: only a run that has ended can be played from")
    if dump.children:
        raise UsageError(f"{run_id} has started child runs, which its record does not play: choose a run without any")
    started = next(entry.event for entry in dump.entries if isinstance(entry.event, RunStarted))
    return Recorded(dump.run.agent, started.input, body_of(dump))


def body_of(dump: RunDump) -> Json:
    return {
        "decisions": [{"reply": decision.reply, "error": decision.error} for decision in dump.decisions],
        "effects": {
            effect.key.partition("/")[2]: {
                "tool": effect.tool,
                "args": visible(effect.args, effect.hidden),
                "reads": effect.semantics == Semantics.READ_ONLY,
                "result": effect.result,
                "error": effect.error if effect.status == EffectStatus.FAILED else None,
                "rejected": effect.resolution == Resolution.REJECTED,
            }
            for effect in dump.effects
        },
    }
