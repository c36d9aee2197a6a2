"""What all image builds share: where Debian's packages come from."""

from __future__ import annotations

import subprocess

import pytest

from lakehouse.settings import PROJECT_DIR
from tests.support.servers import image_of

# Both forms that sources have in images, and an apt-get that only prints its arguments.
SOURCES = """
echo 'deb http://deb.debian.org/debian trixie main' >/etc/apt/sources.list
echo 'deb http://security.debian.org/debian-security/ trixie-security main' >>/etc/apt/sources.list
printf 'URIs: http://deb.debian.org/debian\\nURIs: https://deb.debian.org/debian-security\\n' \
    >/etc/apt/sources.list.d/debian.sources
printf '#!/bin/sh\\necho apt-get "$@" >&2\\n' >/usr/local/sbin/apt-get && chmod +x /usr/local/sbin/apt-get
apt-install socat 2>&1
cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources
"""
MAIN, SECURITY = "https://mirror.example/d", "http://mirror.example/s"


def sources_after_apt_install(mirrors: str, before: str = "") -> str:
    script = PROJECT_DIR / "docker" / "apt-install"
    command = ["docker", "run", "--rm", "--network", "none", "--user", "root", "--env", f"DEBIAN_MIRROR={mirrors}"]
    command += ["--volume", f"{script}:/usr/local/bin/apt-install:ro", "--entrypoint", "sh"]
    done = subprocess.run(
        [*command, image_of("secrets-init"), "-euc", before + SOURCES], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("mirrors", "main", "security"),
    [
        ("", ["http://deb.debian.org/debian"] * 2, ["http://security.debian.org/", "https://deb.debian.org/"]),
        (MAIN, [MAIN] * 2, ["http://security.debian.org/", "https://deb.debian.org/"]),
        (f"{MAIN} {SECURITY}", [MAIN] * 2, [SECURITY] * 2),
    ],
    ids=["none", "one", "one for each"],
)
def test_packages_come_from_the_mirrors_that_were_named(
    engine: None, mirrors: str, main: list[str], security: list[str]
) -> None:
    lines = sources_after_apt_install(mirrors).splitlines()

    one_line, one_line_security, paragraph, paragraph_security = lines[-4:]
    assert one_line == f"deb {main[0]} trixie main"
    assert one_line_security.startswith(f"deb {security[0]}")
    assert paragraph == f"URIs: {main[1]}"
    assert paragraph_security.startswith(f"URIs: {security[1]}")


def test_an_extra_ca_bundle_counts_for_a_mirror_with_tls(engine: None) -> None:
    without = sources_after_apt_install(MAIN)
    given = sources_after_apt_install(MAIN, before="mkdir -p /run/secrets; echo certificate >/run/secrets/ca.pem\n")

    assert "CAInfo" not in without
    assert given.count("Acquire::https::CAInfo=/tmp/ca.pem") == 2
