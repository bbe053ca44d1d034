"""Search an exception for a secret as error trackers see it: chained exceptions, every frame, every local variable."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Iterator, Mapping
from types import TracebackType
from urllib.parse import quote

from arx_wrapper.credentials import Secret, Variables

_DEPTH = 6


def leaks(error: BaseException, secret: str) -> list[str]:
    """Return every place where an exception shows a secret.

    Goes further than Sentry, `pytest -l` and rich do: contexts that are suppressed count as well, containers are
    walked, and so are the attributes of this project's own objects. Frames of the tests are left out.
    """
    forms = {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")}
    found: list[str] = []
    for one in _chain(error):
        texts = {
            "message": str(one),
            "repr": repr(one),
            "args": repr(one.args),
            "attributes": repr(vars(one)),
            "traceback": "".join(traceback.format_exception(one)),
        }
        found += [f"{type(one).__name__} {name}" for name, text in texts.items() if _shows(text, forms)]
        for place, value in _locals(one.__traceback__):
            found += [f"{type(one).__name__} {place}{path}" for path in _walk(value, forms, _DEPTH, set())]
    return found


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
        waiting += list(getattr(one, "exceptions", ()))


def _locals(trace: TracebackType | None) -> Iterator[tuple[str, object]]:
    while trace is not None:
        code = trace.tb_frame.f_code
        if "/tests/" not in code.co_filename:
            for name, value in trace.tb_frame.f_locals.items():
                yield f"{code.co_filename}:{trace.tb_lineno} {code.co_name}: {name}", value
        trace = trace.tb_next


def _walk(value: object, forms: set[str], depth: int, seen: set[int]) -> Iterator[str]:
    if id(value) in seen or isinstance(value, Secret | Variables):
        if _shows(repr(value), forms):
            yield " (masked type)"
        return
    seen.add(id(value))
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode("latin-1")
    if isinstance(value, str):
        if _shows(value, forms):
            yield ""
        return
    try:
        shown = repr(value)
    except Exception:  # a half-made object: trackers show its type
        shown = ""
    if _shows(shown, forms):
        yield " (repr)"
    if depth:
        for name, inner in _inside(value):
            for path in _walk(inner, forms, depth - 1, seen):
                yield f".{name}{path}"


def _inside(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        yield from ((str(name), inner) for pair in value.items() for name, inner in (("key", pair[0]), pair))
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((str(index), inner) for index, inner in enumerate(value))
    elif type(value).__module__.startswith("arx_wrapper"):
        slots = (name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ()))
        hidden = {field.name for field in getattr(value, "__attrs_attrs__", ()) if field.repr is False}
        names = {*getattr(value, "__dict__", {}), *slots} - hidden
        yield from ((name, getattr(value, name, None)) for name in sorted(names) if not name.startswith("__"))


def _shows(text: str, forms: set[str]) -> bool:
    return any(form.casefold() in text.casefold() for form in forms)
