"""Settings that cannot work are refused when they are read."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from lakehouse.errors import ConfigurationError
from lakehouse.settings import LAYERS, PROJECT_DIR, Settings, StoreUser
from tests.support.small_source import land, run_bronze, settings_in, values_of

HEADER = b"order_id,amount,note\n"


@pytest.mark.parametrize(
    "name", ["my files", "Daten für März", "données", "日本", "a#b", "it's (1) & more, @home+~$=;!"]
)
def test_a_lake_may_be_in_a_folder_of_any_ordinary_name(tmp_path: Path, name: str) -> None:
    settings = settings_in(tmp_path / name)
    (tmp_path / name).mkdir()

    for record in (b"o1,1.00,x\n", b"o2,2.00,y\n"):
        run_bronze(settings, land(settings, tmp_path / name, orders=HEADER + record))

    assert values_of(settings, "order_id") == [("o2",)]
    assert (tmp_path / name / "home" / "workspaces" / "test" / "lake" / "bronze" / "shop" / "orders").is_dir()


@pytest.mark.parametrize("sign", list("[]{}*?%\\|^:\n"))
@pytest.mark.parametrize("setting", ["home", "bronze_url"])
def test_a_folder_whose_name_an_engine_would_misread_is_refused(tmp_path: Path, setting: str, sign: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings.load(**{setting: str(tmp_path / f"a{sign}20")})

    assert f"LAKEHOUSE_{setting.upper()}: " in str(refused.value)
    assert f"holds {sign!r}, which delta-rs, Spark or Java would misread: name a folder without it" in str(
        refused.value
    )


def test_a_relative_home_is_checked_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a[b]").mkdir()
    monkeypatch.chdir(tmp_path / "a[b]")

    with pytest.raises(ConfigurationError, match="LAKEHOUSE_HOME: "):
        Settings.load(home="home")


def store_secrets(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content + "\n")
    return folder


def test_each_layer_of_a_store_has_the_user_in_the_secrets_folder(tmp_path: Path) -> None:
    folder = store_secrets(tmp_path / "s", store_bronze_access_key="B", store_bronze_secret_key="only bronze knows")

    settings = Settings.load(secrets_dir=folder)

    assert settings.store_user("bronze") == StoreUser("B", "only bronze knows")
    assert settings.store_user("silver") is None
    assert "only bronze knows" not in repr(settings.store_user("bronze"))


def test_a_user_in_the_settings_counts_for_every_layer(tmp_path: Path) -> None:
    folder = store_secrets(tmp_path / "s", store_bronze_access_key="B", store_bronze_secret_key="unused")

    settings = Settings.load(secrets_dir=folder, s3_access_key="me", s3_secret_key="mine")

    assert {settings.store_user(layer) for layer in LAYERS} == {StoreUser("me", "mine")}


def test_a_store_user_with_one_key_is_refused_with_the_place_of_the_other_key(tmp_path: Path) -> None:
    folder = store_secrets(tmp_path / "s", store_bronze_access_key="B")

    with pytest.raises(ConfigurationError, match=f"{folder}/store_bronze_secret_key is not"):
        Settings.load(secrets_dir=folder).store_user("bronze")
    with pytest.raises(ConfigurationError, match="LAKEHOUSE_S3_ACCESS_KEY is not"):
        Settings.load(secrets_dir=folder, s3_secret_key="mine").store_user("bronze")


def test_the_token_of_spark_connect_comes_from_the_settings_else_from_the_secrets_folder(tmp_path: Path) -> None:
    folder = store_secrets(tmp_path / "s", connect_token="from the file")

    assert Settings.load(secrets_dir=folder).connect_token() == "from the file"
    assert Settings.load(secrets_dir=folder, spark_token="given").connect_token() == "given"
    assert Settings.load(secrets_dir=tmp_path / "none").connect_token() is None


def test_on_a_store_each_workspace_has_its_own_folder() -> None:
    demo, main = (Settings.load(target="docker", workspace=workspace) for workspace in ("demo", "main"))

    assert (demo.layer_url("silver"), main.layer_url("silver")) == ("s3://silver/demo", "s3://silver/main")


def test_a_prefix_is_put_before_every_bucket_but_not_before_a_given_address_or_a_folder(tmp_path: Path) -> None:
    settings = Settings.load(target="docker", workspace="main", s3_bucket_prefix="acme-", silver_url="s3://silver/mine")
    embedded = Settings.load(home=tmp_path, workspace="main", s3_bucket_prefix="acme-")

    assert [settings.layer_url(layer) for layer in LAYERS] == [
        "s3://acme-landing/main",
        "s3://acme-bronze/main",
        "s3://silver/mine",
    ]
    assert embedded.layer_url("silver") == str(tmp_path / "workspaces" / "main" / "lake" / "silver")


@pytest.fixture(scope="module")
def minio_init() -> ModuleType:
    """The program of the image minio. It has a copy of the rule, since the image lacks the package."""
    spec = importlib.util.spec_from_file_location("minio_init", PROJECT_DIR / "minio_init" / "init.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("prefix", "fits"),
    [
        ("", True),
        ("a", True),
        ("acme-", True),
        ("4-ever-", True),
        ("x" * 56, True),  # with `landing` 63 characters, the most that a bucket's name may have
        ("x" * 57, False),
        ("-acme", False),
        ("Acme-", False),
        ("acme.", False),
        ("acme_", False),
        ("acme/", False),
        ("acmé-", False),
        ("acme-\n", False),
        ("xn--acme", False),
        ("sthree-acme", False),
        ("amzn-s3-demo-acme", False),
    ],
)
def test_a_prefix_that_cannot_begin_a_buckets_name_is_refused_here_and_by_minio_init(
    minio_init: ModuleType, monkeypatch: pytest.MonkeyPatch, prefix: str, fits: bool
) -> None:
    monkeypatch.setattr(minio_init, "PREFIX", prefix)

    if fits:
        assert Settings.load(target="docker", workspace="main", s3_bucket_prefix=prefix).s3_bucket_prefix == prefix
        minio_init.check_prefix()
    else:
        with pytest.raises(
            ConfigurationError, match=r"LAKEHOUSE_S3_BUCKET_PREFIX: .* cannot begin the name of a bucket"
        ):
            Settings.load(s3_bucket_prefix=prefix)
        with pytest.raises(minio_init.InitError, match=r"STORE_BUCKET_PREFIX is .*, which cannot begin the name"):
            minio_init.check_prefix()


def test_the_stacks_store_without_a_user_is_refused_with_every_place_that_was_searched(tmp_path: Path) -> None:
    settings = Settings.load(target="docker", secrets_dir=tmp_path)

    with pytest.raises(
        ConfigurationError, match="no user for the layer silver: looked in LAKEHOUSE_S3_ACCESS_KEY"
    ) as e:
        settings.store_user("silver")
    assert f"{tmp_path}/store_silver_secret_key" in str(e.value)


def test_the_word_that_version_0_1_0_had_for_a_workspace_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_STATE", "shop")

    with pytest.raises(ConfigurationError, match=r"LAKEHOUSE_STATE: .*is called LAKEHOUSE_WORKSPACE now"):
        Settings.load()
