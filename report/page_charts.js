// A visual and a choice -> the rows of its chart (lakehouse/report/charts.py says what is in a row), and the drawing.

const MAXIMUM_TEXT = 36; // marks beyond which only the extremes are labelled
const LETTER = 6.2; // px, on average, of a label

// {rows, reason}: what the chart shows, or why it shows nothing. `width` is that of the chart, in px.
function chartRows(visual, choice, width) {
  return { columns: memberRows, line: lineRows, bars: memberRows, matrix: matrixRows, scatter: scatterRows, pareto: paretoRows }[
    visual.kind
  ](visual, choice, width);
}

// A chart by month shows the months around a chosen month or quarter, too, so that it can be compared.
function shownChoice(visual, choice) {
  const split = [visual.by, visual.rows, visual.columns].filter(Boolean);
  const wider = without(choice, ...split);
  if (split.includes(MONTH) && choice.period && ["month", "quarter"].includes(choice.period.kind)) {
    wider.period = periods.get("full") ?? periods.get("whole");
    if (!choice.period.months.every((month) => wider.period.months.includes(month))) wider.period = periods.get("whole");
  }
  return wider;
}

const isChosen = (dimension, member, choice) =>
  dimension === MONTH
    ? !choice.period || choice.period.months.includes(months[member])
    : choice.members[dimension] == null || choice.members[dimension] === member;

function stateOf(visual, dimension, member, choice, cases) {
  if (!isChosen(dimension, member, choice)) return "rest";
  if (cases != null && cases < report.smallSample) return "small";
  return dimension === MONTH && !isFull.has(member) ? "fragment" : "full";
}

function memberRows(visual, choice, width) {
  const [name] = visual.measures;
  const dimension = visual.by;
  const shown = shownChoice(visual, choice);
  const { values, reason } = figures(name, [dimension], shown);
  if (reason) return { reason };
  const base = visual.sample ?? caseMeasure(standIn(name, shown));
  const cases = base ? figures(base, [dimension], shown).values : null;
  const before = visual.before ? beforeValues(name, dimension, shown) : null;
  const band = visual.band ? figure(visual.band, choice).value : null;
  let rows = [...values].filter(([, value]) => value != null).map(([member, value]) => ({
    key: member,
    named: memberName(dimension, member),
    value,
    before: before?.get(member) ?? null,
    n: cases?.get(member) ?? null,
    state: stateOf(visual, dimension, member, choice, cases?.get(member)),
    band,
    bandText: band == null ? "" : `all ${shortLabel(band, visual.band)}`,
  }));
  const inOrder = visual.kind === "columns";
  rows.sort(inOrder ? (one, other) => one.key - other.key : byFigure(visual));
  if (!inOrder && visual.limit && rows.length > visual.limit) rows = limited(rows, visual, name);
  markWorst(rows, name);
  const room = width / Math.max(rows.length, 1);
  const extremes = extremeRows(rows);
  rows.forEach((row, order) => {
    row.order = order;
    // Vega-Lite names an axis by this text: the month in a form that its label expression reads.
    row.member = dimension === MONTH ? months[row.key] : row.named;
    row.shown = written(row.value, standIn(name, shown));
    row.was = row.before == null ? "–" : written(row.before, name);
    row.cases = row.n == null ? "–" : digits(row.n, 0);
    const text = shortLabel(row.value, name);
    const fits = !inOrder || text.length * LETTER <= room - 2 || (extremes.has(row) && row.state !== "rest");
    row.text = fits ? text + (row.state === "small" && !inOrder ? `  (n ${row.cases})` : "") : "";
  });
  return { rows };
}

const shortLabel = (value, name) => brief(value, name).replace(" %", "%").replace(" M", "M").replace(" k", "k");

function byFigure(visual) {
  const ascending = visual.sort?.order === "ascending" ? -1 : 1;
  return (one, other) => ascending * (other.value - one.value) || one.key - other.key;
}

// The largest members, and the rest as one bar if their figures add up.
function limited(rows, visual, name) {
  const kept = rows.slice(0, visual.limit);
  const rest = rows.slice(visual.limit);
  if (!measures[name].additive) return kept;
  const total = (field) => rest.reduce((sum, row) => sum + (row[field] ?? 0), 0);
  const before = rest.some((row) => row.before != null) ? total("before") : null;
  return [...kept, { named: `${rest.length} others`, value: total("value"), before, n: null, state: "rest", band: kept[0].band }];
}

function beforeValues(name, dimension, choice) {
  if (dimension === MONTH) {
    const all = figures(name, [MONTH], { ...choice, period: null }).values ?? new Map();
    const found = new Map();
    months.forEach((month, number) => {
      const year = monthNumber.get(`${month.slice(0, 4) - 1}${month.slice(4)}`);
      if (isFull.has(number) && isFull.has(year)) found.set(number, all.get(year));
    });
    return found;
  }
  const { period } = choice;
  if (!period || period.comparable.months.length !== period.months.length) return null;
  return figures(name, [dimension], choice, "before").values ?? null;
}

// Marks the highest figure where less is better, the lowest one where more is better and figures are shares or means.
function markWorst(rows, name) {
  const { better, additive } = measures[name];
  if (!better || additive) return;
  const judged = rows.filter((row) => row.state === "full");
  if (judged.length < 3) return;
  const sign = better === "lower" ? 1 : -1;
  const worst = judged.reduce((found, row) => (sign * row.value > sign * found.value ? row : found));
  worst.state = "high";
}

function extremeRows(rows) {
  const judged = rows.filter((row) => ["full", "high"].includes(row.state));
  if (!judged.length) return new Set(rows.slice(0, 1));
  const highest = judged.reduce((found, row) => (row.value > found.value ? row : found));
  const last = judged[judged.length - 1];
  return new Set(last.band == null ? [highest, last] : [highest]); // the name of the reference line stands at its end
}

function lineRows(visual, choice) {
  const shown = shownChoice(visual, choice);
  const rows = [];
  for (const name of visual.measures) {
    const { values, reason } = figures(name, [visual.by], shown);
    if (reason) return { reason };
    const base = visual.sample ?? caseMeasure(standIn(name, shown));
    const cases = base ? figures(base, [visual.by], shown).values : null;
    const own = [...values].filter(([, value]) => value != null).sort(([one], [other]) => one - other)
      .map(([member, value], place) => ({
        key: member,
        named: memberName(visual.by, member),
        member: visual.by === MONTH ? months[member] : memberName(visual.by, member),
        order: member,
        series: name,
        value,
        n: cases?.get(member) ?? null,
        state: stateOf(visual, visual.by, member, choice, cases?.get(member)),
        shown: written(value, name),
        cases: cases?.get(member) == null ? "–" : digits(cases.get(member), 0),
        text: "",
        place,
      }));
    if (visual.measures.length === 1) markWorst(own, name);
    const last = own[own.length - 1];
    const full = own.filter((row) => row.state !== "fragment");
    if (visual.measures.length > 1 && last) (full[full.length - 1] ?? last).text = shortSeries(name);
    else for (const row of own.filter((each) => each.state === "high" || each === last)) row.text = shortLabel(row.value, name);
    rows.push(...own);
  }
  spread(rows);
  return { rows };
}

// Moves the names of lines apart where the lines end close together. `textAt`: where on the scale a name stands.
function spread(rows) {
  const largest = Math.max(...rows.map((row) => row.value));
  const apart = 0.12 * largest;
  const named = rows.filter((row) => row.text).sort((one, other) => one.value - other.value);
  rows.forEach((row) => { row.textAt = row.value; });
  const isSeries = new Set(named.map((row) => row.series)).size > 1;
  if (isSeries) named.forEach((row, place) => { if (place) row.textAt = Math.max(row.value, named[place - 1].textAt + apart); });
}

// "Average Promised Days" -> "promised", beside the others of its chart.
const shortSeries = (name) => name.replace(/^Average /, "").replace(/ Days\b/, "").replace(/^Delivery /, "").toLowerCase().replace("p90", "P90");

function matrixRows(visual, choice, width) {
  const [name] = visual.measures;
  const shown = shownChoice(visual, choice);
  const { values, reason } = figures(name, [visual.rows, visual.columns], shown);
  if (reason) return { reason };
  const base = visual.sample ?? caseMeasure(standIn(name, shown));
  const cases = base ? figures(base, [visual.rows, visual.columns], shown).values : null;
  const found = [...values].filter(([, value]) => value != null).map(([key, value]) => {
    const [row, column] = key.split(",").map(Number);
    return { row, column, value, n: cases?.get(key) ?? null };
  });
  const largest = Math.max(...found.filter((cell) => cell.n == null || cell.n >= report.smallSample).map((cell) => cell.value), 0);
  const columns = new Set(found.map((cell) => cell.column)).size;
  const room = (width - 90) / Math.max(columns, 1);
  const inside = (value) => (measures[name].format.endsWith("%") ? digits(value * 100, 0) : shortLabel(value, name));
  const fits = found.every((cell) => inside(cell.value).length * LETTER <= room - 3); // all of them, or none
  // The largest members first, where a sample says how large they are; else their own order.
  const weight = new Map();
  for (const { row, n } of found) weight.set(row, (weight.get(row) ?? 0) + (n ?? 0));
  const placed = new Map([...weight].sort((one, other) => other[1] - one[1] || one[0] - other[0]).map(([row], place) => [row, place]));
  const rows = found.map((cell) => {
    const small = cell.n != null && cell.n < report.smallSample;
    return {
      key: cell.row,
      named: memberName(visual.rows, cell.row),
      member: memberName(visual.rows, cell.row),
      across: visual.columns === MONTH ? months[cell.column] : memberName(visual.columns, cell.column),
      order: placed.get(cell.row),
      acrossOrder: cell.column,
      value: Math.min(cell.value, largest),
      shown: written(cell.value, name),
      cases: cell.n == null ? "–" : digits(cell.n, 0),
      n: cell.n,
      state: small ? "small" : "full",
      strong: !small && cell.value > 0.55 * largest,
      text: fits ? inside(cell.value) : "",
    };
  });
  return { rows };
}

function scatterRows(visual, choice) {
  const [across, up] = visual.measures;
  const shown = shownChoice(visual, choice);
  const found = [across, up, visual.size, visual.sample].map((name) => (name ? figures(name, [visual.by], shown) : { values: new Map() }));
  const failed = found.find(({ reason }) => reason);
  if (failed) return failed;
  const [x, y, size, sample] = found.map(({ values }) => values);
  const rows = [...y].filter(([member, value]) => value != null && x.get(member) > 0 && (sample.get(member) ?? 0) >= (visual.minimum ?? 0))
    .map(([member, value]) => ({
      key: member,
      member: memberName(visual.by, member).slice(0, 8),
      named: memberName(visual.by, member),
      x: x.get(member),
      y: value,
      size: size.get(member) ?? 1,
      value,
      shownX: written(x.get(member), across),
      shownY: written(value, up),
      shownSize: visual.size ? written(size.get(member), visual.size) : "",
      shown: written(value, up),
      state: "full",
      text: "",
    }));
  const limit = Object.values(visual.where ?? {})[0];
  rows.sort((one, other) => other.y - one.y);
  rows.forEach((row, place) => {
    if (limit != null && row.y >= limit) row.state = "high";
    if (place < 3) row.text = row.member;
  });
  return { rows };
}

function paretoRows(visual, choice) {
  const [name] = visual.measures;
  const { values, reason } = figures(name, [visual.by], shownChoice(visual, choice));
  if (reason) return { reason };
  const sorted = [...values.values()].filter((value) => value > 0).sort((one, other) => other - one);
  const total = sorted.reduce((sum, value) => sum + value, 0);
  const marks = [0.01, 0.05, 0.2, 0.5].map((share) => Math.max(1, Math.round(share * sorted.length)));
  const step = Math.max(1, Math.floor(sorted.length / 150));
  const rows = [{ x: 0, y: 0, text: "" }];
  let sum = 0;
  sorted.forEach((value, place) => {
    sum += value;
    const count = place + 1;
    const isMark = marks.includes(count);
    if (!isMark && count % step && count !== sorted.length) return;
    const row = { x: count / sorted.length, y: sum / total, text: "" };
    if (isMark) row.text = `${digits(count, 0)} (${digits(100 * row.x, 0)}%) have ${digits(100 * row.y, 0)}%`;
    Object.assign(row, { named: `the ${digits(count, 0)} largest`, value: row.y, shown: `${digits(100 * row.y, 1)} %` });
    rows.push(row);
  });
  return sorted.length ? { rows } : { rows: [] };
}

// ---- Drawing

const drawn = new Map(); // element -> Vega's view

function themeOf(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const font = style.fontFamily;
  const text = { font, fontSize: 11, fill: colour("ink"), color: colour("ink") };
  return {
    background: null,
    font,
    padding: { left: 2, right: 16, top: 4, bottom: 2 },
    aria: false,
    view: { stroke: null },
    axis: {
      labelColor: colour("ink-2"), titleColor: colour("ink-2"), domainColor: colour("rule"), gridColor: colour("grid"),
      labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal", labelFont: font, titleFont: font,
    },
    range: {
      category: ["figure", "high", "rest", "small", "fragment"].map(colour),
      heatmap: [colour("heat-0"), colour("heat-1"), colour("heat-2")],
      ramp: [colour("heat-0"), colour("heat-1"), colour("heat-2")],
    },
    style: {
      before: { color: colour("before") },
      label: text,
      weak: { ...text, fontSize: 10 },
      strong: { ...text, fontSize: 10, fill: colour("on-heat"), color: colour("on-heat") },
      band: { color: colour("rule"), strokeWidth: 1 },
      bandLabel: { ...text, fill: colour("ink-2"), fontStyle: "italic" },
      course: { color: colour("figure"), strokeWidth: 2 },
      point: { color: colour("figure") },
      few: { color: colour("small"), stroke: colour("surface"), strokeWidth: 1 },
      cell: { stroke: colour("surface"), strokeWidth: 1 },
      dot: { fillOpacity: 0.55 },
      area: { color: colour("before"), fillOpacity: 0.35 },
    },
  };
}

// Bars and matrices are as high as their members need, in px; other charts as the frame.
function ownHeight(visual, rows) {
  const count = new Set(rows.map((row) => row.member)).size;
  if (visual.kind === "bars") return Math.max(60, count * 24 + (visual.band ? 20 : 6));
  return visual.kind === "matrix" ? Math.max(100, count * 22 + 30) : null;
}

async function draw(element, key, visual, rows, height) {
  erase(element);
  const specification = structuredClone(report.specifications[key]);
  Object.assign(specification, {
    width: "container",
    height,
    autosize: { type: "fit", contains: "padding" },
    datasets: { rows },
    data: { name: "rows" },
    config: themeOf(element),
  });
  // The members in their order, also those that a layer has no mark for.
  const places = visual.kind === "bars" ? [["y", "member"]] : visual.kind === "matrix" ? [["x", "across"], ["y", "member"]] : [["x", "member"]];
  for (const layer of ["scatter", "pareto"].includes(visual.kind) ? [] : specification.layer) {
    for (const [channel, field] of places) {
      const scale = layer.encoding[channel];
      if (scale?.field === field) scale.scale = { ...scale.scale, domain: inOrder(rows, field) };
    }
  }
  // A layer without a figure would have no scale.
  for (const [field, styles] of [["before", ["before"]], ["band", ["band", "bandLabel"]]]) {
    if (rows.every((row) => row[field] == null)) {
      specification.layer = specification.layer.filter((layer) => !styles.includes(layer.mark.style));
    }
  }
  const before = specification.layer.find((layer) => layer.mark.style === "before");
  if (before && visual.kind === "columns") before.mark.xOffset = -Math.max(3, (0.18 * element.clientWidth) / rows.length);
  // `ast`: Vega interprets its expressions instead of compiling them, which the page's policy forbids.
  // The frame around it has a text for screen readers, so that they need not read every mark.
  const canvas = make("div", { class: "canvas", "aria-hidden": "true" });
  element.append(canvas);
  const { view } = await vegaEmbed(canvas, specification, {
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, tooltip: { theme: "custom", disableDefaultStyle: true },
  });
  drawn.set(element, view);
  return view;
}

function inOrder(rows, field) {
  const order = field === "across" ? "acrossOrder" : "order";
  return [...new Set([...rows].sort((one, other) => one[order] - other[order]).map((row) => row[field]))];
}

function erase(element) {
  drawn.get(element)?.finalize();
  drawn.delete(element);
  element.replaceChildren();
}
