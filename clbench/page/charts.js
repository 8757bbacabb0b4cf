// Charts of the boards: drawn when they come into view, again when colours change.
const ABOUT = {
  trained: "trained parameters", seconds: "seconds a cell", peak: "peak MiB",
};
const SERIES = 6; // strategies whose curves can be told apart

let loaded = false;
function library() {
  // Nine tenths of the page are the charts' library: not read until a chart is seen.
  if (!loaded) {
    const script = document.createElement("script");
    script.textContent = document.getElementById("library").textContent;
    document.head.append(script);
    loaded = true;
  }
  return window.vegaEmbed;
}

function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function theme() {
  const [text, muted, line] = [colour("text"), colour("muted"), colour("line")];
  return {
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: null },
    axis: {
      labelColor: muted, titleColor: muted, gridColor: line, domainColor: line, tickColor: line,
      labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal", titlePadding: 8, labelLimit: 120,
    },
    axisBand: { labelPadding: 6, domain: false, ticks: false, grid: false },
    title: { color: text, fontSize: 12, fontWeight: 600, offset: 6 },
    text: { color: text, fontSize: 11 },
    line: { color: colour("accent") },
    rule: { color: muted },
  };
}

const specs = () => specs.read ??= JSON.parse(document.getElementById("specs").textContent);

function filled(part, values) {
  if (typeof part === "string" && part.startsWith("$")) return values[part.slice(1)];
  if (Array.isArray(part)) return part.map((entry) => filled(entry, values));
  if (part === null || typeof part !== "object") return part;
  return Object.fromEntries(Object.entries(part).map(([key, entry]) => {
    // Within an expression a value stands among other text.
    const text = key === "labelExpr" ? entry.replace("$floor", values.floor) : entry;
    return [key, filled(text, values)];
  }));
}

async function draw(element, kind, values) {
  element.finish?.();
  const spec = filled(specs()[kind], values);
  const made = await library()(element, spec, {
    actions: false, ast: true, renderer: "svg", defaultStyle: false, config: theme(),
    tooltip: { theme: "custom", disableDefaultStyle: true },
  });
  element.finish = () => made.finalize();
}

function written(value, unit) {
  if (value === null || value === undefined) return "";
  return unit === "%" ? value.toFixed(1) : String(Number(value.toPrecision(4)));
}

// Where a logarithmic axis from `low` to `high` has its marks: at powers of ten, or, if
// there are few, at round numbers.
function marks(low, high) {
  const between = (numbers) => numbers.filter((x) => x >= low && x <= high);
  const powers = [...Array(31).keys()].map((n) => 10 ** (n - 6));
  if (between(powers).length > 2) return between(powers);
  const some = between(powers.flatMap((power) => [power, 2 * power, 5 * power]));
  if (some.length > 2) return some;
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  return between([...Array(12).keys()].map((n) => (Math.ceil(low / step) + n) * step));
}

// Which points have room for their names, and on which side: a front rises to the right,
// so that the room is above it on the left. The best are named first.
function labels(points) {
  const placed = new Map(), boxes = [];
  for (const { n, text, at: [x, y] } of [...points].reverse()) {
    const width = 6.2 * text.length;
    const left = x < width + 8;
    const box = left ? [x + 4, x + 4 + width] : [x - 6 - width, x - 6];
    if (text.length > 32 || boxes.some(([a, b, other]) => a < box[1] + 4 && box[0] < b + 4 && Math.abs(other - y) < 13)) continue;
    boxes.push([...box, y]);
    placed.set(n, { text, left });
  }
  return placed;
}

class Figures {
  constructor(element) {
    this.element = element;
    this.seen = new Set();
    this.watch = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) {
        this.watch.unobserve(entry.target);
        this.seen.add(entry.target);
        this.paint(entry.target);
      }
    }, { rootMargin: "200px" });
    for (const figure of all(".figure", element)) this.watch.observe(figure);
  }
  get data() {
    return this.read ??= JSON.parse(document.getElementById(`${this.element.dataset.board}--data`).textContent);
  }
  again() { for (const figure of this.seen) this.paint(figure); }
  paint(figure) { return this[figure.dataset.chart](figure); }

  pareto(figure) {
    const { main, rows, fronts } = this.data;
    const y = `${main.label}${main.unit ? ` (${main.unit})` : ""}`;
    return Promise.all(all(".chart", figure).map((element) => {
      const cost = element.dataset.cost;
      const known = rows.map((row, index) => ({ row, index }))
        .filter(({ row }) => row.score && row.score[0] !== null && row.cost[cost] !== null);
      if (!known.length) { element.textContent = "No cost is known."; return null; }
      const least = Math.min(...known.map(({ row }) => row.cost[cost] || Infinity));
      const most = Math.max(...known.map(({ row }) => row.cost[cost]), 1);
      const zero = known.some(({ row }) => row.cost[cost] <= 0);
      const scores = known.map(({ row }) => row.score[0]);
      const [bottom, ceiling] = [Math.min(...scores), Math.max(...scores) + 1e-9];
      // A logarithm has no place for zero: it stands at the left end, and says so.
      const floor = Number.isFinite(least) ? least / (zero ? 4 : 1.3) : 0.1;
      const top = Math.max(most, floor * 2) * 1.6;
      const ticks = marks(floor * (zero ? 2 : 1), top);
      if (zero) ticks.unshift(floor);
      const front = new Set(fronts[cost]);
      const place = (cost, score) => [
        (element.clientWidth - 60) * Math.log(cost / floor) / Math.log(top / floor),
        200 * (ceiling - score) / (ceiling - bottom),
      ];
      const names = labels(fronts[cost].map((n) => ({
        n, text: rows[n].label, at: place(Math.max(rows[n].cost[cost], floor), rows[n].score[0]),
      })));
      const values = known.map(({ row, index }) => {
        const x = Math.max(row.cost[cost], floor);
        return {
          x, y: row.score[0], low: row.score[1] ?? row.score[0], high: row.score[2] ?? row.score[0],
          label: row.label, front: front.has(index), bound: row.bound,
          name: names.get(index)?.text ?? "", left: names.get(index)?.left ?? false,
          shown: `${written(row.score[0], main.unit)}${row.score[1] === null ? "" : ` [${written(row.score[1], main.unit)}, ${written(row.score[2], main.unit)}]`}`,
          cost: row.cost[cost].toLocaleString("en"),
        };
      });
      return draw(element, "pareto", {
        values, x: ABOUT[cost], y, floor: zero ? floor * 1.0001 : 0, domain: [floor, top],
        ticks, accent: colour("accent"), muted: colour("muted"),
        description: `${y} against ${ABOUT[cost]}; on the front: ${fronts[cost].map((n) => rows[n].label).join(", ")}`,
      });
    }));
  }

  matrix(record) {
    const { axes, tasks } = this.data;
    const [name, axis, names, values] = record;
    const columns = tasks[names];
    return { name, axis: axes[axis], tasks: columns, at: (row, column) => values[row * columns.length + column] };
  }

  heat(figure) {
    const [row, record] = ["row", "record"].map((name) => figure.querySelector(`select[name=${name}]`));
    const { rows, matrix } = this.data;
    const options = (select, names) => select.replaceChildren(...names.map((name, n) => new Option(name, n)));
    const records = () => options(record, rows[row.value].records.map((entry) => entry[0]));
    if (!row.options.length) {
      options(row, rows.map((entry) => entry.label));
      row.value = String(Math.max(0, rows.findIndex((entry) => entry.ranked)));
      records();
      row.addEventListener("change", () => { records(); this.heat(figure); });
      record.addEventListener("change", () => this.heat(figure));
    }
    const chosen = rows[row.value].records[record.value];
    const element = figure.querySelector(".chart");
    if (!chosen) { element.textContent = "No record lies here."; return null; }
    const { axis, tasks, at } = this.matrix(chosen);
    const inner = new Set(axis.map(([experience]) => experience)).size < axis.length;
    const values = [];
    axis.forEach(([experience, step], r) => tasks.forEach((task, c) => {
      const value = at(r, c);
      const place = experience === 0 && step === 0 ? "start" : `after ${experience}`;
      values.push({ task, row: inner && step ? `step ${step}` : place, value, text: written(value, matrix.unit) || "–" });
    }));
    // Tasks with measures of their own are each on a scale of their own.
    const groups = matrix.unit ? [values] : tasks.map((task) => values.filter((entry) => entry.task === task));
    for (const group of groups) {
      const known = group.map((entry) => entry.value).filter((value) => value !== null);
      const [low, high] = [Math.min(...known), Math.max(...known)];
      for (const entry of group) {
        entry.value = entry.value === null ? null : (entry.value - low) / (high - low || 1);
        entry.strong = entry.value > 0.55;
      }
    }
    const unit = matrix.unit ? ` (${matrix.unit})` : "";
    const cell = (element.clientWidth - 70) / tasks.length;
    const long = Math.max(...tasks.map((task) => task.length)) * 7 > cell;
    return draw(element, "heat", {
      values, height: 30 * axis.length, surface: colour("surface"), domain: [0, 1], range: [colour("heat-low"), colour("heat-high")],
      onstrong: colour("on-high"), onweak: colour("on-low"), metric: `${matrix.metric}${unit}`,
      angle: long ? -45 : 0, size: cell < 38 ? 9 : 11,
      description: `${matrix.metric}${unit} of ${rows[row.value].label}, ${chosen[0]}: ${tasks.length} tasks after ${axis.length} evaluations`,
    });
  }

  curve(figure) {
    const { rows, matrix } = this.data;
    const select = figure.querySelector("select");
    const withRecords = rows.map((_, n) => n).filter((n) => rows[n].records.length);
    if (!this.chosen) {
      const ranked = withRecords.filter((n) => rows[n].ranked);
      this.chosen = ranked.slice(0, 4);
      select.addEventListener("change", () => {
        if (select.value) this.chosen = [...this.chosen, Number(select.value)].slice(-SERIES);
        this.curve(figure);
      });
      figure.querySelector(".chips").addEventListener("click", (event) => {
        const chip = event.target.closest("button");
        if (!chip) return;
        this.chosen = this.chosen.filter((n) => n !== Number(chip.value));
        this.curve(figure);
      });
    }
    select.replaceChildren(new Option("strategy …", ""), ...withRecords
      .filter((n) => !this.chosen.includes(n)).map((n) => new Option(rows[n].label, n)));
    // A strategy keeps its colour while others come and go.
    this.colours = new Map(this.chosen.map((n) => [n, this.colours?.get(n)]));
    for (const n of this.chosen) if (this.colours.get(n) === undefined) {
      const taken = new Set(this.colours.values());
      this.colours.set(n, [...Array(SERIES).keys()].find((k) => !taken.has(k)));
    }
    const paint = new Map(this.chosen.map((n) => [n, `s${this.colours.get(n) + 1}`]));
    figure.querySelector(".chips").replaceChildren(...this.chosen.map((n) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.value = n;
      chip.textContent = rows[n].label;
      chip.setAttribute("aria-label", `Take ${rows[n].label} off the curves`);
      chip.style.setProperty("--chip", `var(--${paint.get(n)})`);
      return chip;
    }));
    const points = new Map(); // task -> row -> x -> values of its records
    let steps = false;
    const read = this.chosen.flatMap((n) => rows[n].records.map((record) => [n, this.matrix(record)]));
    for (const [, { axis }] of read) steps ||= new Set(axis.map(([e]) => e)).size < axis.length;
    const note = (task, n, x, value) => {
      const line = points.get(task) ?? points.set(task, new Map()).get(task);
      const places = line.get(n) ?? line.set(n, new Map()).get(n);
      (places.get(x) ?? places.set(x, []).get(x)).push(value);
    };
    for (const [n, { axis, tasks, at }] of read) axis.forEach(([experience, step], r) => {
      const x = steps ? step : experience;
      const known = tasks.map((task, c) => [task, at(r, c)]).filter(([, value]) => value !== null);
      // Measures of their own have no mean.
      if (matrix.unit) for (const [, value] of known) note("mean of all tasks", n, x, value);
      for (const [task, value] of known) note(task, n, x, value);
    });
    const many = figure.querySelector(".many");
    const lines = [...points].map(([task, line]) => [task, [...line].flatMap(([n, places]) =>
      [...places].map(([x, values]) => {
        const y = values.reduce((a, b) => a + b) / values.length;
        return { x, y, label: rows[n].label, text: written(y, matrix.unit) };
      }))]);
    const domain = (values) => {
      const ys = values.map((value) => value.y);
      const room = 0.04 * (Math.max(...ys) - Math.min(...ys) || 1);
      return [Math.min(...ys) - room, Math.max(...ys) + room];
    };
    while (many.children.length > lines.length) many.lastChild.remove();
    while (many.children.length < lines.length) {
      many.append(Object.assign(document.createElement("div"), { className: "chart" }));
    }
    return Promise.all(lines.map(([task, values], n) => draw(many.children[n], "curve", {
      values, title: task, x: steps ? "step" : "experiences", domain: domain(values),
      count: Math.min(8, new Set(values.map((value) => value.x)).size),
      labels: this.chosen.map((c) => rows[c].label), colours: this.chosen.map((c) => colour(paint.get(c))),
      description: `${task} over the stream: ${this.chosen.map((c) => rows[c].label).join(", ")}`,
    })));
  }
}

function figures() {
  const made = all(".figures").map((element) => new Figures(element));
  document.addEventListener("theme", () => made.forEach((each) => each.again()));
}
