"""Hold what every governed call needs: the API, the caller and the backends."""

from __future__ import annotations

from attrs import evolve, frozen

from arx_wrapper.core.backends import Backends
from arx_wrapper.core.resolution import Api, Caller
from arx_wrapper.errors import PermissionDeniedError
from arx_wrapper.model import Call, Decision, Verdict


@frozen(kw_only=True, eq=False, repr=False)
class CallEnvironment:
    """The API that is called, its caller, and the backends that judge, record, approve and send."""

    api: Api
    caller: Caller
    backends: Backends

    async def judge_again(self, call: Call) -> Decision:
        """Judge a call again: since its intent, policy may have changed and the agent may have been suspended.

        Raises:
            PermissionDeniedError: policy denies the call by now, or its agent is suspended.
        """
        again = self.backends.policies.decide(call, self.backends.clock())
        if suspension := await self.backends.audit.suspension(call.agent_id):
            again = evolve(again, verdict=Verdict.DENY, reason=suspension)
        if again.verdict is Verdict.DENY:
            raise PermissionDeniedError(again)
        return again
