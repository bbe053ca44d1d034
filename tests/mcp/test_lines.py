"""What comes over stdin besides messages."""

from __future__ import annotations

import json
import subprocess

from tests.mcp.conftest import COMMAND, House

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


def test_a_line_longer_than_anything_sensible_does_not_end_the_server(house: House) -> None:
    long = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "x" * (17 * 1024 * 1024)})
    with subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "mcp"],
        env=dict(house.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(long + "\n" + json.dumps(INITIALIZE) + "\n")
        process.stdin.flush()
        answers = (json.loads(line) for line in process.stdout)
        answer = next(answer for answer in answers if answer.get("id") == 1)
        process.stdin.close()
        assert process.wait(20) == 0
    assert answer["result"]["serverInfo"]["name"]
