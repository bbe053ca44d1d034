"""Step 1 of the pipeline: freeze the call and its effects, and build the request from the same text."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec
from attrs import frozen

from arx_wrapper.audit.record import new_id
from arx_wrapper.core.param_model import ParamModel
from arx_wrapper.errors import ConfigError, InvalidParamsError, UnknownOperationError
from arx_wrapper.model import Call, Effect, OnCallReader, Operation, Params, Request, Unknown, no_effects

_ALIAS = Unknown("it is a second name of an object instead of its id")
Table = Mapping[str, Operation]
IsAlias = Callable[[str, Any], bool]
"""Return True when a parameter's value is a second name of an object instead of its id."""


@frozen(kw_only=True, eq=False, repr=False)
class Api:
    """The API that a connector governs.

    Attributes:
        connector: The connector's name, as policies and records know it.
        operations: The table.
        parameters: Returns the parameter model of an operation, by its name.
        build: Returns the request of an operation, given its parameters.
        request: Returns the request of any endpoint, given the endpoint's module and its arguments.
        is_alias: Returns True when a parameter's value is a second name of an object instead of its id.
        recorded_fields: The members of the API's objects whose values records may hold.
        hidden: Globs over members of responses that are hidden unless policy shows them.
        on_call: Reads who is on call; None for an API without on-call data.
    """

    connector: str
    operations: Table
    parameters: Callable[[str], ParamModel]
    build: Callable[[Operation, Params], Request]
    request: Callable[..., Request]
    is_alias: IsAlias
    recorded_fields: frozenset[str]
    hidden: tuple[str, ...] = ()
    on_call: OnCallReader | None = None


@frozen(kw_only=True)
class Caller:
    """The caller: an agent, for an organisation. Policies, limits and records use these names."""

    agent_id: str
    org_id: str

    @classmethod
    def of(cls, agent_id: object, org_id: object) -> Caller:
        """Return the caller with these names.

        Raises:
            ConfigError: one of them is blank or not printable text; also a ValueError.
        """
        names = [name for name in (agent_id, org_id) if isinstance(name, str) and name.strip() and name.isprintable()]
        if len(names) != 2:
            raise _NotANameError(
                "agent_id and org_id must be printable text that is not blank: policies and records use them. "
                "Nothing was sent."
            )
        return cls(agent_id=names[0], org_id=names[1])


class _NotANameError(ConfigError, ValueError):
    """The name of an agent or organisation is not accepted."""


@frozen(kw_only=True, eq=False)
class RequestedCall:
    """One call as the caller requested it.

    Attributes:
        operation, params: The operation's name and its parameters, unchecked.
        approval_id: An approval to use.
        timeout: Seconds that the call may take in the transport.
        iteration: The bounds of an iteration over all pages, which an approval is bound to; None for a call of one
            page.
        check: Refuses operations that the called method does not support.
    """

    operation: str
    params: Mapping[str, Any] | None = None
    approval_id: str | None = None
    timeout: float | None = None
    iteration: Mapping[str, Any] | None = None
    check: Callable[[Operation], object] | None = None


def resolve(api: Api, caller: Caller, requested: RequestedCall) -> tuple[Call, Request]:
    """Return the frozen call and its request.

    Raises:
        UnknownOperationError, InvalidParamsError: there is no such operation, or its parameters are invalid.
    """
    operation = operation_named(api.operations, requested.operation)
    canonical = api.parameters(operation.name).canonical({} if requested.params is None else requested.params)
    frozen_params: Mapping[str, Any] = msgspec.json.decode(canonical)
    request = api.build(operation, msgspec.json.decode(canonical))
    if requested.iteration is not None:
        canonical = msgspec.json.encode({**frozen_params, "iterate": requested.iteration}, order="sorted")
    call = Call(
        id=new_id(),
        operation=operation,
        agent_id=caller.agent_id,
        org_id=caller.org_id,
        canonical=canonical,
        params=MappingProxyType(frozen_params),
        iteration=requested.iteration,
        effects=expand(operation, frozen_params, api.operations, api.is_alias),
    )
    return call, request


def check(requested: RequestedCall, operation: Operation) -> None:
    """Check the time-out, and that the called method supports the operation.

    Raises:
        InvalidParamsError: one of them is refused.
    """
    timeout = requested.timeout
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0):
        raise InvalidParamsError(operation.name, "timeout", f"is {timeout!a}", "seconds, more than 0, or None")
    if requested.check:
        requested.check(operation)


def operation_named(operations: Mapping[str, Operation], name: object) -> Operation:
    """Return the operation with a name. UnknownOperationError, with the nearest name, when there is none."""
    operation = operations.get(name) if isinstance(name, str) else None
    if operation is None:
        raise UnknownOperationError(name, _nearest(str(name)[:100], operations))  # type: ignore[arg-type]
    return operation


def _nearest(name: str, operations: Mapping[str, Operation]) -> str | None:
    """Return the operation that a wrong name probably means: one that starts with it, else one with a similar name."""
    begun = [known for known in operations if name.partition(":")[2] and known.startswith(name)]
    return next(iter(begun or difflib.get_close_matches(name, operations, n=1)), None)


def build_request(client: str, operation: Operation, params: Params) -> Request:
    """Return an operation's request, built and checked by a generated client.

    Args:
        client: The client's package, `pagerduty_client`.
        operation: The operation.
        params: Its parameters.

    Raises:
        InvalidParamsError: the client refuses a value.
    """
    endpoint = _endpoint(client, operation.endpoint)
    arguments = {name: value for name, value in params.items() if name != "requester_email"}
    try:
        if operation.body:
            path = {name: arguments[name] for name in operation.path_names}
            request = endpoint.request(**path, body=operation.body(arguments))
        else:
            request = endpoint.request(**arguments)
    except ValueError as error:
        name = getattr(error, "path", "") or "parameters"
        accepted = getattr(error, "accepted", "") or "what the operation's schema allows"
        problem = getattr(error, "problem", "") or str(error)
        raise InvalidParamsError(operation.name, str(name), str(problem), str(accepted)) from None
    return _request(request)


def request_of(client: str, endpoint: str, *path: object, **query: object) -> Request:
    """Return the request of one of a generated client's endpoints: `incidents.get_incident` and its arguments."""
    return _request(_endpoint(client, endpoint).request(*path, **query))


def _request(generated: Any) -> Request:
    """Convert a request that a generated client has built."""
    body = generated.json
    return Request(
        method=generated.method,
        path=generated.path,
        query=generated.query,
        headers=generated.headers,
        json=body if body or isinstance(body, dict | list) else None,
        operation_id=generated.operation_id,
    )


@cache
def _endpoint(client: str, name: str) -> Any:
    return importlib.import_module(f"{client}.api.{name}")


def expand(operation: Operation, params: Params, table: Table, is_alias: IsAlias) -> tuple[Effect, ...]:
    """Return the effects of a call, each with its own parameters; the operation itself comes first.

    Args:
        operation: The operation that is called.
        params: Its parameters, validated.
        table: Every operation of the connector.
        is_alias: Returns True for a second name. Conditions cannot compare these, so they become `Unknown`.
    """
    own = Effect(operation=operation.name, risk=operation.risk, params=(_comparable(params, is_alias),))
    if operation.effects is None or operation.effects is no_effects:
        return (own,)
    effects = {operation.name: own}
    for spec in operation.effects(params):
        risk, known = max(table[spec.operation].risk, spec.at_least), effects.get(spec.operation)
        if spec.operation == operation.name:  # the call itself, at a higher risk or several times
            own = effects[operation.name]
            effects[operation.name] = Effect(
                operation=operation.name, risk=max(own.risk, risk), count=max(own.count, spec.times), params=own.params
            )
            continue
        each = (None if spec.params is None else _comparable(spec.params, is_alias),)
        effects[spec.operation] = Effect(
            operation=spec.operation,
            risk=max(risk, known.risk) if known else risk,
            count=spec.times + (known.count if known else 0),
            params=(known.params if known else ()) + each,
        )
    return tuple(effects.values())


def minimal_call(operation: Operation, table: Table, *, agent_id: str, org_id: str) -> Call:
    """Return a call without parameters, with only the effects that every call of the operation has."""
    own = Effect(operation=operation.name, risk=operation.risk, params=({},))
    needed = (Effect(operation=name, risk=table[name].risk) for name in operation.needs)
    effects = (own, *needed)
    return Call(
        id="", operation=operation, agent_id=agent_id, org_id=org_id, canonical=b"{}", params={}, effects=effects
    )


def is_alias(aliases: Mapping[str, re.Pattern[str]], name: str, value: Any) -> bool:
    """Return True when a parameter's value, or an item of it, is an alias: it matches the parameter's pattern.

    Args:
        aliases: The pattern of each parameter's aliases, which must match the whole text.
        name, value: The parameter; of a list of objects, their ids are compared.
    """
    pattern = aliases.get(name)
    if pattern is None:
        return False
    named = value if isinstance(value, list) else [value]
    texts = (one.get("id") if isinstance(one, Mapping) else one for one in named)
    return any(isinstance(text, str) and pattern.fullmatch(text) is not None for text in texts)


def _comparable(params: Params, is_alias: IsAlias) -> Params:
    aliased = [name for name, value in params.items() if is_alias(name, value)]
    return {**params, **dict.fromkeys(aliased, _ALIAS)} if aliased else params
