"""Record a responder's session in tmux at 80 columns, as pictures: `python -m tests.docs.recording`.

The command talks to a sandbox that is served for it. Needs tmux.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.clock import system_time
from arx_wrapper.sandbox.server import run_in_thread

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "docs" / "assets"
WIDTH = 80
SCENES = {
    "responder-incident": (
        "pd incidents list",
        "pd incidents show 41",
        "pd incidents ack 41 --fields id,status,title",
        'pd incidents note 41 "failing over"',
        "pd incidents snooze 41 1h --fields id,status,pending_actions.at",
    ),
    "responder-oncall": (
        "pd oncall --week",
        "pd windows open orders --for 2h --fields id,start_time,end_time,services",
        "pd incidents resolve 41 --fields id,status,title",
    ),
}
POLICY = '- {name: all, connector: pagerduty, operations: ["*"], risk_max: high, approval: none}\n'
_PROMPT = "$ "
_FOREIGN = ("ARX_", "PAGERDUTY_", "NO_COLOR")
_COLOURS = [
    (27, 39, 51),
    (176, 32, 26),
    (30, 107, 43),
    (138, 90, 0),
    (30, 80, 160),
    (120, 50, 130),
    (0, 110, 120),
    (90, 100, 110),
]
_THEME = TerminalTheme(
    (250, 251, 252),
    (27, 39, 51),
    [
        (27, 39, 51),
        (176, 32, 26),
        (30, 107, 43),
        (138, 90, 0),
        (30, 80, 160),
        (120, 50, 130),
        (0, 110, 120),
        (90, 100, 110),
    ],
)
# Without the fonts that rich would load from elsewhere.
_SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{alt}">
<style>.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
font-size: {char_height}px; line-height: {line_height}px; }} {styles}</style>
<rect width="{width}" height="{height}" rx="8" fill="#fafbfc" stroke="#ccd4dc"/>
<g transform="translate({terminal_x}, {terminal_y})"><g class="{unique_id}-matrix">{backgrounds}{matrix}</g></g></svg>
"""


def record() -> None:
    """Type each scene into a shell in tmux, and write what it shows."""
    with tempfile.TemporaryDirectory() as folder, run_in_thread(Sandbox(clock=system_time)) as served:
        (Path(folder) / "policy.yaml").write_text(POLICY)
        environ = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("ARX_", "PAGERDUTY_", "NO_COLOR"))
            },
            "ARX_POLICY": "policy.yaml",
            "PAGERDUTY_BASE_URL": served.url,
            "PAGERDUTY_API_KEY": "sandbox-token-not-a-secret",
            "PAGERDUTY_REQUESTER_EMAIL": "ada.nkemelu@example.com",
            "HOME": folder,
            "XDG_STATE_HOME": folder,
            "XDG_CONFIG_HOME": folder,
            "PS1": _PROMPT,
            "TERM": "xterm-256color",
        }
        for name, lines in SCENES.items():
            (ASSETS / f"{name}.svg").write_text(picture(shown(lines, folder, environ), lines), "utf-8")


def shown(lines: tuple[str, ...], folder: str, environ: dict[str, str]) -> str:
    """Return the screen, with its colours, after some lines were typed."""
    tmux = ("tmux", "-L", f"recording-{os.getpid()}")
    command = shlex.join([sys.executable, "-m", "arx_wrapper.cli"])
    (Path(folder) / "rc").write_text(f'PS1={shlex.quote(_PROMPT)}\npd() {{ {command} "$@"; }}\ncd {folder}\nclear\n')
    shell = f"bash --noprofile --rcfile {folder}/rc -i"
    run([*tmux, "-f", "/dev/null", "new-session", "-d", "-x", str(WIDTH), "-y", "100", shell], environ)
    try:
        for count, line in enumerate(lines, 1):
            wait(tmux, environ, count)
            run([*tmux, "send-keys", "-l", line], environ)
            run([*tmux, "send-keys", "Enter"], environ)
        wait(tmux, environ, len(lines) + 1)
        return run([*tmux, "capture-pane", "-p", "-e"], environ).rstrip().removesuffix("$").rstrip()
    finally:
        run([*tmux, "kill-session"], environ)


def wait(tmux: tuple[str, ...], environ: dict[str, str], prompts: int) -> None:
    """Wait until the shell has prompted so often."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if len(re.findall(r"^\$", run([*tmux, "capture-pane", "-p"], environ), re.MULTILINE)) >= prompts:
            return
        time.sleep(0.2)
    raise TimeoutError(f"the shell did not prompt {prompts} times")


def run(command: list[str], environ: dict[str, str]) -> str:
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout  # noqa: S603


def picture(screen: str, lines: tuple[str, ...]) -> str:
    """Return a screen as SVG."""
    console = Console(width=WIDTH, record=True, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    for line in screen.split("\n"):
        typed = line.startswith(_PROMPT)
        console.print(Text(line, "bold") if typed else Text.from_ansi(line), soft_wrap=True)
    alt = f"A terminal of {WIDTH} columns: {'; '.join(lines)}".replace("&", "&amp;").replace('"', "&quot;")
    return console.export_svg(theme=_THEME, code_format=_SVG.replace("{alt}", alt), unique_id="screen")


if __name__ == "__main__":
    record()
    sys.stdout.write(f"{len(SCENES)} pictures written to {ASSETS}\n")
