"""SemVer: what others rely on changes only with the version number that says so."""

from __future__ import annotations

import pytest

from arx_wrapper._version import __version__
from tests.surface import FILE, surface

AGAIN = "write it down with `python -m tests.surface` and say so in the changelog"


def allowed(change: str, recorded: str, now: str) -> bool:
    """Return whether the step from one version to another may carry a change: `breaking` or `addition`."""
    old, new = ([int(part) for part in version.split(".")] for version in (recorded, now))
    major, minor = new[0] > old[0], new[:2] > old[:2]
    return major or (minor and (change == "addition" or old[0] == 0))


@pytest.mark.parametrize(
    ("change", "recorded", "now", "fine"),
    [
        ("breaking", "1.2.3", "2.0.0", True),
        ("breaking", "1.2.3", "1.3.0", False),
        ("breaking", "0.1.0", "0.2.0", True),
        ("breaking", "0.1.0", "0.1.1", False),
        ("addition", "1.2.3", "1.3.0", True),
        ("addition", "1.2.3", "1.2.4", False),
        ("addition", "1.2.3", "1.2.3", False),
    ],
)
def test_the_step_of_the_version_says_what_it_carries(change: str, recorded: str, now: str, fine: bool) -> None:
    assert allowed(change, recorded, now) is fine


def test_the_public_surface_is_what_this_version_promised() -> None:
    head, *promised = FILE.read_text("utf-8").splitlines()
    recorded, found = head.removeprefix("# "), surface()
    gone, come = sorted(set(promised) - set(found)), sorted(set(found) - set(promised))
    if gone:
        assert allowed("breaking", recorded, __version__), f"broken since {recorded}: {gone}; {AGAIN}"
    if come:
        assert allowed("addition", recorded, __version__), f"new since {recorded}: {come}; {AGAIN}"
    assert not gone
    assert not come, AGAIN
