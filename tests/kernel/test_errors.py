"""The exception tree: who may catch what."""

from __future__ import annotations

import inspect

import pytest

from tape.core.kernel import errors

ALL = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BaseException)]
SIGNALS = [cls for cls in ALL if issubclass(cls, errors.RunInterrupted)]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_everything_is_an_error_of_tape_or_a_signal(cls: type[BaseException]) -> None:
    assert issubclass(cls, errors.TapeError) != issubclass(cls, errors.RunInterrupted)
    assert inspect.getdoc(cls), "its text is its documentation"


@pytest.mark.parametrize("cls", SIGNALS, ids=lambda cls: cls.__name__)
def test_signals_pass_an_authors_except_exception(cls: type[BaseException]) -> None:
    assert not issubclass(cls, Exception)
    with pytest.raises(cls):
        try:
            raise cls("stop")
        except Exception:  # what an author writes around a tool call
            pytest.fail("the handler swallowed the signal")


def test_signals_are_the_four_of_the_contract() -> None:
    assert {cls.__name__ for cls in SIGNALS} == {
        "RunInterrupted",
        "RunParked",
        "RunCancelled",
        "LeaseLost",
        "RunDiverged",
    }


@pytest.mark.parametrize("cls", [errors.Fenced, errors.IllegalTransition, errors.KeyConflict, errors.CancelRequested])
def test_refusals_are_refusals(cls: type[Exception]) -> None:
    assert issubclass(cls, errors.Refused) and issubclass(cls, errors.JournalError)
    assert not issubclass(cls, errors.EnvironmentTrouble), "a refused verb is no trouble of the machine"


def test_exit_codes_can_tell_usage_from_trouble() -> None:
    assert issubclass(errors.NotFound, errors.UsageError)
    assert issubclass(errors.JournalUnavailable, errors.EnvironmentTrouble)
    assert issubclass(errors.SchemaTooNew, errors.EnvironmentTrouble)
    both = [cls for cls in ALL if issubclass(cls, errors.UsageError) and issubclass(cls, errors.EnvironmentTrouble)]
    assert not both


def test_what_an_author_meets_is_no_journal_error() -> None:
    for cls in (errors.EffectFailed, errors.ResultUnrecordable, errors.ModelFailed, errors.SampleFailed):
        assert not issubclass(cls, errors.JournalError)


def test_one_line_is_one_line_with_a_visible_cut() -> None:
    assert errors.one_line(ValueError("a\n  b\tc")) == "a b c"
    assert errors.one_line(ValueError()) == "ValueError"
    assert errors.one_line(ValueError("x" * 500), 10) == "x" * 9 + "…"


def test_an_error_that_cannot_say_its_text_has_the_name_of_its_type() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("odd")

    assert errors.text_of(Mute()) == errors.one_line(Mute()) == "Mute"
