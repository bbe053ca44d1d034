"""Send a request with credentials; return the API's response, or raise an error that states whether it was sent.

    transport = Transport(base_url="https://api.pagerduty.com")
    grant = transport.grant(request)
    response = await transport.send(request, credentials, grant, operation="users:read", writes=False)
    response.json()

Each request needs a grant, which only the pipeline issues, once.
"""

from arx_wrapper.transport.sending import Attempt
from arx_wrapper.transport.transport import Grant, Response, Transport

__all__ = ["Attempt", "Grant", "Response", "Transport"]
