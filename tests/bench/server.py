"""A PagerDuty that costs next to nothing: canned answers over TLS on loopback, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from pathlib import Path


def page(offset: int, limit: int, total: int) -> bytes:
    """A page of incidents of about 3.8 KB each, as PagerDuty's are."""
    reference = {
        "id": "PABC123",
        "type": "service_reference",
        "summary": "Orders Database",
        "self": "s" * 60,
        "html_url": None,
    }
    incidents = [
        {
            "id": f"Q{number:013}",
            "type": "incident",
            "incident_number": number,
            "title": "Replication lag above 30 s",
            "status": "triggered",
            "urgency": "high",
            "created_at": "2025-06-01T12:00:00Z",
            "updated_at": "2025-06-01T12:00:00Z",
            "service": reference,
            "assignments": [{"at": "2025-06-01T12:00:00Z", "assignee": reference}] * 4,
            "acknowledgements": [{"at": "2025-06-01T12:00:00Z", "acknowledger": reference}] * 4,
            "teams": [reference] * 4,
            "escalation_policy": reference,
            "alert_counts": {"all": 1, "triggered": 1, "resolved": 0},
            "pending_actions": [{"type": "escalate", "at": "2025-06-01T12:00:00Z"}],
            "body": {"type": "incident_body", "details": "d" * 800},
        }
        for number in range(offset, min(offset + limit, total))
    ]
    body = {"incidents": incidents, "limit": limit, "offset": offset, "more": offset + limit < total, "total": total}
    return json.dumps(body).encode()


def answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


INCIDENT = answer(json.dumps({"incident": json.loads(page(0, 1, 1))["incidents"][0]}).encode())
NOTE = answer(
    b'{"note":{"id":"N1","content":"n","created_at":"2025-06-01T12:00:00Z","user":{"id":"U1","type":"user_reference"}}}'
)
ME = answer(b'{"user":{"id":"U1","type":"user","name":"Ada","email":"ada@example.com","role":"user","teams":[]}}')


class Connection(asyncio.Protocol):
    latency = 0.0
    total = 10_000

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, rest = self.buffer.partition(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line[15:])
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            asyncio.get_running_loop().call_later(self.latency, self.reply, head.split(b" ", 2)[1].decode())

    def reply(self, target: str) -> None:
        if self.transport.is_closing():
            return
        if target.startswith("/incidents?"):
            query = dict(pair.split("=") for pair in target.partition("?")[2].split("&"))
            offset, limit = int(query.get("offset", 0)), int(query.get("limit", 25))
            self.transport.write(answer(PAGES.setdefault((offset, limit), page(offset, limit, self.total))))
        else:
            self.transport.write({"notes": NOTE, "me": ME}.get(target.rpartition("/")[2], INCIDENT))


PAGES: dict[tuple[int, int], bytes] = {}


async def main(certificate: str, latency: float) -> None:
    Connection.latency = latency
    for offset in range(0, Connection.total, 99):  # each page begins with the last record of the one before
        PAGES[offset, 100] = page(offset, 100, Connection.total)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, ssl=context, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A throw-away certificate for 127.0.0.1, and its authority."""
    import trustme

    authority = trustme.CA()
    issued, chain, trusted = authority.issue_cert("127.0.0.1", "localhost"), folder / "server.pem", folder / "ca.pem"
    chain.write_bytes(issued.private_key_pem.bytes() + b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    authority.cert_pem.write_to_path(trusted)
    return chain, trusted


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
