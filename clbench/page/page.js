"use strict";
// Tabs, tables, definitions, copying, themes. In the head, so that what is hidden is
// hidden before it is drawn; everything else waits for the document.
const root = document.documentElement;
const memory = {
  // Storage may be forbidden, as for some files that are opened from disk.
  get() { try { return localStorage.getItem("clbench-theme"); } catch { return null; } },
  set(value) { try { localStorage.setItem("clbench-theme", value); } catch { /* not remembered */ } },
};
root.classList.add("js");
if (memory.get()) root.dataset.theme = memory.get();

function all(selector, within = document) { return [...within.querySelectorAll(selector)]; }

// --- themes ---
function dark() {
  return root.dataset.theme ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
}
function themes() {
  const button = document.getElementById("theme");
  const say = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"} colours`);
    document.dispatchEvent(new Event("theme"));
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    memory.set(root.dataset.theme);
    say();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", say);
  say();
}

// --- tabs and permalinks ---
const tables = [];
function tabs() {
  const list = document.querySelector(".tabs");
  const links = all("a", list);
  list.setAttribute("role", "tablist");
  for (const link of links) {
    const panel = document.getElementById(link.dataset.panel);
    link.setAttribute("role", "tab");
    link.id = `tab-${panel.id}`;
    link.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", link.id);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      choose(link);
      history.replaceState(null, "", `#${panel.id}`);
      scrollTo({ top: 0, behavior: "instant" });
    });
  }
  list.addEventListener("keydown", (event) => {
    const here = links.indexOf(document.activeElement);
    const next = {
      ArrowRight: (here + 1) % links.length, ArrowLeft: (here + links.length - 1) % links.length,
      Home: 0, End: links.length - 1,
    }[event.key];
    if (event.key === " ") { event.preventDefault(); document.activeElement.click(); }
    if (next === undefined) return;
    event.preventDefault();
    links[next].focus();
    links[next].click();
  });
  function choose(chosen) {
    for (const link of links) {
      const active = link === chosen;
      link.setAttribute("aria-selected", active);
      link.tabIndex = active ? 0 : -1;
      document.getElementById(link.dataset.panel).classList.toggle("active", active);
    }
    chosen.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
    document.dispatchEvent(new Event("panel"));
  }
  function follow() {
    const id = decodeURIComponent(location.hash.slice(1));
    for (const table of tables) table.reveal(id);
    const target = id && document.getElementById(id);
    const panel = target && target.closest(".panel");
    choose(links.find((link) => panel && link.dataset.panel === panel.id) ?? links[0]);
    if (target && panel !== target && panel) target.scrollIntoView({ behavior: "instant" });
    else if (panel) scrollTo({ top: 0, behavior: "instant" });
  }
  addEventListener("hashchange", follow);
  follow();
}

// --- a table: sorted, filtered, the first rows shown ---
class Table {
  constructor(article) {
    this.article = article;
    this.element = article.querySelector("table.board");
    this.body = this.element.tBodies[0];
    this.rows = this.entries(this.body);
    this.order = this.rows;
    this.limit = this.rows.length;
    // To a browser that runs scripts the rows of a long board but the first are text.
    this.rest = article.querySelector("noscript");
    this.columns = new Map();
    this.heads = [...this.element.tHead.rows[0].cells];
    this.heads.forEach((head, column) =>
      head.querySelector("button").addEventListener("click", () => this.sort(column)));
    const tools = article.querySelector(".tools");
    tools.addEventListener("input", (event) => {
      if (event.target.name === "column") this.choose(event.target);
      else this.extend(this.limit);
    });
    this.tools = tools;
    this.more = article.querySelector(".more");
    this.more.addEventListener("click", (event) => {
      const step = event.target.dataset.more;
      if (!step) return;
      this.extend(step === "all" ? Infinity : this.limit + Number(step));
    });
    this.show();
  }
  entries(body) {
    return [...body.rows].map((row) => ({
      row, origin: row.dataset.origin, bound: "bound" in row.dataset, few: "few" in row.dataset,
      words: row.cells[1].textContent.toLowerCase(),
    }));
  }
  complete() {
    if (!this.rest) return;
    const template = document.createElement("template");
    template.innerHTML = this.rest.textContent;
    this.rows = [...this.rows, ...this.entries(template.content.querySelector("tbody"))];
    this.order = this.rows;
    this.rest = null;
  }
  extend(limit) {
    this.complete();
    this.limit = limit;
    this.show();
  }
  values(column) {
    if (!this.columns.has(column)) {
      this.columns.set(column, new Map(this.rows.map((entry) => {
        const cell = entry.row.cells[column];
        if ("v" in cell.dataset) return [entry, Number(cell.dataset.v)];
        const text = cell.textContent.trim();
        return [entry, text === "" || text === "–" ? null : text];
      })));
    }
    return this.columns.get(column);
  }
  sort(column) {
    this.complete();
    const head = this.heads[column];
    const now = head.getAttribute("aria-sort");
    const next = now === "none" ? head.dataset.first
      : now === "ascending" ? "descending" : "ascending";
    for (const other of this.heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", next);
    const values = this.values(column);
    const sign = next === "ascending" ? 1 : -1;
    const words = new Intl.Collator("en", { numeric: true });
    // Sorting is stable, so that equal rows stay in the order of the last sort.
    this.order = [...this.order].sort((a, b) => {
      const [x, y] = [values.get(a), values.get(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (typeof x === "number" && typeof y === "number" ? x - y
        : words.compare(x, y));
    });
    this.show();
  }
  matches() {
    const search = this.tools.querySelector("input[type=search]").value.toLowerCase();
    const words = search.split(/\s+/).filter(Boolean);
    const boxes = (name) => all(`input[name=${name}]`, this.tools);
    const origins = boxes("origin");
    const kept = new Set(origins.filter((box) => box.checked).map((box) => box.value));
    const off = (name) => boxes(name).some((box) => !box.checked);
    const [bounds, few] = [off("bound"), off("few")];
    return this.order.filter((entry) =>
      words.every((word) => entry.words.includes(word))
      && (!origins.length || kept.has(entry.origin))
      && !(bounds && entry.bound) && !(few && entry.few));
  }
  show() {
    // Rows that are not shown are not in the document: long boards stay quick.
    const found = this.matches();
    const shown = found.slice(0, this.limit);
    this.body.replaceChildren(...shown.map((entry) => entry.row));
    const every = this.rows.length + Number(this.rest?.dataset.rows ?? 0);
    const part = shown.length < every ? `${shown.length} of ` : "";
    this.tools.querySelector(".count").textContent = `${part}${every} rows`;
    this.more.hidden = shown.length === found.length && !this.rest;
  }
  choose(box) {
    const hidden = new Set(this.element.dataset.hidden.split(" ").filter(Boolean));
    if (box.checked) hidden.delete(box.value); else hidden.add(box.value);
    this.element.dataset.hidden = [...hidden].join(" ");
  }
  reveal(id) {
    if (this.rest?.textContent.includes(`id="${id}"`)) this.complete();
    const place = this.order.findIndex((entry) => entry.row.id === id);
    if (place >= this.limit) this.extend(place + 1);
  }
}

// --- definitions of columns, on hover and on focus ---
function definitions() {
  const tip = document.getElementById("tip");
  let owner = null, closing = 0;
  const show = (button) => {
    clearTimeout(closing);
    owner = button;
    tip.textContent = document.getElementById(button.getAttribute("aria-describedby")).textContent;
    tip.hidden = false;
    const box = button.getBoundingClientRect();
    const [width, height] = [tip.offsetWidth, tip.offsetHeight];
    const left = Math.max(8, Math.min(box.left, innerWidth - width - 8));
    const below = box.bottom + 8 + height < innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${below ? box.bottom + 6 : box.top - height - 6}px`;
  };
  // A moment's grace, so that the pointer may move onto the definition.
  const hide = () => { clearTimeout(closing); closing = setTimeout(() => { tip.hidden = true; }, 120); };
  const button = (event) => event.target.closest?.("thead button[aria-describedby]");
  document.addEventListener("mouseover", (event) => {
    if (button(event)) show(button(event));
    else if (event.target.closest?.("#tip")) clearTimeout(closing);
    else if (!tip.hidden && document.activeElement !== owner) hide();
  });
  document.addEventListener("focusin", (event) => button(event) ? show(button(event)) : hide());
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", () => { tip.hidden = true; }, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    tip.hidden = true;
    for (const menu of all("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  document.addEventListener("click", (event) => {
    for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
}

// --- copying ---
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not every browser lets a file from disk use the clipboard's newer door.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
function copying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button.copy");
    if (!button) return;
    const link = button.dataset.link;
    await copy(link ? `${location.href.split("#")[0]}#${link}`
      : button.parentElement.querySelector("code").textContent);
    const said = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = said; }, 1200);
  });
}

document.addEventListener("DOMContentLoaded", () => {
  tables.push(...all("article.board").filter((a) => a.querySelector("table.board")).map((a) => new Table(a)));
  definitions();
  copying();
  figures();
  tabs();
  themes();
  addEventListener("beforeprint", () => tables.forEach((t) => t.extend(Infinity)));
});
