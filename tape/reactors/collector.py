"""Whether anybody takes what telemetry tells: watched at the exporters; said once when it is not so, once when it is
again. The packages' own complaints come by the dozen, and they would go to stderr, where a console may be."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_EXPORTERS = "opentelemetry.exporter"
_NUMBERED = re.compile(r"\[Errno -?\d+\] ([\w ,.-]+)")
_TIMED_OUT = re.compile("timed? ?out", re.IGNORECASE)
_SAID_NO = re.compile(r"Transient error ([\w ]+) encountered|code: ([1-5]\d\d), reason: ([\w ]*)")
_GIVEN_UP = "max retries or shutdown"


@dataclass(slots=True)
class Collector:
    """`away` from the first batch that was not taken until one is. From any thread."""

    trouble: Callable[[str], None]
    away: bool = False
    why: str = ""
    _said: set[str] = field(default_factory=lambda: set())

    def watch(self, exporter: Any) -> Watched:
        return Watched(exporter, self)

    def took(self, batch_taken: bool) -> None:
        if self.away is not batch_taken:
            return
        self.away = not batch_taken
        if self.away:
            why = f" ({self.why})" if self.why else ""
            self.say(
                f"telemetry: the collector does not take what it is told{why}: runs go on, spans and metrics may be "
                f"lost; OTEL_EXPORTER_OTLP_ENDPOINT says where it is"
            )
        else:
            self.say("telemetry: the collector takes what it is told again")

    def say(self, text: str) -> None:
        """Once, however often it happens: a line per batch would bury all else that a server says."""
        name = text.partition(" (")[0]
        if name not in self._said:
            self._said.add(name)
            self.trouble(text)


class Watched:
    """An exporter whose answers are looked at; in all else it is the exporter that it was made from."""

    def __init__(self, exporter: Any, collector: Collector) -> None:
        self._exporter, self._collector = exporter, collector

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exporter, name)

    def export(self, *args: Any, **named: Any) -> Any:
        result: Any = None
        try:
            result = self._exporter.export(*args, **named)
        except OSError as error:
            self._collector.why = reason(str(error))
            raise
        finally:
            self._collector.took(getattr(result, "name", "") == "SUCCESS")
        return result


def reason(text: str) -> str:
    """What is wrong in a few words, of messages in which addresses of objects and whole chains of errors stand."""
    numbered = _NUMBERED.search(text)
    if numbered is not None:
        return numbered[1].strip()
    if _TIMED_OUT.search(text):
        return "no answer in time"
    said = _SAID_NO.search(text)
    if said is not None:
        return " ".join(filter(None, said.groups())).strip()
    return " ".join(text.split())[:100]


class _Complaints(logging.Handler):
    def __init__(self, collector: Collector) -> None:
        super().__init__(logging.WARNING)
        self._collector = collector

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())
        if not record.name.startswith(_EXPORTERS):
            self._collector.say(f"telemetry: {text[:300]}")
        elif _GIVEN_UP not in text:  # it says no more than the tries before it
            self._collector.why = reason(text)
            self._collector.took(False)  # at the first try: the last one may come after the end


def quieten(collector: Collector) -> None:
    """The packages' logger, for this process."""
    log = logging.getLogger("opentelemetry")
    log.handlers[:] = [_Complaints(collector)]
    log.propagate = False
