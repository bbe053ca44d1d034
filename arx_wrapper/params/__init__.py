"""Parameters: the annotations of a connector's methods, and the strict models derived from them."""

from arx_wrapper.params.types import *  # noqa: F403
