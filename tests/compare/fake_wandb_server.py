"""A server on loopback in place of W&B's: what reading and publishing have in common."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY = "me"
Answer = Callable[[dict[str, Any]], dict[str, Any]]


class FakeServer:
    """Knows who asks, and nothing else.

    Attributes:
        operations: the names of the GraphQL operations it was asked, in order.
        address: where it is served.
    """

    def __init__(self) -> None:
        self.operations: list[str] = []
        self.address = ""

    def answers(self) -> Mapping[str, Answer]:
        """What answers each GraphQL operation, given its variables."""
        return {"Viewer": self.viewer, "GetDefaultEntity": self.viewer, "ServerFeaturesQuery": self.features}

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        match = re.search(r"(?:query|mutation)\s+(\w+)", query)
        operation = match[1] if match else ""
        self.operations.append(operation)
        answers = self.answers()
        if operation not in answers:  # so answers a server that is older than the client
            return {"errors": [{"message": f"no such operation: {operation}"}]}
        return {"data": answers[operation](variables)}

    def viewer(self, variables: dict[str, Any]) -> dict[str, Any]:
        viewer = {"id": "1", "entity": ENTITY, "username": ENTITY, "email": "a@b.c", "flags": "{}"}
        return {"viewer": {**viewer, "teams": {"edges": []}}}

    def features(self, variables: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def get(self, path: str) -> bytes:
        """The file at a path; there is none."""
        return b""

    def put(self, path: str, data: bytes) -> None:
        """Keeps nothing."""

    def post(self, path: str, data: bytes) -> None:
        """Takes note of nothing that is not GraphQL, such as the client's own telemetry."""


@contextmanager
def serve(fake: FakeServer) -> Iterator[str]:
    """Answers on a free port of this machine; the value is the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("content-length") or 0))

        def reply(self, data: bytes) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            body = self.body()
            if self.path == "/graphql":
                question = json.loads(body)
                return self.reply(json.dumps(fake.answer(question["query"], question.get("variables") or {})).encode())
            fake.post(self.path, body)
            self.reply(b"{}")

        def do_PUT(self) -> None:
            fake.put(self.path, self.body())
            self.reply(b"")

        def do_GET(self) -> None:
            self.reply(fake.get(self.path))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake.address
    finally:
        server.shutdown()
        server.server_close()
