"""Hold the session of one command: the caller, the configuration, and the backends that it opens."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import typer
from attrs import evolve

from arx_wrapper.cli.output import warn
from arx_wrapper.cli.progress import progress
from arx_wrapper.config import Config
from arx_wrapper.errors import ConfigError

_T = TypeVar("_T")


class Session:
    """One run of the command.

    Attributes:
        config: The configuration, with `--agent` and `--org` on top.
        org: What `--org` named; None when it was not given.
    """

    def __init__(self, agent: str | None, org: str | None, file: Path | None = None) -> None:
        self._agent, self.org, self._file = agent, org, file
        self._config: Config | None = None
        self._working_folder = True

    @property
    def given(self) -> list[str]:
        """Return the options given before the command, for a suggested command."""
        named = (("--agent", self._agent), ("--org", self.org), ("--config", self._file))
        return [text for option, value in named if value is not None for text in (option, str(value))]

    def ignore_working_folder(self) -> None:
        """Read nothing from the working directory: an agent may write to the folder in which a server starts."""
        self._working_folder = False
        ignored = Path("arx.toml")
        if self._file is None and not os.environ.get("ARX_CONFIG") and ignored.exists():
            warn("This command does not read arx.toml in the working directory. If you trust it: --config arx.toml")

    @property
    def config(self) -> Config:
        if self._config is None:
            config = Config.load(file=self._file, working_folder=self._working_folder)
            agent = config.agent_id if self._agent is None else self._agent
            org = config.org_id if self.org is None else self.org
            for name, sources in ((agent, "--agent (ARX_AGENT_ID, agent_id)"), (org, "--org (ARX_ORG_ID, org_id)")):
                require_name(name, sources)
            self._config = evolve(config, agent_id=agent, org_id=org)
        return self._config

    def with_connector(
        self, work: Callable[[Any], Awaitable[_T]], *, waiting: str | None = None, **settings: Any
    ) -> _T:
        """Run something with a connector, and close it.

        Args:
            work: Gets the connector.
            waiting: What a terminal says after a second of waiting; None for work that shows its own progress.
            settings: Stand above the configuration's.
        """
        from arx_wrapper.pagerduty.connector import PagerDutyConnector

        async def run() -> _T:
            config = evolve(self.config, **settings)
            with _extras():
                connector = PagerDutyConnector(config.agent_id, config.org_id, config=config)
            async with connector:
                with progress(waiting):
                    return await work(connector)

        return asyncio.run(run())

    def with_backends(self, work: Callable[[Any], Awaitable[_T]], **options: Any) -> _T:
        """Run a function with the backends alone: audit log, approvals, policies.

        It requests no approvals, so it needs neither channels nor their secrets.
        """
        from arx_wrapper.core.backends import Backends, Given
        from arx_wrapper.pagerduty.operations import TABLE

        config = evolve(self.config, slack=None, webhook_url=None, notify_urls=())

        async def run() -> _T:
            given = Given(config=config, **options)
            backends = Backends(given, connector="pagerduty", registry=TABLE)
            try:
                return await work(backends)
            finally:
                await backends.aclose()

        return asyncio.run(run())

    def connector_over(self, backends: Any) -> Any:
        """Return a connector over the log and the approvals of these backends, for what reviewers have to look up.

        It opens nothing before it is asked.
        """
        from arx_wrapper.pagerduty.connector import PagerDutyConnector

        config = self.config
        return PagerDutyConnector(
            config.agent_id, config.org_id, audit=backends.audit, approvals=backends.approvals, config=config
        )


def now_of(connector: Any) -> datetime:
    """Return the present, aware: of the embedded sandbox's account where there is one."""
    account = connector.sandbox_account
    now: datetime = account.clock.now() if account is not None else connector.backends.clock()
    return now


def require_name(name: str, option: str) -> None:
    """Refuse what cannot name an agent or an organisation.

    Raises:
        typer.BadParameter: the name is blank, or holds a character that is not printable.
    """
    if not name.strip() or not name.isprintable():
        raise typer.BadParameter(f"{option} is {name!a}: a name is printable text that is not blank. Nothing was sent.")


class _extras:  # noqa: N801 - read as a verb: `with _extras():`
    """Turns a missing package into the extra that brings it."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ModuleNotFoundError):
            extra = _EXTRAS.get((error.name or "").partition(".")[0], "all")
            raise ConfigError(f"This needs an extra: pip install 'arx-pagerduty[{extra}]'.") from None


extras = _extras
_EXTRAS: Mapping[str, str] = {
    "starlette": "sandbox",
    "uvicorn": "sandbox",
    "trustme": "sandbox",
    "cryptography": "crypto",
    "psycopg": "postgres",
    "cel": "cel",
    "mcp": "mcp",
    "mcp_types": "mcp",
    "hvac": "hashicorp",
    "slack_sdk": "slack",
    "jinja2": "console",
    "webauthn": "console",
    "apprise": "notify",
}
