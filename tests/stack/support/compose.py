"""A separate stack for the tests: its commands, its services, its warehouse at the published port."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.airflow_api import Api
from lakehouse.settings import PROJECT_DIR, ROLES, Settings, Target

HEALTHY_SECONDS = 180
# Each question makes the services work: asked five times a second, they took a tenth of the machine for it.
ASK_SECONDS = 1.0
# The services that keep running, and those that have ended when everything is up.
SERVICES = [
    "postgres",
    "minio",
    "spark-master",
    "spark-worker",
    "spark-connect",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
]
ONE_SHOTS = ["secrets-init", "minio-init", "airflow-init"]
EVERY_SECRET = 'for file in /master/made/*; do echo "${file##*/} $(<"$file")"; done'


@dataclass(frozen=True)
class Stack:
    """A compose project. `secrets`: a folder for the passwords that clients on this machine need for its warehouse."""

    project: str
    environment: dict[str, str]
    secrets: Path
    checkout: Path = PROJECT_DIR

    def make(self, *arguments: str, typed: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a target of the Makefile."""
        return self._run("make", *arguments, typed=typed, check=check)

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `docker compose …`."""
        return self._run("docker", "compose", *arguments, check=check)

    def cli(self, *arguments: str, mount: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the pipeline in the container `cli`, with `mount` as /data."""
        return self._run(*self.cli_command(*arguments, mount=mount), check=check)

    def cli_command(self, *arguments: str, mount: Path | None = None) -> list[str]:
        volume = ["--volume", f"{mount}:/data:ro"] if mount else []
        return ["docker", "compose", "run", "--rm", "--no-TTY", "--no-deps", *volume, "cli", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in the background."""
        return subprocess.Popen(
            arguments,
            cwd=self.checkout,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def python(self, service: str, script: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a script in the Python of the pipeline's image, on the networks and with the secrets of a service."""
        return self.compose(
            "run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "python", service, "-c", script, check=check
        )

    def secret(self, name: str) -> str:
        """Its value, as `make credentials` shows it."""
        return self.compose("run", "--rm", "--no-TTY", "--no-deps", "secrets-init", "show", name).stdout.strip()

    def secrets_made(self) -> dict[str, str]:
        """All generated secrets, except Airflow's default password."""
        shown = self.compose(
            *("run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "bash", "secrets-init", "-c", EVERY_SECRET)
        )
        return dict(line.split() for line in shown.stdout.splitlines() if line != "airflow_admin_password airflow")

    def airflow(self) -> Api:
        """Its REST API, at the published port."""
        return Api(self.compose("port", "airflow-api-server", "8080").stdout.strip())

    def settings(self, workspace: str = "main") -> Settings:
        """Settings of a client of the warehouse outside the stack."""
        for role in ROLES:
            file = self.secrets / f"{role}_password"
            if not file.exists():
                file.write_text(self.secret(file.name))
        return Settings.load(
            target=Target.DOCKER,
            workspace=workspace,
            secrets_dir=self.secrets,
            postgres_host="127.0.0.1",
            postgres_port=int(self.environment["POSTGRES_PORT"]),
        )

    def kill(self, service: str) -> None:
        """Send SIGKILL to all processes of a service; Docker restarts it, which it does not after `docker kill`."""
        before = self.started_at(service)
        self.compose("exec", "--no-TTY", service, "bash", "-c", "kill -KILL -1", check=False)
        self.wait(lambda: self.started_at(service) != before, f"{service} was not started again")

    def restart(self, service: str) -> None:
        self.compose("restart", "--timeout", "10", service)

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service).stdout.strip()

    def inspect(self, service: str, what: str) -> str:
        """What Docker says of the service's container, as a Go template."""
        return self._run("docker", "inspect", "--format", what, self.container(service)).stdout.strip()

    def started_at(self, service: str) -> str:
        return self.inspect(service, "{{.State.StartedAt}}")

    def wait_until_healthy(self, service: str) -> None:
        self.wait(
            lambda: "(healthy)" in self.compose("ps", "--format", "{{.Status}}", service).stdout,
            f"{service} did not become healthy",
        )

    def wait(
        self, holds: Callable[[], object], otherwise: str, seconds: float = HEALTHY_SECONDS, every: float = ASK_SECONDS
    ) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, otherwise
            time.sleep(every)

    def logs(self) -> str:
        """The last lines of each service's log."""
        return self.compose("logs", "--no-color", "--tail", "25", check=False).stdout

    def _run(self, *command: str, typed: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.checkout,
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def names_in(text: str, values: Mapping[str, str]) -> set[str]:
    """The names of the values that the text contains."""
    return {name for name, value in values.items() if value in text}
