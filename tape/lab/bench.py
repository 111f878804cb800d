"""What the trials of one process share: the stand-ins' processes, and a forkserver with the project loaded."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

from tape.core.config import Config
from tape.core.server.forkserver import ForkedChild, ForkServer
from tape.lab.upstream import Upstream, UpstreamOptions, environment_variable, parse_options, start_upstream

LIVES = 2


class Turns:
    """Fork servers that take turns: who takes a run over has loaded the project by itself. What differs from load to
    load (the order of a set, a number drawn at import) differs as it would between real processes."""

    def __init__(self, servers: Sequence[ForkServer]) -> None:
        self._servers = servers
        self._turn = 0

    def fork(self, environment: Mapping[str, str], stdout_fd: int, stderr_fd: int) -> ForkedChild | None:
        self._turn += 1
        return self._servers[self._turn % len(self._servers)].fork(environment, stdout_fd, stderr_fd)


class Bench:
    """Context manager, for one thread. Trials that follow each other get the same processes, and ledgers of their own.

    `forks` is None where processes cannot be forked: then each agent is started anew. The stand-ins of `config` are
    started first: a project may read their addresses while it is loaded.
    """

    def __init__(self, config: Config, environment: Mapping[str, str] = {}) -> None:
        self.config = config
        self.environment = dict(environment)
        self.forks: Turns | None = None
        self._upstreams: dict[str, Upstream] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Bench:
        """Raises UsageError for wrong options of a stand-in, EnvironmentTrouble if one cannot be started."""
        with ExitStack() as stack:
            self._scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tape-bench-")))
            self._stack = stack
            for name, given in self.config.upstream.items():
                options = parse_options(given, f"{self.config.source.name}: upstream {name}")
                self.upstream(name, self._scratch / f"{name}.jsonl", options)
            if ForkServer.available():
                targets = {name: str(target) for name, target in self.config.agents.items()}
                servers = [ForkServer(self.config.root, targets, self.surroundings()) for _ in range(LIVES)]
                with ThreadPoolExecutor(LIVES) as together:
                    together.map(ForkServer.start, servers)
                self.forks = Turns([stack.enter_context(closing(server)) for server in servers])
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def surroundings(self) -> dict[str, str]:
        """What the agents get in their environment."""
        addresses = {environment_variable(name): upstream.url for name, upstream in self._upstreams.items()}
        return {**self.environment, **addresses}

    def upstream(self, name: str, ledger: Path, options: UpstreamOptions) -> Upstream:
        """The stand-in of this name, on this ledger. Raises UsageError, EnvironmentTrouble."""
        upstream = self._upstreams.get(name)
        if upstream is None:
            upstream = self._upstreams[name] = self._stack.enter_context(start_upstream(name, ledger, options))
        else:
            upstream.renew(ledger, options)
        return upstream
