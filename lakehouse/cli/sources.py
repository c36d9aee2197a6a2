"""generate, replay: the commands that create input for the pipeline."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.shared import console, open_workspace
from lakehouse.sample_data.period import Period

Directory = Annotated[Path, typer.Argument(help="Where to write the batches; must be absent or empty.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (generate, replay):
        app.command(rich_help_panel="Data to run it on")(command)


def generate(
    directory: Directory,
    days: Annotated[int, typer.Option("--days", min=1, help="Number of daily batches.")] = 7,
    scale: Annotated[float, typer.Option("--scale", help="Orders a day, in units of 300.")] = 1.0,
    start: Annotated[
        datetime, typer.Option("--start", formats=["%Y-%m-%d"], help="Day of the first batch.")
    ] = datetime(2018, 1, 1),
    faults: Annotated[
        float, typer.Option("--faults", min=0, max=0.05, help="Share of records with each fault.")
    ] = 0.0005,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="KIND=RATE",
            help="KIND=RATE, another share for one kind; repeatable. A wrong KIND lists the valid ones.",
        ),
    ] = None,
    late: Annotated[float, typer.Option("--late", min=0, max=1, help="Share of rows that come days late.")] = 0.02,
    repeated: Annotated[float, typer.Option("--repeated", min=0, max=1, help="Share of rows that come twice.")] = 0.01,
    moves: Annotated[float, typer.Option("--moves", min=0, max=1, help="Share of returning people who moved.")] = 0.4,
    changes: Annotated[
        float, typer.Option("--changes", min=0, max=1, help="Products and sellers that change, per order of the day.")
    ] = 0.02,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same bytes, on every machine.")] = 42,
) -> None:
    """Generate a shop like Olist: daily batches with faults, late rows, repeated rows and changes, and truth.json.

    Its columns are those of the contract (LAKEHOUSE_CONTRACTS_DIR); a column with `since` is sent from that day on.
    truth.json says what the pipeline must make of the batches; its field `scope` lists what it covers and leaves out.

    Examples:

        lakehouse generate batches --days 30 --scale 2

        lakehouse generate batches --faults 0 --fault "bad date=0.01" --fault "NUL byte=0.001"

        lakehouse run batches
    """
    from lakehouse.sample_data.synthetic import KINDS, Disturbances, generate

    contract = open_workspace().contract
    shares = {**dict.fromkeys(KINDS, faults), **_shares(fault or [], KINDS)}
    disturbances = Disturbances(
        late_orders=late,
        late_customers=late,
        late_products=late,
        late_sellers=late,
        duplicates=repeated,
        superseded=repeated,
        product_changes=changes,
        seller_changes=changes,
        people_move=moves,
    )
    truth = generate(
        directory,
        seed=seed,
        scale=scale,
        days=days,
        start=start.date(),
        faults=shares,
        disturbances=disturbances,
        contract=contract,
    )
    records = sum(file.records for tables in truth.batches.values() for file in tables.values())
    console.print(f"{days} batches, {records:,} records, {len(truth.faults)} with a fault: {directory / 'truth.json'}")


def replay(
    archive: Annotated[
        Path, typer.Argument(exists=True, help="The published archive: the zip or a folder of its CSVs.")
    ],
    directory: Directory,
    by: Annotated[Period, typer.Option("--by", help="How much one batch holds.")] = "month",
) -> None:
    """Cut the real archive into the batches that the shop would have sent.

    Examples:

        lakehouse replay brazilian-ecommerce.zip batches --by month

        lakehouse run batches
    """
    from lakehouse.sample_data.replay import replay

    done = replay(archive, directory, by)
    records = sum(done.records.values())
    console.print(f"{len(done.batches)} batches, {done.batches[0]} to {done.batches[-1]}, {records:,} records.")


def _shares(given: list[str], kinds: tuple[str, ...]) -> dict[str, float]:
    """`bad date=0.01` -> the share of the fault `bad date`. If entries are wrong, one error names all of them."""
    shares: dict[str, float] = {}
    wrong: list[str] = []
    for text in given:
        kind, _, rate = text.rpartition("=")
        if kind not in kinds:
            wrong.append(f"there is no fault of kind {kind or text}")
        try:
            shares[kind] = float(rate)
        except ValueError:
            wrong.append(f"{text} is not KIND=RATE")
            continue
        if not 0 <= shares[kind] <= 1:
            wrong.append(f"the rate of {kind} must be from 0 to 1, not {rate}")
    if wrong:
        raise typer.BadParameter(f"{'; '.join(wrong)} (kinds: {', '.join(kinds)})", param_hint="--fault")
    return shares
