"""The connector under the name that ARX hosts import it by.

`app` and `app.connectors` are namespace packages, so a host may have its own `app` beside this one.
"""

from arx_wrapper import PagerDutyConnector

__all__ = ["PagerDutyConnector"]
