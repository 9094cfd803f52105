"""A server on loopback in place of W&B's: what reading and publishing have in common."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

ENTITY = "me"
Answer = Callable[[dict[str, Any]], dict[str, Any]]


class FakeServer:
    """Knows who asks, and nothing else.

    Attributes:
        operations: the names of the GraphQL operations it was asked, in order.
        address: where it is served.
        key: the only API key that it takes, None: any.
        refusal: the status of its answer to any other.
        health: "well"; "gone": it breaks every connection, as where the network is lost; "silent": it never answers;
            or the number of an HTTP status with which it answers everything, such as 500.
        asked: how many requests there were, those without an answer included.
        awake: ends the waiting of a silent server.
    """

    def __init__(self) -> None:
        self.operations: list[str] = []
        self.address = ""
        self.key: str | None = None
        self.refusal = 401
        self.health: Literal["well", "gone", "silent"] | int = "well"
        self.asked = 0
        self.awake = threading.Event()
        self.lock = threading.RLock()

    def answers(self) -> Mapping[str, Answer]:
        """What answers each GraphQL operation, given its variables."""
        return {"Viewer": self.viewer, "GetDefaultEntity": self.viewer, "ServerFeaturesQuery": self.features}

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        match = re.search(r"(?:query|mutation)\s+(\w+)", query)
        operation = match[1] if match else ""
        with self.lock:
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

    def admits(self, authorization: str) -> bool:
        """Whether a request with this header comes with the right key."""
        expected = base64.b64encode(f"api:{self.key}".encode()).decode()
        return self.key is None or authorization == f"Basic {expected}"


@contextmanager
def serve(fake: FakeServer) -> Iterator[str]:
    """Answers on a free port of this machine; the value is the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("content-length") or 0))

        def reply(self, data: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(data)

        def is_well(self) -> bool:
            """Whether the request is to be answered; answers it as the server's health has it where not."""
            fake.asked += 1
            if fake.health == "well":
                return True
            if fake.health == "silent":
                fake.awake.wait(600)
            if isinstance(fake.health, int):
                self.body()
                self.reply(b"{}", fake.health)
                return False
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return False

        def do_POST(self) -> None:
            if not self.is_well():
                return None
            body = self.body()
            if not fake.admits(self.headers.get("authorization") or ""):
                return self.reply(b'{"errors": [{"message": "user is not logged in"}]}', fake.refusal)
            if self.path == "/graphql":
                question = json.loads(body)
                return self.reply(json.dumps(fake.answer(question["query"], question.get("variables") or {})).encode())
            with fake.lock:
                fake.post(self.path, body)
            return self.reply(b"{}")

        def do_PUT(self) -> None:
            if self.is_well():
                with fake.lock:
                    fake.put(self.path, self.body())
                self.reply(b"")

        def do_GET(self) -> None:
            if self.is_well():
                self.reply(fake.get(self.path))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake.address
    finally:
        fake.awake.set()
        server.shutdown()
        server.server_close()
