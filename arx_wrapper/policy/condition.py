"""`when`: a condition in CEL, the Common Expression Language, over the call and the time.

Of the libraries for it, measured with a condition of two terms (CPython 3.11): `common-expression-language`, a binding
of the Rust crate, takes 6 µs and 6 MB and is released steadily; Google's `cel-expr-python` takes 5 µs, but 50 MB, and
is at version 0.1; `cel-python`, all Python, takes 214 µs.

A name or a function that CEL does not have fails at load: at run time it would deny for a reason that nobody sees.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final

from attrs import field, frozen

from arx_wrapper.errors import ConfigError
from arx_wrapper.model import Call, Risk

VARIABLES: Final = frozenset({"params", "agent_id", "org_id", "operation", "risk", "now"})
_TYPES: Final = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"})
_FUNCTIONS: Final = frozenset(
    {
        "bytes",
        "contains",
        "double",
        "duration",
        "dyn",
        "endsWith",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getFullYear",
        "getHours",
        "getMilliseconds",
        "getMinutes",
        "getMonth",
        "getSeconds",
        "int",
        "matches",
        "size",
        "startsWith",
        "string",
        "timestamp",
        "type",
        "uint",
    }
)
# What a macro binds: `params.assignee_ids.exists(user, user == "PU1")`.
_BOUND: Final = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map)\s*\(\s*(\w+)\s*,")
_PARAMETER: Final = re.compile(r"\bparams\s*\.\s*(\w+)")


class ConditionError(Exception):
    """The expression failed at run time, or gave something else than true or false."""


@frozen
class Condition:
    """A compiled condition.

    Attributes:
        text: As the policy wrote it.
    """

    text: str
    _program: Any = field(eq=False, repr=False)

    @classmethod
    def compile(cls, text: str) -> Condition:
        """Compile an expression.

        Raises:
            ValueError: it is not CEL, or names what there is not.
            ConfigError: the library is not installed.
        """
        try:
            import cel
        except ImportError:
            raise ConfigError("conditions need the extra: pip install 'arx-pagerduty[cel]'") from None
        try:
            program = cel.compile(text)
        except ValueError as error:
            raise ValueError(f"is not CEL: {str(error).splitlines()[0]}") from None
        _known("variable", program.variables(), VARIABLES, {*_TYPES, *_BOUND.findall(text)})
        _known("function", filter(str.isidentifier, program.functions()), _FUNCTIONS)
        return cls(text, program)

    @property
    def parameters(self) -> frozenset[str]:
        """The parameters that it names, `params.urgency`; not those that it looks up, `params["urgency"]`."""
        return frozenset(_PARAMETER.findall(self.text))

    def holds(self, call: Call, risk: Risk, now: datetime) -> bool:
        """Whether it holds for a call.

        Raises:
            ConditionError: it cannot be told. Policy then denies.
        """
        variables = {
            "params": dict(call.params),
            "agent_id": call.agent_id,
            "org_id": call.org_id,
            "operation": call.operation.name,
            "risk": risk.name.lower(),
            "now": now,
        }
        try:
            result = self._program.execute(variables)
        except Exception as error:
            raise ConditionError(type(error).__name__) from None
        if result is True or result is False:
            return bool(result)
        raise ConditionError("it is neither true nor false")


def _known(kind: str, names: Iterable[str], known: Collection[str], besides: Collection[str] = ()) -> None:
    for name in names:
        if name not in known and name not in besides:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(sorted(known))}"
            raise ValueError(f"names the {kind} {name!r}, which there is not; {hint}")
