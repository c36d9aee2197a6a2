""".ci/run: installs what is missing if there is apt-get, else names it; then runs the make targets."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from lakehouse.settings import PROJECT_DIR

BASH = shutil.which("bash") or ""
JAVA = "echo 'openjdk version \"{version}\"' >&2"
APT_CACHE = """
if [ "$LC_ALL" = C ]; then candidate=Candidate; else candidate=Installationskandidat; fi
echo "  Installed: (none)"
case " {known} " in
    *" $2 "*) echo "  $candidate: 1.0-1" ;;
    *) echo "  $candidate: (none)" ;;
esac
"""


class Machine:
    """A checkout that has only .ci/run, on a machine with a shell, git, make and Python. `ran`: what .ci/run called."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir()
        for tool in ("bash", "cat", "dirname", "env", "grep", "mktemp", "rm"):
            (self.bin / tool).symlink_to(shutil.which(tool) or "")
        (folder / ".ci").mkdir()
        shutil.copy(PROJECT_DIR / ".ci" / "run", folder / ".ci")
        self.program("docker-for-ci", f"echo .ci/docker >> {folder}/ran")
        (folder / ".ci" / "docker").symlink_to(self.bin / "docker-for-ci")
        self.program("chromium-for-ci", f"echo .ci/chromium >> {folder}/ran")
        (folder / ".ci" / "chromium").symlink_to(self.bin / "chromium-for-ci")
        self.program("id", "echo 0")
        self.program("git", "")
        self.program("make", f'echo "make $*" >> {folder}/ran')
        self.program("python3", f'exec {sys.executable} -S "$@"')

    def program(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def apt(self, known: str) -> None:
        self.program("apt-get", f'echo "apt-get $*" >> {self.folder}/ran')
        self.program("apt-cache", APT_CACHE.format(known=known))

    def run(self) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin)}
        command = [BASH, ".ci/run"]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    @property
    def ran(self) -> list[str]:
        noted = self.folder / "ran"
        return noted.read_text().splitlines() if noted.exists() else []


IMAGES = [".ci/docker", "make images"]
WITHOUT_IMAGES = [
    "make lint",
    "make test ARGS=tests/unit",
    "make test-powerbi",
    "make test-mutants ARGS=--changed-since auto --seconds 120",
    ".ci/chromium",
    "make test ARGS=tests/embedded",
]
WITH_IMAGES = ["make test ARGS=tests/integration", "make test-stack"]
UPDATE, INSTALL = "apt-get update -qq", "apt-get install -y -qq --no-install-recommends"


def runs_everything(ran: list[str]) -> bool:
    """Whether images and the checks that need none came first, in any order, and the others after both."""
    beside = ran[: -len(WITH_IMAGES)]
    return (
        [call for call in beside if call in IMAGES] == IMAGES
        and [call for call in beside if call not in IMAGES] == WITHOUT_IMAGES
        and ran[-len(WITH_IMAGES) :] == WITH_IMAGES
    )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("version", ["17.0.15", "21.0.7"])
def test_nothing_is_installed_on_a_complete_machine(version: str, machine: Machine) -> None:
    machine.apt(known="openjdk-17-jdk-headless")
    machine.program("java", JAVA.format(version=version))

    assert machine.run().returncode == 0
    assert runs_everything(machine.ran)


@pytest.mark.parametrize(
    ("known", "installed"),
    [
        ("openjdk-17-jdk-headless", "openjdk-17-jdk-headless"),
        ("openjdk-21-jdk-headless", "openjdk-21-jdk-headless"),
        ("openjdk-21-jdk-headless openjdk-17-jdk-headless", "openjdk-17-jdk-headless"),
    ],
    ids=["Debian 12", "Debian 13", "Ubuntu"],
)
@pytest.mark.parametrize("java", [None, JAVA.format(version="25")], ids=["no java", "java 25"])
def test_the_jdk_that_apt_knows_is_installed(java: str | None, known: str, installed: str, machine: Machine) -> None:
    machine.apt(known)
    if java:
        machine.program("java", java)

    assert machine.run().returncode == 0
    assert machine.ran[:2] == [UPDATE, f"{INSTALL} {installed}"]
    assert runs_everything(machine.ran[2:])


def test_a_jdk_that_is_not_on_the_path_is_enough(machine: Machine) -> None:
    (machine.folder / "lakehouse" / "spark").mkdir(parents=True)
    (machine.folder / "lakehouse" / "spark" / "java.py").write_text("def find_java(): ...\n")

    assert machine.run().returncode == 0
    assert runs_everything(machine.ran)


def test_everything_that_is_missing_is_installed_in_one_step(machine: Machine) -> None:
    machine.apt(known="openjdk-21-jdk-headless")
    machine.program("python3", "exit 1")
    (machine.bin / "git").unlink()

    machine.run()

    assert machine.ran[:2] == [UPDATE, f"{INSTALL} git python3 python3-venv openjdk-21-jdk-headless"]


def test_images_that_cannot_be_built_end_it_with_what_the_build_said(machine: Machine) -> None:
    machine.program("java", JAVA.format(version="17.0.15"))
    machine.program("docker-for-ci", "echo no space left; exit 1")

    done = machine.run()

    assert done.returncode == 1
    assert done.stdout.endswith("no space left\n")
    assert done.stderr == "The images could not be built: see above.\n"
    assert machine.ran == WITHOUT_IMAGES


def test_a_failed_check_ends_the_build_of_the_images(machine: Machine) -> None:
    machine.program("java", JAVA.format(version="17.0.15"))
    building = machine.folder / "building"
    wait = shutil.which("sleep")
    # The check fails when the build has begun.
    machine.program(
        "make",
        f'case "$1" in images) echo $$ >{building}.new; mv {building}.new {building}; exec {wait} 300 ;; esac\n'
        f"until [ -e {building} ]; do {wait} 0.01; done\nexit 1",
    )
    (machine.bin / "mv").symlink_to(shutil.which("mv") or "")

    assert machine.run().returncode == 1
    pid = int(building.read_text())
    _, alive = psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    assert alive == []


def test_without_apt_one_sentence_names_all_that_is_missing(machine: Machine) -> None:
    for name in ("git", "make", "python3"):
        (machine.bin / name).unlink()

    done = machine.run()

    assert done.returncode == 1
    assert done.stderr == (
        "Missing: git, make, Python 3.11 to 3.13 with venv, a JDK 17 or 21. "
        "Install it first: without apt-get, .ci/run cannot.\n"
    )


def test_without_apt_nothing_is_run_before_the_machine_is_complete(machine: Machine) -> None:
    done = machine.run()

    assert done.returncode == 1
    assert done.stderr.startswith("Missing: a JDK 17 or 21. ")
    assert machine.ran == []


@pytest.fixture
def engineless(machine: Machine) -> Machine:
    """A machine with the project's own .ci/docker, on which no engine answers."""
    (machine.folder / ".ci" / "docker").unlink()
    shutil.copy(PROJECT_DIR / ".ci" / "docker", machine.folder / ".ci")
    machine.program("docker", "exit 1")
    return machine


def prepare_docker(machine: Machine) -> subprocess.CompletedProcess[str]:
    command, environment = [BASH, ".ci/docker"], {"PATH": str(machine.bin), "HOME": str(machine.folder)}
    return subprocess.run(
        command, cwd=machine.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_nothing_is_installed_if_an_engine_with_its_plugins_answers(engineless: Machine) -> None:
    engineless.apt(known="docker.io")
    engineless.program("docker", "echo yes")
    engineless.program("debootstrap", "")

    assert prepare_docker(engineless).returncode == 0
    assert engineless.ran == []


def test_a_missing_engine_is_installed_with_the_tool_that_makes_its_base_image(engineless: Machine) -> None:
    engineless.apt(known="docker.io")
    engineless.program("docker", 'case "$1" in info) exit 1 ;; esac')

    prepare_docker(engineless)  # it fails in the end, as these packages contain no dockerd

    assert engineless.ran == [UPDATE, f"{INSTALL} docker.io iptables debootstrap"]


def test_without_apt_a_missing_engine_is_named(engineless: Machine) -> None:
    done = prepare_docker(engineless)

    assert done.returncode == 1
    assert "A Docker engine with the plugins compose and buildx is needed" in done.stderr


SUITES = {folder.name for folder in (PROJECT_DIR / "tests").iterdir() if any(folder.rglob("test_*.py"))}


def test_every_suite_is_run() -> None:
    run = " ".join([*WITHOUT_IMAGES, *WITH_IMAGES])

    assert {*re.findall(r"\btests/(\w+)", run), *re.findall(r"make test-(stack|powerbi)", run)} == SUITES


def test_every_suite_has_a_job_of_the_workflow() -> None:
    jobs = yaml.safe_load((PROJECT_DIR / ".github" / "workflows" / "ci.yml").read_text())["jobs"].values()

    run = "\n".join(step.get("run", "") for job in jobs for step in job["steps"])
    named = set(re.findall(r"^make test ARGS=tests/(\w+)$", run, re.MULTILINE))
    assert named | set(re.findall(r"^make test-(stack|powerbi)$", run, re.MULTILINE)) == SUITES
