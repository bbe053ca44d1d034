"""Transport: from a request and credentials to the API's response, or to an error that says what became of it.

    transport = Transport(base_url="https://api.pagerduty.com")
    grant = transport.grant(request)
    response = await transport.send(request, credentials, grant, operation="users:read", writes=False)
    response.json()

Nothing is sent without a grant, which the pipeline alone issues, once for each request.
"""

from arx_wrapper.transport.transport import Attempt, Grant, Response, Transport

__all__ = ["Attempt", "Grant", "Response", "Transport"]
