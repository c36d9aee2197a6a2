"use strict";
// Cubes -> figures under the reader's choice. Nothing here touches the page.
//
// A choice is {period, members}: a period of the calendar, and per dimension the position of the chosen member.
// A figure is asked by measure and `by`, the dimensions that it is split by; the answer is a Map from the positions of
// the members (joined by a comma; "" without `by`) to a number or null, or a reason why there is no answer.

const report = JSON.parse(document.getElementById("report").textContent);
const { measures, dimensions, relations, calendar } = report;
const MONTH = calendar.dimension;
const months = dimensions[MONTH].values;
const monthNumber = new Map(months.map((month, number) => [month, number]));
const isFull = new Set(calendar.full.map((month) => monthNumber.get(month)));
const pages = new Map(report.pages.map((page) => [page.id, page]));
const filters = new Map(report.filters.map((filter) => [filter.id, filter]));
const periods = new Map(calendar.periods.map((period) => [period.id, period]));

// ---- The cubes: compressed in the page, unpacked when a page first needs them.

const unpacked = new Map();

async function unpack(head) {
  if (!unpacked.has(head.block)) {
    const text = document.getElementById(head.block).textContent;
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const columns = JSON.parse(await new Response(stream).text());
    const named = {};
    [...head.dimensions, ...head.measures].forEach((name, place) => { named[name] = columns[place]; });
    unpacked.set(head.block, { ...head, columns: named });
  }
}

// ---- What is asked

// The page's own filters, as they are chosen: a filter that a page does not have does not apply to it.
function choiceFor(page, choice) {
  const members = {};
  for (const id of page.filters) {
    const { dimension } = filters.get(id);
    if (dimension !== MONTH && choice.members[dimension] != null) members[dimension] = choice.members[dimension];
  }
  return { period: page.filters.includes("period") ? periods.get(choice.period) : null, members };
}

// The measure that stands for this one under a filter that it does not know.
function standIn(name, choice) {
  for (const filter of report.filters) {
    if (choice.members[filter.dimension] != null && !knows(name, filter.dimension) && filter.instead[name]) {
      return filter.instead[name];
    }
  }
  return name;
}

function knows(name, dimension) {
  return relations[measures[name].relation].dimensions.includes(dimension);
}

const label = (dimension) => dimensions[dimension].label.toLowerCase();

// Months to count, by position; null: all, also dates that are not known and months without an order. `span`: the period itself, its comparable months, or the year before.
function monthsOf(choice, span) {
  if (!choice.period || (choice.period.kind === "whole" && span === "period")) return null;
  const list = span === "period" ? choice.period.months : choice.period[span].months;
  return list.map((month) => monthNumber.get(month));
}

function figures(name, by, choice, span = "period") {
  const measure = measures[standIn(name, choice)];
  if (measure.numerator) {
    const above = part(measures[measure.numerator], by, choice, span);
    const below = part(measures[measure.denominator], by, choice, span);
    if (above.reason || below.reason) return { reason: above.reason || below.reason };
    const values = new Map();
    for (const [key, value] of below.values) {
      const over = above.values.get(key);
      values.set(key, value && over != null ? over / value : null);
    }
    return { values };
  }
  return part(measure, by, choice, span);
}

// The figure of all members together.
function figure(name, choice, span = "period") {
  const { values, reason } = figures(name, [], choice, span);
  return reason ? { value: null, reason } : { value: values.get("") ?? null };
}

// On how many cases a figure rests, if that is known: a ratio rests on what it is divided by.
function caseMeasure(name) {
  const below = measures[name].denominator;
  return below && measures[below].format === "#,0" && !measures[below].unit ? below : null;
}

// ---- Where the answer lies

function part(measure, by, choice, span) {
  const chosen = Object.keys(choice.members).filter((dimension) => !by.includes(dimension));
  const unknown = [...by, ...chosen].find((dimension) => !knows(measure.name, dimension));
  if (unknown) {
    const { grain } = relations[measure.relation];
    return { reason: `${measure.name} counts ${grain.split(";")[0]}: it has no ${label(unknown)}.` };
  }
  if (measure.counts) return members(measure, by, chosen, choice, span);
  return measure.additive ? summed(measure, by, chosen, choice, span) : lookedUp(measure, by, chosen, choice, span);
}

// An additive figure: the smallest cube that has what is asked, summed over the rest.
function summed(measure, by, chosen, choice, span) {
  const needed = new Set([...by, ...chosen]);
  const wanted = knows(measure.name, MONTH) ? monthsOf(choice, span) : null;
  if (wanted) needed.add(MONTH);
  const fits = (cube) =>
    cube.relation === measure.relation && cube.measures.includes(measure.name) && !cube.dimensions.includes("period") &&
    [...needed].every((dimension) => cube.dimensions.includes(dimension)) &&
    cube.dimensions.every((dimension) => needed.has(dimension) || !(measure.overlapping || []).includes(dimension));
  const found = report.cubes.filter(fits).sort((one, other) => one.rows - other.rows)[0];
  if (!found) return { reason: notTogether(measure, [...chosen, ...by]) };
  const { columns, rows } = unpacked.get(found.block);
  const keep = new Uint8Array(months.length).fill(wanted ? 0 : 1);
  for (const month of wanted || []) keep[month] = 1;
  const month = columns[MONTH];
  const tests = chosen.map((dimension) => [columns[dimension], choice.members[dimension]]);
  const keys = by.map((dimension) => columns[dimension]);
  const figure = columns[measure.name];
  const values = new Map();
  for (let row = 0; row < rows; row += 1) {
    if (month && !keep[month[row]]) continue;
    if (tests.some(([column, member]) => column[row] !== member)) continue;
    const key = keys.length === 1 ? keys[0][row] : keys.map((column) => column[row]).join(",");
    const value = figure[row];
    if (value != null) values.set(key, (values.get(key) ?? 0) + value);
    else if (!values.has(key)) values.set(key, null);
  }
  // A count of nothing is nothing; a sum of nothing is not known.
  if (!by.length && !values.has("")) values.set("", measure.sql.startsWith("count") ? 0 : null);
  return { values };
}

// How many members of a dimension are there: in one cell of a cube or in several, each counts once.
function members(measure, by, chosen, choice, span) {
  const { values, reason } = summed({ ...measure, overlapping: [] }, [...by, measure.counts], chosen, choice, span);
  if (reason) return { reason };
  const counted = new Map(by.length ? [] : [["", 0]]);
  for (const [key, value] of values) {
    const group = by.length ? String(key).split(",").slice(0, -1).join(",") : "";
    const place = by.length === 1 ? Number(group) : group;
    counted.set(place, (counted.get(place) ?? 0) + (value > 0 ? 1 : 0));
  }
  return { values: counted };
}

// A figure that does not add up: computed ahead for each period and one filter.
function lookedUp(measure, by, chosen, choice, span) {
  const split = by.filter((dimension) => dimension !== MONTH);
  const byMonth = split.length < by.length;
  const hasMonths = knows(measure.name, MONTH);
  const needed = new Set([...split, ...chosen, ...(hasMonths ? ["period"] : [])]);
  const found = report.cubes.find((cube) =>
    cube.relation === measure.relation && cube.measures.includes(measure.name) &&
    cube.dimensions.length === needed.size && cube.dimensions.every((dimension) => needed.has(dimension)));
  if (!found || (byMonth && split.length)) return { reason: notTogether(measure, [...chosen, ...split]) };
  const { columns, rows } = unpacked.get(found.block);
  const asked = new Map();
  if (byMonth) {
    const wanted = monthsOf(choice, span);
    for (const [month, set] of Object.entries(calendar.sets)) {
      if (!wanted || wanted.includes(monthNumber.get(month))) asked.set(set, monthNumber.get(month));
    }
  } else if (hasMonths) {
    const { set } = span === "period" ? choice.period ?? periods.get("whole") : choice.period[span];
    asked.set(set, "");
  }
  const periodOf = columns.period && dimensions.period.values.map(Number);
  const values = new Map();
  for (let row = 0; row < rows; row += 1) {
    const set = periodOf ? periodOf[columns.period[row]] : null;
    if (periodOf && !asked.has(set)) continue;
    if (chosen.some((dimension) => columns[dimension][row] !== choice.members[dimension])) continue;
    const key = byMonth ? asked.get(set) : split.map((dimension) => columns[dimension][row]).join(",");
    values.set(split.length === 1 ? Number(key) : key, columns[measure.name][row]);
  }
  if (!by.length && !values.has("")) values.set("", measure.sql.startsWith("count") ? 0 : null);
  return { values };
}

function notTogether(measure, chosen) {
  const names = [...new Set(chosen)].map(label).join(" and ");
  return `${measure.name} does not add up over groups, and it was not computed by ${names} together. ` +
    "Take a filter away to see it.";
}

// ---- Figures in words

const DECIMALS = { "#,0": 0, "#,0.00": 2, "0.0": 1, "0.00": 2, "0.0%": 1, "0.00%": 2 };
const isMoney = (unit) => /\p{Sc}$/u.test(unit);
const digits = (number, decimals) =>
  number.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });

function withUnit(text, { unit }) {
  if (!unit) return text;
  return isMoney(unit) ? `${unit} ${text}` : `${text} ${unit}`;
}

function written(value, name) {
  if (value == null) return "–";
  const measure = measures[name];
  const decimals = DECIMALS[measure.format];
  if (measure.format.endsWith("%")) return `${digits(value * 100, decimals)} %`;
  return withUnit(digits(value, decimals), measure);
}

// As short as a label beside a mark or the figure on a card: 13.5 M, 214 k.
function brief(value, name, unit = false) {
  if (value == null) return "";
  const measure = measures[name];
  if (measure.format.endsWith("%") || !measure.format.startsWith("#")) return unit ? written(value, name) : written(value, name).replace(` ${measure.unit}`, "");
  const size = Math.abs(value);
  let text = digits(value, size < 1000 ? DECIMALS[measure.format] && size < 100 ? 2 : 0 : 0);
  if (unit && !measure.unit && size < 999500) return digits(value, 0); // a count
  if (size >= 999500) text = `${digits(value / 1e6, size >= 99.95e6 ? 0 : size >= 9.995e6 ? 1 : 2)} M`;
  else if (size >= 9995) text = `${digits(value / 1e3, size >= 99950 ? 0 : 1)} k`;
  return unit ? withUnit(text, measure) : text;
}

const MONTH_NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function monthName(month) {
  return /^\d{4}-\d{2}$/.test(month) ? `${MONTH_NAMES[Number(month.slice(5)) - 1]} ${month.slice(0, 4)}` : month;
}

// The name of a member, as people read it.
function memberName(dimension, position) {
  const name = dimensions[dimension].members[position];
  if (name == null) return "not known";
  if (dimension === MONTH) return monthName(name);
  return String(name).replaceAll("_", " ");
}

function spanName(list) {
  if (!list.length) return "";
  const [first, last] = [list[0], list[list.length - 1]];
  if (first === last) return monthName(first);
  if (first.slice(0, 4) === last.slice(0, 4)) return `${MONTH_NAMES[first.slice(5) - 1]}–${monthName(last)}`;
  return `${monthName(first)} – ${monthName(last)}`;
}

function periodName(period) {
  if (period.kind === "full") return `Full months, ${spanName(period.months)}`;
  if (period.kind === "whole") return "All data";
  if (period.kind === "month") return monthName(period.id);
  return period.kind === "quarter" ? period.id.replace("-", " ") : period.id;
}

// The change to the year before, of the months that have one; null if there is none.
function changeOf(name, choice) {
  if (!choice.period || !choice.period.before.months.length) return null;
  const now = figure(name, choice, "comparable").value;
  const before = figure(name, choice, "before").value;
  if (now == null || before == null) return null;
  const isShare = measures[name].format.endsWith("%");
  if (!isShare && !before) return null;
  return { now, before, by: isShare ? now - before : now / before - 1, isShare };
}

// In per cent; between two shares in percentage points.
function writtenChange({ by, isShare }) {
  const size = Math.abs(by * 100);
  const decimals = size < 10 ? 1 : 0;
  const sign = Number(size.toFixed(decimals)) === 0 ? "±" : by > 0 ? "+" : "−";
  return `${sign}${digits(size, decimals)} ${isShare ? "pp" : "%"}`;
}

// ---- Sentences with figures

function filled(template, page, choice) {
  const known = (text) => {
    let complete = true;
    const done = text.replace(/\{([^{}|]+?)\s*(?:\|\s*([^{}]*))?\}/g, (_, name, words) => {
      const found = placeholder(name, (words || "").trim(), page, choice);
      if (found == null) complete = false;
      return found ?? "–";
    });
    return { done, complete };
  };
  return template
    .replace(/\[([^[\]]*)\]/g, (_, sentence) => { const { done, complete } = known(sentence); return complete ? done : ""; })
    .replace(/\{[^{}]+\}/g, (text) => known(text).done)
    .replace(/\s+/g, " ").trim()
    .replace(/^\p{Ll}/u, (letter) => letter.toUpperCase());
}

function placeholder(name, words, page, choice) {
  if (name === "period") return choice.period ? periodName(choice.period) : "all data";
  if (!words) {
    const { value } = figure(name, choice);
    return value == null ? null : brief(value, name, true);
  }
  const [verb, ...rest] = words.split(/\s+/);
  if (verb === "change" || verb === "grew") {
    const change = changeOf(name, choice);
    if (!change) return null;
    if (verb === "change") return writtenChange(change);
    const size = `${digits(Math.abs(change.by * 100), Math.abs(change.by) < 0.1 ? 1 : 0)} ${change.isShare ? "points" : "%"}`;
    return Math.abs(change.by) < 0.0005 ? "stayed level" : `${change.by > 0 ? "grew" : "fell"} by ${size}`;
  }
  if (verb === "highest" || verb === "lowest") {
    const ranked = rankedMembers(name, rest[0], choice);
    const found = verb === "highest" ? ranked[0] : ranked[ranked.length - 1];
    if (!found) return null;
    return rest[1] === "value" ? written(found.value, name) : memberName(rest[0], found.member);
  }
  if (verb === "top") {
    const [count, dimension, share] = rest;
    const { values } = figures(name, [dimension], without(choice, dimension));
    const sorted = [...(values || [])].filter(([, value]) => value != null).sort((one, other) => other[1] - one[1]);
    if (!sorted.length) return null;
    const top = sorted.slice(0, Number(count));
    if (!share) return listed(top.map(([member]) => memberName(dimension, member)));
    const sum = (list) => list.reduce((total, [, value]) => total + value, 0);
    return `${digits((100 * sum(top)) / sum(sorted), 0)} %`;
  }
  const [dimension, , least] = rest; // count DIMENSION from NUMBER
  // The members that the page's table of them shows, too.
  const table = page.visuals.find((visual) => visual.by === dimension && visual.minimum != null && visual.measures.includes(name));
  const ranked = rankedMembers(name, dimension, choice, table?.sample, table?.minimum);
  return ranked.length ? digits(ranked.filter(({ value }) => value >= Number(least)).length, 0) : null;
}

// The members of a dimension from the highest figure to the lowest, without small samples and fragments of months.
function rankedMembers(name, dimension, choice, sample = caseMeasure(standIn(name, choice)), least = report.smallSample) {
  const { values } = figures(name, [dimension], without(choice, dimension));
  const cases = sample ? figures(sample, [dimension], without(choice, dimension)).values : null;
  return [...(values || [])]
    .filter(([member, value]) => value != null && dimensions[dimension].values[member] != null &&
      (dimension !== MONTH || isFull.has(member)) && (!cases || (cases.get(member) ?? 0) >= least))
    .map(([member, value]) => ({ member, value }))
    .sort((one, other) => other.value - one.value || one.member - other.member);
}

// A split by a dimension shows all its members, also when one of them is chosen.
function without(choice, ...split) {
  const members = Object.fromEntries(Object.entries(choice.members).filter(([dimension]) => !split.includes(dimension)));
  return { ...choice, members };
}

function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

// ---- The SQL of a figure

function sqlOf(name, choice) {
  const measure = measures[name];
  const relation = relations[measure.relation];
  const conditions = [];
  if (choice.period && choice.period.kind !== "whole" && relation.dimensions.includes(MONTH)) {
    const list = choice.period.months.map((month) => `'${month}'`).join(", ");
    conditions.push(`${dimensions[MONTH].sql} in (${list})`);
  }
  for (const [dimension, member] of Object.entries(choice.members)) {
    if (!relation.dimensions.includes(dimension)) continue;
    const value = dimensions[dimension].values[member];
    const text = value == null ? "is null" : `= '${value.replaceAll("'", "''")}'`;
    conditions.push(`cast(${dimensions[dimension].sql} as text) ${text}`);
  }
  const indented = (text) => text.split("\n").map((line) => `    ${line}`).join("\n");
  return ["select", indented(measure.sql), "from", indented(relation.sql),
    ...(conditions.length ? ["where", indented(conditions.join("\nand "))] : [])].join("\n");
}
