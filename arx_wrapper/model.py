"""The values that the pipeline's backends hand to each other. No room knows another; all know these."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterable, Mapping
from string import Formatter
from typing import Any, Literal, NamedTuple

from attrs import field, frozen


class Risk(enum.IntEnum):
    """How much harm an operation can do; ordered."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Verdict(enum.StrEnum):
    """What policy says of a call; `ESCALATE` means a person has to agree."""

    PERMIT = "PERMIT"
    ESCALATE = "ESCALATE"
    DENY = "DENY"


Params = Mapping[str, Any]
Body = Callable[[Params], object]
EffectRule = Callable[[Params], "Iterable[EffectSpec]"]
HttpMethod = Literal["GET", "POST", "PUT", "DELETE"]


class EffectSpec(NamedTuple):
    """What a write amounts to: an operation, how often, and the least risk it is judged at."""

    operation: str
    times: int = 1
    at_least: Risk = Risk.LOW


@frozen(kw_only=True)
class Operation:
    """One row of a connector's table.

    Attributes:
        name: `family:action`, as policies name it.
        method: HTTP method.
        path: Path template, `/incidents/{incident_id}`.
        risk: The operation's own risk; what its parameters add is an `Effect`.
        function: The connector's method, whose keyword arguments are the operation's parameters.
        endpoint: The generated client's module, `incidents.get_incident`.
        summary: One line for people.
        writes: Whether it changes state. A write sends `From` and is never repeated blindly.
        deprecated: Whether PagerDuty is taking the endpoint out of service.
        answer: The envelope's key in the answer; None when the answer has no envelope or no body.
        model: The generated model of what `answer` holds; None when there is no body.
        body: Builds the request's body from the parameters; None when the request has none.
        effects: What the operation amounts to besides itself, given its parameters. Every write states it.
    """

    name: str
    method: HttpMethod
    path: str
    risk: Risk
    function: str
    endpoint: str
    summary: str
    writes: bool = False
    deprecated: bool = False
    answer: str | None = None
    model: str | None = None
    body: Body | None = field(default=None, repr=False)
    effects: EffectRule | None = field(default=None, repr=False)

    @property
    def family(self) -> str:
        return self.name.partition(":")[0]

    @property
    def path_names(self) -> tuple[str, ...]:
        """The parameters that stand in the path, in its order."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.path) if name)


@frozen(kw_only=True)
class Effect:
    """An operation that a call amounts to, whatever name it was called by.

    Attributes:
        operation: The operation whose permission is needed.
        risk: The risk at which it is judged.
        count: How often the call does it (the entries of a bulk call), for limits.
    """

    operation: str
    risk: Risk
    count: int = 1


@frozen(kw_only=True)
class Call:
    """One call, frozen: what is judged, recorded, approved and sent is this text and nothing else.

    Attributes:
        id: Unique id; the intent record carries it.
        operation: The table's row.
        agent_id: Who asks.
        org_id: For which organisation.
        canonical: The validated parameters as canonical JSON.
        params: The same, decoded for policy conditions; read-only by convention, never the source of what is sent.
        effects: What the call amounts to: the operation itself first.
    """

    id: str
    operation: Operation
    agent_id: str
    org_id: str
    canonical: bytes = field(repr=False)
    params: Mapping[str, Any] = field(repr=False)
    effects: tuple[Effect, ...]

    @property
    def risk(self) -> Risk:
        return max(effect.risk for effect in self.effects)


@frozen(kw_only=True)
class Limit:
    """At most `count` of `operation` per agent in any `seconds`; `text` is as the policy wrote it."""

    operation: str
    count: int
    seconds: int
    text: str
    policy: str


@frozen(kw_only=True)
class Decision:
    """What policy says of one call.

    Attributes:
        verdict: PERMIT, ESCALATE or DENY.
        risk: The risk at which the call was judged.
        operation: The operation that caused the verdict: the one called, or what it amounts to.
        policy: Name of the entry that decided; None when none matched.
        reason: For people, one sentence.
        source: `file:line` of the entry, when it came from a file.
        channel: Where to ask reviewers (`hitl_channel`).
        min_approvals: How many different reviewers must agree.
        limits: Limits to be counted when the intent is written.
        observed: What entries in observe mode would have said: `name: VERDICT`.
    """

    verdict: Verdict
    risk: Risk
    operation: str
    policy: str | None = None
    reason: str
    source: str | None = None
    channel: str | None = None
    min_approvals: int = 1
    limits: tuple[Limit, ...] = ()
    observed: tuple[str, ...] = ()


def new_id() -> str:
    """A UUID of version 7: unique, and in the order of time, so that an index grows at its end."""
    import random  # only now: it takes longer to import than this module

    now, drawn = time.time_ns() // 1_000_000, random.getrandbits(74)
    return f"{now << 80 | 0x7 << 76 | drawn >> 62 << 64 | 0x2 << 62 | drawn & 0x3FFFFFFFFFFFFFFF:032x}"
