"""The wire: from a generated request and credentials to PagerDuty's answer, or to an error that tells the truth.

    wire = Transport(base_url="https://api.pagerduty.com")
    answer = await wire.send(request, credentials, wire.grant(request), operation="users:read", writes=False)
    answer.json()

Nothing is sent without a grant, which the pipeline alone issues, once for each request.
"""

from arx_wrapper.transport.response import Attempt, Response
from arx_wrapper.transport.transport import Grant, Transport

__all__ = ["Attempt", "Grant", "Response", "Transport"]
