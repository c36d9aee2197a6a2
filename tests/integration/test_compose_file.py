"""docker-compose.yml keeps the stack's security promises, as far as the file alone can show it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.settings import PROJECT_DIR

ONE_SHOTS = {"secrets-init", "minio-init", "airflow-init", "cli"}
IN_ORDER = [
    "secrets-init",
    "postgres",
    "minio",
    "minio-init",
    "spark-master",
    "spark-worker",
    "spark-connect",
    "airflow-init",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "cli",
    "ui-minio",
    "ui-spark",
]
GIGABYTE = 1024**3


def config(*profiles: str, **environment: str) -> dict[str, Any]:
    """The file as Compose reads it, without the .env of this machine."""
    options = [part for profile in profiles for part in ("--profile", profile)]
    own = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "COMPOSE_DISABLE_ENV_FILE": "1", **environment}
    done = subprocess.run(
        ["docker", "compose", *options, "config", "--format", "json"],
        cwd=PROJECT_DIR,
        env=own,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def services(compose_plugin: None) -> dict[str, Any]:
    """The services of every profile."""
    return dict(config("*")["services"])


def test_services_are_in_the_order_in_which_the_data_meets_them() -> None:
    written = yaml.safe_load((PROJECT_DIR / "docker-compose.yml").read_text())

    assert list(written["services"]) == IN_ORDER


@pytest.mark.usefixtures("compose_plugin")
def test_a_backup_finds_the_users_secrets_in_a_folder_of_any_name(tmp_path: Path) -> None:
    for folder in ("secrets", "my own secrets"):
        environment = {**os.environ, "COMPOSE_DISABLE_ENV_FILE": "1", "SECRETS_DIR": str(tmp_path / folder)}

        done = subprocess.run(
            ["bash", "-c", '. stack/volumes.sh && echo "$OWN_SECRETS"'],
            cwd=PROJECT_DIR,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )

        assert done.stdout == f"{tmp_path / folder}\n"


@pytest.mark.usefixtures("compose_plugin")
def test_by_default_only_airflow_and_the_warehouse_are_published_and_only_to_this_machine() -> None:
    published = {
        (name, port["host_ip"], port["published"])
        for name, service in config()["services"].items()
        for port in service.get("ports", [])
    }

    assert published == {("airflow-api-server", "127.0.0.1", "8080"), ("postgres", "127.0.0.1", "5432")}


def test_the_profile_ui_publishes_to_this_machine_only(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1", name


def test_no_service_has_more_privileges_than_it_needs(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == (["CHOWN"] if name == "secrets-init" else []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert not {"privileged", "pid", "ipc", "userns_mode", "devices"} & set(service), name
        assert "docker.sock" not in json.dumps(service), name
        assert service.get("network_mode") in ({"none"} if name == "secrets-init" else {None}), name


def test_no_image_of_this_project_is_pulled_from_a_public_registry(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["build"], name
        assert service["pull_policy"] == "never", name


def test_every_service_has_limits_an_init_and_logs_of_limited_size(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert int(service["memswap_limit"]) == int(service["mem_limit"]) > 0, name  # no swap
        assert 0 < service["pids_limit"] <= 1500, name
        assert service["init"] is True, name
        assert {"max-size", "max-file"} <= set(service["logging"]["options"]), name


def test_all_running_services_together_may_use_8_gb(services: dict[str, Any]) -> None:
    always = sum(int(service["mem_limit"]) for name, service in services.items() if name not in ONE_SHOTS)

    assert always + int(services["cli"]["mem_limit"]) <= 8 * GIGABYTE


def test_every_lasting_service_is_restarted_and_probed_every_five_seconds(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name in ONE_SHOTS:
            assert service["restart"] == "no", name
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["interval"] == "5s", name


def test_secrets_come_as_files_and_each_service_mounts_its_own(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for variable, value in (service.get("environment") or {}).items():
            # `generate` or nothing, never a password: secrets-init refuses anything else.
            if variable != "AIRFLOW_PASSWORD" and re.search(r"PASSWORD|SECRET|TOKEN|_KEY|CONN", variable):
                assert re.search(r"_(FILE|DIR|CMD)$", variable), f"{name}: {variable}={value}"
        if name != "secrets-init":
            mounted = {v["source"] for v in service.get("volumes", []) if v["target"] == "/run/secrets"}
            assert len(mounted) <= 1, name
            assert not any(v.get("source") == "secrets" for v in service.get("volumes", [])), name
            assert all(v.get("read_only") for v in service.get("volumes", []) if v["target"] == "/run/secrets"), name


def test_a_bi_tool_reaches_only_the_warehouse(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "bi" in (service.get("networks") or {})} == {"postgres"}


def test_store_and_cluster_are_on_networks_without_a_way_out(services: dict[str, Any]) -> None:
    networks = config("*")["networks"]

    for name in ("minio", "minio-init", "spark-master", "spark-worker", "spark-connect", "cli"):
        for network in services[name]["networks"]:
            assert networks[network]["internal"] is True, f"{name} on {network}"


@pytest.mark.usefixtures("compose_plugin")
@pytest.mark.parametrize("part", ["postgres", "minio", "spark", "airflow"])
def test_a_user_supplied_image_replaces_this_projects_in_all_its_services(part: str) -> None:
    before, after = (
        {name: service["image"] for name, service in config("*", **setting)["services"].items()}
        for setting in ({}, {f"{part.upper()}_IMAGE": "mine"})
    )

    default = f"ecommerce-data-pipeline/{part}"
    assert default in before.values()
    assert after == {name: "mine" if image == default else image for name, image in before.items()}


@pytest.mark.usefixtures("compose_plugin")
def test_the_bundled_store_can_be_left_out() -> None:
    services = config("*", MINIO_REPLICAS="0")["services"]

    assert {name for name, service in services.items() if service.get("scale") == 0} == {
        "minio",
        "minio-init",
        "ui-minio",
    }


@pytest.mark.usefixtures("compose_plugin")
def test_all_services_that_create_or_use_buckets_get_their_prefix() -> None:
    services = config("*", STORE_BUCKET_PREFIX="acme-")["services"]

    given = {
        (name, variable)
        for name, service in services.items()
        for variable, value in (service.get("environment") or {}).items()
        if value == "acme-"
    }
    assert given == {
        ("minio-init", "STORE_BUCKET_PREFIX"),
        ("airflow-scheduler", "LAKEHOUSE_S3_BUCKET_PREFIX"),
        ("airflow-triggerer", "LAKEHOUSE_S3_BUCKET_PREFIX"),
        ("cli", "LAKEHOUSE_S3_BUCKET_PREFIX"),
    }


def test_a_warehouse_or_store_elsewhere_can_be_reached_if_a_setting_says_so(compose_plugin: None) -> None:
    networks = config(STORE_IS_INTERNAL="false", WAREHOUSE_IS_INTERNAL="false")["networks"]

    assert not networks["store"].get("internal")
    assert not networks["warehouse"].get("internal")
