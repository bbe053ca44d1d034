"""`when`: a condition in CEL, the Common Expression Language, over the call and the time.

Of the libraries for it, measured with a condition of two terms (CPython 3.11): `common-expression-language`, a binding
of the Rust crate, takes 6 µs and 6 MB and is released steadily; Google's `cel-expr-python` takes 5 µs, but 50 MB, and
is at version 0.1; `cel-python`, all Python, takes 214 µs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import field, frozen

from arx_wrapper.errors import ConfigError
from arx_wrapper.model import Call, Risk


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
            ValueError: it is not CEL.
            ConfigError: the library is not installed.
        """
        try:
            import cel
        except ImportError:
            raise ConfigError("conditions need the extra: pip install 'arx-pagerduty[cel]'") from None
        try:
            return cls(text, cel.compile(text))
        except ValueError as error:
            raise ValueError(f"is not CEL: {str(error).splitlines()[0]}") from None

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
