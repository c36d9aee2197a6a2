"""The bytes that pass through a network of the stack, as a listener on this machine sees them."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

# Prints every frame on a bridge, also those for other receivers, until standard input ends.
LISTEN = """
import select, socket, struct, sys
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC, ETH_P_ALL = 263, 1, 1, 3
bridge = sys.argv[1]
listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
listener.bind((bridge, 0))
promiscuous = struct.pack("iHH8s", socket.if_nametoindex(bridge), PACKET_MR_PROMISC, 0, b"")
listener.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, promiscuous)
print("listening", file=sys.stderr, flush=True)
while listener in select.select([listener, sys.stdin], [], [])[0]:
    sys.stdout.buffer.write(listener.recv(1 << 17))
"""


@dataclass
class Passed:
    """Whole frames with their headers; filled when listening has ended."""

    content: bytes = b""


@contextlib.contextmanager
def listening(network: str, image: str) -> Iterator[Passed]:
    """Listen while the block runs, in a container of `image` on the engine's own network, which needs no root user."""
    identity = subprocess.run(
        ["docker", "network", "inspect", "--format", "{{.Id}}", network], capture_output=True, text=True, check=True
    ).stdout
    options = ["--network", "host", "--user", "0", "--read-only", "--cap-drop", "ALL", "--cap-add", "NET_RAW"]
    command = ["docker", "run", "--rm", "--interactive", *options, "--entrypoint", "python3", image, "-c", LISTEN]
    passed = Passed()
    with tempfile.TemporaryFile() as file:
        with subprocess.Popen(
            [*command, f"br-{identity[:12]}"], stdin=subprocess.PIPE, stdout=file, stderr=subprocess.PIPE
        ) as listener:
            assert listener.stderr is not None
            assert listener.stderr.readline() == b"listening\n", listener.stderr.read()
            yield passed
        assert listener.returncode == 0
        file.seek(0)
        passed.content = file.read()
