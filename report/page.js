// The page itself: what the reader has chosen, and how it is shown. The address after # keeps the choice, so that a
// view can be sent to others: #sales/period=2018/customer_state=SP

const byId = (id) => document.getElementById(id);
const DEFAULT_PERIOD = calendar.periods[0]?.id ?? null;
const MORE_ROWS = 25;
const PHONE = 640; // px

let state = { page: report.pages[0].id, choice: { period: DEFAULT_PERIOD, members: {} } };
let showing = 0; // counts renderings, so that one that was overtaken stops

// ---- Elements

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// ---- The address

function readAddress() {
  const [page, ...parts] = decodeURIComponent(location.hash.slice(1)).split("/");
  const choice = { period: DEFAULT_PERIOD, members: {} };
  for (const part of parts) {
    const [name, value] = part.split("=");
    if (name === "period" && periods.has(value)) choice.period = value;
    else if (name !== MONTH && report.filters.some((filter) => filter.dimension === name)) {
      const member = dimensions[name].values.indexOf(value);
      if (member >= 0) choice.members[name] = member;
    }
  }
  return { page: pages.has(page) ? page : report.pages[0].id, choice };
}

function addressOf({ page, choice }) {
  const parts = [page];
  if (choice.period && choice.period !== DEFAULT_PERIOD) parts.push(`period=${choice.period}`);
  for (const [name, member] of Object.entries(choice.members)) parts.push(`${name}=${dimensions[name].values[member]}`);
  return `#${parts.map(encodeURIComponent).join("/").replaceAll("%3D", "=")}`;
}

function choose(changes) {
  const members = { ...state.choice.members, ...changes.members };
  for (const [name, member] of Object.entries(members)) if (member == null) delete members[name];
  const next = { page: changes.page ?? state.page, choice: { period: changes.period ?? state.choice.period, members } };
  const address = addressOf(next);
  if (address !== location.hash) location.hash = address; // its event shows it
}

// A click on a mark chooses its member; a second click takes the choice back.
function chooseMember(dimension, member) {
  if (dimension === MONTH) {
    choose({ period: state.choice.period === months[member] ? DEFAULT_PERIOD : months[member] });
  } else {
    choose({ members: { [dimension]: state.choice.members[dimension] === member ? null : member } });
  }
}

function canChoose(page, dimension) {
  return page.filters.some((id) => filters.get(id).dimension === dimension) &&
    (dimension !== MONTH || page.filters.includes("period"));
}

// ---- Navigation and filters

function showNavigation() {
  byId("pages").replaceChildren(...report.pages.map((page) =>
    make("li", {}, make("a", {
      href: addressOf({ page: page.id, choice: state.choice }),
      "aria-current": page.id === state.page ? "page" : null,
    }, page.name))));
}

// Arrow keys go from page to page while the navigation has the focus.
byId("pages").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const links = [...byId("pages").querySelectorAll("a")];
  const next = links[(links.indexOf(document.activeElement) + step + links.length) % links.length];
  event.preventDefault();
  next.focus();
});

function showFilters(page) {
  const controls = page.filters.map((id) => {
    const filter = filters.get(id);
    const select = filter.dimension === MONTH ? periodSelect(filter) : memberSelect(filter);
    return make("label", {}, make("span", {}, filter.name), select);
  });
  const isChosen = page.filters.some((id) => {
    const { dimension } = filters.get(id);
    return dimension === MONTH ? state.choice.period !== DEFAULT_PERIOD : state.choice.members[dimension] != null;
  });
  if (controls.length) {
    controls.push(make("button", {
      type: "button", class: "quiet", disabled: !isChosen, id: "reset",
      onclick: () => choose({ period: DEFAULT_PERIOD, members: Object.fromEntries(Object.keys(state.choice.members).map((name) => [name, null])) }),
    }, "Reset"));
  }
  byId("filters").replaceChildren(...controls);
  byId("filters").hidden = !controls.length;
}

function periodSelect(filter) {
  const kinds = [["full", "whole"], ["year"], ["quarter"], ["month"]];
  const names = ["Together", "Years", "Quarters", "Months"];
  const groups = kinds.map((kind, place) => {
    const found = calendar.periods.filter((period) => kind.includes(period.kind));
    return make("optgroup", { label: names[place] }, ...found.map((period) => {
      const fragment = period.kind === "month" && !calendar.full.includes(period.id);
      return make("option", { value: period.id, selected: period.id === state.choice.period },
        periodName(period) + (fragment ? " (fragment)" : ""));
    }));
  });
  return make("select", { id: `filter-${filter.id}`, onchange: ({ target }) => choose({ period: target.value }) }, ...groups);
}

function memberSelect({ id, dimension }) {
  const { values } = dimensions[dimension];
  const options = values.map((value, member) => ({ value, member })).filter(({ value }) => value != null).map(({ member }) =>
    make("option", { value: member, selected: state.choice.members[dimension] === member }, memberName(dimension, member)));
  return make("select", {
    id: `filter-${id}`,
    onchange: ({ target }) => choose({ members: { [dimension]: target.value === "" ? null : Number(target.value) } }),
  }, make("option", { value: "" }, "All"), ...options);
}

// ---- A page

function needed(page) {
  const names = new Set();
  const add = (name) => {
    const measure = measures[name];
    if (measure.numerator) [measure.numerator, measure.denominator].forEach((each) => names.add(each));
    else names.add(name);
  };
  const texts = [page.title, ...page.visuals.map((visual) => visual.alt)].join(" ");
  for (const name of Object.keys(measures)) if (texts.includes(`{${name}`)) add(name);
  for (const visual of page.visuals) {
    [...(visual.measures ?? []), visual.sample, visual.size, visual.band].filter(Boolean).forEach((name) => {
      add(name);
      for (const filter of report.filters) if (filter.instead[name]) add(filter.instead[name]);
    });
  }
  return report.cubes.filter((cube) => cube.measures.some((name) => names.has(name)));
}

async function show() {
  const number = (showing += 1);
  const before = state;
  state = readAddress();
  const page = pages.get(state.page);
  await Promise.all(needed(page).map(unpack));
  if (number !== showing) return;
  const choice = choiceFor(page, state.choice);
  const isNew = before.page !== state.page || !byId("visuals").childElementCount;
  showNavigation();
  const focused = document.activeElement?.id;
  showFilters(page);
  if (focused) byId(focused)?.focus({ preventScroll: true });
  const hasOrders = calendar.months.length > 0 || !page.filters.length;
  const sentence = hasOrders ? filled(page.title, page, choice) : "";
  byId("question").textContent = page.question;
  byId("headline").textContent = sentence || (hasOrders ? page.question : "There are no orders in these data yet.");
  byId("question").hidden = !sentence && hasOrders;
  byId("context").textContent = contextOf(page, choice);
  document.title = `${page.name} – ${report.title}`;
  const grid = byId("visuals");
  for (const chart of grid.querySelectorAll(".chart")) erase(chart);
  grid.replaceChildren();
  if (!hasOrders) {
    grid.append(make("p", { class: "notice" }, "The page shows its figures as soon as a batch with orders is in the marts. ",
      make("a", { href: "#quality" }, "Data quality"), " says what was loaded."));
  }
  const drawings = hasOrders ? page.visuals.map((visual) => showVisual(grid, page, visual, choice)) : [];
  await Promise.all(drawings.filter(Boolean).map((drawChart) => drawChart()));
  if (number !== showing) return;
  if (isNew) window.scrollTo(0, 0);
  else byId("announcer").textContent = `${byId("context").textContent} ${byId("headline").textContent}`;
  document.body.dataset.shown = `${addressOf(state)} ${number}`;
}

function contextOf(page, choice) {
  if (!page.filters.length) return "All batches of the source.";
  const parts = [choice.period ? periodName(choice.period) : "All data"];
  for (const [dimension, member] of Object.entries(choice.members)) {
    parts.push(`${dimensions[dimension].label} ${memberName(dimension, member)}`);
  }
  const ignored = Object.keys(state.choice.members).filter((dimension) => !(dimension in choice.members));
  const note = ignored.length ? ` This page is not filtered by ${ignored.map(label).join(" and ")}.` : "";
  const fragments = choice.period ? choice.period.months.filter((month) => !calendar.full.includes(month)) : [];
  const marked = fragments.length ? ` ${fragments.length === 1 ? "One month is" : `${fragments.length} months are`} a fragment.` : "";
  return `${parts.join(" · ")}.${note}${marked}`;
}

// ---- Visuals

function showVisual(grid, page, visual, choice) {
  const [column, row, width, height] = visual.at;
  const title = `${page.id}-${visual.id}-title`;
  const panel = make("section", { class: `visual ${visual.kind}`, "aria-labelledby": title, id: `${page.id}-${visual.id}` });
  panel.style.setProperty("--column", column);
  panel.style.setProperty("--row", row);
  panel.style.setProperty("--width", width);
  panel.style.setProperty("--height", height);
  const heading = make("h2", { id: title }, visual.title);
  const tools = make("div", { class: "tools" });
  panel.append(make("div", { class: "head" }, heading, tools));
  grid.append(panel);
  if (visual.kind === "cards") {
    heading.className = "unseen";
    panel.append(make("ul", { class: "row" }, ...visual.measures.map((name) => make("li", {}, card(name, choice)))));
    return null;
  }
  if (visual.kind === "insights") return showFindings(panel, visual);
  if (visual.kind === "table") {
    showTable(panel, tools, page, visual, choice);
    tools.append(aboutButton(visual, choice));
    noteBelow(panel, visual, choice);
    return null;
  }
  tools.append(aboutButton(visual, choice));
  return showChart(panel, tools, page, visual, choice, height);
}

function aboutButton(visual, choice) {
  const open = () => define(visual.measures, choice);
  return make("button", { type: "button", class: "quiet", "aria-label": `How it is computed: ${visual.title}`, title: "How it is computed", onclick: open }, make("i", { class: "about", "aria-hidden": "true" }, "i"));
}

function noteBelow(panel, visual, choice, reason) {
  const texts = [];
  const stand = (visual.measures ?? []).filter((name) => standIn(name, choice) !== name);
  if (!reason && stand.length) texts.push(`Under this filter: ${stand.map((name) => standIn(name, choice)).join(", ")}.`);
  if (visual.note) texts.push(visual.note);
  if (texts.length) panel.append(make("p", { class: "note" }, texts.join(" ")));
}

// Puts a chart's frame on the page; returns a function that draws into it when all frames have their size.
function showChart(panel, tools, page, visual, choice, height) {
  const alt = filled(visual.alt, page, choice);
  const chart = make("div", { class: "chart", role: "img", "aria-label": alt });
  const holder = make("div", { class: "table-holder", hidden: true });
  panel.append(chart, holder);
  const { rows, reason } = chartRows(visual, choice, chart.clientWidth || 300);
  if (reason || !rows.length) {
    chart.remove();
    panel.classList.add("grey");
    panel.append(make("p", { class: "reason" }, reason ?? "No data under these filters."));
    noteBelow(panel, visual, choice, true);
    return null;
  }
  const own = ownHeight(visual, rows);
  chart.style.minHeight = `${own ?? Math.max(150, height * 40 - 76)}px`;
  const toggle = make("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: () => {
    const asTable = holder.hidden;
    if (asTable) holder.replaceChildren(chartTable(page, visual, rows));
    holder.hidden = !asTable;
    chart.hidden = asTable;
    toggle.setAttribute("aria-pressed", String(asTable));
    toggle.textContent = asTable ? "Show as chart" : "Show as table";
  } }, "Show as table");
  tools.prepend(toggle);
  noteBelow(panel, visual, choice);
  return async () => {
    const view = await draw(chart, `${page.id}/${visual.id}`, visual, rows, own ?? chart.clientHeight - 4);
    const by = visual.by ?? visual.rows;
    if (!canChoose(page, by)) return;
    chart.classList.add("clickable");
    view.addEventListener("click", (_, item) => { if (item?.datum?.key != null) chooseMember(by, item.datum.key); });
  };
}

// The rows of a chart as a table: for those who do not see it, or want the figures.
function chartTable(page, visual, rows) {
  const dimension = visual.by ?? visual.rows;
  const several = visual.kind === "line" && visual.measures.length > 1;
  const columns = [[dimensions[dimension].label, (row) => row.named]];
  if (visual.columns) columns.push([dimensions[visual.columns].label, (row) => (visual.columns === MONTH ? monthName(row.across) : row.across)]);
  if (several) columns.push(["Measure", (row) => row.series]);
  if (visual.kind === "scatter") columns.push([visual.measures[0], (row) => row.shownX]);
  columns.push([visual.kind === "pareto" ? "Cumulated share" : visual.kind === "scatter" ? visual.measures[1] : several ? "Figure" : visual.measures[0], (row) => row.shown]);
  if (visual.before) columns.push(["Year before", (row) => row.was]);
  if (visual.sample && visual.kind !== "scatter") columns.push([visual.sample, (row) => row.cases]);
  const body = rows.filter((row) => row.shown).map((row) => {
    const remark = { small: "small sample", fragment: "fragment" }[row.state];
    const cells = columns.map(([, of], place) => {
      if (place) return make("td", {}, of(row));
      const name = of(row) + (remark ? ` (${remark})` : "");
      const target = canChoose(page, dimension) && row.key != null
        ? make("button", { type: "button", class: "link", onclick: () => chooseMember(dimension, row.key) }, name)
        : name;
      return make("th", { scope: "row" }, target);
    });
    return make("tr", { class: remark ? "small" : null }, ...cells);
  });
  return make("table", {}, make("caption", { class: "unseen" }, visual.title),
    make("thead", {}, make("tr", {}, ...columns.map(([name]) => make("th", { scope: "col" }, name)))), make("tbody", {}, ...body));
}

// ---- Cards

function card(name, choice) {
  const measure = measures[name];
  const used = standIn(name, choice);
  const { value, reason } = figure(name, choice);
  const button = make("button", { type: "button", class: "card", "data-measure": name, "data-value": value ?? "", onclick: () => define([name], choice) });
  button.append(make("span", { class: "name" }, used));
  if (reason) {
    button.classList.add("grey");
    button.append(make("span", { class: "figure" }, "–"), make("span", { class: "reason" }, reason));
    return button;
  }
  const base = caseMeasure(used);
  const cases = base ? figure(base, choice).value : null;
  const isSmall = cases != null && cases < report.smallSample;
  button.append(make("span", { class: "figure", title: written(value, used) }, brief(value, used, true) || "–"));
  if (isSmall) {
    button.classList.add("small");
    button.append(make("span", { class: "reason" }, `rests on ${digits(cases, 0)} cases only`));
    return button;
  }
  const change = changeOf(name, choice);
  if (change) {
    const sign = Math.abs(change.by) < 0.0005 ? 0 : Math.sign(change.by);
    // More late orders among more orders are not bad in themselves: of counts, only growth is judged.
    const isJudged = measure.better === "higher" || !measure.additive;
    const good = isJudged ? { higher: 1, lower: -1 }[measure.better] * sign : 0;
    const tone = good > 0 ? "good" : good < 0 ? "bad" : "";
    const arrow = ["▼", "＝", "▲"][sign + 1];
    const before = spanName(choice.period.before.months);
    button.append(make("span", { class: `change ${tone}` }, `${arrow} ${writtenChange(change)}`, tone ? make("span", { class: "unseen" }, good > 0 ? " (better)" : " (worse)") : null),
      make("span", { class: "against" }, `${spanName(choice.period.comparable.months)}: ${brief(change.now, used, true)}, year before: ${brief(change.before, used, true)}`));
    button.title = `Compared with ${before}`;
  } else if (choice.period) {
    button.append(make("span", { class: "against" }, "no full year before"));
  }
  const course = courseOf(name, choice);
  if (course) button.append(course);
  return button;
}

// The course of a figure by month, as small columns; the chosen months are dark.
function courseOf(name, choice) {
  if (!choice.period || !calendar.full.length) return null;
  const { values, reason } = figures(name, [MONTH], { ...choice, period: null });
  if (reason) return null;
  const list = calendar.full.map((month) => monthNumber.get(month)).filter((number) => values.get(number) != null);
  if (list.length < 3) return null;
  const largest = Math.max(...list.map((number) => values.get(number)), 0);
  if (!largest) return null;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${list.length * 5} 24`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  list.forEach((number, place) => {
    const bar = document.createElementNS(svg.namespaceURI, "rect");
    const height = Math.max(0.5, (24 * Math.max(values.get(number), 0)) / largest);
    Object.entries({ x: place * 5, y: 24 - height, width: 3.6, height, class: choice.period.months.includes(months[number]) ? "now" : "other" })
      .forEach(([attribute, value]) => bar.setAttribute(attribute, value));
    svg.append(bar);
  });
  return svg;
}

// ---- Tables

function showTable(panel, tools, page, visual, choice) {
  const shown = without(choice, visual.by);
  const found = new Map(visual.measures.map((name) => [name, figures(name, [visual.by], shown)]));
  const failed = visual.measures.filter((name) => found.get(name).reason);
  const columns = visual.measures.filter((name) => !failed.includes(name));
  if (!columns.length) {
    panel.classList.add("grey");
    panel.append(make("p", { class: "reason" }, found.get(failed[0]).reason));
    return;
  }
  const sample = visual.sample ? figures(visual.sample, [visual.by], shown).values : null;
  const keys = new Set(columns.flatMap((name) => [...found.get(name).values.keys()]));
  const rows = [...keys].filter((member) => dimensions[visual.by].values[member] != null).map((member) => ({
    member,
    n: sample?.get(member) ?? null,
    of: new Map(columns.map((name) => [name, found.get(name).values.get(member) ?? null])),
  }));
  const sort = { by: columns.includes(visual.sort?.by) || visual.sort?.by === visual.by ? visual.sort.by : columns[0], down: visual.sort?.order !== "ascending" };
  let least = visual.minimum ?? 0;
  let most = visual.limit ?? MORE_ROWS;
  const holder = make("div", { class: "table-holder" });
  const kept = () => rows
    .filter((row) => !sample || (row.n ?? 0) >= least)
    .filter((row) => Object.entries(visual.where ?? {}).every(([name, limit]) => (row.of.get(name) ?? -Infinity) >= limit))
    .sort((one, other) => {
      const [a, b] = sort.by === visual.by ? [one.member, other.member] : [one.of.get(sort.by), other.of.get(sort.by)];
      if (a == null || b == null) return (a == null) - (b == null);
      return (sort.down ? b - a : a - b) || one.member - other.member;
    });
  if (visual.minimum != null) {
    tools.prepend(make("label", { class: "least" }, `${visual.sample} at least `, make("input", {
      type: "number", min: 0, step: 10, value: least, oninput: ({ target }) => { least = Number(target.value) || 0; fill(); },
    })));
  }
  tools.append(make("button", { type: "button", class: "quiet", title: "Save all rows as CSV", "aria-label": `Save as CSV: ${visual.title}`, onclick: () => save(page, visual, columns, kept()) }, "CSV"));
  const fill = () => {
    const list = kept();
    const head = [visual.by, ...columns].map((name) => {
      const isSorted = sort.by === name;
      const text = name === visual.by ? dimensions[name].label : standIn(name, shown);
      const press = () => {
        if (isSorted) sort.down = !sort.down; else { sort.by = name; sort.down = name !== visual.by; }
        fill();
        holder.querySelectorAll("th button")[[visual.by, ...columns].indexOf(name)]?.focus();
      };
      return make("th", { scope: "col", "aria-sort": isSorted ? (sort.down ? "descending" : "ascending") : null },
        make("button", { type: "button", class: "sort", onclick: press }, text, make("span", { "aria-hidden": "true" }, isSorted ? (sort.down ? " ↓" : " ↑") : "")));
    });
    const body = list.slice(0, most).map((row) => {
      const isSmall = row.n != null && row.n < report.smallSample;
      const isPicked = state.choice.members[visual.by] === row.member;
      const name = memberName(visual.by, row.member);
      const short = name.length > 20 && !name.includes(" ") ? make("span", { title: name, class: "identity" }, name) : name;
      const target = canChoose(page, visual.by)
        ? make("button", { type: "button", class: "link", "aria-pressed": String(isPicked), onclick: () => chooseMember(visual.by, row.member) }, short)
        : short;
      return make("tr", { class: isSmall ? "small" : isPicked ? "picked" : null, "data-member": dimensions[visual.by].values[row.member] },
        make("th", { scope: "row" }, target, isSmall ? make("span", { class: "unseen" }, " (small sample)") : null),
        ...columns.map((measure) => make("td", { "data-measure": measure, "data-value": row.of.get(measure) ?? "" }, cell(row, measure, list))));
    });
    const table = make("table", {}, make("caption", { class: "unseen" }, visual.title),
      make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
    const more = list.length > most
      ? make("button", { type: "button", class: "more", onclick: () => { most = list.length > 500 && most < 100 ? most + 75 : most + 500; fill(); } }, `Show more of ${digits(list.length, 0)}`)
      : null;
    holder.replaceChildren(list.length ? table : make("p", { class: "reason" }, "No row under these filters."), ...(more ? [more] : []));
  };
  fill();
  panel.append(holder);
  if (columns.length > 4) panel.append(make("p", { class: "wider" }, "More columns on a wider screen, and in the CSV."));
  for (const name of failed) panel.append(make("p", { class: "reason" }, found.get(name).reason));
}

// A share has a bar behind its figure.
function cell(row, name, list) {
  const value = row.of.get(name);
  const text = written(value, name).replace(` ${measures[name].unit ?? "%"}`, measures[name].unit ? "" : "%").replace(`${measures[name].unit} `, "");
  if (value == null || !measures[name].format.endsWith("%")) return text;
  const largest = Math.max(...list.map((each) => each.of.get(name) ?? 0), 0);
  const bar = make("i", { class: "bar", "aria-hidden": "true" });
  bar.style.setProperty("--share", largest ? Math.max(0, value / largest) : 0);
  return make("span", { class: "barred" }, bar, text);
}

function save(page, visual, columns, rows) {
  const quoted = (value) => (/[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : value);
  const lines = [[dimensions[visual.by].label, ...columns], ...rows.map((row) =>
    [dimensions[visual.by].values[row.member], ...columns.map((name) => row.of.get(name) ?? "")])];
  const address = URL.createObjectURL(new Blob([lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n"], { type: "text/csv" }));
  make("a", { href: address, download: `${page.id}_${visual.id}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

// ---- Findings

function showFindings(panel, visual) {
  const { findings = [], notShown = [], period, method } = report.insights ?? {};
  if (!findings.length) {
    panel.append(make("p", { class: "reason" }, notShown.length
      ? "These data show none of the findings that the report knows: their samples are too small, or the figures say otherwise."
      : "There are no findings for this source."));
    return null;
  }
  panel.append(make("p", { class: "note" }, `${period}, all states and categories: the filters above do not change these.`));
  const fields = [["answer", "Answer"], ["sample", "Sample and interval"], ["other_explanations", "What else could explain it"], ["action", "On Monday"],
    ["measure_of_success", "How to tell whether it worked"], ["disproof", "What would disprove it"]];
  const holder = make("div", { class: "findings" });
  panel.append(holder);
  findings.forEach((finding, place) => {
    const list = make("dl", {}, ...fields.filter(([field]) => finding.texts[field]).flatMap(([field, name]) =>
      [make("dt", {}, name), make("dd", {}, finding.texts[field])]));
    holder.append(make("article", { class: "finding" },
      make("h3", {}, `${place + 1}. ${finding.texts.title}`),
      make("p", { class: "summary" }, finding.texts.summary),
      make("details", {}, make("summary", {}, "Figures, doubts, and how to tell"), list, findingTable(finding.table),
        make("details", {}, make("summary", {}, "SQL"), make("pre", { tabindex: 0 }, finding.sql)))));
  });
  if (notShown.length) {
    holder.append(make("details", { class: "finding" }, make("summary", {}, "Looked for, and not found in these data"),
      make("dl", {}, ...notShown.flatMap(({ title, reason }) => [make("dt", {}, title), make("dd", {}, reason)]))));
  }
  if (method) holder.append(make("details", { class: "finding" }, make("summary", {}, "How far to trust it"), make("p", {}, method)));
  return null;
}

function findingTable(table) {
  if (!table) return null;
  return make("div", { class: "table-holder" }, make("table", {}, make("caption", {}, table.title),
    make("thead", {}, make("tr", {}, ...table.columns.map((name) => make("th", { scope: "col" }, name.replaceAll("_", " "))))),
    make("tbody", {}, ...table.rows.map((row) => make("tr", {}, ...row.map((value) =>
      make("td", {}, typeof value === "number" ? value.toLocaleString("en-US", { maximumFractionDigits: 2 }) : String(value ?? ""))))))));
}

// ---- What a figure means and rests on

function define(names, choice) {
  const dialog = byId("definition");
  const parts = names.map((name) => {
    const used = standIn(name, choice);
    const measure = measures[used];
    const { value, reason } = figure(name, choice);
    const instead = used === name ? null : make("p", {}, `Stands for ${name} under this filter.`);
    const below = measure.numerator ? make("p", {}, `${measure.numerator} divided by ${measure.denominator}.`) : null;
    const sql = make("pre", { tabindex: 0, "data-measure": name }, sqlOf(used, choice));
    return make("article", {}, make("h3", {}, used),
      make("p", {}, measure.description), below, instead,
      make("p", { class: "value" }, reason ?? `${written(value, used)}, under the chosen filters.`),
      make("p", { class: "note" }, `One row of the relation is ${relations[measure.relation].grain}.`), sql);
  });
  dialog.replaceChildren(
    make("div", { class: "head" }, make("h2", { id: "definition-title" }, "What it means, and what it rests on"),
      make("button", { type: "button", class: "quiet", onclick: () => dialog.close(), autofocus: true }, "Close")),
    ...parts, batchesTable());
  dialog.showModal();
}

function batchesTable() {
  const { count, tables } = report.batches;
  const columns = [["Table", (row) => row.table], ["Batches", (row) => digits(row.batches, 0)], ["First", (row) => row.first], ["Last", (row) => row.last],
    ["Records", (row) => digits(row.records, 0)], ["Bad", (row) => digits(row.rejected + row.quarantined, 0)], ["Loaded", (row) => digits(row.loaded, 0)], ["When", (row) => row.loadedAt]];
  return make("article", {}, make("h3", {}, "The batches that every figure rests on"),
    make("p", {}, `${digits(count, 0)} ${count === 1 ? "batch" : "batches"} of the source ${report.source}, workspace ${report.workspace}. Bad are records that were rejected (unreadable) or quarantined (invalid).`),
    make("div", { class: "table-holder" }, make("table", {}, make("thead", {}, make("tr", {}, ...columns.map(([name]) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...tables.map((row) => make("tr", {}, ...columns.map(([, of], place) => make(place ? "td" : "th", place ? {} : { scope: "row" }, of(row)))))))));
}

byId("definition").addEventListener("click", (event) => { if (event.target === byId("definition")) byId("definition").close(); });

// ---- Dark and light

const THEMES = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = THEMES[theme];
  try { localStorage.setItem("theme", theme); } catch { /* A browser may refuse storage to a file: the choice lasts until it is closed. */ }
}

byId("theme").addEventListener("click", () => {
  const order = Object.keys(THEMES);
  setTheme(order[(order.indexOf(document.documentElement.dataset.theme) + 1) % order.length]);
  show();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show());

// ---- Start

function start() {
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { theme = null; }
  setTheme(theme in THEMES ? theme : "auto");
  const newest = report.batches.tables.map((row) => row.loadedAt).filter(Boolean).sort().pop();
  byId("origin").textContent = `${digits(report.batches.count, 0)} ${report.batches.count === 1 ? "batch" : "batches"}${newest ? `, the last one loaded ${newest}` : ""}. ` +
    "Every figure opens its definition, its SQL and the batches it rests on.";
  if (typeof DecompressionStream === "undefined") {
    byId("content").prepend(make("p", { class: "notice" }, "This browser is too old for this page: it needs Chrome 80, Firefox 113, Safari 16.4 or newer."));
    return;
  }
  let width = innerWidth;
  addEventListener("resize", () => { if ((innerWidth < PHONE) !== (width < PHONE)) show(); width = innerWidth; });
  addEventListener("hashchange", show);
  byId("skip").addEventListener("click", (event) => { event.preventDefault(); byId("content").focus(); });
  show();
}

start();
