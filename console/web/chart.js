// A line chart of the last five minutes in plain SVG. It is drawn anew once a
// second, which for 300 points costs less than keeping track of changes.

const NS = "http://www.w3.org/2000/svg";
const WINDOW = 300e3; // ms
const GAP = 3500; // ms without a point break the line: no data is not zero
const LEFT = 58, RIGHT = 10, TOP = 8, BOTTOM = 20; // px around the plot

function node(name, attrs, text) {
  const n = document.createElementNS(NS, name);
  for (const k in attrs) n.setAttribute(k, attrs[k]);
  if (text != null) n.textContent = text;
  return n;
}

// The next of 1, 2, 5 × 10ⁿ, so that the axis has round numbers and keeps its
// scale while the figures wobble.
function roundUp(v) {
  const p = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].map((m) => m * p).find((m) => m >= v * 0.999);
}

export class Chart {
  // series: [{key, name: {zh, en}, area}], the first is drawn at the bottom;
  // format: how a value is written.
  constructor(svg, legend, series, format, least) {
    Object.assign(this, { svg, series, format, least, points: [], at: null });
    for (const s of series) {
      const item = document.createElement("span");
      item.className = `key ${s.key}`;
      const en = document.createElement("span");
      en.lang = "en";
      en.textContent = s.name.en;
      s.value = document.createElement("b");
      item.append(s.name.zh, " ", en, " ", s.value);
      legend.append(item);
    }
    this.when = document.createElement("span");
    this.when.className = "when";
    legend.append(this.when);
    svg.addEventListener("pointermove", (e) => this.point(e.offsetX));
    svg.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => this.draw(this.points)).observe(svg.parentElement);
  }

  // point chooses the moment that the legend tells; null is the newest.
  point(x) {
    this.at = x;
    this.draw(this.points);
  }

  draw(points) {
    this.points = points;
    const w = this.svg.clientWidth, h = this.svg.clientHeight;
    const blank = !points.some((p) => this.series.some((s) => p[s.key] != null));
    this.svg.parentElement.classList.toggle("blank", blank);
    if (w <= LEFT + RIGHT || blank) {
      this.svg.replaceChildren();
      for (const s of this.series) s.value.textContent = "–";
      return;
    }
    const end = points[points.length - 1].t;
    const peak = Math.max(this.least, ...this.series.flatMap((s) => points.map((p) => p[s.key] ?? 0)));
    const step = roundUp(peak / 4);
    const top = step * Math.ceil(peak / step);
    const x = (t) => LEFT + (1 - (end - t) / WINDOW) * (w - LEFT - RIGHT);
    const y = (v) => TOP + (1 - v / top) * (h - TOP - BOTTOM);
    const parts = this.grid(w, h, y, top, step);
    for (const s of this.series) parts.push(...this.line(s, x, y));
    parts.push(...this.cursor(x, h));
    this.svg.replaceChildren(...parts);
  }

  // The numbers of the axis are round, so decimals say nothing.
  tick(v) {
    const [text, unit] = this.format(v);
    return `${text.replace(/\.0+$/, "").replace(/(\.\d*?)0+$/, "$1")} ${unit}`.trim();
  }

  grid(w, h, y, top, step) {
    const out = [];
    for (let v = 0; v <= top * 1.001; v += step) {
      const py = Math.round(y(v)) + 0.5;
      out.push(node("line", { class: v === 0 ? "axis" : "grid", x1: LEFT, x2: w - RIGHT, y1: py, y2: py }));
      out.push(node("text", { class: "tick", x: LEFT - 8, y: py + 4, "text-anchor": "end" }, this.tick(v)));
    }
    for (let m = 0; m <= 5; m++) {
      const px = LEFT + (1 - m / 5) * (w - LEFT - RIGHT);
      const anchor = m === 0 ? "end" : m === 5 ? "start" : "middle";
      out.push(node("text", { class: "tick", x: px, y: h - 5, "text-anchor": anchor }, m === 0 ? "现在 now" : `−${m} min`));
    }
    return out;
  }

  line(s, x, y) {
    const base = y(0).toFixed(1);
    let d = "", area = "", last = null;
    const close = () => {
      if (last) area += `L${x(last.t).toFixed(1)},${base}Z`;
      last = null;
    };
    for (const p of this.points) {
      const v = p[s.key];
      if (v == null || (last && p.t - last.t > GAP)) close();
      if (v == null) continue;
      const at = `${x(p.t).toFixed(1)},${y(v).toFixed(1)}`;
      d += (last ? "L" : "M") + at;
      area += last ? "L" + at : `M${x(p.t).toFixed(1)},${base}L${at}`;
      last = p;
    }
    close();
    const out = s.area ? [node("path", { class: `area ${s.key}`, d: area })] : [];
    out.push(node("path", { class: `line ${s.key}`, d }));
    return out;
  }

  cursor(x, h) {
    const points = this.points;
    let p = points[points.length - 1];
    if (this.at != null) for (const q of points) if (Math.abs(x(q.t) - this.at) < Math.abs(x(p.t) - this.at)) p = q;
    for (const s of this.series) s.value.textContent = this.format(p[s.key]).filter(Boolean).join(" ");
    const back = Math.round((points[points.length - 1].t - p.t) / 1000);
    this.when.textContent = this.at == null ? "" : `−${back} s`;
    if (this.at == null) return [];
    const px = x(p.t).toFixed(1);
    return [node("line", { class: "cursor", x1: px, x2: px, y1: TOP, y2: h - BOTTOM })];
  }
}
