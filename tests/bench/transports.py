"""The transports that docs/decisions/0006 compares, side by side: one GET over TLS, sequential and 64 at once.

python -m tests.bench.transports [ROUNDS]

Contenders that are not installed are left out: pip install aiohttp pyreqwest niquests.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import server

PATH = "/incidents/P1234AB"
HEADERS = {"Authorization": "Token token=bench-key", "Accept": "application/vnd.pagerduty+json;version=2"}
NEEDS = {
    "httpx2": "httpx2",
    "aiohttp": "aiohttp",
    "ours": "httptools",
    "pyreqwest": "pyreqwest",
    "niquests": "niquests",
}
COUNT, CALLERS, EACH, LATENCY = 400, 64, 30, 0.05
Get = Callable[[], Awaitable[object]]


async def sequential(get: Get) -> dict[str, float]:
    for _ in range(30):
        await get()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(COUNT):
        await get()
    return {"wall": (time.perf_counter() - wall) / COUNT, "cpu": (time.process_time() - cpu) / COUNT}


async def at_once(get: Get) -> dict[str, float]:
    await asyncio.gather(*(get() for _ in range(CALLERS)))

    async def caller() -> None:
        for _ in range(EACH):
            await get()

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    wall, cpu, calls = time.perf_counter() - wall, time.process_time() - cpu, CALLERS * EACH
    return {"wall": wall / calls, "cpu": cpu / calls, "share": calls / wall / (CALLERS / LATENCY)}


async def contend(who: str, url: str, work: str) -> dict[str, float]:
    run = sequential if work == "sequential" else at_once
    trusted = os.environ["SSL_CERT_FILE"]
    if who == "httpx2":
        import httpx2

        async with httpx2.AsyncClient(verify=_context(trusted), trust_env=False) as http2:
            return await run(lambda: http2.get(url + PATH, headers=HEADERS))
    if who == "aiohttp":
        import aiohttp

        connector = aiohttp.TCPConnector(limit=128, ssl=_context(trusted))
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

            async def get() -> bytes:
                async with session.get(url + PATH, headers=HEADERS) as response:
                    return await response.read()

            return await run(get)
    if who == "pyreqwest":
        from pyreqwest.client import ClientBuilder

        builder = ClientBuilder().add_root_certificate_pem(Path(trusted).read_bytes()).no_proxy()  # noqa: ASYNC240
        async with builder.build() as rust:

            async def get() -> bytes:
                return bytes(await (await rust.get(url + PATH).headers(HEADERS).build().send()).bytes())

            return await run(get)
    if who == "niquests":
        import niquests

        async with niquests.AsyncSession(pool_maxsize=CALLERS) as nice:
            nice.verify, nice.trust_env = trusted, False
            return await run(lambda: nice.get(url + PATH, headers=HEADERS))
    return await _ours(url, run)


async def _ours(url: str, run: Callable[[Get], Awaitable[dict[str, float]]]) -> dict[str, float]:
    from arx_wrapper.credentials import Secret
    from arx_wrapper.transport.backend import HttpRequest
    from arx_wrapper.transport.connection_pool import ConnectionPool

    pool = ConnectionPool()
    headers = (("Host", url.partition("://")[2]), ("Accept", HEADERS["Accept"]))
    key = Secret(HEADERS["Authorization"])

    def get() -> Awaitable[object]:
        request = HttpRequest(method="GET", origin=url, target=PATH, headers=headers, authorization=key)
        return pool.send(request, None, 1 << 26, lambda: None)

    try:
        return await run(get)
    finally:
        await pool.aclose()


def _context(trusted: str) -> object:
    import ssl

    return ssl.create_default_context(cafile=trusted)


def compare(rounds: int) -> None:
    whos = [who for who, package in NEEDS.items() if importlib.util.find_spec(package)]
    for work, latency in (("sequential", 0.0), ("at once", LATENCY)):
        with _serving(latency) as (url, environ):
            found: dict[str, list[dict[str, float]]] = {who: [] for who in whos}
            for _ in range(rounds):
                for who in whos:
                    command = [sys.executable, "-m", "tests.bench.transports", who, url, work]
                    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
                    if not done.stdout:
                        print(f"{who}: {work}: {done.stderr[-300:]}")
                        continue
                    found[who].append(json.loads(done.stdout))
                    if done.returncode:
                        print(f"{who}: {work}: ended with {done.returncode}: {done.stderr.splitlines()[:1]}")
        for who in whos:
            for figure in found[who][0] if found[who] else ():
                values = [one[figure] for one in found[who]]
                ratios = [one / two[figure] for one, two in zip(values, found["httpx2"], strict=False)]
                spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}] x httpx2"
                scale = 100 if figure == "share" else 1e6
                print(f"{work:11}{who:10}{figure:6}{statistics.median(values) * scale:9.1f}  {spread}")


@contextmanager
def _serving(latency: float) -> Iterator[tuple[str, dict[str, str]]]:
    with tempfile.TemporaryDirectory() as folder:
        chain, trusted = server.certificate(Path(folder))
        command = [sys.executable, "-m", "tests.bench.server", str(chain), str(latency)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:  # noqa: S603 - our own server
            assert serving.stdout
            try:
                yield (
                    f"https://127.0.0.1:{int(serving.stdout.readline())}",
                    {**os.environ, "SSL_CERT_FILE": str(trusted)},
                )
            finally:
                serving.terminate()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(asyncio.run(contend(*sys.argv[1:]))), flush=True)
    else:
        compare(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
