"""A project's whole service: the stand-ins of its tape.yaml, and the host with their addresses in its environment."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tape.core.clock import Clock
from tape.core.config import Config
from tape.lab.reload import CodeWatcher, changed_text
from tape.lab.upstream import Upstream, environment_variable, parse_options, start_upstream
from tape.reactors.host import Host, Voice


class Service:
    """Context manager: `with Service(config) as service`, then `service.host` and `service.upstreams`.

    `reload`: saving the project's code replaces the agent processes. `patient`: so it can mend a project that cannot
    be loaded even at the start; otherwise such a start ends.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        voice: Voice | None = None,
        reload: bool = False,
        patient: bool = False,
    ) -> None:
        self._config = config
        self._clock = clock
        self._voice = voice or Voice()
        self._reload = reload
        self._patient = patient
        self._stack = ExitStack()
        self.upstreams: dict[str, Upstream] = {}

    def __enter__(self) -> Service:
        """Raises UsageError for wrong stand-in options, ServerUnavailable if another server holds the journal."""
        config = self._config
        options = {name: parse_options(given, f"tape.yaml: upstream {name}") for name, given in config.upstream.items()}
        self.host = Host(config, clock=self._clock, voice=self._voice, patient=self._patient)
        with ExitStack() as stack:
            stack.enter_context(self.host.holding())
            for name, wanted in options.items():
                ledger = config.journal.parent / f"{name}.jsonl"
                upstream = stack.enter_context(start_upstream(name, ledger, wanted))
                self.upstreams[name] = upstream
                self.host.environment[environment_variable(name)] = upstream.url
            self._watch_code(stack)
            stack.enter_context(self.host)
            self._stack = stack.pop_all()
        return self

    def _watch_code(self, stack: ExitStack) -> None:
        """From before the first agent process loads the code: no save is missed."""
        if not self._reload:
            return
        # A cached file is told from its source by whole seconds and size: two quick saves may look alike to it.
        self.host.environment.setdefault("PYTHONDONTWRITEBYTECODE", "1")
        stack.enter_context(CodeWatcher(self._config, self._on_change, trouble=self._voice.trouble))

    def _on_change(self, changed: list[Path]) -> None:
        self._voice.reloaded(changed_text(changed, self._config.root))
        self.host.reload()

    def __exit__(self, *_: object) -> None:
        self._stack.close()
