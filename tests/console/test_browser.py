"""The console in Debian's Chromium: enrol, approve, deny, live update, keyboard only, and no barrier that axe finds."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.approvals.deployment import DELETE

pytest.importorskip("selenium", reason="SKIPPED: selenium is not installed, so no page was tried in a real browser")

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions as until
from selenium.webdriver.support.ui import WebDriverWait

from tests.console.browser import CHROMIUM, DRIVER, Served, chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM.exists() and DRIVER.exists()),
        reason="SKIPPED: Debian's chromium and chromium-driver are missing, so no page was tried in a real browser",
    ),
]

WINDOW = (
    "maintenance:create",
    {"start_time": "2030-06-15T02:00:00Z", "end_time": "2030-06-15T04:00:00Z", "service_ids": ["PABC123"]},
)
NOTE = "incidents:resolve"
PICTURES = os.environ.get("ARX_SCREENSHOTS")
WIDTHS = (390, 1280)
_TALLEST = 1_100
_CONTENT = """
const boxes = [...document.querySelectorAll('body > header, body > main')].map(each => each.getBoundingClientRect());
const left = Math.max(0, Math.min(...boxes.map(box => box.left)) - 16);
const right = Math.min(document.documentElement.clientWidth, Math.max(...boxes.map(box => box.right)) + 16);
return [left, right - left, Math.max(...boxes.map(box => box.bottom)) + window.scrollY + 16];
"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core, from npm."""
    if shutil.which("npm") is None:
        pytest.skip("SKIPPED: npm is not installed, so axe-core looked at no page")
    folder = tmp_path_factory.mktemp("axe")
    packed = subprocess.run(
        ["npm", "pack", "--silent", "axe-core@4.14.1"],  # noqa: S607
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if packed.returncode:
        pytest.skip(f"SKIPPED: axe-core could not be had from npm, so it looked at no page: {packed.stderr[-200:]}")
    with tarfile.open(folder / packed.stdout.strip().splitlines()[-1]) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member
        return member.read().decode()


class Page:
    """A browser at the console, and what its user does."""

    def __init__(self, driver: webdriver.Chrome, served: Served, width: int) -> None:
        self.driver, self.served, self.width = driver, served, width

    def open(self, path: str) -> None:
        self.driver.get(path if path.startswith("http") else self.served.origin + path)

    def tap(self, text: str) -> None:
        self.driver.find_element(By.XPATH, f"//button[normalize-space()='{text}']").click()

    def reads(self, text: str) -> None:
        """The page says something, at the latest in ten seconds."""
        WebDriverWait(self.driver, 60).until(until.text_to_be_present_in_element((By.TAG_NAME, "main"), text))

    def at(self, path: str) -> None:
        WebDriverWait(self.driver, 60).until(until.url_to_be(self.served.origin + path))

    def picture(self, name: str) -> None:
        """Keep a picture of the page's content, without the empty margins of the window."""
        if not PICTURES:
            return
        left, width, height = self.driver.execute_script(_CONTENT)
        clip = {"x": left, "y": 0, "width": width, "height": min(height, _TALLEST), "scale": 1}
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True, "clip": clip}
        )
        file = Path(PICTURES) / f"console-{name}{'-phone' if self.width < 600 else ''}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def scheme(self, name: str) -> None:
        media = {"features": [{"name": "prefers-color-scheme", "value": name}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def fits(self) -> None:
        """Nothing is wider than the window."""
        wide = self.driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{self.driver.current_url} is {wide} px too wide at {self.width}"


@pytest.fixture(scope="module", params=WIDTHS)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Alice's browser: she is enrolled at her invitation's link, as the first reviewer."""
    folder = tmp_path_factory.mktemp(f"console-{request.param}")
    with Served(folder).serving_now() as served, chromium(folder / "profile", request.param) as driver:
        made = Page(driver, served, request.param)
        made.open(served.invite("alice"))
        made.picture("enrol")
        made.tap("Register a passkey")
        made.at("/")
        made.reads("No request waits")
        yield made


def ask(page: Page, call: tuple[str, dict[str, Any]] = DELETE) -> Any:
    return page.served.run(page.served.deployment.ask(call))


def test_a_device_that_holds_a_reviewers_passkey_makes_no_second_reviewer(page: Page) -> None:
    page.open(page.served.invite("alias"))
    page.tap("Register a passkey")
    page.reads("This device holds a reviewer's passkey already. Nobody can be two reviewers.")
    assert not page.served.run(page.served.deployment.enrolments()).candidates


def test_from_a_link_to_a_signed_decision_it_takes_two_taps(page: Page) -> None:
    asked = ask(page, WINDOW)
    page.driver.delete_all_cookies()
    page.open(f"/requests/{asked.id}")  # the link of a notification
    page.picture("sign-in")
    page.tap("Sign in with your passkey")
    page.at(f"/requests/{asked.id}")
    page.reads("Silence service")
    page.picture("request")
    page.tap("Approve")
    page.reads("Approved by alice")
    found = page.served.run(page.served.deployment.pd.approval(asked.id))
    assert (found.state, found.decisions[0].reviewer) == ("approved", "alice")
    page.served.run(page.served.deployment.use(asked, WINDOW))
    page.reads("Approved by alice, and used.")  # by itself


def test_a_denial_with_a_note_reaches_the_agent(page: Page) -> None:
    asked = ask(page)
    page.open(f"/requests/{asked.id}")
    page.driver.find_element(By.ID, "note").send_keys("not during the sale")
    page.tap("Deny")
    page.reads("Denied by alice")
    found = page.served.run(page.served.deployment.pd.approval(asked.id))
    assert (found.state, found.decisions[0].note) == ("denied", "not during the sale")


def test_a_new_request_appears_by_itself_and_goes_when_it_is_decided(page: Page) -> None:
    page.open("/")
    page.reads("No request waits")
    asked = ask(page)
    page.reads("Delete service")
    page.picture("waiting")
    page.served.run(page.served.deployment.pd.backends.approvals.revoke(asked.id))
    page.reads("No request waits")


def test_everything_is_done_with_the_keyboard_alone(page: Page) -> None:
    asked = ask(page)
    page.open("/")
    page.reads("Delete service")
    press_until(page, lambda focus: focus.get_attribute("href") == f"{page.served.origin}/requests/{asked.id}")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.at(f"/requests/{asked.id}")
    press_until(page, lambda focus: focus.get_attribute("id") == "note")
    page.driver.switch_to.active_element.send_keys("by keyboard")
    press_until(page, lambda focus: focus.text == "Deny")
    page.driver.switch_to.active_element.send_keys(Keys.SPACE)
    page.reads("Denied by alice")
    assert page.served.run(page.served.deployment.pd.approval(asked.id)).decisions[0].note == "by keyboard"


def press_until(page: Page, reached: Any) -> None:
    for _ in range(40):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        focus = page.driver.switch_to.active_element
        shown = page.driver.execute_script(
            "const s = getComputedStyle(arguments[0]); return s.outlineStyle + ' ' + s.outlineWidth", focus
        )
        assert shown.startswith(("solid", "auto")), f"the focus is not seen on {focus.text or focus.tag_name}"
        if reached(focus):
            return
    raise AssertionError("it cannot be reached with the tab key")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier_and_nothing_is_too_wide(page: Page, axe: str, scheme: str) -> None:
    asked = ask(page)
    run = page.served.run
    run(page.served.deployment.register("bob"))
    page.scheme(scheme)
    record = run(first_record(page))
    paths = {
        "waiting": "/",
        "request": f"/requests/{asked.id}",
        "history": "/history",
        "agents": "/agents",
        "log": "/log",
        "record": f"/log/{record}",
        "policy": "/policy?agent=agent-001&operation=services:delete",
        "reviewers": "/reviewers",
        "sign-in": "/sign-in",
        "problem": "/nothing",
    }
    problems = {}
    for name, path in paths.items():
        page.open(path)
        page.fits()
        page.driver.execute_script(axe)
        found = page.driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
        if found["violations"]:
            problems[name] = [(each["id"], each["nodes"][0]["html"][:200]) for each in found["violations"]]
        if scheme == "light" or name in ("request", "waiting"):
            page.picture(name if scheme == "light" else f"{name}-dark")
    run(page.served.deployment.pd.backends.approvals.revoke(asked.id))
    page.scheme("light")
    assert problems == {}


async def first_record(page: Page) -> str:
    await page.served.deployment.pd.audit.flush()
    records = page.served.deployment.pd.audit.records(action_type="approval.requested", limit=1)
    return (await anext(aiter(records))).id


def test_no_page_breaks_its_own_content_policy(page: Page) -> None:
    asked = ask(page)
    for path in ("/", f"/requests/{asked.id}", "/policy", "/log"):
        page.open(path)
        page.reads("")
    complaints = [
        entry["message"] for entry in page.driver.get_log("browser") if "Content Security" in entry["message"]
    ]
    page.served.run(page.served.deployment.pd.backends.approvals.revoke(asked.id))
    assert complaints == []


def test_a_page_is_read_without_javascript(page: Page) -> None:
    asked = ask(page)
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.open(f"/requests/{asked.id}")
        source = page.driver.find_element(By.TAG_NAME, "main").text
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    page.served.run(page.served.deployment.pd.backends.approvals.revoke(asked.id))
    assert "Delete service" in source
    assert "min left" in source
    assert "needs JavaScript" in source
