"""What a governed call runs in."""

from __future__ import annotations

from attrs import frozen

from arx_wrapper.core.backends import Backends
from arx_wrapper.core.resolution import Api, Caller


@frozen(kw_only=True)
class Environment:
    """Who calls, which API is called, and the backends that judge, record, approve and send."""

    api: Api
    caller: Caller
    backends: Backends
