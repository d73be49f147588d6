// Two charts of the runs: points by family, the frontier or lines of the models, published points.

const ORDER_OF_LOSS = 1e-3; // where a point without error is drawn if there is no other
const MANY = 2000; // runs, above which means over seeds are drawn first
const CROWD = 300; // points of a family, above which they are small and see-through
const HOVER_COLUMNS = ["run_id", "study", "dataset", "train_examples", "epochs", "seed"];

// Plotly reads a little HTML in every text it draws.
function escape(value) {
  return String(value).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Which points nothing else beats in both x and y, both minimized, as indices by rising x.
function frontier(points) {
  const order = points.map((_, at) => at);
  order.sort((a, b) => points[a].x - points[b].x || points[a].cost - points[b].cost);
  let best = { x: NaN, cost: Infinity };
  return order.filter((at) => {
    if (points[at].cost < best.cost) best = points[at];
    return points[at].x === best.x && points[at].cost === best.cost;
  });
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

// The sample standard deviation; null for one value.
function deviation(values) {
  if (values.length < 2) return null;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

function groupBy(items, key) {
  const groups = new Map();
  for (const item of items) {
    const name = key(item);
    if (groups.has(name)) groups.get(name).push(item);
    else groups.set(name, [item]);
  }
  return groups;
}

class Chart {
  constructor(root, defaults, openRun) {
    this.root = root;
    this.openRun = openRun;
    this.plot = root.querySelector(".plot");
    this.rows = ALL_ROWS;
    this.controls = Object.fromEntries([...root.querySelectorAll("select")].map((select) => [select.name, select]));
    const option = (name, label) => element("option", { value: name, textContent: label });
    this.controls.x.append(...DATA.axes.map((name) => option(name, title(name))));
    this.controls.metric.append(...DATA.metrics.map((name) => option(name, words(name))));
    const points = RUNS.count > MANY ? "means" : "runs";
    for (const [name, value] of Object.entries({ points, ...defaults })) this.controls[name].value = value;
    root.addEventListener("change", () => this.draw());
    this.plot.addEventListener("keydown", (event) => this.onKey(event));
  }

  get(name) {
    return this.controls[name].value;
  }

  get isFraction() {
    return COLUMNS.get(this.get("metric")).kind === "fraction";
  }

  get asError() {
    return this.isFraction && this.get("show") === "error";
  }

  // The drawable runs among `rows`, and how many are not drawable.
  points(table, rows) {
    const [metric, x] = [this.get("metric"), this.get("x")];
    const paid = x in table.data || !(`${x}_valid` in table.data) ? x : `${x}_valid`;
    const found = [];
    for (const row of rows) {
      const [at, value] = [cell(paid, row, table), cell(metric, row, table)];
      const done = (cell("state", row, table) ?? "done") === "done";
      if (!done || at === null || value === null || (at <= 0 && this.get("xscale") === "log")) continue;
      const y = this.asError ? 1 - value : value;
      found.push({ row, table, x: at, value, y, rows: [row], spread: null });
    }
    return { found, missing: rows.length - found.length };
  }

  // One point for each configuration: means over its runs.
  means(points) {
    const groups = groupBy(points, (point) => cell("configuration", point.row, point.table));
    return [...groups.values()].map((group) => ({
      ...group[0],
      x: mean(group.map((point) => point.x)),
      y: mean(group.map((point) => point.y)),
      value: mean(group.map((point) => point.value)),
      spread: deviation(group.map((point) => point.y)),
      rows: group.map((point) => point.row),
    }));
  }

  // Places points without error, which a logarithmic axis does not have, below all others.
  place(points) {
    const above = points.filter((point) => point.y > 1e-12).map((point) => point.y);
    const least = above.length ? above.reduce((a, b) => Math.min(a, b)) / 2 : ORDER_OF_LOSS;
    const isLog = this.get("yscale") === "log";
    for (const point of points) {
      const lower = !this.isFraction || this.asError;
      point.cost = lower ? point.y : -point.y;
      if (isLog && point.y <= 1e-12) point.y = least;
    }
    return points;
  }

  hover(point) {
    const { row, table, rows, value, spread } = point;
    const [x, metric] = [this.get("x"), this.get("metric")];
    const name = cell("label", row, table) ?? cell("model", row, table) ?? "";
    const lines = [`<b>${escape(name)}</b>`];
    const add = (label, shown) => shown !== "" && lines.push(`${escape(label)}: ${escape(shown)}`);
    if (table !== RUNS) add("published", table.label);
    const known = (column) => column in table.data && column !== x;
    const single = rows.length === 1;
    for (const column of HOVER_COLUMNS) {
      if (known(column) && (single || !["run_id", "seed"].includes(column))) add(words(column), text(column, cell(column, row, table)));
    }
    add(title(x), text(x, point.x));
    add(words(metric), text(metric, value) + (spread === null ? "" : ` ± ${this.isFraction ? percent(spread) : number(spread)}`));
    if (!single) add("mean of", `${rows.length} runs`);
    const commit = cell("git_commit", row, table);
    if (single && commit !== null) add("commit", commit.slice(0, 12) + (cell("git_dirty", row) ? ", with changes" : ""));
    return lines.join("<br>");
  }

  markers(points, family, options) {
    const many = points.length > CROWD;
    const spread = points.some((point) => point.spread !== null);
    const ink = family.color === "#000000" ? color("--ink") : family.color;
    return {
      type: "scatter",
      mode: "markers",
      name: escape(family.words),
      x: points.map((point) => point.x),
      y: points.map((point) => point.y),
      hovertext: points.map((point) => this.hover(point)),
      hoverinfo: "text",
      meta: points,
      marker: { color: ink, symbol: family.symbol, size: many ? 5 : 9, line: { width: many ? 0 : 1, color: color("--card") } },
      opacity: many ? 0.55 : 1,
      error_y: spread ? { array: points.map((point) => point.spread ?? 0), thickness: 1.2, width: 0, color: ink } : { visible: false },
      ...options,
    };
  }

  // An entry of the legend for the lighter points.
  key(name) {
    const marker = { color: color("--muted"), size: 9 };
    return { type: "scatter", mode: "markers", name, x: [null], y: [null], marker, opacity: 0.4, hoverinfo: "skip" };
  }

  line(points, name, ink, options = {}) {
    const shape = { width: 1.6, color: ink };
    return { type: "scatter", mode: "lines", name, x: points.map((p) => p.x), y: points.map((p) => p.y), line: shape, hoverinfo: "skip", showlegend: false, ...options };
  }

  lines(points) {
    const kind = this.get("line");
    const best = (some) => frontier(some).map((at) => some[at]);
    const ink = (point) => FAMILIES.get(cell("family", point.row, point.table))?.color ?? color("--muted");
    if (kind === "frontier") return [this.line(best(points), "Pareto frontier", color("--muted"), { showlegend: true })];
    if (kind === "families") {
      const groups = [...groupBy(points, (point) => cell("family", point.row, point.table)).values()];
      return groups.map((group) => this.line(best(group), "", ink(group[0])));
    }
    if (kind === "none") return [];
    if (kind === "laws") return this.laws();
    // Means over runs of equal x, one line a model.
    const groups = [...groupBy(points, (point) => cell("line", point.row, point.table)).values()];
    return groups.map((group) => {
      const columns = [...groupBy(group, (point) => point.x).values()];
      const middle = columns.map((same) => ({ x: same[0].x, y: mean(same.map((point) => point.y)) }));
      return this.line(middle.sort((a, b) => a.x - b.x), "", ink(group[0]));
    });
  }

  fitted() {
    if (this.laws().length) return " Bands are 90 % intervals of the curves; see Laws for what to doubt.";
    return ` Laws were fitted for ${DATA.laws.map(({ x, metric }) => `${words(metric)} over ${words(x)}`).join(" and ")}.`;
  }

  // The fitted laws with their bands, where the chart's axes are those of the fits.
  laws() {
    const fits = DATA.laws.find(({ x, metric }) => x === this.get("x") && metric === this.get("metric"));
    const side = (value) => (this.isFraction && !this.asError ? 1 - value : value);
    return (fits?.curves ?? []).flatMap((curve) => {
      const along = (values) => values.map((y, at) => ({ x: curve.x[at], y: side(y) }));
      const ink = curve.color === "#000000" ? color("--ink") : curve.color;
      const band = curve.low ? [...along(curve.low), ...along(curve.high).reverse()] : [];
      const filled = { line: { width: 0 }, fill: "toself", fillcolor: ink, opacity: 0.15 };
      return [...(band.length ? [this.line(band, "", ink, filled)] : []), this.line(along(curve.y), "", ink)];
    });
  }

  axis(name, scale, isPercent, values) {
    const axis = { title: { text: escape(name), standoff: 8 }, type: scale, gridcolor: color("--grid"), linecolor: color("--muted"), zeroline: false, ticks: "outside", tickcolor: color("--grid") };
    const decades = Math.log10(values.reduce((a, b) => Math.max(a, b), 0) / values.reduce((a, b) => Math.min(a, b), Infinity));
    if (scale === "log" && decades > 0.7 && decades < 2.5) axis.dtick = "D2"; // 1, 2, 5: what has room
    return isPercent ? { ...axis, tickformat: ".4~p" } : { ...axis, exponentformat: "power", minexponent: 4 };
  }

  layout(points) {
    const metric = this.get("metric");
    const name = this.isFraction ? `${words(metric)}${this.asError ? " error" : metric.startsWith("top") ? " accuracy" : ""}` : title(metric);
    return {
      autosize: true,
      margin: { l: 62, r: 14, t: 34, b: 50 },
      font: { family: "system-ui, sans-serif", size: 12, color: color("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      hovermode: "closest",
      hoverlabel: { align: "left", bgcolor: color("--card"), bordercolor: color("--muted"), font: { color: color("--ink") }, namelength: -1 },
      legend: { orientation: "h", yref: "container", x: 0, y: 1, yanchor: "top" },
      xaxis: this.axis(title(this.get("x")), this.get("xscale"), false, points.map((point) => point.x)),
      yaxis: this.axis(name, this.get("yscale"), this.isFraction, points.map((point) => point.y)),
    };
  }

  draw(rows = this.rows) {
    this.rows = rows;
    this.controls.show.disabled = !this.isFraction;
    const { found, missing } = this.points(RUNS, rows);
    const own = this.get("points") === "means" ? this.means(found) : found;
    const published = PUBLISHED[this.root.id];
    const paper = published ? this.points(published, Array.from({ length: published.count }, (_, row) => row)).found : [];
    this.place([...own, ...paper]);
    const traces = this.lines(own);
    for (const family of DATA.families) {
      const of = (points) => points.filter((point) => cell("family", point.row, point.table) === family.name);
      const [ours, theirs] = [of(own), of(paper)];
      if (theirs.length) traces.push(this.markers(theirs, family, { opacity: 0.4, showlegend: false }));
      if (ours.length) traces.push(this.markers(ours, family, {}));
    }
    if (paper.length) traces.push(this.key(escape(published.label)));
    this.spots = traces.flatMap((trace, curve) => (trace.meta ?? []).map((point, at) => ({ curve, at, point })));
    this.spots.sort((a, b) => a.point.x - b.point.x || a.point.y - b.point.y);
    this.spot = -1;
    const left = missing ? `; ${WHOLE.format(missing)} not drawn: not done, or without ${words(this.get("metric"))} or ${words(this.get("x"))}` : "";
    const kind = this.get("line") === "laws" ? this.fitted() : "";
    const drawn = `${WHOLE.format(found.length)} runs drawn${own === found ? "" : ` as ${WHOLE.format(own.length)} means over seeds`}`;
    this.root.querySelector(".drawn").textContent = `${drawn}${left}.${kind}`;
    const options = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false };
    const done = Plotly.react(this.plot, traces, this.layout([...own, ...paper]), options);
    if (!this.listens) {
      this.listens = true;
      this.plot.on("plotly_click", (event) => this.open(event.points[0].data.meta?.[event.points[0].pointNumber]));
    }
    return done;
  }

  open(point) {
    if (point && point.table === RUNS) this.openRun(point.row);
  }

  // The chart from a keyboard: arrows go from point to point, Enter opens the run.
  onKey(event) {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (event.key === "Enter" && this.spot >= 0) {
      event.preventDefault(); // which would press the dialog's button
      this.open(this.spots[this.spot].point);
    }
    if (!step || !this.spots.length) return;
    event.preventDefault();
    this.spot = (this.spot + step + this.spots.length) % this.spots.length;
    const { curve, at, point } = this.spots[this.spot];
    Plotly.Fx.hover(this.plot, [{ curveNumber: curve, pointNumber: at }]);
    const plain = this.hover(point).replace(/<br>/g, "; ").replace(/<\/?b>/g, "");
    this.root.querySelector(".spoken").textContent = plain.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
  }
}
