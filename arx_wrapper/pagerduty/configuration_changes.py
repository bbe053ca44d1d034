"""Compare changes of the account's configuration: PagerDuty's audit records with the connector's audit log.

A change was made by the connector when PagerDuty's record names one of its requests. When a response was lost, one side
names no request. Then it was the connector's if key, time and changed object match one of its writes. All other changes
were made outside the connector.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, field, frozen

from arx_wrapper.errors import PagerDutyError
from arx_wrapper.pagerduty.sent_writes import SentWrite

if TYPE_CHECKING:
    from arx_wrapper.credentials import Credentials
    from arx_wrapper.pagerduty.connector import PagerDutyConnector

OPERATION: Final = "audit:read"
# PagerDuty does not document how long its records take to appear.
LATE: Final = timedelta(minutes=15)
# PagerDuty documents that it records changes of these. For other kinds, a missing record proves nothing.
_RECORDED: Final = frozenset({"service", "escalation_policy", "schedule", "team", "user"})
_WITH_A_KEY: Final = frozenset({"api_token", "oauth"})


@frozen(kw_only=True)
class Change:
    """One request's change of one object of the account's configuration, as PagerDuty recorded it.

    Attributes:
        at: The time, aware.
        action: `create`, `update` or `delete`.
        resource_type, resource_id, resource_name: The changed object; its type is `service`, for one.
        parts: The changed members or sub-objects: `name`, `integration P123`.
        who: The actors' names, or ids when there are none; empty when PagerDuty names none.
        method: The way of access: `browser`, `oauth`, `api_token`, `identity_provider` or `other`.
        key: The last characters of the key that was used; None when none was.
        our_key: Whether it may be the key that this connector uses.
        address: The sender's address; None when PagerDuty names none.
        request_id: The id of the request that made the change.
        sources: The ids of PagerDuty's records.
    """

    at: datetime
    action: str
    resource_type: str
    resource_id: str | None
    resource_name: str | None = None
    parts: tuple[str, ...] = ()
    who: tuple[str, ...] = ()
    method: str | None = None
    key: str | None = None
    our_key: bool = False
    address: str | None = None
    request_id: str | None = None
    sources: tuple[str, ...] = ()


@frozen(kw_only=True)
class OwnChange:
    """A change in the connector's audit log.

    Attributes:
        at: The time at which it was sent, aware.
        operation: The operation.
        resource_type, resource_id: The object; its id is None when no response named it.
        agent_id: The agent that made it.
        source: The intent's id.
        status: The recorded status.
    """

    at: datetime
    operation: str
    resource_type: str
    resource_id: str | None
    agent_id: str
    source: str
    status: str


@define
class ConfigurationChanges:
    """The result of a comparison of configuration changes.

    Attributes:
        recorded: The number of changes that PagerDuty recorded.
        matched: The number of them that the connector made.
        outside: Changes that were made outside the connector, oldest first.
        missing: The connector's changes that PagerDuty has no record of, although they created or deleted an object.
        awaited: The connector's changes so recent that PagerDuty's records may not have appeared yet.
        confirmed: The connector's changes with an unknown outcome that PagerDuty's records confirm.
    """

    recorded: int = 0
    matched: int = 0
    outside: list[Change] = field(factory=list)
    missing: list[OwnChange] = field(factory=list)
    awaited: list[OwnChange] = field(factory=list)
    confirmed: list[OwnChange] = field(factory=list)


def compare(
    theirs: Sequence[Change],
    writes: Sequence[SentWrite],
    credentials: Credentials,
    *,
    since: datetime,
    until: datetime,
    began: datetime,
) -> ConfigurationChanges:
    """Compare the configuration's changes over a span of time.

    Args:
        theirs: The changes that PagerDuty recorded.
        writes: The connector's writes in or near that span, read after PagerDuty's changes.
        credentials: The credentials in use.
        since, until: The span, aware.
        began: The time at which the reading of PagerDuty's changes began, aware.
    """
    theirs = [evolve(change, our_key=_is_ours(change, credentials)) for change in theirs]
    found = ConfigurationChanges(recorded=len(theirs))
    seen: set[str] = set()
    left = _by_request(found, theirs, writes, credentials, seen)
    _by_object(found, left, writes, credentials, seen)
    for write in writes:
        if write.intent.id not in seen and write.status == "success" and since <= write.latest < until:
            _unseen(found, write, began)
    return found


def refused(error: PagerDutyError) -> bool:
    """Return True when an error means that this key or account may not read audit records at all."""
    return error.operation == OPERATION and error.status in (402, 403)


async def recorded_changes(pd: PagerDutyConnector, since: datetime, until: datetime) -> list[Change]:
    """Return the changes that PagerDuty recorded, oldest first; the records of one request on one object are one.

    Raises:
        PermissionDeniedError: policy denies `audit:read`.
        PagerDutyError: the key may not read the records (403), or the account's plan has none (402).
    """
    grouped: defaultdict[tuple[object, ...], list[Mapping[str, Any]]] = defaultdict(list)
    span = {"since": since.isoformat(), "until": until.isoformat()}
    async for record in pd.iterate(OPERATION, span):
        plain: Mapping[str, Any] = record.to_dict()
        at = datetime.fromisoformat(str(plain.get("execution_time")))
        if since <= at < until:  # PagerDuty does not document whether its bounds are inclusive
            root = plain.get("root_resource") or {}
            request = (plain.get("execution_context") or {}).get("request_id")
            grouped[request or plain.get("id"), root.get("type"), root.get("id")].append(plain)
    return sorted((_change(records) for records in reversed(grouped.values())), key=lambda change: change.at)


def _change(records: Sequence[Mapping[str, Any]]) -> Change:
    first = records[-1]  # newest first
    root, context, method = (first.get(name) or {} for name in ("root_resource", "execution_context", "method"))
    actions = {str(record.get("action")) for record in records}
    who = dict.fromkeys(_named(actor) for record in records for actor in record.get("actors") or ())
    parts = dict.fromkeys(part for record in reversed(records) for part in _parts(record, root.get("id")))
    return Change(
        at=datetime.fromisoformat(str(first["execution_time"])),
        # A request that creates an object also sets its members, which may be recorded as updates.
        action=next((action for action in ("create", "delete") if action in actions), str(first.get("action"))),
        resource_type=_kind(root),
        resource_id=root.get("id"),
        resource_name=root.get("summary"),
        parts=tuple(parts),
        who=tuple(who),
        method=method.get("type"),
        key=method.get("truncated_token"),
        address=context.get("remote_address"),
        request_id=context.get("request_id"),
        sources=tuple(str(record.get("id")) for record in records),
    )


def _parts(record: Mapping[str, Any], root: str | None) -> Iterable[str]:
    details = record.get("details") or {}
    part = details.get("resource") or {}
    if part.get("id") not in (None, root):
        yield f"{_kind(part)} {part['id']}"
    for name in ("fields", "references"):
        yield from (str(each.get("name")) for each in details.get(name) or ())


def _kind(reference: Mapping[str, Any]) -> str:
    return str(reference.get("type")).removesuffix("_reference")


def _named(actor: Mapping[str, Any]) -> str:
    return str(actor.get("summary") or actor.get("id") or actor.get("type"))


def _is_ours(change: Change, credentials: Credentials) -> bool:
    """Return True when a change may have been made with the key in use; an OAuth token's characters prove nothing."""
    if change.method not in _WITH_A_KEY:
        return False
    return credentials.scheme == "Bearer" or change.key in (None, credentials.api_key.reveal()[-4:])


def _contradicts(change: Change, write: SentWrite, credentials: Credentials) -> bool:
    """Return True when a change was certainly not made with the key of a write."""
    if change.method not in _WITH_A_KEY:
        return True
    if write.account not in (None, credentials.fingerprint):
        return False  # the write used another key, whose last characters are unknown
    return not change.our_key


def _by_request(
    found: ConfigurationChanges,
    theirs: Sequence[Change],
    writes: Sequence[SentWrite],
    credentials: Credentials,
    seen: set[str],
) -> list[Change]:
    """Match the changes that name a request of the connector; return the others."""
    requests = {request: write for write in writes for request in write.request_ids}
    left = []
    for change in theirs:
        write = requests.get(change.request_id or "")
        if write is None or _contradicts(change, write, credentials):
            left.append(change)
        else:
            _match(found, write, seen)
    return left


def _by_object(
    found: ConfigurationChanges,
    theirs: Sequence[Change],
    writes: Sequence[SentWrite],
    credentials: Credentials,
    seen: set[str],
) -> None:
    """Match by key, time and object when one side names no request; the others were made outside the connector."""
    waiting: defaultdict[tuple[str, str, str | None], list[SentWrite]] = defaultdict(list)
    for write in writes:
        if write.operation.audited:
            waiting[(*write.operation.audited, _object(write))].append(write)
    for change in theirs:
        named = change.request_id is not None
        near = [
            write
            for id_ in (change.resource_id, None)  # None: a creation whose response was lost
            for write in waiting[change.resource_type, change.action, id_]
            if write.intent.id not in seen
            and (write.lost or not named)
            and not _contradicts(change, write, credentials)
            and write.may_have_been_at(change.at)
        ]
        if near:
            _match(found, min(near, key=lambda write: write.seconds_from(change.at)), seen)
        else:
            found.outside.append(change)


def _match(found: ConfigurationChanges, write: SentWrite, seen: set[str]) -> None:
    found.matched += 1
    if write.status != "success" and write.intent.id not in seen and write.operation.audited:
        found.confirmed.append(_own(write))
    seen.add(write.intent.id)


def _unseen(found: ConfigurationChanges, write: SentWrite, began: datetime) -> None:
    """Add a successful write without a record to `missing` or `awaited`; an update without changes has no record."""
    if write.operation.audited is None:
        return
    kind, action = write.operation.audited
    if action == "update" or kind not in _RECORDED:
        return
    (found.awaited if write.latest > began - LATE else found.missing).append(_own(write))


def _own(write: SentWrite) -> OwnChange:
    kind, _ = write.operation.audited or ("", "")
    return OwnChange(
        at=write.latest,
        operation=write.operation.name,
        resource_type=kind,
        resource_id=_object(write),
        agent_id=write.intent.agent_id,
        source=write.intent.id,
        status=write.status,
    )


def _object(write: SentWrite) -> str | None:
    """Return the id of the object that a write changed or created; None when no response named it."""
    names = write.operation.path_names
    named = write.intent.metadata.get("ids", {}).get(names[0]) if names else write.after.get("id")
    return named if isinstance(named, str) else None
