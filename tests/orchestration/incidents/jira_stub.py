"""A stub of Jira's REST API, version 3, as far as the receiver uses it: it checks what it is sent, and can be away.

Like the real one it refuses a summary of two lines, an unknown project and a label with a space, adds attributes of its
own to what it keeps, and its search learns of a new issue only when it is told to.
"""

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.servers import free_port

USER, TOKEN, PROJECT = "robot@demo.io", "t0ken-s3cret", "OPS"
_JQL = re.compile(r'project = "(?P<project>[^"]+)" AND labels = "(?P<label>[^"]+)" ORDER BY created ASC')


class JiraStub:
    """Jira's side. `status` other than 0 is what everything is answered with, after it was done where `does` is true."""

    def __init__(self) -> None:
        self.port = free_port()
        self.status, self.retry_after, self.does = 0, "", False
        self.indexed = True
        self.issues: dict[str, dict[str, Any]] = {}
        self.comments: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, method: str, path: str, authorization: str, document: Any) -> tuple[int, object]:
        expected = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        if authorization != f"Basic {expected}":
            return 401, {"errorMessages": ["Client must be authenticated to access this resource."]}
        match method, path.split("/")[4:]:
            case "POST", ["search", "jql"]:
                return self._search(document)
            case "POST", ["issue"]:
                return self._open(document["fields"])
            case "GET", ["issue", key, "comment"] if key in self.issues:
                return 200, {"comments": self.comments[key], "startAt": 0, "total": len(self.comments[key])}
            case "POST", ["issue", key, "comment"] if key in self.issues:
                _check_adf(document["body"])
                self.comments[key].append({"id": "1", "body": document["body"] | {"attrs": {"localId": "x"}}})
                return 201, {"id": "1"}
        return 404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."]}

    def _search(self, asked: dict[str, Any]) -> tuple[int, object]:
        found = _JQL.fullmatch(asked["jql"])
        assert found is not None, asked["jql"]
        assert asked["fields"] == ["summary"]
        keys = [key for key, fields in self.issues.items() if self.indexed and found["label"] in fields["labels"]]
        return 200, {"issues": [{"id": "10000", "key": key} for key in keys], "isLast": True}

    def _open(self, fields: dict[str, Any]) -> tuple[int, object]:
        errors = {}
        if fields["project"] != {"key": PROJECT}:
            errors["project"] = "valid project is required"
        if "\n" in fields["summary"] or len(fields["summary"]) > 255:
            errors["summary"] = "The summary is invalid because it contains newline characters."
        if any(" " in label for label in fields["labels"]):
            errors["labels"] = "The label contains spaces which is invalid."
        if errors:
            return 400, {"errorMessages": [], "errors": errors}
        _check_adf(fields["description"])
        key = f"{PROJECT}-{len(self.issues) + 1}"
        self.issues[key], self.comments[key] = fields, []
        return 201, {"id": str(10_000 + len(self.issues)), "key": key, "self": f"{self.url}/rest/api/3/issue/{key}"}


def _check_adf(document: dict[str, Any]) -> None:
    """developer.atlassian.com, "Atlassian Document Format": a text is never empty."""
    assert (document["type"], document["version"]) == ("doc", 1)
    assert document["content"]
    for paragraph in document["content"]:
        assert paragraph["type"] == "paragraph"
        for part in paragraph["content"]:
            assert part["type"] == "text"
            assert part["text"]
            assert "\n" not in part["text"]
            assert all(mark["attrs"]["href"].startswith("http") for mark in part.get("marks", []))


@contextmanager
def answering(stub: JiraStub) -> Iterator[JiraStub]:
    """The stub listens on its port while the block runs; it keeps what it knows from one block to the next."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            document = json.loads(self.rfile.read(length)) if length else None
            stub.asked.append(f"{self.command} {urlsplit(self.path).path}")
            status, body = 503, {"errorMessages": ["away"]}
            if not stub.status or stub.does:
                path = urlsplit(self.path).path
                status, body = stub.answer(self.command, path, self.headers.get("Authorization", ""), document)
            encoded = json.dumps(body).encode()
            self.send_response(stub.status or status)
            self.send_header("Content-Type", "application/json;charset=UTF-8")
            self.send_header("Content-Length", str(len(encoded)))
            if stub.retry_after:
                self.send_header("Retry-After", stub.retry_after)
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST  # noqa: N815 - the name is the base class's

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", stub.port), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield stub
        finally:
            server.shutdown()
            serving.join()
