"""Values on their way to the journal and back: JSON through pydantic, typed by the author's annotations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, get_type_hints

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from tape.core.kernel.errors import UsageError
from tape.core.kernel.identity import RECORD_LIMIT_BYTES, check_json


def to_json(value: Any, what: str) -> Any:
    """The value as plain JSON. Raises UsageError if it is not JSON or over 1 MiB."""
    try:
        plain = to_jsonable_python(value)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise UsageError(f"{what} is not JSON: {str(error).splitlines()[0]}") from None
    try:
        check_json(plain)
    except UsageError as error:
        raise UsageError(f"{what} is not JSON: {error}") from None
    size = len(orjson.dumps(plain))
    if size > RECORD_LIMIT_BYTES:
        raise UsageError(f"{what} is {size} bytes; the limit is {RECORD_LIMIT_BYTES} (1 MiB): keep a reference instead")
    return plain


@lru_cache(maxsize=1024)
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def typed(value: Any, annotation: Any, what: str) -> Any:
    """The JSON value as its annotation says; without one as it is. Raises UsageError if it does not fit."""
    if annotation is inspect.Signature.empty or annotation is Any:
        return value
    if annotation is None or annotation is type(None):
        return value  # `-> None`: whatever a body that promises nothing returned
    try:
        adapter = _adapter(annotation)
    except TypeError:
        adapter = TypeAdapter(annotation)  # an annotation that cannot be hashed
    except Exception as error:  # pydantic refuses some annotations with errors of many kinds
        raise UsageError(f"{what}: the annotation {annotation!r} cannot be checked: {error}") from None
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{what} does not fit {annotation}: {where + ': ' if where else ''}{first['msg']}") from None


class Signature:
    """The parameters and the return type of an author's function, resolved once."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._signature = inspect.signature(function)
        try:
            self._hints = get_type_hints(function, include_extras=True)
        except Exception:  # annotations that name what is not importable: taken as absent
            self._hints = {}
        self.name = getattr(function, "__name__", "function")

    def annotation(self, parameter: str) -> Any:
        return self._hints.get(parameter, inspect.Signature.empty)

    @property
    def returns(self) -> Any:
        return self._hints.get("return", inspect.Signature.empty)

    def parameters(self) -> list[str]:
        return list(self._signature.parameters)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name as JSON, defaults filled in. Raises UsageError if they do not fit the parameters."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(f"{self.name}: {error}") from None
        bound.apply_defaults()
        return to_json(dict(bound.arguments), f"the arguments of {self.name}")

    def call_arguments(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments for a call, typed by their annotations, from recorded JSON."""
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for name, parameter in self._signature.parameters.items():
            if name not in arguments:
                continue
            value = arguments[name]
            what = f"{self.name}({name})"
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                positional += [typed(item, self.annotation(name), what) for item in value]
            elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
                named |= {key: typed(item, self.annotation(name), what) for key, item in value.items()}
            elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                named[name] = typed(value, self.annotation(name), what)
            else:
                positional.append(typed(value, self.annotation(name), what))
        return positional, named


@lru_cache(maxsize=1024)
def signature_of(function: Callable[..., Any]) -> Signature:
    return Signature(function)


def error_json(error: BaseException) -> dict[str, str]:
    """How an error stands on the tape."""
    message = str(error)
    if len(message) > 4000:
        message = message[:4000] + "…"
    return {"type": type(error).__name__, "message": message.encode("utf-8", "backslashreplace").decode()}
