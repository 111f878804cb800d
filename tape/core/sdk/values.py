"""Values on their way to the journal and back: JSON through pydantic, typed by the author's annotations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cached_property, lru_cache, partial
from typing import Any, get_type_hints

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from tape.core.kernel.errors import UsageError, text_of
from tape.core.kernel.identity import RECORD_LIMIT_BYTES, check_json
from tape.core.sdk.decorators import name_of
from tape.core.sdk.hiding import Redacted, Secret, scrubbed

TEXT_LIMIT = 4000
"""Characters of an error, or of why a look-up is unclear."""


def to_json(value: Any, what: str, limit_bytes: int = RECORD_LIMIT_BYTES) -> Any:
    """The value as plain JSON, after the round trip: nothing in it is shared with the author's. Raises UsageError if it
    is not JSON or over the limit (1 MiB)."""
    try:
        plain = to_jsonable_python(value, round_trip=True, fallback=_refuse)
    except Exception as error:  # iterators and serializers of the author's run here, and may raise anything
        said = text_of(error) or type(error).__name__
        kind = "" if isinstance(error, PydanticSerializationError | ValueError) else f"{type(error).__name__}: "
        raise UsageError(f"{what} is not JSON: {kind}{said.splitlines()[0]}") from None
    try:
        check_json(plain)
    except UsageError as error:
        raise UsageError(f"{what} is not JSON: {error}") from None
    data = orjson.dumps(plain)
    if len(data) > limit_bytes:
        mebibytes = limit_bytes >> 20
        raise UsageError(
            f"{what} is {len(data)} bytes; the limit is {limit_bytes} ({mebibytes} MiB): keep a reference instead"
        )
    return orjson.loads(data)


def _refuse(value: Any) -> Any:
    if isinstance(value, Secret | Redacted):
        raise ValueError(
            f"a {value!r} is in it: secrets can be passed to tools and models only, as an argument or in the dicts and "
            "lists of one, and come from nowhere else"
        )
    raise PydanticSerializationError(f"Unable to serialize unknown type: {type(value)}")


@lru_cache(maxsize=1024)
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def check_annotation(annotation: Any, what: str) -> None:
    """Raises UsageError for an annotation that values cannot be checked against."""
    _checker(annotation, what)


def _checker(annotation: Any, what: str) -> TypeAdapter[Any] | None:
    """None: every value fits. `-> None` is one of these: whatever a body that promises nothing returned."""
    if annotation in (inspect.Signature.empty, Any, None, type(None)):
        return None
    try:
        try:
            return _adapter(annotation)
        except TypeError:
            return TypeAdapter(annotation)  # an annotation that cannot be hashed
    except Exception as error:  # pydantic refuses some annotations with errors of many kinds
        first = (text_of(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"{what}: the annotation {annotation!r} cannot be checked: {first}") from None


def schema_of(annotation: Any) -> dict[str, Any]:
    """The JSON schema of the annotation's values; {} if there is none. Raises UsageError as `check_annotation` does."""
    adapter = _checker(annotation, "schema")
    if adapter is None:
        return {}
    try:
        schema = adapter.json_schema()
        check_json(schema)
    except Exception:  # an author's type may make its schema itself, and raise anything
        return {}
    return schema


def typed(value: Any, annotation: Any, what: str) -> Any:
    """The JSON value as its annotation says; without one as it is. Raises UsageError if it does not fit."""
    adapter = _checker(annotation, what)
    if adapter is None:
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return _from_json(adapter, value, annotation, what)


def _from_json(adapter: TypeAdapter[Any], value: Any, annotation: Any, what: str) -> Any:
    """What was JSON is allowed what JSON needs: a strict model takes its dates as text."""
    try:
        return adapter.validate_json(orjson.dumps(value))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        named = getattr(annotation, "__name__", str(annotation))
        raise UsageError(f"{what} does not fit {named}: {where + ': ' if where else ''}{first['msg']}") from None


class Signature:
    """The parameters and the return type of an author's function. Annotations are resolved when they are needed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = name_of(function)
        self._function = function
        self._resolved: dict[str, Any] = {}

    @cached_property
    def _signature(self) -> inspect.Signature:
        try:
            return inspect.signature(self._function)
        except (TypeError, ValueError):
            raise UsageError(f"{self.name}: its parameters cannot be known: wrap it in a `def` of your own") from None

    def annotation(self, name: str) -> Any:
        """What a parameter (or "return") is annotated with; `Signature.empty` without an annotation. Raises
        UsageError for one that names what cannot be found."""
        if name not in self._resolved:
            self._resolved[name] = self._resolve(name)
        return self._resolved[name]

    def _resolve(self, name: str) -> Any:
        target = _target(self._function)
        annotations: dict[str, Any] = getattr(target, "__annotations__", {})
        if name not in annotations:
            return inspect.Signature.empty
        holder = _Annotated({name: annotations[name]})
        try:
            known = getattr(inspect.unwrap(target), "__globals__", {})
            return get_type_hints(holder, globalns=known, include_extras=True)[name]
        except Exception as error:  # an annotation is an expression of the author's: it may raise anything
            raise UsageError(
                f"{self.name}: the annotation {annotations[name]!r} of {name} means nothing here ({text_of(error)}): "
                "import or define what it names at the top level of its module, not only under TYPE_CHECKING"
            ) from None

    @property
    def returns(self) -> Any:
        return self.annotation("return")

    def parameters(self) -> list[str]:
        return list(self._signature.parameters)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name as JSON, defaults filled in. Raises UsageError if they do not fit the parameters."""
        return to_json(self.named(args, kwargs), f"the arguments of {self.name}")

    def named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name as passed, defaults filled in. Raises UsageError if they do not fit the parameters."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(f"{self.name}: {error}") from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def call_arguments(
        self, arguments: Mapping[str, Any], untyped: Collection[str] = ()
    ) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments for a call, typed by their annotations (but for those that are `untyped`),
        from recorded JSON. Raises UsageError if they do not fit."""
        unknown = [name for name in arguments if name not in self._signature.parameters]
        if unknown:
            raise UsageError(f"{self.name} has no parameter {unknown[0]!r} any more")
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for name, parameter in self._signature.parameters.items():
            if name not in arguments:
                continue
            value = arguments[name]
            what = f"{self.name}({name})"
            annotation = inspect.Signature.empty if name in untyped else self.annotation(name)
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                positional += [typed(item, annotation, what) for item in value]
            elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
                named |= {key: typed(item, annotation, what) for key, item in value.items()}
            elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                named[name] = typed(value, annotation, what)
            else:
                positional.append(typed(value, annotation, what))
        return positional, named


class _Annotated:
    """Carries one annotation to `get_type_hints`, so that one that cannot be resolved leaves the others alone."""

    def __init__(self, annotations: dict[str, Any]) -> None:
        self.__annotations__ = annotations


def _target(function: Callable[..., Any]) -> Any:
    """The plain function behind a wrapper, a partial, a method, or an instance that can be called."""
    function = inspect.unwrap(function)
    while isinstance(function, partial):
        function = function.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if inspect.isfunction(function) or inspect.ismethod(function) or inspect.isbuiltin(function):
        return getattr(function, "__func__", function)
    return vars(type(function)).get("__call__", function)


@lru_cache(maxsize=1024)
def signature_of(function: Callable[..., Any]) -> Signature:
    return Signature(function)


def returns_of(function: Callable[..., Any]) -> Any:
    """What the function is annotated to return; `Signature.empty` without an annotation."""
    try:
        return signature_of(function).returns
    except TypeError:  # one that cannot be hashed
        return Signature(function).returns


def error_json(error: BaseException) -> dict[str, str]:
    """How an error stands on the tape."""
    return {"type": type(error).__name__, "message": recordable(text_of(error))}


def recordable(text: str) -> str:
    """A text that is said, as it can be recorded: without the hidden values of what runs here, cut to a length, and
    with lone surrogates written out."""
    text = scrubbed(text)
    if len(text) > TEXT_LIMIT:
        text = text[:TEXT_LIMIT] + "…"
    return text.encode("utf-8", "backslashreplace").decode()
