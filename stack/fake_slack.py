"""Messages to a webhook -> answers as from Slack; the messages appear in the terminal: `make fake-slack`.

Tests use `fake_slack` and `faults`. Uses only the standard library, so it runs without an installation of this project.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

WEBHOOK = "/services/T000/B000/XXXX"


class FakeSlack(ThreadingHTTPServer):
    """`messages`: the accepted ones, in order. `answers`: fixed answers (status, body, headers) to the next requests,
    which are not judged. `slow_seconds`: how long to wait before each answer."""

    daemon_threads = True

    def __init__(self, address: str, port: int, prints: bool = False) -> None:
        super().__init__((address, port), _Handler)
        self.messages: list[dict[str, Any]] = []
        self.answers: list[tuple[int, str, dict[str, str]]] = []
        self.slow_seconds = 0.0
        self.prints = prints

    @property
    def webhook(self) -> str:
        return f"http://{self.server_address[0]}:{self.server_address[1]}{WEBHOOK}"

    def judge(self, body: bytes) -> tuple[int, str]:
        """Return what Slack would answer; keep a message that it would accept."""
        try:
            message = json.loads(body)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            return 400, "invalid_payload"
        if faults(message.get("blocks") or []):
            return 400, "invalid_blocks"
        if not message.get("text") and not message.get("blocks"):
            return 400, "no_text"
        self.messages.append(message)
        return 200, "ok"


class _Handler(BaseHTTPRequestHandler):
    server: FakeSlack

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(self.server.slow_seconds)
        headers: dict[str, str] = {}
        if self.path != WEBHOOK:
            status, answer = 404, "no_service"
        elif self.server.answers:
            status, answer, headers = self.server.answers.pop(0)
        else:
            status, answer = self.server.judge(body)
        if self.server.prints:
            text = readable(json.loads(body)) if status == 200 else f"refused, {status} {answer}: {body[:2000]!r}"
            print(f"\n{time.strftime('%H:%M:%S')} {'-' * 60}\n{text}", flush=True)
        with suppress(ConnectionError):  # the client has sent its message, but stopped waiting for the answer
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer.encode())), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log no requests, since the messages themselves are shown."""


@contextmanager
def fake_slack(address: str = "127.0.0.1") -> Iterator[FakeSlack]:
    """Run a server on a free port until the end of the block."""
    server = FakeSlack(address, 0)
    thread = threading.Thread(target=server.serve_forever, name="fake slack", kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def faults(blocks: object) -> list[str]:
    """Why Slack would answer `invalid_blocks`, according to docs.slack.dev/reference/block-kit/blocks."""
    if not isinstance(blocks, list):
        return ["blocks must be a list"]
    found = [f"{len(blocks)} blocks, 50 are allowed"] if len(blocks) > 50 else []
    for number, block in enumerate(blocks):
        found += [f"block {number}: {fault}" for fault in _faults_of_block(block)]
    return found


def _faults_of_block(block: Any) -> list[str]:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind == "divider":
        return []
    if kind == "header":
        return _faults_of_texts([block.get("text")], 1, 150, ("plain_text",))
    if kind == "context":
        return _faults_of_texts(block.get("elements") or [], 10, 2000)
    if kind == "section":
        if "text" not in block and not block.get("fields"):
            return ["a section needs text or fields"]
        found = _faults_of_texts([block["text"]], 1, 3000) if "text" in block else []
        return found + (_faults_of_texts(block["fields"], 10, 2000) if block.get("fields") else [])
    return [f"this server does not know blocks of type {kind}"]


def _faults_of_texts(
    texts: list[Any], count: int, length: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")
) -> list[str]:
    found = [] if 0 < len(texts) <= count else [f"{len(texts)} texts, 1 to {count} are allowed"]
    for text in texts:
        if not isinstance(text, dict) or text.get("type") not in kinds:
            found.append(f"text must be one of {', '.join(kinds)}")
        elif not 0 < len(text.get("text") or "") <= length:
            found.append(f"{len(text.get('text') or '')} characters, 1 to {length} are allowed")
    return found


def readable(message: dict[str, Any]) -> str:
    """The message for a terminal: its blocks as lines, fields side by side, links as `label: address`, no mark-up."""
    lines = []
    for block in message.get("blocks") or [{"text": {"text": message.get("text", "")}}]:
        texts = [block["text"]] if "text" in block else block.get("elements") or []
        lines += [text["text"] for text in texts]
        fields = [field["text"].replace("*", "").replace("\n", ": ") for field in block.get("fields") or []]
        lines += ["   ".join(fields)] if fields else []
    text = re.sub(r"```|(?m:^\*(.+)\*$)", r"\1", "\n".join(lines))
    return html.unescape(re.sub(r"<([^|>]+)\|([^>]+)>", r"\2: \1", text))


def bridge() -> str | None:
    """This machine's address on Docker's own bridge, which only containers can reach. None without Docker, or with
    Docker in a virtual machine, which forwards host.docker.internal to 127.0.0.1.

    An engine that was never started reports only the network, not its own address: it will get the first address there.
    """
    command = ["docker", "network", "inspect", "bridge", "--format", "{{json (index .IPAM.Config 0)}}"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return address_in(json.loads(found)) if found else None


def address_in(network: dict[str, str]) -> str:
    """Docker's own address in a network, from what `docker network inspect` reports."""
    return network.get("Gateway") or str(next(ip_network(network["Subnet"]).hosts()))


def main() -> None:
    parser = argparse.ArgumentParser(description="Receive the stack's messages in place of Slack and show them here.")
    parser.add_argument("--port", type=int, default=8099)
    port = parser.parse_args().port

    try:
        servers = [FakeSlack("127.0.0.1", port, prints=True)]
    except OSError as error:
        sys.exit(f"Cannot listen on port {port} ({error.strerror}). Choose another: make fake-slack PORT=8199")
    if address := bridge():
        with suppress(OSError):  # Docker in a virtual machine: the bridge is not on this machine
            servers.append(FakeSlack(address, port, prints=True))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("To send the stack's messages here, run this, then `make up`:\n")
    print(f"  echo http://host.docker.internal:{port}{WEBHOOK} >secrets/slack_webhook\n")
    print("Afterwards: rm secrets/slack_webhook && make up. Until then messages wait for it.", flush=True)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
    print()


if __name__ == "__main__":
    main()
