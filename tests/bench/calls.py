"""A governed call over TLS on loopback, beside the official client's and plain httpx's ungoverned ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from tests.bench import server
from tests.bench.figures import Figure

ROUNDS = 5
# An environment with PagerDuty's MCP server, which wants Python 3.12; `make bench` makes it where there is one.
MCP_PYTHON = Path("build/pagerduty-mcp/bin/python")


def measure() -> Iterator[Figure]:
    contenders = ["official", "httpx", *(["mcp"] if MCP_PYTHON.exists() else []), "governed"]
    with _serving(0.0) as (url, environ):
        for work, title in (("get", "sequential GET"), ("post", "sequential POST note")):
            found = [{who: _run(who, url, work, environ) for who in contenders} for _ in range(ROUNDS)]
            for who in contenders:
                cpu = [round_[who]["cpu"] * 1e6 for round_ in found]
                yield Figure(name=f"{title}: {who}, CPU a call", values=cpu, unit="µs")
            for figure, goal in (("cpu", 0.8), ("wall", 1.0)):
                ratios = [round_["governed"][figure] / round_["official"][figure] for round_ in found]
                yield Figure(name=f"{title}: governed, {figure} × official", values=ratios, unit="×", goal=goal)
        firsts: dict[str, list[float]] = {"official": [], "httpx": [], "governed": []}
        for who in firsts:  # modules are compiled once, as an installation does
            _run(who, url, "first", environ)
        for _ in range(ROUNDS):
            for who, took in firsts.items():
                began = time.perf_counter()
                _run(who, url, "first", environ)
                took.append((time.perf_counter() - began) * 1000)
        for who, took in firsts.items():
            yield Figure(name=f"a process with one GET: {who}", values=took, unit="ms")
        ratios = [ours / theirs for ours, theirs in zip(firsts["governed"], firsts["official"], strict=True)]
        yield Figure(name="a process with one GET: governed, × official", values=ratios, unit="×", goal=1.0)
    with _serving(0.05) as (url, environ):
        for work, callers in (("many", 64), ("many256", 256)):
            shares = [_run("governed", url, work, environ)["share"] * 100 for _ in range(3)]
            name = f"{callers} at once, 50 ms: governed, share of the ideal"
            yield Figure(name=name, values=shares, unit="%", goal=95, atleast=True)
        plain = [_run("httpx", url, "many", environ)["share"] * 100 for _ in range(2)]
        yield Figure(name="64 at once, 50 ms: httpx, share of the ideal", values=plain, unit="%")
        ours = [_run("governed", url, "pages", environ) for _ in range(3)]
        yield Figure(
            name="10,000 incidents, 50 ms: governed, as models", values=[o["wall"] for o in ours], unit="s", goal=1.3
        )
        yield Figure(
            name="10,000 incidents: governed, peak memory", values=[o["peak_mb"] for o in ours], unit="MB", goal=55
        )
        theirs = [_run("official", url, "pages", environ)["wall"] for _ in range(2)]
        yield Figure(name="10,000 incidents, 50 ms: official", values=theirs, unit="s")
    yield from _decoding()


def _decoding() -> Iterator[Figure]:
    from pagerduty_client import models

    from arx_wrapper import PagerDutyConnector
    from arx_wrapper.core.redaction import Filter
    from arx_wrapper.transport import Response

    body = server.page(0, 100, 10_000)
    response = Response(status=200, content=body, operation="incidents:read", method="GET", writes=False)
    wanted = Filter.of(PagerDutyConnector.hidden, ((),))
    works = {
        "orjson.loads alone": lambda: orjson.loads(body),
        "execute(), what policy hides looked for": lambda: wanted.concerns(response.json()),
        "models": lambda: [models.Incident.from_dict(each) for each in orjson.loads(body)["incidents"]],
    }
    goals = {"execute(), what policy hides looked for": 0.55, "models": 1.2}
    reference: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(15):
        took = _best(lambda: json.loads(body))
        reference.append(took * 1000)
        for name, work in works.items():
            ratios[name].append(_best(work) / took)
    yield Figure(name=f"decode a page of 100, {len(body) // 1000} KB: json.loads", values=reference, unit="ms")
    for name, values in ratios.items():
        yield Figure(name=f"decode a page of 100: {name}, × json.loads", values=values, unit="×", goal=goals.get(name))


def _best(work: object) -> float:
    import timeit

    return min(timeit.repeat(work, number=5, repeat=3)) / 5  # type: ignore[arg-type]  # a callable


@contextmanager
def _serving(latency: float) -> Iterator[tuple[str, dict[str, str]]]:
    with tempfile.TemporaryDirectory() as folder:
        chain, trusted = server.certificate(Path(folder))
        command = [sys.executable, "-m", "tests.bench.server", str(chain), str(latency)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:  # noqa: S603 - our own server
            assert serving.stdout
            try:
                port = int(serving.stdout.readline())
                yield (
                    f"https://127.0.0.1:{port}",
                    {
                        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
                        "PYTHONPYCACHEPREFIX": str(Path(folder) / "compiled"),
                        "SSL_CERT_FILE": str(trusted),
                        "REQUESTS_CA_BUNDLE": str(trusted),
                    },
                )
            finally:
                serving.terminate()


def _run(who: str, url: str, work: str, environ: dict[str, str]) -> dict[str, float]:
    python = str(MCP_PYTHON) if who == "mcp" else sys.executable
    command = [python, "-m", "tests.bench.contender", who, url, work]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"{who} {work} failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
