"""The environment -> one frozen Settings object. Only this module reads environment variables. It derives all paths.

A setting is read from `LAKEHOUSE_<NAME>`, else from the file `.env` beside pyproject.toml, else it has its default.
A password is read from `LAKEHOUSE_<ROLE>_PASSWORD`, else from the file named by `LAKEHOUSE_<ROLE>_PASSWORD_FILE`, else
from `<secrets_dir>/<role>_password`. The folder `<secrets_dir>` may also contain the store's user for a layer
(`store_<layer>_access_key`, `store_<layer>_secret_key`), the token of the Spark Connect server (`connect_token`), and
the address of a Slack webhook (`slack_webhook`).
Reading settings creates and starts nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lakehouse.errors import ConfigurationError

PROJECT_DIR = Path(__file__).resolve().parent.parent
MAVEN_CENTRAL = "https://repo1.maven.org/maven2"

Layer = Literal["landing", "bronze", "silver"]
LAYERS: tuple[Layer, ...] = ("landing", "bronze", "silver")
Role = Literal["owner", "loader", "transformer", "bi_reader"]
ROLES: tuple[Role, ...] = ("owner", "loader", "transformer", "bi_reader")


# S3's rules for the start of a bucket's name, with room for the longest layer. No dots: TLS wildcards end at them.
_BUCKET_PREFIX = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9-]{0,55}")

# delta-rs 1.6 panics at [ ] | ^, reads %20 as a space and \ as a slash, and refuses control characters, both in a path
# and in a quoted URL. Spark reads [ ] { } * ? as patterns. Java splits its class path, which lists the jars, at each
# colon.
_MISREAD = re.compile(r"[\[\]|^%\\{}*?:\x00-\x1f\x7f\ud800-\udfff]")


class Target(StrEnum):
    """Where the pipeline runs. The code and the marts are the same everywhere."""

    EMBEDDED = "embedded"
    DOCKER = "docker"
    AWS = "aws"


class Settings(BaseSettings):
    """Everything that may differ between machines or runs."""

    model_config = SettingsConfigDict(
        env_prefix="LAKEHOUSE_",
        env_file=PROJECT_DIR / ".env",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
    )

    target: Target = Field(
        Target.EMBEDDED, description="`embedded` or `docker` (the stack of docker-compose.yml); `aws` is planned"
    )
    source: str = Field("olist", description="the source to process: `contracts_dir` has a contract of this name")
    contracts_dir: Path = Field(PROJECT_DIR / "contracts", description="folder of the sources' contracts")
    dbt_dir: Path = Field(PROJECT_DIR / "dbt", description="folder of the dbt project")
    report_dir: Path = Field(PROJECT_DIR / "report", description="folder of the source's measures and report")
    home: Path = Field(
        PROJECT_DIR / ".lakehouse", description="what this project keeps on this machine", validate_default=True
    )
    workspace: str | None = Field(
        None, description="name of the workspace (a lake and its database); unset: that of the last run"
    )
    state: None = Field(None, exclude=True, description="refused: the name of a workspace in version 0.1.0")

    drop_dir: Path | None = Field(None, description="a folder whose deliveries the orchestrator lands; unset: none")
    largest_file_gb: float = Field(
        20, gt=0, description="GB of the largest CSV that landing accepts, or of all CSVs in an archive, unpacked"
    )
    largest_ratio: int = Field(200, ge=1, description="how many times its size an archive above 100 MB may unpack to")
    landing_url: str | None = Field(
        None, description="URL of landing; unset: a folder of the workspace, or `s3://<prefix>landing/<workspace>`"
    )
    bronze_url: str | None = Field(
        None, description="URL of bronze; unset: a folder of the workspace, or `s3://<prefix>bronze/<workspace>`"
    )
    silver_url: str | None = Field(
        None, description="URL of silver; unset: a folder of the workspace, or `s3://<prefix>silver/<workspace>`"
    )
    s3_endpoint: str | None = Field(None, description="address of an S3-compatible store; unset: AWS itself")
    s3_region: str = Field("us-east-1", description="region of the store")
    s3_bucket_prefix: str = Field(
        "", description="prefix of the buckets' names, which must be unique in all of AWS: `acme-`"
    )
    s3_access_key: str | None = Field(
        None, description="user of the store; unset: a user per layer from `secrets_dir`, else the AWS identity"
    )
    s3_secret_key: SecretStr | None = Field(None, description="password of the store's user")

    postgres_host: str = Field("127.0.0.1", description="the warehouse's host")
    postgres_port: int = Field(5433, ge=1, le=65535, description="the warehouse's port")
    database: str | None = Field(None, description="the warehouse's database; unset: `lakehouse_<workspace>`")
    secrets_dir: Path | None = Field(
        None, description="folder with one file per password, key or token; unset: `<home>/secrets`"
    )
    owner_password: SecretStr | None = Field(None, description="password of the role `owner`")
    owner_password_file: Path | None = Field(None, description="file with that password")
    loader_password: SecretStr | None = Field(None, description="password of the role `loader`")
    loader_password_file: Path | None = Field(None, description="file with that password")
    transformer_password: SecretStr | None = Field(None, description="password of the role `transformer`")
    transformer_password_file: Path | None = Field(None, description="file with that password")
    bi_reader_password: SecretStr | None = Field(None, description="password of the role `bi_reader`")
    bi_reader_password_file: Path | None = Field(None, description="file with that password")
    embedded_postgres_dir: Path | None = Field(
        None, description="folder of the embedded Postgres; unset: `<home>/postgres`, for root below `/var/lib`"
    )

    spark_remote: str | None = Field(
        None, description="address of a Spark Connect server; unset: Spark in this process"
    )
    spark_token: SecretStr | None = Field(
        None, description="token of that server; unset: the file `connect_token` in `secrets_dir`, if present"
    )
    spark_driver_memory: str = Field("1600m", description="heap of the Spark that runs in this process")
    jars_dir: Path | None = Field(None, description="folder of the jars of spark/jars.lock; unset: `<home>/jars`")
    maven_url: str = Field(MAVEN_CENTRAL, description="source of the jars: Maven Central or a mirror")

    spark_pages: str | None = Field(
        None, description="address of the Spark UI (of the master), as a browser reaches it; unset: no links to it"
    )

    dbt_python: Path | None = Field(None, description="the Python that has dbt; unset: the one that runs the command")

    lock_wait_seconds: int = Field(600, ge=0, description="how long to wait for another run before giving up")
    vacuum_retention_hours: int = Field(168, ge=0, description="how long `maintain` keeps old files of Delta tables")
    hold_above_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of a table's records in a batch, rejected or quarantined, above which the "
        "table's batch is not loaded (1: never)",
    )
    quarantine_warning_share: float = Field(
        0.01, ge=0, le=1, description="share of a batch's records, rejected or quarantined, above which Slack is warned"
    )
    called_as: str | None = Field(
        None, description="what messages write in place of `lakehouse`, for example `docker compose run --rm cli`"
    )
    published_postgres: str | None = Field(
        None, description="host and port at which users reach the warehouse; unset: those of the pipeline"
    )
    debug: bool = Field(False, description="show tracebacks")

    @field_validator("state", mode="before")
    @classmethod
    def _is_called_workspace_now(cls, value: object) -> object:
        if value is not None:
            raise ValueError("is called LAKEHOUSE_WORKSPACE now")
        return value

    @field_validator("workspace", "source", "database")
    @classmethod
    def _is_a_plain_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", value):
            raise ValueError("must be lower-case letters, digits and underscores, starting with a letter")
        return value

    @field_validator("s3_bucket_prefix")
    @classmethod
    def _begins_a_buckets_name(cls, value: str) -> str:
        if value and not _BUCKET_PREFIX.fullmatch(value):
            raise ValueError(
                f"{value!r} cannot begin the name of a bucket: use up to 56 lower-case letters, digits and hyphens, "
                "starting with a letter or digit, not with xn--, sthree- or amzn-s3-demo-"
            )
        return value

    @field_validator("home")
    @classmethod
    def _is_a_path_that_all_engines_read(cls, value: Path) -> Path:
        _check_path(str(value.absolute()))
        return value

    @field_validator("landing_url", "bronze_url", "silver_url")
    @classmethod
    def _is_an_address_that_all_engines_read(cls, value: str | None) -> str | None:
        if value is not None:
            _check_path(value.removeprefix("s3://"))
        return value

    @classmethod
    def load(cls, *, otherwise: str | None = None, **overrides: object) -> Settings:
        """The settings of this process. They keep their workspace even when another process uses another workspace.

        `otherwise`: the workspace to use when none is named; unset: the workspace of the last run.

        Raises ConfigurationError with one line per wrong setting.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            settings = cls(**given)  # type: ignore[arg-type]
            last = settings.home / "last_workspace"
            if otherwise is None and last.is_file():
                otherwise = last.read_text().strip()
            if settings.workspace is not None or otherwise is None:
                return settings
            return cls(**given, workspace=otherwise)  # type: ignore[arg-type]
        except ValidationError as error:
            lines = [f"  LAKEHOUSE_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
            raise ConfigurationError(
                "\n".join(["Some settings are wrong:", *lines, "They are described in docs/settings.md."])
            ) from error

    @classmethod
    def debug_enabled(cls) -> bool:
        """Read the setting `debug` on its own, so that it works even when other settings are invalid."""
        try:
            return _EarlySettings(_env_file=cls.model_config["env_file"]).debug  # type: ignore[call-arg]
        except ValidationError:
            return False

    @classmethod
    def command_name(cls) -> str | None:
        """Read the setting `called_as` on its own, for messages about other settings."""
        try:
            return _EarlySettings(_env_file=cls.model_config["env_file"]).called_as  # type: ignore[call-arg]
        except ValidationError:
            return None

    @property
    def workspace_name(self) -> str:
        """The workspace to act on: the one named, else that of the last run, else `demo` (on a stack `main`)."""
        return self.workspace or ("demo" if self.target is Target.EMBEDDED else "main")

    @property
    def workspace_dir(self) -> Path:
        """The workspace's folder. It contains the lake (embedded), the dbt artefacts and the logs."""
        return self.home / "workspaces" / self.workspace_name

    def layer_url(self, layer: Layer) -> str:
        """The root of a layer: an absolute folder, or `s3://bucket[/prefix]`."""
        given: str | None = getattr(self, f"{layer}_url")
        if given is not None:
            return given.rstrip("/")
        if self.target is Target.EMBEDDED:
            return str(self.workspace_dir / "lake" / layer)
        return f"s3://{self.s3_bucket_prefix}{layer}/{self.workspace_name}"

    @property
    def database_name(self) -> str:
        """The name of this workspace's database in the warehouse."""
        return self.database or f"lakehouse_{self.workspace_name}"

    @property
    def jars_path(self) -> Path:
        """The folder with the jars of spark/jars.lock."""
        return self.jars_dir or self.home / "jars"

    @property
    def secrets_path(self) -> Path:
        """The folder with one file per password, key or token."""
        return self.secrets_dir or self.home / "secrets"

    def password_file(self, role: Role) -> Path:
        """The file with a role's password. It is read unless the environment contains the password."""
        return getattr(self, f"{role}_password_file") or self.secrets_path / f"{role}_password"

    def password(self, role: Role) -> str:
        """The password of a warehouse role.

        Raises ConfigurationError, which names every place that was searched.
        """
        given: SecretStr | None = getattr(self, f"{role}_password")
        if given is not None:
            return given.get_secret_value()
        file = self.password_file(role)
        try:
            return file.read_text().strip()
        except OSError as error:
            name = f"LAKEHOUSE_{role.upper()}_PASSWORD"
            raise ConfigurationError(
                f"No password for the warehouse's role {role}: looked in {name}, {name}_FILE and {file} "
                f"({error.strerror}).\nRun `lakehouse start` to create the embedded warehouse, or set one of them."
            ) from error

    def store_user(self, layer: Layer) -> StoreUser | None:
        """The user that reads and writes a layer of an S3 store; None: the machine's own AWS identity.

        Raises ConfigurationError when only one of the user's two keys is known. On the stack, it is also raised when
        neither is known.
        """
        if self.s3_access_key or self.s3_secret_key:
            halves = self.s3_access_key, self.s3_secret_key and self.s3_secret_key.get_secret_value()
            places = "LAKEHOUSE_S3_ACCESS_KEY", "LAKEHOUSE_S3_SECRET_KEY"
        else:
            files = [self.secrets_path / f"store_{layer}_{half}_key" for half in ("access", "secret")]
            halves = _content(files[0]), _content(files[1])
            places = str(files[0]), str(files[1])
        access_key, secret_key = halves
        if access_key and secret_key:
            return StoreUser(access_key, secret_key)
        if access_key or secret_key:
            there, missing = places if access_key else reversed(places)
            raise ConfigurationError(f"{there} is set, {missing} is not: the store's user needs both.")
        if self.target is Target.DOCKER:  # its store has no AWS identity, and the search for one takes minutes
            raise ConfigurationError(
                f"The store has no user for the layer {layer}: looked in LAKEHOUSE_S3_ACCESS_KEY, "
                f"LAKEHOUSE_S3_SECRET_KEY, {places[0]} and {places[1]}.\n"
                "`docker compose up` hands them out; or set them (docs/stack.md)."
            )
        return None

    def connect_token(self) -> str | None:
        """The token of the Spark Connect server. None if the server asks for no token."""
        if self.spark_token is not None:
            return self.spark_token.get_secret_value()
        return _content(self.secrets_path / "connect_token")

    def slack_webhook(self) -> str | None:
        """The address to send Slack messages to. None if messages go to the log."""
        return _content(self.secrets_path / "slack_webhook")


@dataclass(frozen=True)
class StoreUser:
    """A user of an S3 store."""

    access_key: str
    secret_key: str = field(repr=False)


class _EarlySettings(BaseSettings):
    """The settings that are needed for messages about the other settings."""

    model_config = Settings.model_config

    debug: bool = False
    called_as: str | None = None


def _content(file: Path) -> str | None:
    """The content of a file that may be absent. Raises ConfigurationError if the file exists but cannot be read."""
    try:
        return file.read_text().strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from error


def _check_path(path: str) -> None:
    """Raise ValueError if delta-rs, Spark or Java would read this path as another path."""
    if found := sorted(set(_MISREAD.findall(path))):
        raise ValueError(
            f"{path!r} holds {' '.join(map(repr, found))}, which delta-rs, Spark or Java would misread: name a folder "
            "without it (letters of any language, digits, spaces and most other signs are fine)"
        )
