"""Messages to a webhook -> judged as Slack would, kept, and shown: in the terminal, and on a page at `/`.

A test uses `fake_slack`; `make fake-slack` runs it for people. The standard library alone: it must run where nothing is
installed.
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
from pathlib import Path
from typing import Any

WEBHOOK = "/services/T000/B000/XXXX"
TEXT_LIMITS = {"header": 150, "section": 3000, "field": 2000, "element": 2000}

MARKS = {
    "✅": ("#007a5a", "✓"),
    "❌": ("#e01e5a", "✕"),
    "💚": ("#2eb67d", "♥"),
    "⚠️": ("#c98a00", "!"),
    "📦": ("#1264a3", "▣"),
}


class FakeSlack(ThreadingHTTPServer):
    """`messages`: what arrived and was taken, in order. `answers`: what to say to the next requests instead of taking
    them, as (status, body, headers); `slow_seconds`: how long to think about each."""

    daemon_threads = True

    def __init__(self, address: str, port: int, record: Path | None = None) -> None:
        super().__init__((address, port), _Handler)
        self.messages: list[dict[str, Any]] = []
        self.answers: list[tuple[int, str, dict[str, str]]] = []
        self.slow_seconds = 0.0
        self.arrived = threading.Condition()
        self._record = record

    @property
    def webhook(self) -> str:
        return f"http://{self.server_address[0]}:{self.server_address[1]}{WEBHOOK}"

    def judge(self, body: bytes) -> tuple[int, str, dict[str, str]]:
        """What Slack would answer; a message that it takes is kept."""
        time.sleep(self.slow_seconds)  # the point of it: a server that is slow
        with self.arrived:
            if self.answers:
                return self.answers.pop(0)
        try:
            message = json.loads(body)
        except ValueError:
            return 400, "invalid_payload", {}
        if not isinstance(message, dict):
            return 400, "invalid_payload", {}
        if faults(message.get("blocks") or []):
            return 400, "invalid_blocks", {}
        if not message.get("text") and not message.get("blocks"):
            return 400, "no_text", {}
        with self.arrived:
            self.messages.append(message)
            if self._record is not None:
                with self._record.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(message) + "\n")
            self.arrived.notify_all()
        return 200, "ok", {}

    def wait_for(self, count: int, seconds: float) -> list[dict[str, Any]]:
        """As soon as so many have arrived, what has."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.messages) >= count, seconds), self.messages
            return list(self.messages)


@contextmanager
def fake_slack(address: str = "127.0.0.1", port: int = 0, record: Path | None = None) -> Iterator[FakeSlack]:
    """One that runs until the end of the block."""
    server = FakeSlack(address, port, record)
    thread = threading.Thread(target=server.serve_forever, name="fake slack", kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def faults(blocks: object) -> list[str]:
    """Why Slack would say `invalid_blocks`, by docs.slack.dev/reference/block-kit/blocks."""
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
        return _faults_of_text(block.get("text"), TEXT_LIMITS["header"], ("plain_text",))
    if kind == "section":
        if "text" not in block and not block.get("fields"):
            return ["a section needs text or fields"]
        fields = block.get("fields", [])
        found = [f"{len(fields)} fields, 10 are allowed"] if len(fields) > 10 else []
        for field in fields:
            found += _faults_of_text(field, TEXT_LIMITS["field"])
        return found + (_faults_of_text(block["text"], TEXT_LIMITS["section"]) if "text" in block else [])
    if kind == "context":
        elements = block.get("elements") or []
        found = [] if 0 < len(elements) <= 10 else [f"{len(elements)} elements, 1 to 10 are allowed"]
        for element in elements:
            found += _faults_of_text(element, TEXT_LIMITS["element"])
        return found
    return [f"{kind} is no block that this server knows"]


def _faults_of_text(text: Any, limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> list[str]:
    if not isinstance(text, dict) or text.get("type") not in kinds:
        return [f"text must be one of {', '.join(kinds)}"]
    length = len(text.get("text") or "")
    return [] if 0 < length <= limit else [f"{length} characters, 1 to {limit} are allowed"]


def readable(message: dict[str, Any]) -> str:
    """For a terminal."""
    lines = []
    for block in message.get("blocks") or [{"type": "section", "text": {"text": message.get("text", "")}}]:
        texts = [block["text"], *block.get("fields", [])] if "text" in block else block.get("fields", [])
        texts = [*texts, *block.get("elements", [])]
        plain = [re.sub(r"<([^|>]+)\|([^>]+)>", r"\2: \1", text["text"]) for text in texts]
        if block.get("fields"):
            plain = ["   ".join(text.replace("*", "").replace("\n", ": ") for text in plain)]
        lines += [html.unescape(text) for text in plain]
    return "\n".join(lines)


def page(messages: list[dict[str, Any]]) -> str:
    """For a browser: what Slack makes of them, more or less; the newest last, as there."""
    shown = "".join(f"<article>{_sender()}<div>{_blocks(message)}</div></article>" for message in messages)
    return _PAGE.replace("{messages}", shown or "<p class=none>Nothing has arrived yet.</p>")


def _sender() -> str:
    return "<div class=face>e</div><p class=name><b>ecommerce-data-pipeline</b> <span class=app>APP</span></p>"


def _blocks(message: dict[str, Any]) -> str:
    parts = []
    for block in message.get("blocks") or []:
        if block["type"] == "header":
            parts.append(f"<h2>{_with_mark(html.escape(block['text']['text']))}</h2>")
        elif block["type"] == "context":
            parts.append(f"<p class=context>{' '.join(_mrkdwn(e['text']) for e in block['elements'])}</p>")
        elif block["type"] == "section":
            fields = "".join(f"<div>{_mrkdwn(field['text'])}</div>" for field in block.get("fields", []))
            text = f"<p>{_mrkdwn(block['text']['text'])}</p>" if "text" in block else ""
            parts.append(text + (f"<div class=fields>{fields}</div>" if fields else ""))
        else:
            parts.append("<hr>")
    return "".join(parts) or f"<p>{_mrkdwn(message.get('text', ''))}</p>"


def _with_mark(title: str) -> str:
    """Its emoji as a sign that every font has: where pages are photographed there may be no font of emojis."""
    symbol, _, rest = title.partition(" ")
    if symbol not in MARKS:
        return title
    colour, sign = MARKS[symbol]
    return f'<span class=mark style="background:{colour}">{sign}</span> {rest}'


def _mrkdwn(text: str) -> str:
    """Slack's own mark-up. & < > come escaped, so what is left of < and > is a link."""
    pieces = re.split(r"(```.*?```|<[^>]+>)", text, flags=re.DOTALL)
    shown = []
    for piece in pieces:
        if piece.startswith("```"):
            shown.append(f"<pre>{piece.strip('`')}</pre>")
        elif piece.startswith("<"):
            address, _, label = piece[1:-1].partition("|")
            shown.append(f'<a href="{address}">{label or address}</a>')
        else:
            shown.append(re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", piece).replace("\n", "<br>"))
    return "".join(shown).replace("<br><pre>", "<pre>")


_PAGE = """<!doctype html><html lang=en><meta charset=utf-8><title>Fake Slack</title>
<meta http-equiv=refresh content=5>
<style>
body{margin:0;font:15px/1.46 Lato,"Segoe UI",Helvetica,Arial,sans-serif;color:#1d1c1d;background:#fff}
header{padding:12px 20px;border-bottom:1px solid #ddd;font-weight:900;font-size:18px}
header small{font-weight:400;font-size:13px;color:#616061;margin-left:8px}
main{max-width:760px;padding:8px 20px 24px}
article{position:relative;padding:8px 0 8px 48px}article+article{border-top:1px solid #f0f0f0}
.face{position:absolute;left:0;top:12px;width:36px;height:36px;border-radius:8px;background:#4a154b;color:#fff;
font:700 20px/34px sans-serif;text-align:center}
.name{margin:0}.app{background:#e8e8e8;color:#616061;font-size:10px;padding:1px 3px;border-radius:2px}
.mark{display:inline-block;width:20px;height:20px;border-radius:4px;color:#fff;font:700 14px/20px sans-serif;
text-align:center;vertical-align:1px}
h2{font-size:18px;font-weight:900;margin:4px 0 8px}p{margin:6px 0}a{color:#1264a3;text-decoration:none}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:8px 24px;margin:8px 0}
pre{background:#f8f8f8;border:1px solid #ddd;border-radius:4px;padding:8px;
font:12px/1.5 Monaco,Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere;margin:4px 0}
.context{color:#616061;font-size:12px;overflow-wrap:anywhere}.none{color:#616061}
</style><header># data-pipeline<small>what would be in Slack</small></header><main>{messages}</main></html>"""


class _Handler(BaseHTTPRequestHandler):
    server: FakeSlack

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer, headers = self.server.judge(body) if self.path == WEBHOOK else (404, "no_service", {})
        self._send(status, answer, "text/html" if status == 200 else "text/plain", headers)

    def do_GET(self) -> None:
        if self.path == "/messages":
            self._send(200, json.dumps(self.server.messages), "application/json", {})
        else:
            self._send(200, page(self.server.messages), "text/html; charset=utf-8", {})

    def _send(self, status: int, answer: str, kind: str, headers: dict[str, str]) -> None:
        content = answer.encode()
        with suppress(ConnectionError):  # who did not wait for the answer has sent its message all the same
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """What arrives is shown, not who asked for what."""


class _Loud(FakeSlack):
    """Shows what arrives, and what would be refused."""

    def judge(self, body: bytes) -> tuple[int, str, dict[str, str]]:
        status, answer, headers = super().judge(body)
        text = readable(self.messages[-1]) if status == 200 else f"refused, {status} {answer}: {body[:2000]!r}"
        print(f"\n{time.strftime('%H:%M:%S')} {'-' * 60}\n{text}", flush=True)
        return status, answer, headers


def bridge() -> str | None:
    """This machine's address on Docker's own bridge, where its containers and nobody else reach it; None: no Docker,
    or one in a virtual machine, which passes host.docker.internal on to 127.0.0.1.

    An engine that was never started before does not tell its address, only the network: it has the first one there.
    """
    command = ["docker", "network", "inspect", "bridge", "--format", "{{json (index .IPAM.Config 0)}}"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return address_in(json.loads(found)) if found else None


def address_in(network: dict[str, str]) -> str:
    """Docker's own address in a network, as `docker network inspect` tells of it."""
    return network.get("Gateway") or str(next(ip_network(network["Subnet"]).hosts()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--record", type=Path, help="file to which messages are added, one JSON per line")
    options = parser.parse_args()

    try:
        shown = _Loud("127.0.0.1", options.port, options.record)
    except OSError as error:
        sys.exit(f"Port {options.port} cannot be listened on ({error.strerror}). Another: make fake-slack PORT=8199")
    servers: list[FakeSlack] = [shown]
    address = bridge()
    if address is not None:
        with suppress(OSError):  # Docker in a virtual machine: the bridge is not here
            servers.append(_Loud(address, options.port, options.record))
            servers[1].messages = shown.messages  # one page for both
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"Page: http://127.0.0.1:{options.port}\nWebhook for containers of the stack; then `make up`:\n")
    print(f"  echo http://host.docker.internal:{options.port}{WEBHOOK} >secrets/slack_webhook\n")
    print("Afterwards: rm secrets/slack_webhook && make up. Until then messages wait for it.", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
