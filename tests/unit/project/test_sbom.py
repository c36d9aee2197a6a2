"""stack/sbom.py: the packages of an image, whatever brought them, as a valid CycloneDX document."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from lakehouse.settings import PROJECT_DIR

MODULES = (
    "/minio: go1.24.4\n"
    "\tpath\tgithub.com/minio/minio\n"
    "\tmod\tgithub.com/minio/minio\t(devel)\t\n"
    "\tdep\tgithub.com/Azure/azure-sdk\tv1.2.3\th1:aa=\n"
    "\tdep\tgithub.com/old/name\tv1.0.0\n"
    "\t=>\tgithub.com/new/name\tv2.0.0+incompatible\th1:bb=\n"
    "\tbuild\t-compiler=gc\n"
)


def jar(**properties: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "")
        for artifact, version in properties.items():
            text = f"artifactId={artifact}\r\ngroupId=org.example\r\nversion={version}\r\n"
            archive.writestr(f"META-INF/maven/org.example/{artifact}/pom.properties", text)
    return file.getvalue()


FILES = {
    "opt/lib/Some_Package-1.0.dist-info/METADATA": b"Name: Some_Package\nVersion: 1.0+x\n\nText",
    "opt/jars/own-2.1.jar": jar(own="2.1"),
    "opt/jars/shaded-3.0-beta.jar": jar(other="9", another="8"),
    "opt/jars/nameless.jar": jar(),
    "usr/share/doc/minio/modules": MODULES.encode(),
    "var/lib/dpkg/status": (
        b"Package: bash\nStatus: install ok installed\nVersion: 1:5.2-1\nArchitecture: amd64\nDescription: a\n shell\n"
        b"\nPackage: gone\nStatus: deinstall ok config-files\n"
    ),
    "var/lib/dpkg/status.d/libpq": b"Package: libpq5\nVersion: 17.5\nArchitecture: amd64\n",
    "etc/passwd": b"root",
}


@pytest.fixture(scope="module")
def bill() -> str:
    image = io.BytesIO()
    with tarfile.open(fileobj=image, mode="w") as archive:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("opt/jars/link.jar")
        link.type, link.linkname = tarfile.SYMTYPE, "own-2.1.jar"
        archive.addfile(link)
    command = [sys.executable, PROJECT_DIR / "stack" / "sbom.py", "shop/store:latest", "sha256:00"]
    return subprocess.run(command, input=image.getvalue(), capture_output=True, check=True).stdout.decode()


def test_it_lists_every_package(bill: str) -> None:
    found: dict[str, Any] = {component["purl"]: component for component in json.loads(bill)["components"]}

    assert set(found) == {
        "pkg:pypi/some-package@1.0%2Bx",
        "pkg:maven/org.example/own@2.1",
        "pkg:generic/shaded@3.0-beta",
        "pkg:generic/nameless",
        "pkg:golang/github.com/minio/minio@%28devel%29",
        "pkg:golang/github.com/Azure/azure-sdk@v1.2.3",
        "pkg:golang/github.com/new/name@v2.0.0%2Bincompatible",
        "pkg:deb/debian/bash@1%3A5.2-1?arch=amd64",
        "pkg:deb/debian/libpq5@17.5?arch=amd64",
    }
    assert len(found["pkg:maven/org.example/own@2.1"]["hashes"][0]["content"]) == 64


def test_it_is_valid_cyclonedx_of_this_image(bill: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    assert json.loads(bill)["metadata"]["component"]["name"] == "shop/store:latest"
