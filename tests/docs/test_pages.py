"""The built pages in a browser, at a desk and on a phone: nothing overflows, and no table breaks inside a word."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium", reason="SKIPPED: selenium is not installed, so no page was tried in a real browser")

from tests.console.browser import CHROMIUM, DRIVER, chromium
from tests.docs import site

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM.exists() and DRIVER.exists()),
        reason="SKIPPED: Debian's chromium and chromium-driver are missing, so no page was tried in a real browser",
    ),
]
# Words of table cells that stand on more than one line; a hyphen, a dash or a slash is a place to break at.
_BROKEN = """
const broken = [];
for (const cell of document.querySelectorAll('td, th')) {
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const word of node.textContent.matchAll(/[^\\s\\-\\/\u2013]+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1) broken.push(word[0]);
    }
  }
}
return broken;
"""
_OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
_PICTURES = "return [...document.images].filter(each => !each.complete || !each.naturalWidth).map(each => each.src)"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


@pytest.fixture(scope="module")
def address(testrun_uid: str) -> Iterator[str]:
    """The built site, served on loopback."""
    site.build_once(testrun_uid)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site.SITE))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_overflows_and_no_cell_breaks_inside_a_word(address: str, width: int, tmp_path: Path) -> None:
    pages = sorted(page.relative_to(site.SITE).as_posix() for page in site.SITE.rglob("*.html"))
    assert len(pages) > 20
    problems: dict[str, object] = {}
    with chromium(tmp_path, width) as driver:
        driver.implicitly_wait(0)
        for page in pages:
            driver.get(f"{address}/{page}")
            found = (
                driver.execute_script(_BROKEN),  # type: ignore[no-untyped-call]
                max(0, driver.execute_script(_OVERFLOW)),  # type: ignore[no-untyped-call]
                driver.execute_script(_PICTURES),  # type: ignore[no-untyped-call]
            )
            if any(found):
                problems[page] = found
    assert problems == {}
