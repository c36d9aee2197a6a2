"""The files of an image (tar, standard input) -> its Python, Java, Go and Debian packages as CycloneDX (JSON, standard
output). stack/sbom runs it inside an image, so it uses the standard library alone.

python3 sbom.py IMAGE ID <files.tar
"""

from __future__ import annotations

import email
import hashlib
import io
import json
import re
import sys
import tarfile
import uuid
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote

Component = dict[str, Any]
# `go version -m` of the store's program; minio_init/Dockerfile writes it.
GO_MODULES = "usr/share/doc/minio/modules"


def main() -> None:
    """Print the bill of materials of the image that the two arguments name."""
    image, identity = sys.argv[1:]
    found = {component["purl"]: component for component in components(sys.stdin.buffer)}
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, identity).urn,
        "version": 1,
        "metadata": {"component": {"type": "container", "name": image, "version": identity}},
        "components": [found[purl] for purl in sorted(found)],
    }
    json.dump(bill, sys.stdout, indent=2)


def components(files: BinaryIO) -> Iterator[Component]:
    """Every package whose files are in the archive."""
    with tarfile.open(fileobj=files, mode="r|") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            content = archive.extractfile(member) if member.isfile() else None
            if content is None:
                continue
            if name.endswith(".dist-info/METADATA"):
                yield python_package(content.read())
            elif name.endswith(".jar"):
                yield java_package(name.rpartition("/")[2], content.read())
            elif name == GO_MODULES:
                yield from go_modules(content.read().decode())
            elif name == "var/lib/dpkg/status" or name.startswith("var/lib/dpkg/status.d/"):
                yield from debian_packages(content.read().decode())


def python_package(metadata: bytes) -> Component:
    message = email.message_from_bytes(metadata)
    name, version = message["Name"], message["Version"]
    return component(name, version, f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{quote(version)}")


def java_package(file: str, content: bytes) -> Component:
    """Named by the Maven properties inside, if they are those of this jar; shaded jars have those of others, too."""
    digest = {"hashes": [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}]}
    with zipfile.ZipFile(io.BytesIO(content)) as jar:
        for entry in jar.namelist():
            if re.fullmatch("META-INF/maven/[^/]+/[^/]+/pom.properties", entry):
                given = dict(re.findall(r"(?m)^(\w+)=(.*?)\s*$", jar.read(entry).decode()))
                group, artifact, version = (given.get(key, "") for key in ("groupId", "artifactId", "version"))
                if file == f"{artifact}-{version}.jar":
                    purl = f"pkg:maven/{group}/{artifact}@{quote(version)}"
                    return component(artifact, version, purl, group=group, **digest)
    named = re.fullmatch(r"(.+?)(?:-(\d.*))?\.jar", file)
    name, version = (named[1], named[2] or "") if named else (file, "")
    purl = f"pkg:generic/{quote(name)}" + (f"@{quote(version)}" if version else "")
    return component(name, version, purl, **digest)


def go_modules(listed: str) -> Iterator[Component]:
    """Lines of `mod` and `dep`; a line of `=>` names what was built in place of the line before."""
    lines = [line.split("\t")[1:] for line in listed.splitlines() if line.startswith("\t")]
    for line, after in zip(lines, [*lines[1:], [""]], strict=True):
        if line[0] in ("mod", "dep", "=>") and not (line[0] == "dep" and after[0] == "=>"):
            path, version = line[1:3]
            yield component(path, version, f"pkg:golang/{quote(path)}@{quote(version)}")


def debian_packages(status: str) -> Iterator[Component]:
    for paragraph in re.split(r"\n\n+", status):
        fields = dict(re.findall(r"(?m)^(Package|Version|Architecture): (.*)$", paragraph))
        if len(fields) == 3:
            name, version, processor = fields["Package"], fields["Version"], fields["Architecture"]
            yield component(name, version, f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={processor}")


def component(name: str, version: str, purl: str, **more: Any) -> Component:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, **more}


if __name__ == "__main__":
    main()
