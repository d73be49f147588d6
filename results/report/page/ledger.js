// The ledger: one row a run, sorted by any column, a page at a time.

const PAGE_ROWS = 50;
const LONG = { git_commit: 10 }; // cells of which the beginning is enough

function compareCells(a, b) {
  return typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
}

class Ledger {
  constructor(openRun) {
    this.openRun = openRun;
    this.rows = ALL_ROWS;
    this.shown = ["run_id", ...DATA.shown];
    this.sort = { name: null, descending: false };
    this.page = 0;
    this.head = document.querySelector("#rows thead");
    this.body = document.querySelector("#rows tbody");
    document.querySelectorAll("[data-step]").forEach((button) => {
      button.addEventListener("click", () => this.turn(button.dataset.step));
    });
    this.listColumns();
  }

  get last() {
    return Math.max(Math.ceil(this.rows.length / PAGE_ROWS) - 1, 0);
  }

  turn(step) {
    const to = { first: 0, previous: this.page - 1, next: this.page + 1, last: this.last }[step];
    this.page = Math.min(Math.max(to, 0), this.last);
    this.draw();
  }

  listColumns() {
    const boxes = DATA.columns.map(({ name, meaning }) => {
      const box = element("input", { type: "checkbox", checked: this.shown.includes(name) });
      box.addEventListener("change", () => this.choose(name, box.checked));
      return element("label", { title: meaning }, [box, ` ${words(name)}`]);
    });
    document.querySelector("#columns fieldset").append(...boxes);
  }

  // Shows or hides a column; a shown one stands where it is in the file.
  choose(name, isShown) {
    const others = this.shown.filter((shown) => shown !== name);
    this.shown = isShown ? [...others, name] : others;
    this.draw();
  }

  sortBy(name) {
    const again = this.sort.name === name;
    this.sort = { name, descending: again ? !this.sort.descending : false };
    this.page = 0;
    this.arrange();
    this.draw();
    this.head.querySelector(`[data-column="${CSS.escape(name)}"]`).focus();
  }

  // Sorts the rows, unknown last either way, ties in the order of the file.
  arrange() {
    const { name, descending } = this.sort;
    if (name === null) return;
    const sign = descending ? -1 : 1;
    const isUnknown = (row) => cell(name, row) === null;
    const known = this.rows.filter((row) => !isUnknown(row));
    known.sort((a, b) => sign * compareCells(cell(name, a), cell(name, b)) || a - b);
    this.rows = [...known, ...this.rows.filter(isUnknown)];
  }

  show(rows) {
    this.rows = rows;
    this.page = 0;
    this.arrange();
    this.draw();
  }

  header(name) {
    const { meaning } = COLUMNS.get(name);
    const button = element("button", { type: "button", textContent: title(name), title: meaning });
    button.dataset.column = name;
    button.addEventListener("click", () => this.sortBy(name));
    const head = element("th", { scope: "col", className: isNumeric(name) ? "number" : "" }, [button]);
    const { descending } = this.sort;
    head.setAttribute("aria-sort", this.sort.name !== name ? "none" : descending ? "descending" : "ascending");
    return head;
  }

  cell(name, row) {
    const value = text(name, cell(name, row));
    if (name === "run_id") {
      const button = element("button", { type: "button", className: "link", textContent: value });
      button.addEventListener("click", () => this.openRun(row));
      return element("th", { scope: "row" }, [button]);
    }
    const shown = value.slice(0, LONG[name] ?? value.length);
    const state = name === "state" ? `state ${value === "done" ? "good" : "bad"}` : "";
    return element("td", { textContent: shown, title: shown === value ? "" : value, className: isNumeric(name) ? "number" : state });
  }

  draw() {
    const from = this.page * PAGE_ROWS;
    const rows = this.rows.slice(from, from + PAGE_ROWS);
    this.head.replaceChildren(element("tr", {}, this.shown.map((name) => this.header(name))));
    this.body.replaceChildren(...rows.map((row) => element("tr", {}, this.shown.map((name) => this.cell(name, row)))));
    const total = WHOLE.format(this.rows.length);
    const range = `${(from + 1).toLocaleString("en")} to ${(from + rows.length).toLocaleString("en")} of ${total}`;
    document.getElementById("page").textContent = rows.length ? range : "no runs";
    for (const button of document.querySelectorAll("[data-step]")) {
      const back = ["first", "previous"].includes(button.dataset.step);
      button.disabled = back ? this.page === 0 : this.page === this.last;
    }
  }
}
