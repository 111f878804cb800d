"""The form that triggers a run, built from what the agent takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tape.core.text import show
from tape.tui.scene import Scene
from tape.tui.screens.choice import Choice
from tape.tui.screens.dialog import Dialog
from tape.tui.screens.form import WHOLE, Field, Form, Kind, form_of
from tape.tui.screens.question import Question
from tape.tui.screens.text_field import TextField

UNKNOWN = "what it takes is not known yet: any JSON; empty is null"
LEFT_OUT = "–"
AIRY_FIELDS = 5
HINT = "enter goes on    ctrl+s starts    esc leaves"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A run that is wanted; `agent` is None where the project has not named any."""

    agent: str | None
    value: Any


class TriggerScreen(Dialog[Trigger]):
    """Answers with the run that is wanted. `remembered` are the last inputs by agent, the newest last."""

    verb: ClassVar[str] = "Run"
    hint: ClassVar[str] = HINT
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "start", show=False, priority=True, id="dialog-start")
    ]

    def __init__(self, scene: Scene, remembered: Mapping[str, Any]) -> None:
        super().__init__()
        self._schemas = schemas_of(scene)
        self._agents = scene.agents or tuple(self._schemas)
        self._remembered = remembered
        last = next((name for name in reversed(list(remembered)) if name in self._agents), None)
        self.agent = last or (self._agents[0] if self._agents else None)
        self._written: dict[str | None, dict[str, str]] = {}
        self.form = self._form()

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False) as box:
            box.border_title = Content(f"{self.verb} {show(self.agent or '', 60)}".rstrip())
            if says := self.says():
                yield Static(says, markup=False, classes="says")
            if len(self._agents) > 1:
                names = [show(name, 40) for name in self._agents]
                yield Question("agent", Choice(names, self._agents.index(cast(str, self.agent))), id="agent")
            yield Vertical(*self._questions(), id="form", classes=self._density)
            yield from self.more()
            yield Static(self.hint, markup=False, classes="hint", id="dialog-hint")

    def begin(self) -> None:
        self._focus_form()

    def says(self) -> str:
        """What stands above the questions."""
        return ""

    def more(self) -> ComposeResult:
        """Questions after those of the form."""
        return ()

    @property
    def _density(self) -> str:
        """A long form has no lines between its fields."""
        return "dense" if len(self.form.fields) > AIRY_FIELDS else ""

    def _form(self) -> Form:
        return form_of(self._schemas.get(self.agent or "", {}))

    def _questions(self) -> list[Question]:
        answers = self._written.get(self.agent) or self._prefilled()
        return [self._question(field, answers.get(field.name, "")) for field in self.form.fields]

    def _prefilled(self) -> dict[str, str]:
        known = self.agent in self._remembered
        return self.form.answers(self._remembered[cast(str, self.agent)]) if known else self.form.answers()

    def _question(self, field: Field, answer: str) -> Question:
        name = "input" if field.name == WHOLE else field.name
        if field.kind is Kind.CHOICE:
            options = choices_of(field)
            index = options.index(answer) if answer in options else None
            shown = [_shown(option) for option in options]
            note = "" if field.hint.startswith(Kind.CHOICE) else field.hint
            return Question(name, Choice(shown, index), required=field.required, note=note)
        hint = field.hint if self.agent in self._schemas else UNKNOWN
        return Question(name, TextField(answer, placeholder=hint), required=field.required)

    def _focus_form(self) -> None:
        questions = list(self.query_one("#form").query(Question))
        if questions:
            self.set_focus(questions[0].control)

    # --- what changes while it is open --------------------------------------------------------------------------

    def answers(self) -> dict[str, str]:
        """What is written now, by field."""
        found: dict[str, str] = {}
        for field, question in zip(self.form.fields, self.query_one("#form").query(Question), strict=False):
            control = question.control
            if isinstance(control, TextField):
                found[field.name] = control.value
            else:
                found[field.name] = "" if control.index is None else choices_of(field)[control.index]
        return found

    async def on_choice_changed(self, message: Choice.Changed) -> None:
        chosen = self.query("#agent").first(Question).control if len(self._agents) > 1 else None
        if message.choice is chosen:
            self._written[self.agent] = self.answers()
            self.agent = self._agents[message.choice.index or 0]
            await self._build()

    def show(self, scene: Scene) -> None:
        """The agents have told what they take."""
        schemas = schemas_of(scene)
        if self.composed and schemas != self._schemas:
            self._schemas = schemas
            self.call_later(self._fit)

    async def _fit(self) -> None:
        """A single line stays where it is and is read in the new way, so that no key is lost that is being pressed.
        Another form is built anew, unless something has been written."""
        form, untouched = self._form(), self.answers() == self._prefilled()
        if is_line(self.form) and is_line(form):
            self.form = form
            question = self.query_one("#form Question", Question)
            question.wrong = ""
            question.require(form.fields[0].required)
            field = self.query_one("#form TextField", TextField)
            field.placeholder = form.fields[0].hint
            if untouched:
                field.value = self._prefilled()[WHOLE]
                field.cursor_position = len(field.value)
        elif untouched:
            await self._build()
            self._focus_form()

    async def _build(self) -> None:
        self.form = self._form()
        self.query_one(".dialog").border_title = Content(f"{self.verb} {show(self.agent or '', 60)}")
        box = self.query_one("#form")
        await box.remove_children()
        await box.mount(*self._questions())
        box.set_classes(self._density)
        for choice in box.query(Choice):
            choice.plain_glyphs = self.plain_glyphs

    # --- the answer -----------------------------------------------------------------------------------------------

    def action_start(self) -> None:
        self.finish()

    def finish(self) -> None:
        filled = self.form.fill(self.answers())
        if filled.wrong:
            questions = self.query_one("#form").query(Question)
            named = zip(self.form.fields, questions, strict=False)
            self.complain(
                {question: filled.wrong[field.name] for field, question in named if field.name in filled.wrong}
            )
        else:
            self.dismiss(Trigger(self.agent, filled.value))


def schemas_of(scene: Scene) -> dict[str, Any]:
    """What each agent takes, as far as the agent process has told."""
    told: Any = (scene.manifest or {}).get("agents")
    agents: list[Any] = cast("list[Any]", told) if isinstance(told, list) else []
    known = [cast("dict[str, Any]", agent) for agent in agents if isinstance(agent, dict)]
    return {str(agent.get("name")): agent.get("input") for agent in known}


def is_line(form: Form) -> bool:
    """Whether the whole input is one line of text."""
    return form.whole and form.fields[0].kind is not Kind.CHOICE


def choices_of(field: Field) -> tuple[str, ...]:
    """The answers to choose from; the first one leaves the field out, where it may be."""
    return field.options if field.required else ("", *field.options)


def _shown(option: str) -> str:
    """A text as it is, unless it could be taken for something else."""
    value: Any = json.loads(option) if option else LEFT_OUT
    if value is True or value is False:
        return "yes" if value else "no"
    plain = isinstance(value, str) and show(value) == value and value.strip() == value and value
    return show(str(value) if plain else option, 40)
