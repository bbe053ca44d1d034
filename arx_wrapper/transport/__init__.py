"""The wire: from a generated request and credentials to PagerDuty's answer, or to an error that tells the truth.

    wire = Wire(base_url="https://api.pagerduty.com")
    answer = await wire.send(request, credentials, wire.grant(request), operation="users:read", writes=False)
    answer.json()

Nothing is sent without a grant, which the pipeline alone issues, once for each request.
"""

from arx_wrapper.transport.response import Answer, Attempt
from arx_wrapper.transport.transport import Grant, Wire

__all__ = ["Answer", "Attempt", "Grant", "Wire"]
