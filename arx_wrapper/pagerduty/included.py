"""List the reads that a value of `include` performs: the response then holds whole objects instead of references.

Policy judges these reads as effects, so that `include` shows an agent nothing that it may not read directly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from arx_wrapper.model import EffectSpec, Params, Unknown

_BOTH_URGENCIES = Unknown("rules for either urgency are returned")


class Embedded(NamedTuple):
    """A read that a value of `include` performs, of objects that the response then holds whole.

    Attributes:
        operation: The read that returns such an object.
        id_param: The read's parameter that identifies the object; "" when no call with `include` has one of that name.
        undetermined: Further parameters of the read, which no call determines.
    """

    operation: str
    id_param: str = ""
    undetermined: Mapping[str, Unknown] = {}


_USER: Final = Embedded("users:read_detail")
_SERVICE: Final = Embedded("services:read_detail")
_SCHEDULE: Final = Embedded("schedules:read_detail")
_INTEGRATIONS: Final = Embedded("services:read_integrations", "service_id")
# By value of `include`. A schedule's parts are what `schedules:read_detail` shows and a list does not. A value that is
# not listed adds other parts of the object itself, or members that every response shows anyway, like a priority's name.
INCLUDED: Final[Mapping[str, tuple[Embedded, ...]]] = {
    "acknowledgers": (_USER, _SERVICE),
    "agents": (_USER, _SERVICE, _INTEGRATIONS),
    "assignees": (_USER,),
    "contact_methods": (Embedded("users:read_contact", "user_id"),),
    "escalation_policies": (Embedded("escalation:read_detail"),),
    "final_schedule": (_SCHEDULE,),
    "first_trigger_log_entries": (Embedded("incidents:read_log", "incident_id"),),
    "incidents": (Embedded("incidents:read_detail", "incident_id"),),
    "integrations": (_INTEGRATIONS,),
    "notification_rules": (Embedded("users:read_notification", "user_id", {"urgency": _BOTH_URGENCIES}),),
    "overrides_subschedule": (_SCHEDULE,),
    "schedule_layers": (_SCHEDULE,),
    "schedules": (_SCHEDULE,),
    "services": (_SERVICE,),
    "targets": (_USER, _SCHEDULE),
    "teams": (Embedded("teams:read_detail"),),
    "users": (_USER,),
}


def included(*names: str, given: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """Return a row's `performs` for its `include`: by read, the parameters that a call does not determine.

    Args:
        names: The values of `include` that perform reads; see `INCLUDED`.
        given: The parameters of the row that identify the object of such a read.
    """
    reads = {read.operation: read for name in names for read in INCLUDED[name]}
    return {name: tuple(read.undetermined) if read.id_param in given else ("*",) for name, read in reads.items()}


def included_reads(params: Params) -> Iterator[EffectSpec]:
    """Yield the reads that a call's `include` performs, each once; with parameters when the call has its `id_param`."""
    reads = {read.operation: read for name in params.get("include", ()) for read in INCLUDED.get(name, ())}
    for operation, read in reads.items():
        known = {read.id_param: params[read.id_param]} if read.id_param in params else None
        yield EffectSpec(operation, known and {**known, **read.undetermined})
