"""Entries as spans, by hand: names, times, what stands on the run's span, and that nothing said goes out."""

from __future__ import annotations

from tape.core.kernel import events
from tape.reactors.spans import RunTrace, Span
from tests.core.run_book import KEY, RUN, START_US, Script, demo, to_effect

MS = 1000


def spans_of(script: Script) -> list[Span]:
    trace = RunTrace(RUN)
    return [span for entry in script.entries if entry.run_id and (span := trace.take(entry)) is not None]


def test_the_demo_as_spans() -> None:
    spans = spans_of(demo())
    assert [(span.what, span.name, span.start_us - START_US, span.end_us - START_US) for span in spans] == [
        ("decision 0", "chat ask_model", 80_500, 81 * MS),
        ("decision 1", "chat ask_model", 162_500, 163 * MS),
        ("lease 1", "lease", 1 * MS, 176 * MS),
        (f"effect {KEY}", "execute_tool wire_money", 164 * MS, 206 * MS),
        ("decision 2", "chat ask_model", 239_500, 240 * MS),
        ("lease 3", "lease", 219 * MS, 245 * MS),
        ("", "invoke_agent treasury", 0, 245 * MS),
    ]
    assert [span.failed for span in spans] == [False, False, True, False, False, False, False]
    assert [happening.name for happening in spans[-1].happenings] == [
        "point reached", "crash", "effect doubted", "observed", "re-driven", "attached",
    ]  # fmt: skip
    assert spans[0].attributes["gen_ai.usage.input_tokens"] == 150
    assert spans[3].attributes["tape.resolution"] == "observed"


def test_what_was_said_goes_nowhere() -> None:
    text = str(spans_of(demo()))
    for said in ("ACME", "pay invoice", "plan", "paid", "wires-1", "12500"):
        assert said not in text


def test_an_ask_that_was_repeated_is_a_span_of_its_reply() -> None:
    script = Script().start()
    script.add(5, events.ModelAsked(index=0, name="ask"), epoch=1).lose(10).grant(20, epoch=3, drive=2)
    script.add(25, events.ModelAsked(index=0, name="ask", asks=2), epoch=3)
    script.add(30, events.Decision(index=0, name="ask", fingerprint="f", request=None, error={"type": "X"}), epoch=3)
    (_, decision) = spans_of(script.add(30, events.Charge(pays_for="decision 0"), epoch=3))
    assert (decision.start_us, decision.end_us) == (START_US + 25 * MS, START_US + 30 * MS)
    assert decision.failed and decision.attributes["tape.asks"] == 2


def test_a_run_is_told_once_and_only_at_its_end() -> None:
    trace = RunTrace(RUN)
    for entry in to_effect().entries:
        trace.take(entry)
    assert not trace.over
    (run,) = [
        span for span in spans_of(Script().start().finish(9, worker=1, epoch=1, outcome="FAILED")) if not span.what
    ]
    assert run.failed


def test_the_middle_of_a_run_is_no_error() -> None:
    whole = demo().entries
    for start in range(len(whole)):
        trace = RunTrace(RUN)
        for entry in whole[start:]:
            span = trace.take(entry)
            assert span is None or span.start_us <= span.end_us
