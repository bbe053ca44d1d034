"""Define one call, its effects, and the decision of policy on it."""

from __future__ import annotations

import base64
import hmac
import os
import re
import time
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from urllib.parse import quote

from attrs import field, frozen

from arx_wrapper.model.operation import Operation, Params
from arx_wrapper.model.risk import Risk, Verdict

# Masking a shorter text, which is no real secret, would garble the text around it.
_MASKED: Final = 6


@frozen(kw_only=True)
class Effect:
    """One operation that a call performs: the operation called, or another that the same request performs.

    Attributes:
        operation: The operation whose permission is needed.
        risk: The risk at which it is judged.
        count: How many times the call performs it (once for each entry of a bulk call). Limits count these.
        params: The parameters that conditions see, one set for each time, named as `operation` names them. A value may
            be `Unknown`; None stands for a set whose values are all unknown.
    """

    operation: str
    risk: Risk
    count: int = 1
    params: tuple[Params | None, ...] = field(default=(None,), repr=False, eq=False)


@frozen(kw_only=True)
class Call:
    """One call, frozen. Policy, audit log, reviewers and transport all use exactly this text.

    Attributes:
        id: Unique id; the intent record carries it.
        operation: The table's row.
        agent_id: The agent that calls.
        org_id: The organisation for which it calls.
        canonical: The validated parameters as canonical JSON.
        params: The same, decoded for policy conditions; read-only by convention, never the source of what is sent.
        effects: Every operation that the call performs; the operation called comes first.
        iteration: The bounds of an iteration over all pages, `{"max_items": 500}`; None for a call of one page.
    """

    id: str
    operation: Operation
    agent_id: str
    org_id: str
    canonical: bytes = field(repr=False)
    params: Mapping[str, Any] = field(repr=False)
    effects: tuple[Effect, ...]
    iteration: Mapping[str, Any] | None = None

    @property
    def risk(self) -> Risk:
        return max(effect.risk for effect in self.effects)


@frozen(kw_only=True)
class Limit:
    """At most `count` uses of `operation` by an agent in any `seconds`; `text` is the limit as the policy wrote it."""

    operation: str
    count: int
    seconds: int
    text: str
    policy: str


@frozen(kw_only=True)
class OnCall:
    """The users who are on call for an escalation policy.

    Attributes:
        escalation_policy: Its id.
        levels: The levels whose users may decide, in order; empty means all levels.
        escalate_after: Seconds without a decision after which the next level's users may decide too. None: the users of
            all levels may decide at once.
    """

    escalation_policy: str
    levels: tuple[int, ...] = ()
    escalate_after: int | None = None


@frozen(kw_only=True)
class ReviewerRule:
    """The people whose approvals a policy entry counts: any of these.

    Attributes:
        policy: The entry's name.
        people: Names of reviewers.
        groups: Names of groups of reviewers.
        on_call: Reviewers who are on call when they decide, and still when the approval is used.
        min_approvals: The number of different ones of them who must approve.
    """

    policy: str
    people: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    on_call: tuple[OnCall, ...] = ()
    min_approvals: int = 1


@frozen(kw_only=True)
class Visibility:
    """The members of a response that one policy entry hides and shows: globs, `contact_methods.address`.

    Attributes:
        policy: The entry's name.
        hide: Globs of the members that it hides.
        show: Exceptions to these, and to the members that are hidden by default.
    """

    policy: str
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()


@frozen(kw_only=True)
class Decision:
    """The decision of policy on one call.

    Attributes:
        verdict: PERMIT, ESCALATE or DENY.
        risk: The risk at which the call was judged.
        operation: The operation that caused the verdict: the one called, or another of its effects.
        policy: Name of the entry that decided; None when none matched.
        reason: The reason in one sentence, for people.
        source: `file:line` of the entry, when it came from a file.
        channel: The channel on which to notify reviewers (`hitl_channel`).
        min_approvals: How many different reviewers must agree.
        reviewers: One rule for each entry that names reviewers; each has to be met. Empty: any reviewer may approve.
        visibility: The members that the response shows, by effect. A member that one effect hides is hidden.
        limits: The limits to be counted when the intent is written.
        observed: The verdicts of entries in observe mode, which are not enforced: `name: VERDICT`.
    """

    verdict: Verdict
    risk: Risk
    operation: str
    policy: str | None = None
    reason: str
    source: str | None = None
    channel: str | None = None
    min_approvals: int = 1
    reviewers: tuple[ReviewerRule, ...] = ()
    visibility: tuple[tuple[Visibility, ...], ...] = ((),)
    limits: tuple[Limit, ...] = ()
    observed: tuple[str, ...] = ()


@frozen(kw_only=True)
class Request:
    """A request, complete and checked, that was not sent yet.

    Attributes:
        method: The HTTP method.
        path: The path as it will be sent, without a host; its segments are checked.
        query: Names and values in order; a list is repeated.
        headers: Further headers.
        json: The body as plain JSON data; None when there is none.
        operation_id: The endpoint's name.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    json: Any = field(default=None, repr=False)
    operation_id: str


class Secret:
    """A text that neither `repr`, `str`, formatting nor pickling shows.

    Tracebacks with local variables, as error trackers and test runners print them, show `'***'`. Write
    `send(secret.reveal())` in the call that needs the text, and keep it in no variable: variables outlive the call in
    the traceback of whatever it raises.
    """

    __slots__ = ("__forms", "__text")

    def __init__(self, text: object) -> None:
        self.__text: object = text.__text if isinstance(text, Secret) else text
        self.__forms: re.Pattern[str] | None = None

    def reveal(self) -> str:
        """Return the text. ValueError when the secret is not text."""
        if not isinstance(self.__text, str):
            raise ValueError("the secret is not text")
        return self.__text

    def fault(self, accepted: re.Pattern[str]) -> str | None:
        """Describe the fault of the text without showing any of it; None when it matches the whole pattern."""
        text = self.__text
        if isinstance(text, str) and accepted.fullmatch(text):
            return None
        return fault_of(text)

    def masked(self, text: str) -> str:
        """Return another text in which this one is masked wherever it occurs: as it is, percent-encoded, or as base64.

        A secret of fewer than six characters is left as it is: masking it would garble the text around it.
        """
        secret = self.__text
        if not isinstance(secret, str) or len(secret) < _MASKED:
            return text
        if self.__forms is None:
            encoded = secret.encode("utf-8", "surrogatepass")
            blobs = (base64.b64encode(encoded), base64.urlsafe_b64encode(encoded))
            forms = {secret, quote(encoded), quote(encoded, safe=""), *(blob.decode().rstrip("=") for blob in blobs)}
            ordered = sorted(map(re.escape, forms), key=len, reverse=True)
            self.__forms = re.compile("|".join(ordered), re.IGNORECASE)
        return self.__forms.sub("***", text)

    def __eq__(self, other: object) -> bool:
        text = other.__text if isinstance(other, Secret) else other
        if not isinstance(text, str) or not isinstance(self.__text, str):
            return False
        return hmac.compare_digest(self.__text.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        return hash(self.__text)

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __repr__(self) -> str:
        return "'***'"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "'***'"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def fault_of(value: object) -> str:
    """Describe the fault of a value, without showing any of it."""
    if not isinstance(value, str):
        return "is not text"
    if not value:
        return "is empty"
    if "\r" in value or "\n" in value:
        return "contains a line break"
    if not value.isascii():
        return "contains characters outside ASCII"
    if any(character.isspace() for character in value):
        return "contains a space"
    if not value.isprintable():
        return "contains control characters"
    return "is malformed"


def new_id() -> str:
    """Return a UUID of version 7. It sorts by time, so that an index grows at its end, and cannot be predicted."""
    now, drawn = time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10)) >> 6
    return f"{now << 80 | 0x7 << 76 | drawn >> 62 << 64 | 0x2 << 62 | drawn & 0x3FFFFFFFFFFFFFFF:032x}"
