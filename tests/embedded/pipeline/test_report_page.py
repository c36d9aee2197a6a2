"""The report in a browser: its figures are those of the database, and everybody can use it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.errors import ReportError
from lakehouse.lakehouse import Lakehouse
from lakehouse.report import step
from lakehouse.settings import PROJECT_DIR, Settings
from tests.embedded.pipeline.commands import command
from tests.support.browser import Reader, chromium, content_of
from tests.support.lake import query

PAGES = ("overview", "sales", "delivery", "customers", "sellers", "quality", "actions")
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
# Rules about a whole site's head do not concern a file; the others are all of WCAG 2.2 A and AA that axe knows.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def report_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's report, for a shop so small that few days of a month have an order, and no seller has thirty."""
    folder = tmp_path_factory.mktemp("report")
    for file in (PROJECT_DIR / "report").rglob("*"):
        if file.is_file():
            target = folder / file.relative_to(PROJECT_DIR / "report")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    pages = (folder / "pages.yml").read_text(encoding="utf-8")
    pages = re.sub(r"full_from: [\d.]+", "full_from: 0.05", pages)
    pages = re.sub(r"small_sample: \d+", "small_sample: 4", re.sub(r"minimum: \d+", "minimum: 3", pages))
    (folder / "pages.yml").write_text(pages, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def shop_of_months(months: Settings, report_dir: Path) -> Settings:
    return months.model_copy(update={"report_dir": report_dir})


@pytest.fixture(scope="module")
def file(shop_of_months: Settings, contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    assert step.run(Lakehouse(shop_of_months, contract), path) is not None
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def open_report(browser: Browser, file: Path) -> Iterator[Callable[..., Reader]]:
    """Open a report without a network: `open_report()`, `open_report("sales", viewport=PHONE)`.

    At the end of the test the browser must not have complained, nor have asked for any address outside the file.
    """
    readers: list[Reader] = []

    def open_report(address: str = "", path: Path | None = None, **options: Any) -> Reader:
        context = browser.new_context(**{"viewport": DESKTOP, "offline": True, **options})
        readers.append(Reader(context.new_page(), path or file))
        readers[-1].open(address)
        return readers[-1]

    yield open_report
    for reader in readers:
        assert reader.complaints == []
        assert reader.addresses_outside == []
        reader.page.context.close()


def frequent(settings: Settings, column: str) -> str:
    """The value that most order items have."""
    ((value,),) = query(
        settings,
        f"select {column} from marts.fct_order_items join marts.dim_customer using (customer_key) "
        f"join marts.dim_product using (product_key) group by 1 order by count(*) desc, 1 limit 1",
        "bi_reader",
    )
    return str(value)


def differences(reader: Reader, settings: Settings) -> tuple[int, list[str]]:
    """How many cards show a figure, and those whose figure is not the answer of the SQL that they open."""
    cards = reader.page.locator(".card")
    shown, found = 0, []
    for place in range(cards.count()):
        card = cards.nth(place)
        if not (value := card.get_attribute("data-value")):
            continue
        shown += 1
        card.click()
        sql = reader.page.inner_text("#definition pre")
        reader.page.click("#definition .head button")
        ((answer,),) = query(settings, sql, "bi_reader")
        if float(value) != pytest.approx(float(answer or 0), rel=1e-9, abs=1e-9):
            found.append(f"{card.get_attribute('data-measure')}: {value} shown, {answer} by\n{sql}")
    return shown, found


@pytest.mark.parametrize(
    ("chosen", "least"),
    [
        ([], 34),
        (["period=whole"], 34),
        (["period=2018"], 34),
        (["period=2017-Q2"], 34),
        (["period=2017-11"], 30),
        (["state"], 30),
        (["category"], 20),
        (["state", "period=2017"], 30),
        (["state", "category"], 12),
        (["state", "category", "period=2017-Q3"], 5),
    ],
    ids=lambda value: "+".join(value) or "nothing" if isinstance(value, list) else None,
)
def test_every_card_shows_what_its_sql_answers(
    chosen: list[str], least: int, open_report: Callable[..., Reader], shop_of_months: Settings
) -> None:
    values = {
        "state": f"customer_state={frequent(shop_of_months, 'state')}",
        "category": f"product_category={frequent(shop_of_months, 'product_category_name_english')}",
    }
    filters = "".join(f"/{values.get(each, each)}" for each in chosen)
    reader = open_report()
    all_shown = 0

    for page in PAGES:
        reader.open(page + filters)
        shown, wrong = differences(reader, shop_of_months)
        assert wrong == [], page
        all_shown += shown

    assert all_shown >= least


def test_a_figure_that_is_not_known_under_the_filters_is_grey_and_says_why(
    open_report: Callable[..., Reader], shop_of_months: Settings
) -> None:
    category = frequent(shop_of_months, "product_category_name_english")
    reader = open_report(f"overview/product_category={category}")

    grey = reader.page.locator(".card.grey")

    assert "Customer Count counts one row per order: it has no product category." in grey.all_inner_texts()[0]


def test_a_table_has_a_row_per_member_with_the_figures_of_the_database(
    open_report: Callable[..., Reader], shop_of_months: Settings
) -> None:
    state = frequent(shop_of_months, "state")
    expected = query(
        shop_of_months,
        "select product_category_name_english, sum(price)::float8, count(distinct order_id)::float8 "
        "from marts.fct_order_items join marts.dim_customer using (customer_key) "
        "join marts.dim_product using (product_key) join marts.dim_date on date_key = purchase_date_key "
        f"where dim_customer.state = '{state}' and dim_date.year = 2017 group by 1",
        "bi_reader",
    )

    reader = open_report(f"sales/period=2017/customer_state={state}")

    rows = reader.page.locator("#sales-categories tbody tr")
    more = reader.page.locator("#sales-categories .more")
    if more.count():
        more.click()
    found = {
        row.get_attribute("data-member"): float(row.locator("td").first.get_attribute("data-value") or 0)
        for row in rows.all()
    }
    assert found == {name: pytest.approx(revenue) for name, revenue, _ in expected}


def test_the_worst_sellers_for_late_hand_over_are_found_within_three_clicks(
    open_report: Callable[..., Reader], shop_of_months: Settings
) -> None:
    ((worst, share),) = query(
        shop_of_months,
        "select seller_id, (count(distinct order_id) filter (where is_handed_over_late))::float8 "
        "/ nullif(count(distinct order_id) filter (where is_handed_over_late is not null), 0) as share "
        "from marts.fct_order_items join marts.dim_seller using (seller_key) where purchase_date_key > 0 "
        "group by 1 having count(distinct order_id) >= 3 order by share desc nulls last, 1 limit 1",
        "bi_reader",
    )
    reader = open_report("overview/period=whole")

    reader.then(lambda: reader.page.click("text=Sellers"))  # one click

    first = reader.page.locator("#sellers-worst_sellers tbody tr").first
    assert float(first.locator("td").first.get_attribute("data-value") or -1) == pytest.approx(share)
    assert worst in reader.page.inner_text("#sellers-worst_sellers tbody")


def test_a_chart_is_also_a_table_whose_members_can_be_chosen(
    open_report: Callable[..., Reader], shop_of_months: Settings
) -> None:
    reader = open_report()
    panel = reader.page.locator("#overview-revenue_by_state")

    panel.get_by_role("button", name="Show as table").click()
    first = panel.locator("tbody tr").first
    state = first.locator("th").inner_text()
    reader.then(lambda: first.locator("button").click())

    assert state == frequent(shop_of_months, "state")
    assert f"customer_state={state}" in reader.page.url
    assert state in reader.text("#context")
    assert reader.text("#announcer").startswith(reader.text("#context"))


def test_a_click_on_a_mark_chooses_it_and_a_second_one_takes_it_back(open_report: Callable[..., Reader]) -> None:
    reader = open_report()
    bars = "#overview-revenue_by_state .mark-rect path"

    reader.then(lambda: reader.page.locator(bars).first.click())
    assert "customer_state=" in reader.page.url

    reader.then(lambda: reader.page.locator(bars).first.click())
    assert "customer_state=" not in reader.page.url


def test_a_change_is_measured_on_the_full_months_that_have_a_year_before(
    open_report: Callable[..., Reader], shop_of_months: Settings
) -> None:
    """Orders of February 2017 to March 2018: two months of 2018 have a year before."""
    revenue = dict(
        query(
            shop_of_months,
            "select year_month, sum(price)::float8 from marts.fct_order_items "
            "join marts.dim_date on date_key = purchase_date_key group by 1",
            "bi_reader",
        )
    )
    change = (revenue["2018-02"] + revenue["2018-03"]) / (revenue["2017-02"] + revenue["2017-03"]) - 1

    reader = open_report()

    text = reader.page.locator('[data-measure="Revenue"] .change').inner_text()
    sign = "+" if change > 0 else "−"
    assert re.search(re.escape(sign) + r"[\d.,]+ %", text)
    assert float(re.sub(r"[^\d.]", "", text.split("%")[0])) == pytest.approx(abs(change) * 100, abs=0.51)


@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_on_a_desktop_in_light_and_on_a_phone_in_dark(
    page: str, open_report: Callable[..., Reader]
) -> None:
    for viewport, colours in ((DESKTOP, "light"), (PHONE, "dark")):
        reader = open_report(page, viewport=viewport, color_scheme=colours)

        found = axe(reader.page)

        assert found == [], f"{viewport['width']} px, {colours}"


def test_the_definition_of_a_figure_is_accessible_too(open_report: Callable[..., Reader]) -> None:
    reader = open_report()
    reader.page.locator(".card").first.click()

    assert axe(reader.page) == []
    assert "The batches that every figure rests on" in reader.text("#definition")


def axe(page: Page) -> list[str]:
    """What axe-core finds: rule, weight, and the first element."""
    result = page.evaluate(f"async () => {{ {AXE}; return await axe.run(document, {json.dumps(RULES)}); }}")
    return [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}" for each in result["violations"]]


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_needs_sideways_scrolling(width: int, open_report: Callable[..., Reader]) -> None:
    reader = open_report(viewport={"width": width, "height": 800})

    for page in PAGES:
        reader.open(page)
        assert reader.page.evaluate("() => document.documentElement.scrollWidth") <= width, page


def test_everything_works_with_the_keyboard_alone(open_report: Callable[..., Reader]) -> None:
    reader = open_report()
    keyboard, focused = reader.page.keyboard, "() => document.activeElement.textContent"

    keyboard.press("Tab")
    assert reader.page.evaluate(focused) == "Skip to the figures"
    keyboard.press("Enter")
    assert reader.page.evaluate("() => document.activeElement.id") == "content"
    reader.page.focus("#pages a")
    keyboard.press("ArrowRight")
    reader.then(lambda: keyboard.press("Enter"))
    assert reader.page.url.endswith("#sales")
    reader.page.focus("#filter-period")
    reader.then(lambda: keyboard.press("ArrowDown"))
    assert "period=" in reader.page.url
    assert reader.page.evaluate("() => document.activeElement.id") == "filter-period"
    reader.page.focus(".card")
    keyboard.press("Enter")
    assert reader.page.locator("#definition").is_visible()
    keyboard.press("Escape")
    assert not reader.page.locator("#definition").is_visible()
    assert "card" in reader.page.evaluate("() => document.activeElement.className")
    reader.page.focus("#sales-categories th button >> nth=0")
    keyboard.press("Enter")
    assert reader.page.locator("#sales-categories th").first.get_attribute("aria-sort") == "ascending"
    assert reader.page.evaluate("() => document.activeElement.className") == "sort"


def test_in_print_there_are_figures_and_no_controls(open_report: Callable[..., Reader]) -> None:
    reader = open_report("delivery", color_scheme="dark")

    reader.page.emulate_media(media="print")

    assert reader.page.locator("#headline").is_visible()
    assert reader.page.locator("#context").is_visible()
    for control in ("#filters", "#pages", "#theme", ".tools >> nth=0"):
        assert not reader.page.locator(control).is_visible(), control
    assert reader.page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(reader.page.pdf()) > 10_000


def test_the_reader_can_choose_light_or_dark(open_report: Callable[..., Reader]) -> None:
    reader = open_report(color_scheme="dark")
    background = "() => getComputedStyle(document.body).backgroundColor"
    dark = reader.page.evaluate(background)

    reader.then(lambda: reader.page.click("#theme"))

    assert reader.text("#theme") == "Theme: light"
    assert reader.page.evaluate(background) != dark


def test_the_page_can_neither_load_anything_nor_run_other_code(open_report: Callable[..., Reader]) -> None:
    reader = open_report()

    asked = reader.page.evaluate("() => fetch('https://example.org').then(() => 'loaded', () => 'refused')")
    ran = reader.page.evaluate(
        "() => { const script = document.createElement('script'); script.textContent = 'window.ran = 1';"
        " document.body.append(script); return window.ran ?? 'refused'; }"
    )

    assert (asked, ran) == ("refused", "refused")
    assert [each for each in reader.complaints if "Content Security Policy" not in each] == []
    reader.complaints.clear()  # what this test provoked
    reader.requests.clear()


def test_data_without_orders_say_so(
    months: Settings,
    contract: Contract,
    copy_of: Callable[[Settings], Settings],
    open_report: Callable[..., Reader],
    tmp_path: Path,
) -> None:
    empty = copy_of(months)
    with warehouse.cursor(empty, "transformer") as cursor:
        cursor.execute(
            "truncate marts.fct_orders, marts.fct_order_items, marts.fct_payments, marts.fct_reviews, marts.dim_order"
        )
    step.run(Lakehouse(empty, contract), tmp_path / "empty.html")

    reader = open_report(path=tmp_path / "empty.html")

    for page in PAGES:
        reader.open(page)
        if page != "quality":
            assert reader.text("#headline") == "There are no orders in these data yet."
    reader.open("quality")
    assert reader.page.locator("#quality-tables tbody tr").count() > 0


def test_the_report_is_written_anew_only_when_something_changed(
    months: Settings, contract: Contract, copy_of: Callable[[Settings], Settings], report_dir: Path
) -> None:
    lakehouse = Lakehouse(copy_of(months).model_copy(update={"report_dir": report_dir}), contract)
    path = step.place(lakehouse.settings)
    first = step.run(lakehouse)
    assert first is not None
    written = path.read_bytes()

    again = step.run(lakehouse)
    with lakehouse.cursor("transformer") as cursor:
        cursor.execute("update ops.marts_state set finished_at = now()")
    is_due = step.is_due(lakehouse, path)
    third = step.run(lakehouse)

    assert again is not None
    assert third is not None
    assert [first.done, again.done, is_due, third.done] == [True, False, True, True]
    assert content_of(path.read_text()) == content_of(written.decode()), "the same marts give the same report"
    assert [other.name for other in path.parent.glob("*report*")] == ["report.html"]


def test_before_the_marts_are_built_there_is_nothing_to_report(settings: Settings, contract: Contract) -> None:
    with pytest.raises(ReportError, match="The marts are not built"):
        step.run(Lakehouse(settings, contract))


def test_a_run_ends_with_the_report_and_its_place(first_day: Settings, copy_of: Callable[[Settings], Settings]) -> None:
    settings = copy_of(first_day)

    without = command(settings, "run", "--workspace", settings.workspace_name, "--no-report")
    with_it = command(settings, "run", "--workspace", settings.workspace_name)

    place = step.place(settings)
    assert (without.returncode, with_it.returncode) == (0, 0), with_it.stderr
    assert "report.html" not in without.stdout
    assert f"the report, in a browser             {place}" in with_it.stdout
    assert place.is_file()


def test_a_report_that_cannot_be_written_leaves_the_run_as_it_is_and_is_named(
    first_day: Settings, copy_of: Callable[[Settings], Settings], tmp_path: Path
) -> None:
    settings = copy_of(first_day)
    (tmp_path / "measures.yml").write_text("source: olist\nmeasures: 1\n")

    done = command(settings, "run", "--workspace", settings.workspace_name, LAKEHOUSE_REPORT_DIR=str(tmp_path))
    alone = command(settings, "report", "--workspace", settings.workspace_name, LAKEHOUSE_REPORT_DIR=str(tmp_path))

    assert done.returncode == 0
    assert "measures.yml cannot be used" in done.stderr
    assert "The report was not written; the data of this run are complete. Try again: `" in done.stderr
    assert alone.returncode == 1


def test_a_source_without_measures_has_no_report(
    first_day: Settings, copy_of: Callable[[Settings], Settings], tmp_path: Path
) -> None:
    settings = copy_of(first_day)

    done = command(settings, "run", "--workspace", settings.workspace_name, LAKEHOUSE_REPORT_DIR=str(tmp_path))
    alone = command(settings, "report", "--workspace", settings.workspace_name, LAKEHOUSE_REPORT_DIR=str(tmp_path))

    assert (done.returncode, alone.returncode) == (0, 0)
    assert f"{tmp_path.name}/ has no measures of the source olist" in done.stdout
    assert not step.place(settings).exists()


def test_the_report_goes_where_it_is_asked_for(first_day: Settings, tmp_path: Path) -> None:
    to_file = command(first_day, "report", "--workspace", first_day.workspace_name, "--output", f"{tmp_path}/shop.html")
    to_stdout = command(first_day, "report", "--workspace", first_day.workspace_name, "--output", "-")

    assert to_file.stdout.startswith(f"{tmp_path}/shop.html  (")
    assert content_of(to_stdout.stdout) == content_of((tmp_path / "shop.html").read_text())
