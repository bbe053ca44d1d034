"""Draw what one GET costs each client: four bars, as an SVG that needs no library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tests.bench.figures import Figure

_BARS = {
    "mcp": ("PagerDuty's MCP server", "its tool alone, without the protocol"),
    "httpx": ("httpx", "a request by hand"),
    "official": ("PagerDuty's Python client", "ungoverned"),
    "governed": ("arx-pagerduty", "policy checked, intent on disk before sending, outcome recorded"),
}
_LEFT, _WIDTH, _ROW, _TOP = 190, 420, 52, 46
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 } .note { font-size: 11px; fill: #59636e }
  .bar { fill: #8c959f } .ours { fill: #1a7f5a }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #9198a1 } .bar { fill: #656c76 } .ours { fill: #2da77a }
  }
"""


def draw(figures: Sequence[Figure]) -> str:
    """Return the chart of the clients that were measured, as SVG."""
    medians = {
        who: figure.median for figure in figures for who in _BARS if figure.name == f"sequential GET: {who}, CPU a call"
    }
    widest, height = max(medians.values()), _TOP + _ROW * len(medians)
    rows = []
    for number, who in enumerate(who for who in _BARS if who in medians):
        (label, note), y = _BARS[who], _TOP + _ROW * number
        width = round(_WIDTH * medians[who] / widest)
        rows += [
            f'<text x="{_LEFT - 12}" y="{y + 16}" text-anchor="end">{escape(label)}</text>',
            f'<rect class="{"ours" if who == "governed" else "bar"}" x="{_LEFT}" y="{y}" width="{width}" height="22"/>',
            f'<text x="{_LEFT + width + 8}" y="{y + 16}">{medians[who]:.0f} µs</text>',
            f'<text class="note" x="{_LEFT}" y="{y + 37}">{escape(note)}</text>',
        ]
    title = "CPU time of one GET /incidents/{id}, over TLS on loopback (less is better)"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {height}" role="img" aria-label="{title}">',
            f"<style>{_STYLE}</style>",
            f'<text x="0" y="18" font-weight="600">{title}</text>',
            *rows,
            "</svg>",
            "",
        ]
    )
