"""A soak's server, in a process of its own, to be killed: `python -m tests.soak.serve PROJECT`.

Reads orders from standard input, one JSON line each: `{"at": POINT, "nth": N}` arms a point, `{}` disarms all. It ends
in order with its input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tape.core.config import load_config
from tape.core.kernel.points import Arm, Death, find_point
from tape.reactors.host import Host, Voice

MOST_ARMED = 4


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    voice = Voice(trouble=tell, agent_said=lambda pid, line: tell(f"agent {pid}: {line}"))
    with Host(load_config(Path(sys.argv[1]), {}), voice=voice) as host:
        host.wait_ready()
        for line in sys.stdin:
            asked = json.loads(line)
            if not asked:
                host.server.disarm()
            elif len(host.server.arms()) < MOST_ARMED:
                host.arm(Arm(find_point(asked["at"]), Death.KILL, nth=asked["nth"]))


if __name__ == "__main__":
    main()
