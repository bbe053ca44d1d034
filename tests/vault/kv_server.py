"""A loopback stand-in for a Vault server: KV v2, token, AppRole and Kubernetes logins, leases, namespaces."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class StandIn:
    """The server's secrets, and the requests that came: `METHOD path`, in order."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, int] = {"root": 0}
        self.lease, self.renewable, self.metadata_allowed = 0, True, True
        self.asked: list[str] = []
        self.namespaces: set[str | None] = set()
        self.answer: tuple[int, dict] | None = None
        self.redirect: str | None = None
        self.issued = 0

    def issue(self) -> dict:
        self.issued += 1
        self.tokens[f"issued-{self.issued}"] = self.lease
        auth = {"client_token": f"issued-{self.issued}", "lease_duration": self.lease, "renewable": self.renewable}
        return {"auth": auth}

    def respond(self, method: str, path: str, token: str | None, body: dict) -> tuple[int, dict]:
        self.asked.append(f"{method} {path}")
        if self.answer:
            return self.answer
        if path == "/v1/auth/approle/login":
            good = body == {"role_id": "role", "secret_id": "s3cr3t"}
            return (200, self.issue()) if good else (400, {"errors": ["invalid role or secret ID"]})
        if path == "/v1/auth/kubernetes/login":
            good = body == {"role": "arx", "jwt": "service-account-token"}
            return (200, self.issue()) if good else (403, {"errors": ["permission denied"]})
        if token not in self.tokens:
            return 403, {"errors": ["permission denied"]}
        if path == "/v1/auth/token/lookup-self":
            return 200, {"data": {"ttl": self.tokens[token], "renewable": self.renewable}}
        if path == "/v1/auth/token/renew-self":
            auth = {"client_token": token, "lease_duration": self.lease, "renewable": self.renewable}
            return (200, {"auth": auth}) if self.renewable else (400, {"errors": ["lease is not renewable"]})
        return self.kv(method, path, body)

    def kv(self, method: str, path: str, body: dict) -> tuple[int, dict]:
        _, _, mount, kind, *rest = path.split("/")
        if method in ("POST", "PUT") and kind == "data":
            self.secrets[f"{mount}/{'/'.join(rest)}"] = body["data"]
            return 200, {"data": {"version": 2}}
        secret = self.secrets.get(f"{mount}/{'/'.join(rest)}")
        if kind == "metadata" and not self.metadata_allowed:
            return 403, {"errors": ["permission denied"]}
        if secret is None:
            return 404, {"errors": []}
        return 200, {"data": {"versions": {}} if kind == "metadata" else {"data": secret, "metadata": {"version": 1}}}


@contextmanager
def running(stand_in: StandIn) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            stand_in.namespaces.add(self.headers.get("x-vault-namespace"))
            if stand_in.redirect:
                status, answer = 307, {}
            else:
                token = self.headers.get("x-vault-token")
                path = self.path.partition("?")[0]
                status, answer = stand_in.respond(self.command, path, token, json.loads(raw or b"{}"))
            content = json.dumps(answer).encode()
            self.send_response(status)
            if stand_in.redirect:
                self.send_header("Location", stand_in.redirect + self.path)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - as the base class calls them

        def log_message(self, *_: object) -> None:
            """Tests read `asked` instead."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
