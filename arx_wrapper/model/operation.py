"""Define one operation of an API: the row of a connector's table, with its hooks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from string import Formatter
from typing import Any, Final, Literal, NamedTuple

from attrs import Factory, field, frozen

from arx_wrapper.model.risk import Risk

JSON = Mapping[str, Any]
Params = Mapping[str, Any]
HttpMethod = Literal["GET", "POST", "PUT", "DELETE"]
Body = Callable[[Params], object]
"""Build the request's body from the parameters."""
EffectRule = Callable[[Params], "Iterable[EffectSpec]"]
"""Yield the effects that a call has besides the operation itself."""
Lookup = Callable[..., Awaitable[JSON]]
"""Read one response: `await lookup("incidents.get_incident", incident_id, include=[...])`."""
TargetState = Callable[[Lookup, Params], Awaitable[JSON | None]]
"""Read the state of the objects that a call changes, which reviewers see and the approval is bound to."""
OnCallReader = Callable[[Lookup, str], Awaitable[Mapping[int, frozenset[str]]]]
"""Read who is on call for an escalation policy now, by level: ids and addresses of users, in lower case."""
Sentence = Callable[[Params, JSON | None], str]
"""Describe a call in one sentence, given its parameters and the state of the changed objects (None when not read)."""


@frozen
class Unknown:
    """The value of an effect's parameter that the call does not determine. A condition that reads it denies the call.

    Attributes:
        why: The cause, for the decision's reason.
    """

    why: str


class EffectSpec(NamedTuple):
    """One effect of a call, as its rule states it.

    Attributes:
        operation: The operation that the call performs.
        params: Its parameters, named as that operation names them. A value may be `Unknown`; None means that all are.
        times: How many times the call performs it.
        at_least: The least risk at which it is judged.
    """

    operation: str
    params: Params | None = None
    times: int = 1
    at_least: Risk = Risk.LOW


def no_effects(params: Params) -> Iterable[EffectSpec]:
    """Yield nothing: the write has no other effects, whatever its parameters."""
    return ()


@frozen
class One:
    """A response that holds one object.

    Attributes:
        envelope: The response's key of the object; None when the response is the object.
        model: The object's class in the generated client; None for plain JSON.
    """

    envelope: str | None = None
    model: str | None = None


@frozen
class Many:
    """A response that holds a list.

    Attributes:
        envelope: The response's key of the list.
        model: The class of its items in the generated client; None for plain JSON.
    """

    envelope: str
    model: str | None = None


@frozen(kw_only=True)
class ByTime:
    """A list that `since` and `until` narrow, so that more records can be read than the API pages through.

    Attributes:
        default_span: The span that the list covers when a call gives no `since`; None means without limit.
    """

    default_span: timedelta | None = None


@frozen(kw_only=True)
class ByCursor:
    """A list whose pages are linked by a cursor, within one span of time.

    Attributes:
        default_span: The span that the list covers when a call gives no `since`.
        widest: The widest span that the API accepts; a wider one is read in several parts.
    """

    default_span: timedelta
    widest: timedelta


@frozen(kw_only=True)
class Recovery:
    """Look up whether a write whose response was lost took effect, without writing again.

    Attributes:
        find: Returns the body that the lost response would have had, or None when the write's effect is not found.
            Takes a lookup, the parameters sent and the time (aware, UTC) at which the write began. None when it is
            impossible.
        prepare: Returns the parameters to send, given the call's id, with a value by which the effect can be found.
        absence: The reason why a missing effect proves that there is none, as the end of an error's message; None when
            it proves nothing, because the request may still be in transit.
    """

    find: Callable[[Lookup, Params, datetime], Awaitable[dict[str, Any] | None]] | None
    prepare: Callable[[Params, str], Params] | None = None
    absence: str | None = None


@frozen(kw_only=True)
class Fallback:
    """Another request for the same data, for accounts that do not serve the operation's endpoint.

    Attributes:
        statuses: The HTTP statuses of accounts that do not serve it.
        read: Returns the response in the form of the operation's own. Takes a lookup and the parameters.
    """

    statuses: frozenset[int]
    read: Callable[[Lookup, Params], Awaitable[dict[str, Any]]]


@frozen(kw_only=True)
class Paged:
    """The people that a call pages: named users, or the users on call.

    Attributes:
        users: Ids of users who are assigned.
        escalation_policy: Id of the escalation policy whose on-call users are paged.
        service: Id of the service whose escalation policy decides.
        incident: Id of the incident whose escalation policy decides.
        level: The only escalation level that is paged; None for all levels, one after the other.
    """

    users: tuple[str, ...] = ()
    escalation_policy: str | None = None
    service: str | None = None
    incident: str | None = None
    level: int | None = None


async def _no_target(lookup: Lookup, params: Params) -> None:
    return None


NO_TARGET: Final[TargetState] = _no_target
"""For writes that change no existing object: reviewers are shown only the parameters."""


NOT_RECOVERABLE: Final = Recovery(find=None)
"""For writes whose effect cannot be distinguished from an earlier one: a lost response leaves the outcome unknown."""


# Factories instead of methods, so that type checkers that know attrs by its dataclass transform see the defaults.
_FUNCTION: Any = Factory(lambda row: row.endpoint.rpartition(".")[2], takes_self=True)
_WRITES: Any = Factory(lambda row: row.method != "GET", takes_self=True)
_RECORDS: Any = Factory(
    lambda row: row.returns if isinstance(row.returns, Many) and row.method == "GET" else None, takes_self=True
)
_ENVELOPE: Any = Factory(lambda row: row.returns.envelope if row.returns else None, takes_self=True)
_PATH_NAMES: Any = Factory(
    lambda row: tuple(name for _, name, _, _ in Formatter().parse(row.path) if name), takes_self=True
)
_HIGHEST_RISK: Any = Factory(lambda row: row.risk, takes_self=True)


@frozen(eq=False)  # there is one row of each
class Operation:
    """One row of a connector's table: all that is specific to the operation.

    Attributes:
        name: `family:action`, as policies name it.
        method: HTTP method.
        path: Path template, `/incidents/{incident_id}`.
        risk: The operation's own risk; its effects may raise that of a call.
        endpoint: The generated client's module, `incidents.get_incident`.
        summary: One line for people.
        doc: The docstring of the derived method, before its arguments, source and risk; by default the summary.
        args: Descriptions of parameters for that docstring, when their names are not clear by themselves.
        function: The connector's method, whose keyword arguments are the operation's parameters; by default the
            endpoint's name.
        returns: The form of the response; None when it has no body.
        records: The list that `iterate()` reads; by default the list that a read returns.
        writes: Whether it changes state; by default every method except GET does. A write is never repeated blindly.
        extension: Whether the operation is outside the reference's table.
        since: The version of the table in which it was added. Raise it for each release that adds operations.
        deprecated: Whether the API is retiring the endpoint.
        highest_risk: The highest risk to which its parameters can raise the operation itself.
        scopes: The OAuth scopes that its request needs; empty when the API states none.
        probe: Whether every account has such a list, so that reading one record tests the key.
        body: Builds the request's body from the parameters; None when the request has none.
        effects: The effects besides the operation itself, given the parameters. Every write states them.
        needs: The operations whose permission every call needs besides its own, whatever its parameters.
        performs: The operations that some calls perform, including those in `needs`; each with the names of its
            parameters that a call may not determine, or `*` for all of them.
        target_state: Reads the objects that the call changes. Every write states it, or `NO_TARGET`.
        recovery: Looks up the effect of a write whose response was lost, or `NOT_RECOVERABLE`.
        paging: The way to read more records than the API pages through; None when there is none.
        fallback: Another request for accounts that do not serve the endpoint.
        pages: Yields the people that a call would page, given its parameters; None for an operation that pages no one.
        log_entry: The type of the entry that the operation leaves in the API's own log.
        audited: The kind of object and the action in the record that the operation leaves in the API's audit trail.
        certain_effects: Effects that certainly leave a log entry of their own.
        not_for_agents: Accepted parameters that agents are not offered, because they rarely need them or a filter does
            the same.
        columns: The members that a table of the response shows, most important first.
        sentence: Describes a call for reviewers.
        envelope: The response's key of the operation's object or list; None when there is none.
        path_names: The parameters in the path, in its order.
    """

    name: str
    method: HttpMethod
    path: str
    risk: Risk
    endpoint: str = field(kw_only=True)
    summary: str = field(kw_only=True)
    doc: str | None = field(default=None, repr=False, kw_only=True)
    args: Mapping[str, str] = field(factory=dict, repr=False, kw_only=True)
    function: str = field(default=_FUNCTION, kw_only=True)
    returns: One | Many | None = field(default=None, kw_only=True)
    records: Many | None = field(default=_RECORDS, kw_only=True)
    writes: bool = field(default=_WRITES, kw_only=True)
    extension: bool = field(default=False, kw_only=True)
    since: int = field(default=1, kw_only=True)
    deprecated: bool = field(default=False, kw_only=True)
    highest_risk: Risk = field(default=_HIGHEST_RISK, kw_only=True)
    scopes: tuple[str, ...] = field(default=(), kw_only=True)
    probe: bool = field(default=False, kw_only=True)
    body: Body | None = field(default=None, repr=False, kw_only=True)
    effects: EffectRule | None = field(default=None, repr=False, kw_only=True)
    needs: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    performs: Mapping[str, tuple[str, ...]] = field(factory=dict, repr=False, kw_only=True)
    target_state: TargetState | None = field(default=None, repr=False, kw_only=True)
    recovery: Recovery | None = field(default=None, repr=False, kw_only=True)
    paging: ByTime | ByCursor | None = field(default=None, repr=False, kw_only=True)
    fallback: Fallback | None = field(default=None, repr=False, kw_only=True)
    pages: Callable[[Params], Iterable[Paged]] | None = field(default=None, repr=False, kw_only=True)
    log_entry: str | None = field(default=None, repr=False, kw_only=True)
    audited: tuple[str, str] | None = field(default=None, repr=False, kw_only=True)
    certain_effects: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    not_for_agents: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    columns: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    sentence: Sentence | None = field(default=None, repr=False, kw_only=True)
    envelope: str | None = field(default=_ENVELOPE, repr=False, init=False)
    path_names: tuple[str, ...] = field(default=_PATH_NAMES, repr=False, init=False)

    @property
    def family(self) -> str:
        """Return the part of the name before the colon."""
        return self.name.partition(":")[0]
