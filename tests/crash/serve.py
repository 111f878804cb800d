"""A server in a process of its own, to be killed: `python -m tests.crash.serve PROJECT`.

Prints one JSON line per entry (`{"run", "seq", "kind", "epoch", "body"}`), and `{"ready": true}` once an agent is
ready. Reads orders from standard input, one JSON line each: `{"verb", "run", "args"}` or `{"arm", ...}`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import orjson

from tape.core.config import load_config
from tape.core.kernel.events import Entry
from tape.core.kernel.points import Arm, Death, find_point
from tape.reactors.host import Host, Voice

_out = threading.Lock()


def tell(fact: dict[str, Any]) -> None:
    with _out:
        os.write(1, orjson.dumps(fact) + b"\n")


def tell_entries(entries: list[Entry]) -> None:
    for entry in entries:
        tell({"run": entry.run_id, "kind": entry.event.kind, "event": entry.event})


def main() -> None:
    config = load_config(Path(sys.argv[1]), {})
    voice = Voice(
        entries=tell_entries,
        agent_said=lambda pid, line: tell({"said": f"{pid}: {line}"}),
        trouble=lambda line: tell({"said": line}),
    )
    with Host(config, voice=voice) as host:
        host.wait_ready()
        tell({"ready": True})
        for line in sys.stdin:
            asked = json.loads(line)
            host.arm(Arm(find_point(asked["at"]), Death.KILL, nth=asked["nth"]))


if __name__ == "__main__":
    main()
