"""`python -m tape.core.agent`: started by the supervisor only; everything it needs is in its environment."""

from __future__ import annotations

import sys

from tape.core.agent.process import main

if __name__ == "__main__":
    sys.exit(main())
