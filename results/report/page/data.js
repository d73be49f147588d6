// The ledger as columns, how its cells are written, and which runs a filter keeps.

const DATA = JSON.parse(document.getElementById("data").textContent);
const COLUMNS = new Map(DATA.columns.map((column) => [column.name, column]));
const FAMILIES = new Map(DATA.families.map((family) => [family.name, family]));
const WHOLE = new Intl.NumberFormat("en");
const BROKEN = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
const SI = [[1e24, "Y"], [1e21, "Z"], [1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

function decode(encoded, count) {
  if (Array.isArray(encoded)) return encoded;
  if ("all" in encoded) return new Array(count).fill(encoded.all);
  return encoded.at.map((code) => (code < 0 ? null : encoded.of[code]));
}

function decodeTable(table) {
  const entries = Object.entries(table.data).map(([name, column]) => [name, decode(column, table.count)]);
  return { label: table.label, count: table.count, data: Object.fromEntries(entries) };
}

const RUNS = decodeTable(DATA.runs);
const PUBLISHED = Object.fromEntries(Object.entries(DATA.published).map(([chart, table]) => [chart, decodeTable(table)]));
const ALL_ROWS = Array.from({ length: RUNS.count }, (_, row) => row);

function cell(name, row, table = RUNS) {
  const column = table.data[name];
  return column === undefined ? null : column[row];
}

// --- what people read

function words(name) {
  return COLUMNS.get(name)?.words ?? name.replaceAll("_", " ");
}

// The words of a column with its unit, as on an axis.
function title(name) {
  return COLUMNS.get(name)?.title ?? words(name);
}

function percent(value, digits = 2) {
  return `${(100 * value).toFixed(digits)}%`;
}

function number(value, prefixed) {
  const size = Math.abs(value);
  if (prefixed && size >= 1e3) {
    const [scale, letter] = SI.find(([least]) => size >= least);
    return `${Number((value / scale).toPrecision(4))} ${letter}`;
  }
  if (Number.isInteger(value)) return size < 1e15 ? WHOLE.format(value) : value.toExponential(3);
  if (size < 1e-3) return value.toExponential(2);
  return BROKEN.format(value);
}

// A cell as text; nothing for unknown.
function text(name, value) {
  if (value === null || value === undefined) return "";
  const { kind, prefixed } = COLUMNS.get(name) ?? { kind: name.endsWith("accuracy") ? "fraction" : "" };
  if (kind === "fraction") return percent(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  return name === "seed" ? String(value) : number(value, prefixed);
}

function isNumeric(name) {
  return ["number", "fraction", "int", "float"].includes(COLUMNS.get(name)?.kind);
}

// --- the filter

const SEARCHED = DATA.columns.filter((column) => column.kind === "text").map((column) => column.name);
const HAYSTACK = ALL_ROWS.map((row) => SEARCHED.map((name) => cell(name, row) ?? "").join("\n").toLowerCase());
const COMPARISON = /^([A-Za-z_][A-Za-z0-9_]*)(>=|<=|>|<|=)(.+)$/;
const COMPARE = {
  ">=": (a, b) => a >= b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  "<": (a, b) => a < b,
  "=": (a, b) => a === b,
};

function operand(given) {
  const value = Number(given.replace(/%$/, ""));
  return given.endsWith("%") ? value / 100 : value;
}

// A word of the filter as a function of a row.
function condition(word) {
  const [, name, operator, given] = word.match(COMPARISON) ?? [];
  if (name === undefined || !COLUMNS.has(name)) return (row) => HAYSTACK[row].includes(word.toLowerCase());
  const compare = COMPARE[operator];
  if (isNumeric(name)) {
    const wanted = operand(given);
    return (row) => cell(name, row) !== null && compare(cell(name, row), wanted);
  }
  const wanted = given.toLowerCase();
  return (row) => cell(name, row) !== null && compare(text(name, cell(name, row)).toLowerCase(), wanted);
}

function matching(filter) {
  const found = filter.match(/(?:[^\s"]+|"[^"]*")+/g) ?? [];
  const conditions = found.map((word) => condition(word.replaceAll('"', "")));
  return ALL_ROWS.filter((row) => conditions.every((holds) => holds(row)));
}

// --- elements

function element(tag, properties = {}, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
