"""Plays `tape prove` from a file: prints its lines. `@wait FIFO` holds until somebody writes into it, `@deaf` makes it
ignore SIGTERM, `@stderr TEXT` and `@exit CODE` are what they say, `@pid FILE` writes its pid."""

import os
import signal
import sys
from pathlib import Path

for line in Path(sys.argv[1]).read_text("utf-8").split("\n"):
    word, _, rest = line.partition(" ")
    if word == "@wait":
        Path(rest).read_text()
    elif word == "@deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif word == "@pid":
        Path(rest).write_text(str(os.getpid()))
    elif word == "@stderr":
        print(rest, file=sys.stderr, flush=True)
    elif word == "@exit":
        sys.exit(int(rest))
    elif line:
        print(line, flush=True)
