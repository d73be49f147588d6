// The page: its filter, its colors, the dialog of one run.

const THEMES = ["system", "light", "dark"];
const TYPING_MS = 120; // a pause in typing, after which the filter is applied

function openRun(row) {
  const dialog = document.getElementById("run");
  document.getElementById("run-title").textContent = text("run_id", cell("run_id", row));
  const known = DATA.columns.filter(({ name }) => name !== "run_id" && cell(name, row) !== null);
  const parts = known.flatMap(({ name, meaning }) => [
    element("dt", { textContent: title(name), title: meaning }),
    element("dd", { textContent: text(name, cell(name, row)) }),
  ]);
  dialog.querySelector("dl").replaceChildren(...parts);
  dialog.showModal();
}

function chartDefaults() {
  const metric = DATA.metrics.includes(DATA.metric) ? DATA.metric : DATA.metrics[0];
  const cost = DATA.axes.includes(DATA.cost) ? DATA.cost : DATA.axes[0];
  const size = DATA.axes.includes("train_examples") ? "train_examples" : cost;
  return {
    frontier: { x: cost, metric, line: "frontier" },
    scale: { x: size, metric, show: "value", yscale: "linear", line: "models" },
  };
}

function makeCharts() {
  if (!DATA.metrics.length || !DATA.axes.length) {
    document.getElementById("charts").textContent = "No run has both a cost and a score yet.";
    return [];
  }
  return Object.entries(chartDefaults()).map(([id, chosen]) => new Chart(document.getElementById(id), chosen, openRun));
}

function start() {
  const ledger = new Ledger(openRun);
  const charts = makeCharts();
  const filter = document.getElementById("filter");
  const apply = () => {
    const rows = matching(filter.value);
    document.getElementById("counted").textContent = `${WHOLE.format(rows.length)} of ${WHOLE.format(RUNS.count)} runs`;
    ledger.show(rows);
    return rows;
  };
  const draw = (rows) => Promise.all(charts.map((chart) => chart.draw(rows)));
  let timer = 0;
  filter.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => draw(apply()), TYPING_MS);
  });

  const redraw = () => charts.forEach((chart) => chart.draw());
  const theme = document.getElementById("theme");
  theme.addEventListener("click", () => {
    const at = THEMES.indexOf(document.documentElement.dataset.theme ?? "system");
    const next = THEMES[(at + 1) % THEMES.length];
    document.documentElement.dataset.theme = next;
    theme.querySelector("span").textContent = next;
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // The ledger answers while plotly, which stands below this script, is still being read.
  const rows = apply();
  performance.mark("ledger");
  document.addEventListener("DOMContentLoaded", async () => {
    await draw(rows);
    performance.mark("interactive");
    document.documentElement.dataset.ready = "yes";
  });
}

start();
