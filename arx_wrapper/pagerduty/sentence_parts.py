"""Format the parts of a reviewer's sentence: quoted names, lists, spans of time, references, event rules.

`sentences.py` puts them together, one function for each write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from arx_wrapper.model import JSON, Params

_NAMED: Final = 3
_LONGEST: Final = 80
_SHOWN: Final = 10  # the most open incidents that the state holds
_QUOTES: Final = str.maketrans(dict.fromkeys('"\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02', "'"))
_ACTIONS: Final = {"annotate": "annotates them", "extract": "extracts members of theirs"}


def quoted(value: object) -> str:
    """Return text in quotation marks, which the text itself cannot close; long text is cut."""
    text = " ".join(str(value).translate(_QUOTES).split())
    return f'"{text}"' if len(text) <= _LONGEST else f'"{text[: _LONGEST - 1]}…"'


def incident_text(target: JSON | None, incident_id: str) -> str:
    """Return an incident with its title and service, `incident "Lag" on service "Orders"`."""
    service = named((target or {}).get("service"))
    on = f" on service {quoted(service)}" if service else ""
    return f"incident {titled(target, incident_id)}{on}"


def titled(target: JSON | None, incident_id: str) -> str:
    """Return an incident's title, or its id when it was not read."""
    return quoted((target or {}).get("title") or incident_id)


def service_text(target: JSON | None, service_id: str) -> str:
    """Return a service by its name."""
    return reference_text((target or {}).get("service"), service_id, "service")


def policy_text(reference: JSON | None, policy_id: str) -> str:
    """Return an escalation policy by its name."""
    return reference_text(reference, policy_id, "escalation policy")


def policy_name_text(target: JSON, params: Params) -> str:
    """Return the name of the escalation policy that a call routes to."""
    return quoted(named(target.get("to_policy")) or params["escalation_policy_id"])


def people_text(params: Params, target: JSON) -> str:
    """Return the names of the users that a call routes to."""
    known = {str(each.get("id")): each for each in target.get("to_users") or ()}
    return some([name_text(known.get(user) or {"id": user}) for user in params["assignee_ids"]]) or "nobody"


def reference_text(reference: Any, identifier: str, kind: str) -> str:
    """Return a kind of object with its name, or its id when it was not read."""
    return f"{kind} {quoted(named(reference) or identifier)}"


def name_text(reference: JSON) -> str:
    """Return the quoted name of a reference."""
    return quoted(named(reference) or "")


def named(reference: Any) -> str | None:
    """Return the name of a reference, else its id; None for none."""
    if not isinstance(reference, Mapping):
        return None
    found = reference.get("name") or reference.get("id")
    return None if found is None else str(found)


def reference_id(reference: Any) -> object:
    """Return the id of a reference; None for none."""
    return reference.get("id") if isinstance(reference, Mapping) else None


def open_incidents_text(state: JSON, what: str) -> str:
    """Return a sentence on a service's open incidents; nothing when it has none."""
    opened = len(state.get("open_incidents") or ())
    if not opened:
        return ""
    more, said = ("At least " if opened >= _SHOWN else ""), (what.replace("their", "its") if opened == 1 else what)
    return f" {more}{counted(opened, 'open incident')} {said}."


def used_by(state: JSON, what: str) -> str:
    """Return a sentence on the services that use an escalation policy; nothing when they were not read."""
    if "services" not in state:
        return ""
    services = [name_text(each) for each in state["services"] or ()]
    said = what.replace("their", "its") if len(services) == 1 else what
    return f" {counted(len(services), 'service')} {said}: {some(services)}." if services else " No service uses it."


def rules_text(rules: Any) -> str:
    """Return the number of levels in escalation rules, and the people that the first one notifies."""
    levels = list(rules)
    first = levels[0].get("targets") or () if levels and isinstance(levels[0], Mapping) else ()
    targets = some([kind_text(each) for each in first if isinstance(each, Mapping)])
    notified = f", {targets} first" if targets else ""
    return f"{counted(len(levels), 'level')}{notified}"


def kind_text(target: JSON) -> str:
    """Return a target of an escalation rule."""
    kind = str(target.get("type") or "target").removesuffix("_reference")
    return f"{kind} {quoted(target.get('name') or target.get('id'))}"


def actions_text(rule: Any) -> str:
    """Describe the actions of an event rule."""
    actions = rule.get("actions") if isinstance(rule, Mapping) else None
    said = [action_text(action) for action in actions or () if isinstance(action, list) and action]
    return listed(said) or "keeps the actions it has"


def action_text(action: list[Any]) -> str:
    """Describe one action of an event rule."""
    kind, value = str(action[0]), action[1] if len(action) > 1 else None
    if kind == "suppress":
        return "suppresses events" if value is not False else "does not suppress events"
    if kind == "route":
        return f"routes events to service {quoted(value)}" if value else "routes events nowhere, which suppresses them"
    if kind in _ACTIONS:
        return _ACTIONS[kind]
    return f"sets their {kind.replace('_', ' ')}" + (f" to {quoted(value)}" if isinstance(value, str) else "")


def further(params: Params) -> str:
    """Return a sentence on further members that are set; nothing when there are none."""
    names = sorted((params.get("fields") or {}).keys())
    return f" It also sets {listed(names)}." if names else ""


def some(names: list[str]) -> str:
    """Return the first three names and the number of the others."""
    shown, more = names[:_NAMED], len(names) - _NAMED
    return listed([*shown, f"{more} more"] if more > 0 else shown)


def listed(parts: Iterable[str]) -> str:
    """Return parts as a list in prose: `a, b and c`."""
    *first, last = list(parts) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def counted(number: int, what: str) -> str:
    """Return a number of things: `1 service`, `2 services`."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def span(seconds: float) -> str:
    """Return seconds as days, hours, minutes and seconds."""
    left, parts = int(seconds), []
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        number, left = divmod(left, size)
        if number:
            parts.append(counted(number, unit))
    return listed(parts) or "0 seconds"


def between(start: str, end: str) -> str:
    """Return a time and its end in UTC, with its length."""
    begins, ends = moment_of(start), moment_of(end)
    if begins is None or ends is None:
        return f"from {quoted(start)} to {quoted(end)}"
    last = f"{ends:%H:%M}" if begins.date() == ends.date() else f"{ends:%Y-%m-%d %H:%M}"
    return f"from {begins:%Y-%m-%d %H:%M} to {last} UTC ({span((ends - begins).total_seconds())})"


def moment_of(text: str) -> datetime | None:
    """Parse an ISO 8601 time, as UTC; None when it is malformed, has no offset, or is out of range in UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
