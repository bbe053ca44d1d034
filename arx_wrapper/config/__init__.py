"""Configuration: constructor argument, then environment, then `arx.toml`, then the default."""

from arx_wrapper.config.model import *  # noqa: F403
