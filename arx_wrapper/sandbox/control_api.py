"""Control a sandbox that another process serves, at `/_sandbox/`.

The API refuses calls that carry credentials. So a client with an API key, such as the governed connector, cannot use
it.

    GET    requests    the requests that arrived; DELETE clears them
    GET    faults      the faults that can still happen; POST adds one, DELETE clears them
    GET    options     PUT changes them
    GET    clock       POST {"advance": seconds}
    POST   incidents   {"count": n} adds open incidents
    POST   changes     {"action", "kind", "id", "by", "method", ...} adds an audit record of a change made elsewhere
    POST   reset       restores the initial state
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from attrs import asdict, fields

from arx_wrapper.sandbox.faults import Fault, Faults, Options

if TYPE_CHECKING:
    from arx_wrapper.sandbox.clock import AccountClock

__all__ = ["control"]

JSON = dict[str, Any]


class Sandbox(Protocol):
    """The parts of a sandbox that the control API changes."""

    faults: Faults
    options: Options
    requests: list[Any]  # the records of `app`, which imports this module
    clock: AccountClock

    def advance(self, by: timedelta) -> None: ...
    def add_incidents(self, count: int) -> None: ...
    def record_change(self, action: str, kind: str, id_: str, **origin: Any) -> None: ...
    def reset(self) -> None: ...


def control(sandbox: Sandbox, method: str, name: str, headers: dict[str, str], body: bytes) -> tuple[int, JSON]:
    """Handle a control call; return status and JSON."""
    if "authorization" in headers:
        return 403, {"error": "/_sandbox/ is for tests, not for clients with credentials"}
    action = _ACTIONS.get((method, name))
    if action is None:
        return 404, {"error": f"no control {method} {name}", "controls": [" ".join(key) for key in _ACTIONS]}
    try:
        given = orjson.loads(body) if body else {}
        return 200, action(sandbox, given)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return 400, {"error": f"{type(error).__name__}: {error}"}


def _requests(sandbox: Sandbox, _: JSON) -> JSON:
    return {"requests": [asdict(request) for request in sandbox.requests]}


def _forget(sandbox: Sandbox, _: JSON) -> JSON:
    sandbox.requests.clear()
    return {}


def _faults(sandbox: Sandbox, _: JSON) -> JSON:
    return {"faults": [asdict(fault) for fault in sandbox.faults.pending()]}


def _add_fault(sandbox: Sandbox, given: JSON) -> JSON:
    sandbox.faults.add(Fault(**given))
    return _faults(sandbox, given)


def _clear_faults(sandbox: Sandbox, given: JSON) -> JSON:
    sandbox.faults.clear()
    return _faults(sandbox, given)


def _options(sandbox: Sandbox, _: JSON) -> JSON:
    return {"options": asdict(sandbox.options)}


def _set_options(sandbox: Sandbox, given: JSON) -> JSON:
    known = {attribute.name for attribute in fields(Options)}
    if unknown := given.keys() - known:
        raise KeyError(f"no option {', '.join(sorted(unknown))}")
    for option, value in given.items():
        setattr(sandbox.options, option, value)
    return _options(sandbox, given)


def _clock(sandbox: Sandbox, _: JSON) -> JSON:
    return {"now": sandbox.clock.now().isoformat()}


def _advance(sandbox: Sandbox, given: JSON) -> JSON:
    sandbox.advance(timedelta(seconds=given["advance"]))
    return _clock(sandbox, given)


def _add_incidents(sandbox: Sandbox, given: JSON) -> JSON:
    sandbox.add_incidents(given["count"])
    return {"added": given["count"]}


def _record_change(sandbox: Sandbox, given: JSON) -> JSON:
    named = {name: given[name] for name in given.keys() - {"id"}}
    sandbox.record_change(id_=given["id"], **named)
    return {}


def _reset(sandbox: Sandbox, _: JSON) -> JSON:
    sandbox.reset()
    return {}


_ACTIONS: dict[tuple[str, str], Callable[[Sandbox, JSON], JSON]] = {
    ("GET", "requests"): _requests,
    ("DELETE", "requests"): _forget,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "options"): _options,
    ("PUT", "options"): _set_options,
    ("GET", "clock"): _clock,
    ("POST", "clock"): _advance,
    ("POST", "incidents"): _add_incidents,
    ("POST", "changes"): _record_change,
    ("POST", "reset"): _reset,
}
