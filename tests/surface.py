"""The public surface as text, one line a name: `python -m tests.surface` writes it down for the next release.

A line that goes or changes breaks somebody's code and wants a new major version (before 1.0: a new minor one); a line
that comes wants a new minor one. `tests/test_surface.py` holds the code to the file.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import attrs

import arx_wrapper
from arx_wrapper._version import __version__

FILE = Path(__file__).with_name("surface.txt")


def surface() -> list[str]:
    """Every public name, with its signature where it has one."""
    return sorted(line for name in arx_wrapper.__all__ if name != "__version__" for line in _lines(name))


def _lines(name: str) -> Iterator[str]:
    thing = getattr(arx_wrapper, name)
    if not inspect.isclass(thing):
        yield f"{name}: {type(thing).__name__}"
        return
    yield f"{name}({', '.join(base.__name__ for base in thing.__bases__)})"
    if attrs.has(thing):
        yield from (f"{name}.{field.name}: {field.type}" for field in attrs.fields(thing))
    for member in sorted(vars_of(thing)):
        found = inspect.getattr_static(thing, member)
        if isinstance(found, property):
            yield f"{name}.{member}: property"
        elif isinstance(found, classmethod | staticmethod) or inspect.isfunction(found):
            kind = "async " if inspect.iscoroutinefunction(getattr(thing, member)) else ""
            yield f"{kind}{name}.{member}{inspect.signature(getattr(thing, member))}"


def vars_of(thing: type) -> set[str]:
    """The public members that our own classes give it, and how it is made."""
    ours = [base for base in thing.__mro__ if base.__module__.startswith("arx_wrapper")]
    names = {name for base in ours for name in vars(base) if not name.startswith("_")}
    return names | ({"__init__"} if not attrs.has(thing) and thing.__init__ is not object.__init__ else set())


def main() -> None:
    FILE.write_text("\n".join([f"# {__version__}", *surface(), ""]), "utf-8")


if __name__ == "__main__":
    main()
