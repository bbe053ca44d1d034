"""Check that the tables of a log in PostgreSQL are as the migrations created them."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from arx_wrapper.audit.storage.migrations import versions
from arx_wrapper.audit.storage.postgres_connection import Link

_TRIGGERS: Final = frozenset({"records_never_change", "records_stay", "records_are_read", "records_follow_head"})
_ATTACHED: Final = """
SELECT relname, tgname, tgenabled::text FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE NOT tgisinternal AND relnamespace = 'arx_audit'::regnamespace ORDER BY tgname
"""
_RULES: Final = "SELECT tablename, rulename FROM pg_rules WHERE schemaname = 'arx_audit'"
_KINDS: Final = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'arx_audit'::regnamespace AND relkind IN ('v', 'm', 'f')"
)
_FUNCTIONS: Final = (
    "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'arx_audit'::regnamespace AND prosqlbody IS NULL"
)
_DEFAULTS: Final = """
SELECT relname, attname FROM pg_attrdef JOIN pg_class ON pg_class.oid = adrelid
JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum WHERE adrelid = 'arx_audit.records'::regclass
"""
_FUNCTION: Final = re.compile(r"CREATE (?:OR REPLACE )?FUNCTION arx_audit\.(\w+)\([^;]*?AS \$\$(.*?)\$\$", re.DOTALL)
_DROPPED: Final = re.compile(r"DROP FUNCTION arx_audit\.(\w+)")


def schema_problem(link: Link) -> str | None:
    """Describe how a log's tables differ from those that the migrations create; None when they do not.

    It finds a trigger that drops records, a rule that rewrites inserts and a changed function.
    """
    found = {(table, name): enabled for table, name, enabled in link.execute(_ATTACHED)}
    for (table, name), enabled in found.items():
        if table != "records" or name not in _TRIGGERS:
            return f"the trigger {name} on {table} is not the log's own: it may drop or change records"
        if enabled != "A":
            return f"the trigger {name} is missing or switched off"
    if missing := sorted(_TRIGGERS - {name for _, name in found}):
        return f"the trigger {missing[0]} is missing or switched off"
    for statement, kind in ((_RULES, "rule"), (_DEFAULTS, "default"), (_KINDS, "view")):
        if row := link.execute(statement.encode()).fetchone():
            return f"the {kind} {row[-1]} on {row[0]} is not the log's own: it may drop or change records"
    there: dict[str, str] = dict(link.execute(_FUNCTIONS).fetchall())
    for name, source in _sources().items():
        if name not in there:
            return f"the function {name} is missing"
        if _plain(there[name]) != _plain(source):
            return f"the function {name} was changed"
    return None


@cache
def _sources() -> dict[str, str]:
    """Return the text of each function as the newest migration left it."""
    sources: dict[str, str] = {}
    for _, text in sorted(versions().items()):
        steps = [*_DROPPED.finditer(text), *_FUNCTION.finditer(text)]
        for step in sorted(steps, key=lambda found: found.start()):
            if step.re is _DROPPED:
                sources.pop(step[1], None)
            else:
                sources[step[1]] = step[2]
    return sources


def _plain(source: str) -> str:
    return re.sub(r"\s+", " ", source).strip()
