"""A real browser with a virtual authenticator, and a console served on loopback from a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions

from arx_wrapper.cli.console import make_app
from arx_wrapper.cli.http_server import server_for
from arx_wrapper.core import enrolment_records
from tests.approvals.deployment import Deployment
from tests.support import PATIENCE

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_T = TypeVar("_T")


class Served:
    """A console on loopback, its deployment, and the loop in which both run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://localhost:{self.socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run something in the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    async def _start(self) -> None:
        self.deployment = Deployment(self.folder)
        await self.deployment.pd.audit.open()
        self.application = make_app(self.deployment.pd.backends, "org-acme", self.origin)
        self.application.state.console.watcher._every = 0.05
        self.server = server_for(self.application)
        self.serving = asyncio.ensure_future(self.server.serve(sockets=[self.socket]))
        while not self.server.started:
            await asyncio.sleep(0.01)

    async def _stop(self) -> None:
        await self.application.state.console.watcher.close()
        self.server.should_exit = True
        await self.serving
        await self.deployment.pd.aclose()

    def invite(self, name: str) -> str:
        """Return an invitation's link."""

        async def made() -> str:
            known = await self.deployment.enrolments()
            return await enrolment_records.invite(self.deployment.pd.audit, known, name, by="root")

        return f"{self.origin}/enrol/{self.run(made())}"

    @contextmanager
    def serving_now(self) -> Iterator[Served]:
        self._thread.start()
        self.run(self._start())
        try:
            yield self
        finally:
            self.run(self._stop())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(60)
            self.loop.close()
            self.socket.close()


@contextmanager
def chromium(profile: Path, width: int) -> Iterator[webdriver.Chrome]:
    """A browser window of a width, with an authenticator that verifies its user."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        phone = width < 600
        size = {"width": width, "height": 844 if phone else 800, "deviceScaleFactor": 1, "mobile": phone}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.add_virtual_authenticator(
            VirtualAuthenticatorOptions(
                transport="internal", has_resident_key=True, has_user_verification=True, is_user_verified=True
            )
        )
        driver.implicitly_wait(30)
        yield driver
    finally:
        driver.quit()
