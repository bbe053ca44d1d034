"""Evaluate `when`: a condition in CEL, the Common Expression Language, over one effect of a call and the time.

Each effect is judged with its own parameters, named as its operation names them. A condition that reads a parameter
whose value the call does not determine fails, even when it first tests whether the parameter is present.

Three libraries were measured with a condition of two terms (CPython 3.11). `common-expression-language`, a binding of
the Rust crate, takes 6 µs and 6 MB and is released steadily. Google's `cel-expr-python` takes 5 µs, but 50 MB, and is
at version 0.1. `cel-python`, all Python, takes 214 µs.

An unknown name or function is refused at load: at run time it would deny calls for a reason that is hard to find.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from attrs import field, frozen

from arx_wrapper.errors import ConfigError
from arx_wrapper.model import Call, Effect, Params, Unknown

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
# The variable that a macro binds: `user` in `params.assignee_ids.exists(user, user == "PU1")`.
_BOUND: Final = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map)\s*\(\s*(\w+)\s*,")
_PARAMETER: Final = re.compile(r"\bparams\s*\.\s*(\w+)")
_PARAMETERS: Final = re.compile(r"\bparams\b")


class ConditionError(Exception):
    """The expression failed at run time, or its value is neither true nor false."""


@frozen
class Condition:
    """A compiled condition.

    Attributes:
        text: As the policy wrote it.
        parameters: The parameters that it names, `params.urgency`.
        reads_all: Whether it may also read others: it uses an index, `params["urgency"]`, or `params` as a whole.
    """

    text: str
    _program: Any = field(eq=False, repr=False)
    parameters: frozenset[str] = field(init=False, repr=False)
    reads_all: bool = field(init=False, repr=False)

    @parameters.default
    def _named(self) -> frozenset[str]:
        return frozenset(_PARAMETER.findall(self.text))

    @reads_all.default
    def _reads_all(self) -> bool:
        return len(_PARAMETERS.findall(self.text)) > len(_PARAMETER.findall(self.text))

    @classmethod
    def compile(cls, text: str) -> Condition:
        """Compile an expression.

        Raises:
            ValueError: it is not CEL, or uses a name that does not exist.
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

    def holds(self, call: Call, effect: Effect, params: Params | None, now: datetime) -> bool:
        """Return True when the condition holds for one effect of a call.

        Args:
            call: The call.
            effect: The operation that the call performs, and the risk at which it is judged.
            params: One set of the effect's parameters; see `Effect.params`.
            now: The time, aware.

        Raises:
            ConditionError: the condition cannot be evaluated. Policy then denies the call.
        """
        determined = self._determined(call, effect, params)
        variables = {
            "params": determined,
            "agent_id": call.agent_id,
            "org_id": call.org_id,
            "operation": effect.operation,
            "risk": effect.risk.name.lower(),
            "now": now,
        }
        try:
            result = self._program.execute(variables)
        except Exception as error:
            absent = self._absent(error, determined)
            raise ConditionError(f"this call has no {absent}" if absent else type(error).__name__) from None
        if result is True or result is False:
            return bool(result)
        raise ConditionError("it is neither true nor false")

    def _absent(self, error: Exception, determined: Mapping[str, Any]) -> str | None:
        """Return the parameter that the condition names and the call lacks, when its absence is the error.

        The key of a KeyError may also be a value of the call, which a reason must not repeat.
        """
        key = error.args[0] if isinstance(error, KeyError) and error.args else None
        if not isinstance(key, str) or key in determined:
            return None
        indexed = self.reads_all and any(f"params[{quote}{key}{quote}]" in self.text for quote in "\"'")
        return key if key in self.parameters or indexed else None

    def _determined(self, call: Call, effect: Effect, params: Params | None) -> dict[str, Any]:
        """Return the parameters whose values the call determines.

        Raises:
            ConditionError: the condition reads another parameter.
        """
        if params is None:
            if self.parameters or self.reads_all:
                raise ConditionError(f"{call.operation.name} does not determine the parameters of {effect.operation}")
            return {}
        for name, value in params.items():
            if isinstance(value, Unknown) and (self.reads_all or name in self.parameters):
                raise ConditionError(f"the {name} of {effect.operation} is not known: {value.why}")
        return {name: value for name, value in params.items() if not isinstance(value, Unknown)}


def _known(kind: str, names: Iterable[str], known: Collection[str], besides: Collection[str] = ()) -> None:
    for name in names:
        if name not in known and name not in besides:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(sorted(known))}"
            raise ValueError(f"names the {kind} {name!r}, which does not exist; {hint}")
