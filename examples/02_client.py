"""A client in Python's standard library: one call for a whole answer, one for a stream, and errors that can be told apart.

Start a server with `make serve`, set TOLLGATE_TOKEN to the token that it prints, and run this file.
"""

import http.client
import json
import os
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit


class RpcError(Exception):
    """The server's refusal. `reason` is stable: switch on it, not on the message."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']} {error['message']}")
        self.code: int = error["code"]
        self.data: dict[str, Any] = error.get("data", {})
        self.reason: str = self.data.get("reason", "")


class Client:
    """Calls one server."""

    def __init__(self, url: str, token: str, timeout_seconds: float = 60) -> None:
        self._url = urlsplit(url)
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._id = 0

    def call(self, method: str, **params: object) -> Any:
        """The result of one call. Raises: RpcError."""
        response = self._post(method, params, accept="application/json")
        return _result(json.load(response))

    def stream(self, content: str, **params: object) -> Iterator[tuple[str, Any]]:
        """("text", piece) as it is written, and at last ("result", the complete result). Raises: RpcError."""
        response = self._post(
            "executeAIRequest",
            {"content": content, **params, "stream": True},
            accept="application/json, text/event-stream",
        )
        if response.headers.get_content_type() != "text/event-stream":  # refused before the first word
            yield "result", _result(json.load(response))
            return
        for line in response:
            if not line.startswith(b"data:"):
                continue  # an empty line ends an event; a line with a colon first is a sign of life
            message = json.loads(line[5:])
            if message.get("method") == "$/progress":
                value = message["params"]["value"]
                if value["kind"] == "delta" and value["delta"]["type"] == "text":
                    yield "text", value["delta"]["text"]
            else:
                yield "result", _result(message)
                return

    def _post(self, method: str, params: dict[str, object], *, accept: str) -> http.client.HTTPResponse:
        self._id += 1
        secure = self._url.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(self._url.hostname or "", self._url.port, timeout=self._timeout_seconds)
        connection.request(
            "POST",
            "/rpc",
            json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}),
            {
                "authorization": f"Bearer {self._token}",
                "content-type": "application/json",
                "accept": accept,
                "connection": "close",
            },
        )
        return connection.getresponse()


def _result(message: dict[str, Any]) -> Any:
    if "error" in message:
        raise RpcError(message["error"])
    return message["result"]


def main() -> None:
    """Ask once for a whole answer, once for a stream, and once for something that does not exist."""
    token = os.environ.get("TOLLGATE_TOKEN")
    if not token:
        sys.exit("set TOLLGATE_TOKEN to a token (make serve prints one)")
    client = Client(os.environ.get("TOLLGATE_URL", "http://127.0.0.1:8000"), token)

    answer = client.call("executeAIRequest", content="Say hello in one sentence.", options={"maxTokens": 100})
    print("answer:", answer["content"])
    print("tokens:", answer["usage"]["inputTokens"], "in,", answer["usage"]["outputTokens"], "out")

    pieces = []
    for kind, value in client.stream("Count to three."):
        if kind == "text":
            pieces.append(value)
        else:
            print("streamed:", "".join(pieces))
            print("complete:", value["content"] == "".join(pieces))

    try:
        client.call("executeAIRequest", content="Hello", options={"model": "no-such-model"})
    except RpcError as refused:
        print("refused:", refused.code, refused.reason)


if __name__ == "__main__":
    main()
