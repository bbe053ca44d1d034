"""Annotate the parameters of a connector's methods, and derive strict models from the annotations."""

from arx_wrapper.params.types import *  # noqa: F403
