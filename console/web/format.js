// How figures are written. Every function takes what the JSON holds and gives
// [text, unit]; null is a dash, because "none" is not zero.

const grouped = new Intl.NumberFormat("en-US");
const dash = ["–", ""];

export const count = (v) => (v == null ? dash : [grouped.format(v), ""]);

export function rate(v) {
  if (v == null) return dash;
  return [v >= 100 || v === 0 ? grouped.format(Math.round(v)) : v.toFixed(1), ""];
}

export const percent = (v) => (v == null ? dash : [v.toFixed(1), "%"]);

// Three digits are enough to judge a latency; more only flicker.
export function micros(us) {
  if (us == null) return dash;
  if (us < 1000) return [String(us), "µs"];
  const [v, unit] = us < 1e6 ? [us / 1e3, "ms"] : [us / 1e6, "s"];
  return [v.toFixed(v < 10 ? 2 : v < 100 ? 1 : 0), unit];
}

const two = (n) => String(n).padStart(2, "0");

// 03:04:05, or 2 d 03:04:05; like ms and s, d is a unit and not a word.
export function duration(s) {
  if (s == null) return dash;
  const clock = `${two(Math.floor(s / 3600) % 24)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  const days = Math.floor(s / 86400);
  return [days > 0 ? `${grouped.format(days)} d ${clock}` : clock, ""];
}

// The switch's own wall clock: cut from the text, so that the browser's time
// zone plays no part.
export const clock = (at) => (at ? [at.slice(11, 19), ""] : dash);
export const clockMillis = (at) => (at ? [at.slice(11, 23), ""] : dash);

// 1234567.80 becomes 1,234,567.80, without passing through a float.
export function yuan(text) {
  const [whole, part] = text.split(".");
  return [whole.replace(/\B(?=(\d{3})+$)/g, ",") + "." + part, ""];
}

export const since = (at, now) => (at && now ? duration(Math.max(0, Math.floor((Date.parse(now) - Date.parse(at)) / 1000))) : dash);
