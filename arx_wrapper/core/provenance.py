"""Name the process that calls: records say on which host, as which user and with which version it ran."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from arx_wrapper._version import __version__


def process_facts() -> Mapping[str, str | int]:
    """Return host, OS user, process id and version, under the names that the records' metadata has."""
    return _facts(os.getpid())


@lru_cache(maxsize=1)  # a fork is another process
def _facts(process: int) -> Mapping[str, str | int]:
    return MappingProxyType(
        {"host": socket.gethostname(), "os_user": _user(), "process": process, "version": __version__}
    )


def _user() -> str:
    """Return the user as the system knows it: the environment's names for it can be set by anybody."""
    try:
        import pwd
    except ImportError:  # not on Windows
        import getpass

        return getpass.getuser()
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # in a container, often
        return str(os.geteuid())
