"""Define annotations for the parameters of a connector's methods, each with a description of the accepted values.

`None` means "not given"; `NULL` sends a JSON null where the annotation allows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from msgspec import Meta


class Null:
    """The type of `NULL`."""

    _instance: Self | None = None

    def __new__(cls) -> Self:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "NULL"

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()


NULL: Final = Null()
"""Sends a JSON null: `update_incident("P1", priority_id=NULL)` removes the priority.

As a parameter, None means "not given". Inside an object or a list, None also means null.
"""

# Every pattern means the same in Python and in ECMA 262, which JSON Schema uses. `$(?!\n)` is the end of the text in
# both; Python's `$` alone would accept a trailing newline.
Id = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_-]+$(?!\n)", max_length=100, description="an id: letters, digits, '_' and '-'"),
]
_T = TypeVar("_T")
NonEmpty = Annotated[Sequence[_T], Meta(min_length=1)]
Ids = Annotated[Sequence[Id], Meta(min_length=1, max_length=1_000, description="a list of 1 to 1,000 ids")]
AnyIds = Annotated[Sequence[Id], Meta(max_length=1_000, description="a list of ids, which may be empty")]
Query = Annotated[str, Meta(min_length=1, max_length=1_000, description="text to search for")]
Text = Annotated[str, Meta(min_length=1, max_length=25_000, description="text that is not empty")]
Description = Annotated[str, Meta(max_length=25_000, description="text, which may be empty")]
Title = Annotated[str, Meta(min_length=1, max_length=1_024, description="text of 1 to 1,024 characters")]
Note = Annotated[str, Meta(min_length=1, max_length=2_000, description="text of 1 to 2,000 characters")]
# Local part and host in plain ASCII, so that an address can neither end a header nor hide a second address.
Email = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$(?!\n)",
        max_length=320,
        description="the e-mail address of a PagerDuty user",
    ),
]
_DATE = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
_OFFSET = r"(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])"
_TIME = _CLOCK + _OFFSET


class AcceptsAlternative:
    """Marks a parameter that accepts two forms, and is checked and sent in one of them, `type`.

    Attributes:
        type: The form in which it is sent.
        zone: The parameter that names the zone of a time without an offset; None when a time needs an offset.
    """

    def __init__(self, type_: Any, zone: str | None = None) -> None:
        self.type, self.zone = type_, zone


def _time(pattern: str, description: str, zone: str | None = None) -> AcceptsAlternative:
    """Return the mark of a time, which is given as ISO 8601 text or as a `datetime` and sent as text."""
    return AcceptsAlternative(Annotated[str, Meta(pattern=pattern, description=description)], zone)


Time = Annotated[
    str | datetime,
    _time(
        rf"^{_DATE}(?:{_TIME})?$(?!\n)",
        "an ISO 8601 date, or time with its offset (2025-01-01T00:00:00Z), or an aware datetime",
    ),
]
LocalTime = Annotated[
    str | datetime,
    _time(
        rf"^{_DATE}(?:{_CLOCK}{_OFFSET}?)?$(?!\n)",
        "an ISO 8601 date, or time with its offset (2025-01-01T00:00:00Z) or local to time_zone (2025-01-01T09:00:00), "
        "or a datetime",
        zone="time_zone",
    ),
]
Instant = Annotated[
    str | datetime,
    _time(
        rf"^{_DATE}{_TIME}$(?!\n)",
        "an ISO 8601 time with its offset (2025-01-01T00:00:00Z), or an aware datetime",
    ),
]
SnoozeSeconds = Annotated[int, Meta(ge=1, le=604_800, description="1 to 604,800 seconds")]
SourceIds = Annotated[Sequence[Id], Meta(min_length=1, max_length=250, description="1 to 250 incident ids")]
Token = Annotated[
    str, Meta(pattern=r"^[!-~]{1,8}$(?!\n)", description="the last characters of a key, as a record shows them")
]
Cursor = Annotated[str, Meta(pattern=r"^[!-~]{1,4096}$(?!\n)", description="the next_cursor of the page before")]
Limit = Annotated[int, Meta(ge=1, le=100, description="1 to 100")]
Offset = Annotated[int, Meta(ge=0, le=9_999, description="0 to 9,999")]
SortBy = Annotated[
    str,
    Meta(
        max_length=100, pattern=r"^[a-z_]+(?::(?:asc|desc))?$(?!\n)", description="a field, or field:asc or field:desc"
    ),
]
# Not a union of text and list: msgspec 0.19 to 0.22 corrupts memory when both branches have a pattern.
SortFields = Annotated[
    str | Sequence[str], AcceptsAlternative(Annotated[Sequence[SortBy], Meta(min_length=1, max_length=2)])
]
Zone = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_+/-]{1,64}$(?!\n)", description="a time zone by its IANA name (Europe/Paris)"),
]
Fields = Annotated[dict[str, Any], Meta(description="further writable members of PagerDuty's schema, as JSON")]
Urgency = Literal["high", "low"]
Status = Literal["triggered", "acknowledged", "resolved"]
