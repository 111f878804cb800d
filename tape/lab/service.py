"""A project's whole service: the stand-ins of its tape.yaml, and the host with their addresses in its environment."""

from __future__ import annotations

from contextlib import ExitStack

from tape.core.clock import Clock
from tape.core.config import Config
from tape.lab.upstream import Upstream, environment_variable, parse_options, start_upstream
from tape.reactors.host import Host, Voice


class Service:
    """Context manager: `with Service(config) as service`, then `service.host` and `service.upstreams`."""

    def __init__(self, config: Config, *, clock: Clock | None = None, voice: Voice | None = None) -> None:
        self._config = config
        self._clock = clock
        self._voice = voice
        self._stack = ExitStack()
        self.upstreams: dict[str, Upstream] = {}

    def __enter__(self) -> Service:
        """Raises UsageError for wrong stand-in options, ServerUnavailable if another server holds the journal."""
        config = self._config
        options = {name: parse_options(given, f"tape.yaml: upstream {name}") for name, given in config.upstream.items()}
        self.host = Host(config, clock=self._clock, voice=self._voice)
        with ExitStack() as stack:
            stack.enter_context(self.host.holding())
            for name, wanted in options.items():
                ledger = config.journal.parent / f"{name}.jsonl"
                upstream = stack.enter_context(start_upstream(name, ledger, wanted))
                self.upstreams[name] = upstream
                self.host.environment[environment_variable(name)] = upstream.url
            stack.enter_context(self.host)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
