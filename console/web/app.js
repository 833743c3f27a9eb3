// The page's only state is the newest Status and the points of the charts;
// everything shown follows from these two.

import * as format from "./format.js";
import { Chart } from "./chart.js";

const $ = (id) => document.getElementById(id);
const root = document.documentElement;
const KEEP = 300; // points
const SILENCE = 4000; // ms without an event: the connection is lost, even if nobody said so

const charts = [
  new Chart($("rate-chart"), $("rate-legend"), [
    { key: "tps", name: { zh: "完成", en: "finished" }, area: true },
    { key: "failed", name: { zh: "未成功", en: "declined or timed out" } },
  ], format.rate, 4),
  new Chart($("latency-chart"), $("latency-legend"), [
    { key: "p99_us", name: { zh: "", en: "p99" } },
    { key: "p50_us", name: { zh: "", en: "p50" } },
  ], format.micros, 40),
];

let points = [];
let paused = false;
let newest = null;

// put writes text and unit, and touches the page only when they changed.
function put(el, [text, unit]) {
  const key = text + "\u0000" + unit;
  if (el.written === key) return;
  el.written = key;
  el.textContent = text;
  if (unit) {
    const u = document.createElement("small");
    u.textContent = unit;
    el.append(u);
  }
}

function words(el, w) {
  if (el.written === w.zh + w.en) return;
  el.written = w.zh + w.en;
  const en = document.createElement("span");
  en.lang = "en";
  en.textContent = w.en;
  el.replaceChildren(w.zh, " ", en);
}

const lookup = (status, path) => path.split(".").reduce((v, k) => (v == null ? v : v[k]), status);

// Levels: colour and, beside it, words.
const LEVELS = {
  flight: (s) => (s.used_pct >= 80 ? ["bad", { zh: "将满", en: "nearly full" }] : ["", { zh: "槽", en: "slots" }]),
  owed: (s) => (s.owed > 0 ? ["warn", { zh: "待银行确认", en: "await bank" }] : ["", { zh: "无", en: "none" }]),
  parked: (s) => (s.parked > 0 ? ["bad", { zh: "待人工处理", en: "need operator" }] : ["", { zh: "无", en: "none" }]),
  cards: (s) => (s.parked_cards > 0 ? ["bad", { zh: "待双人裁定", en: "two persons decide" }] : ["", { zh: "无", en: "none" }]),
};

function showFigures(s) {
  for (const el of document.querySelectorAll("[data-bind]")) put(el, format[el.dataset.as](lookup(s, el.dataset.bind)));
  for (const el of document.querySelectorAll("[data-level]")) {
    const [level, text] = LEVELS[el.dataset.level](s);
    el.classList.toggle("warn", level === "warn");
    el.classList.toggle("bad", level === "bad");
    words(el.querySelector("[data-words]"), text);
  }
  for (const el of document.querySelectorAll(".tile")) el.classList.toggle("warn", s.last_minute[el.dataset.key] > 0);
  $("used").value = s.used_pct;
  const failed = s.reload && !s.reload.ok;
  $("not-reloaded").classList.toggle("shown", failed);
  $("not-reloaded").textContent = failed ? `${s.reload.words.zh} ${s.reload.words.en}: ${s.reload.lines.join("; ")}` : "";
  document.title = `${s.state_words.zh} ${format.rate(s.now.tps)[0]} TPS – 通卡 Tongka`;
}

function cell(className) {
  const td = document.createElement("td");
  td.className = className;
  return td;
}

function pill(level, w) {
  const p = document.createElement("span");
  p.className = `pill ${level}`;
  words(p, w);
  return p;
}

function row(cells) {
  const tr = document.createElement("tr");
  for (const [className, content, unit] of cells) {
    const td = cell(className);
    if (content instanceof Node) td.append(content);
    else if (typeof content === "object") words(td, content);
    else put(td, [content, unit]);
    tr.append(td);
  }
  return tr;
}

const LINK = { up: "good", "signing-on": "warn", probing: "bad", dialing: "bad", draining: "note", down: "note" };
const RESULT = { approved: "good", declined: "warn", "timed-out": "bad", reversed: "note", open: "note" };

// The lines of a bank stand under it when there are several; one that is up but
// not used now, for another priority serves, is grey.
function linkRow(s, name, l, level, owed) {
  return row([
    ["name", name, ""],
    ["", pill(level, l.state_words)],
    ["num", ...format.since(l.since, s.at)],
    ["num", ...format.count(l.in_flight)],
    owed,
    ["num", ...format.count(l.sent)],
    ["num", ...format.count(l.answered)],
    ["num", ...format.count(l.timed_out)],
  ]);
}

function showLinks(s) {
  $("no-links").hidden = s.links.length > 0;
  $("links").replaceChildren(...s.links.flatMap((l) => [
    linkRow(s, l.name, l, LINK[l.state] ?? "note", ["num" + (l.owed > 0 ? " warn" : ""), ...format.count(l.owed)]),
    ...(l.lines.length < 2 ? [] : l.lines.map((n) => linkRow(s, `└ ${l.name} #${n.line}`, n,
      n.state === "up" && (n.trial || !n.serving) ? (n.trial ? "warn" : "note") : LINK[n.state] ?? "note", ["num", "", ""]))),
  ]));
}

const CHANGES = 4; // the page shows; the rest is in /api/snapshot

function showChanges(s) {
  $("no-changes").hidden = s.changes.length > 0;
  $("changes").replaceChildren(...s.changes.slice(0, CHANGES).map((c) => {
    const li = document.createElement("li");
    const text = document.createElement("span");
    const at = c.at.slice(11, 19);
    words(text, { zh: `${at} ${c.link} #${c.line}：${c.hint.zh}`, en: c.hint.en });
    li.append(pill(c.level, c.to_words), " ", text);
    return li;
  }));
}

// Alarms first; the hint stands in the tooltip. All of it is in /api/snapshot.
function showFaults(s) {
  $("no-faults").hidden = s.faults.length > 0;
  const order = [...s.faults].sort((a, b) => b.alarm - a.alarm || (a.last < b.last ? 1 : -1));
  $("faults").replaceChildren(...order.slice(0, CHANGES).map((f) => {
    const li = document.createElement("li");
    const text = document.createElement("span");
    words(text, { zh: `${format.count(f.count)[0]} 次，${f.last.slice(11, 19)} ${f.words.zh}`, en: f.words.en });
    li.title = `${f.hint.zh} ${f.hint.en}`;
    li.append(pill(f.alarm ? "bad" : "note", { zh: f.code, en: f.alarm ? "alarm" : "" }), " ", text);
    return li;
  }));
}

function showKinds(s) {
  $("no-kinds").hidden = s.kinds.length > 0;
  $("kinds").replaceChildren(...s.kinds.map((k) => {
    const li = document.createElement("li");
    const n = document.createElement("b");
    n.textContent = `${format.count(k.approved)[0]}/${format.count(k.other)[0]}`;
    const text = document.createElement("span");
    words(text, k.words);
    li.append(text, " ", n);
    return li;
  }));
}

function showFrames(s) {
  $("no-frames").hidden = s.frames.length > 0;
  $("frames").replaceChildren(...s.frames.slice(0, CHANGES).map((f) => {
    const li = document.createElement("li");
    const text = document.createElement("span");
    words(text, { zh: `${f.at.slice(11, 19)} ${f.why}`, en: `${f.length} B, ${format.count(f.count)[0]} ×` });
    li.title = f.hex;
    li.append(pill("warn", { zh: f.place, en: f.field }), " ", text);
    return li;
  }));
}

// A module is a pill with its name; commands that are out stand beside it, and
// those that were not answered in time once there are any.
function showModules(s) {
  $("no-modules").hidden = s.hsms.length > 0;
  $("modules").replaceChildren(...s.hsms.map((m) => {
    const li = document.createElement("li");
    const text = document.createElement("span");
    const more = m.missed > 0 ? [`，超时 ${format.count(m.missed)[0]}`, `, missed ${format.count(m.missed)[0]}`] : ["", ""];
    words(text, { zh: `在途 ${m.in_flight}${more[0]}`, en: `in flight ${m.in_flight}${more[1]}` });
    li.append(pill(m.connected ? (m.late > 0 ? "warn" : "good") : "bad", { zh: `${m.name} ${m.state_words.zh}`, en: m.state_words.en }), " ", text);
    return li;
  }));
}

function code(t) {
  const box = document.createDocumentFragment();
  const digits = document.createElement("b");
  digits.className = "code";
  digits.textContent = t.code;
  const text = document.createElement("span");
  words(text, t.code_words);
  box.append(digits, text);
  return box;
}

function showLast(s) {
  if (paused) return;
  $("no-last").hidden = s.last.length > 0;
  $("last").replaceChildren(...s.last.map((t) => row([
    ["time", ...format.clockMillis(t.at)],
    ["mono", t.terminal, ""],
    ["mono dim", t.merchant, ""],
    ["", t.kind_words],
    ["mono", t.pan || "–", ""],
    ["num", ...(t.amount_fen === 0 ? ["–", ""] : format.yuan(t.amount_yuan))],
    ["", pill(RESULT[t.result] ?? "note", t.result_words)],
    ["", code(t)],
    ["name", t.link || "–", ""],
    ["num", ...format.micros(t.duration_us)],
  ])));
}

function setState(state, level, w) {
  root.dataset.state = state;
  $("state").className = `pill state ${level}`;
  words($("state"), w);
  for (const b of document.querySelectorAll(".banner[data-when]")) b.classList.toggle("shown", b.dataset.when === state);
}

const STATE = { running: "good", starting: "warn", recovering: "warn", degraded: "warn", isolated: "bad", unsecured: "bad", stalled: "bad" };

function show(s) {
  newest = s;
  if (s.point && (points.length === 0 || s.point.t > points[points.length - 1].t)) points = [...points, s.point].slice(-KEEP);
  setState(s.state, STATE[s.state], s.state_words);
  showFigures(s);
  showLinks(s);
  showChanges(s);
  showModules(s);
  showFaults(s);
  showKinds(s);
  showFrames(s);
  showLast(s);
  for (const c of charts) c.draw(points);
}

let timer = 0;

function lost() {
  setState("lost", "bad", { zh: "连接断开", en: "connection lost" });
}

// The stream says nothing when a machine vanishes, so silence counts too.
function heard() {
  clearTimeout(timer);
  timer = setTimeout(lost, SILENCE);
}

function connect() {
  const stream = new EventSource("/events");
  stream.addEventListener("history", (e) => {
    heard();
    points = JSON.parse(e.data);
  });
  stream.addEventListener("status", (e) => {
    heard();
    show(JSON.parse(e.data));
  });
  stream.addEventListener("error", () => {
    lost();
    if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again itself
    setTimeout(connect, 3000); // refused outright: too many pages, or a restart
  });
}

const panel = $("last-panel").querySelector("tbody");
for (const [event, on] of [["pointerenter", true], ["pointerleave", false]]) {
  panel.addEventListener(event, () => {
    paused = on;
    $("paused").hidden = !on;
    if (!on && newest) showLast(newest);
  });
}

heard();
connect();
