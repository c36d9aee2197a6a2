"""A second Docker engine in a network namespace that has only its own loopback: a machine without any network."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60


@dataclass(frozen=True)
class Offline:
    """Runs commands on that machine."""

    namespace: str
    socket: Path

    def run(self, *command: str, folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.namespace}", *command],
            cwd=folder,
            env={**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "COMPOSE_DISABLE_ENV_FILE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done


@contextmanager
def offline_engine() -> Iterator[Offline]:
    """An engine without images and containers, removed at the end. Needs root."""
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-offline-", dir="/var/lib"))
    offline = Offline(folder.name, folder / "docker.sock")
    subprocess.run(["ip", "netns", "add", offline.namespace], check=True)
    # `ip netns exec` would mount another /sys, without the control groups.
    inside = ["nsenter", f"--net=/run/netns/{offline.namespace}"]
    subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
    places = {"data-root": "data", "exec-root": "exec", "pidfile": "docker.pid"}
    command = [*inside, "dockerd", "--host", f"unix://{offline.socket}"]
    command += [word for option, name in places.items() for word in (f"--{option}", str(folder / name))]
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while offline.run("docker", "info", folder=folder, check=False).returncode != 0:
            assert daemon.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield offline
    finally:
        daemon.send_signal(signal.SIGTERM)  # it stops its containers
        daemon.wait(60)
        subprocess.run(["ip", "netns", "delete", offline.namespace], check=True)
        shutil.rmtree(folder)
