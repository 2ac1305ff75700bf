import { createHash } from "node:crypto";

/** The page at `/`: figures of the running server, without any resource from outside. */

const style = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif;
  --ink: light-dark(#1b1f24, #e6e9ec); --faint: light-dark(#66707a, #98a2ac);
  --page: light-dark(#f6f7f8, #14171a); --card: light-dark(#fff, #1e2226);
  --edge: light-dark(#dde1e5, #31373d); --line: light-dark(#1f6feb, #6aa5ff); }
body { background: var(--page); color: var(--ink); max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
header { display: flex; align-items: baseline; gap: 1rem; }
#state, .unit, footer { color: var(--faint); }
#tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .8rem;
  margin-top: 1rem; }
.tile { background: var(--card); border: 1px solid var(--edge); border-radius: .5rem;
  padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.3;
  font-variant-numeric: tabular-nums; }
.tile svg { display: block; width: 100%; height: 2.4rem; margin-top: .3rem; }
.tile path { fill: none; stroke: var(--line); stroke-width: 1.5;
  vector-effect: non-scaling-stroke; }
table { border-collapse: collapse; width: 100%; background: var(--card); }
td, th { padding: .3rem .7rem; border: 1px solid var(--edge); text-align: left; font-weight: 400; }
th { color: var(--faint); }
td + td, th + th { text-align: right; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; margin: 1.6rem 0 .4rem; }
footer { margin: 1.6rem 0; }
a { color: var(--line); }
`;

/** Tiles are the figures that matter as lines over two minutes; all of /v1/status is below. */
const script = `
const svgSpace = "http://www.w3.org/2000/svg";
const pointsMax = 120;
const byId = (id) => document.getElementById(id);
const tiles = [
  ["slates", "recommendTotal", "/s"], ["slate p99", "recommendMsP99", "ms"],
  ["events", "eventsTotal", "/s"], ["event to counters p99", "acceptedToWindowsMsP99", "ms"],
  ["samples learned from", "samplesTotal", "/s"], ["model swaps", "swapsTotal", "/min"],
  ["sample to weights p99", "sampleToWeightsMsP99", "ms"], ["model version", "modelVersion", ""],
].map(([title, name, unit]) => makeTile(title, name, unit));
let last = null;

function add(parent, tag, text) {
  const element = document.createElement(tag);
  element.textContent = text ?? "";
  return parent.appendChild(element);
}
function makeTile(title, name, unit) {
  const box = add(byId("tiles"), "div");
  box.className = "tile";
  add(box, "span", title);
  const value = add(box, "b");
  const svg = box.appendChild(document.createElementNS(svgSpace, "svg"));
  svg.setAttribute("viewBox", "0 0 " + (pointsMax - 1) + " 40");
  svg.setAttribute("preserveAspectRatio", "none");
  const path = svg.appendChild(document.createElementNS(svgSpace, "path"));
  return { name, unit, value, path, points: [] };
}
function show(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "\u2013";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
function perSecond(name, figures, now) {
  if (last === null) return null;
  return ((figures[name] - last.figures[name]) * 1000) / (now - last.now);
}
function valueOf({ name, unit }, figures, now) {
  if (!unit.startsWith("/")) return figures[name];
  const rate = perSecond(name, figures, now);
  if (rate === null) return null;
  return unit === "/min" ? rate * 60 : rate;
}
function drawTile(tile, value) {
  tile.points.push(value);
  if (tile.points.length > pointsMax) tile.points.shift();
  const mean = tile.unit === "/min" ? tile.points.slice(-15) : [value];
  const shown = mean.some((one) => one === null) && tile.unit !== "/min"
    ? null : mean.reduce((sum, one) => sum + (one ?? 0), 0) / mean.length;
  tile.value.textContent = show(tile.unit === "/s" ? shown && Number(shown.toFixed(1)) : shown);
  if (tile.unit !== "") {
    const unit = add(tile.value, "span", " " + tile.unit);
    unit.className = "unit";
  }
  const known = tile.points.filter((one) => one !== null);
  const low = tile.name === "modelVersion" ? Math.min(...known) : 0;
  const spread = Math.max(...known) - low || 1;
  let pen = "M";
  let d = "";
  const from = pointsMax - tile.points.length;
  tile.points.forEach((one, i) => {
    if (one === null) { pen = "M"; return; }
    d += pen + (from + i) + " " + (38 - (36 * (one - low)) / spread).toFixed(1);
    pen = "L";
  });
  tile.path.setAttribute("d", d);
}
function drawRows(figures, now) {
  const rows = byId("rows");
  rows.replaceChildren();
  for (const [name, value] of Object.entries(figures)) {
    const row = rows.insertRow();
    add(row, "td", name);
    add(row, "td", show(value));
    const rate = name.endsWith("Total") ? perSecond(name, figures, now) : null;
    add(row, "td", rate === null ? "" : rate.toFixed(1));
  }
}
async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(path + " " + answer.status);
  return await answer.json();
}
async function poll() {
  try {
    const figures = await get("/v1/status");
    const now = performance.now();
    for (const tile of tiles) drawTile(tile, valueOf(tile, figures, now));
    drawRows(figures, now);
    last = { now, figures };
    byId("state").textContent = "running, " + show(figures.users) + " users, " +
      show(figures.items) + " items, index " + show(figures.indexGeneration);
  } catch (error) {
    byId("state").textContent = "not reachable: " + error.message;
  }
  setTimeout(poll, 1000);
}
async function pollHeads() {
  try {
    const { progressive } = await get("/v1/models");
    const rows = byId("heads");
    rows.replaceChildren();
    for (const { head, count, base, loss, auc, calibration } of progressive) {
      const row = rows.insertRow();
      for (const cell of [head, count, base, loss, auc, calibration]) {
        add(row, "td", typeof cell === "number" && cell < 100 ? cell.toFixed(3) : show(cell));
      }
    }
  } catch {}
  setTimeout(pollHeads, 5000);
}
poll();
pollHeads();
`;

export const statusPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>RecMaster</title>
<style>${style}</style>
</head>
<body>
<header><h1>RecMaster</h1><span id="state" role="status">connecting</span></header>
<div id="tiles"></div>
<h2>Heads, on the last samples before they were learned from</h2>
<table><thead><tr><th>head</th><th>samples</th><th>mean label</th><th>loss</th><th>AUC</th>
<th>predicted / seen</th></tr></thead><tbody id="heads"></tbody></table>
<details><summary>All figures</summary>
<table><thead><tr><th>figure</th><th>value</th><th>per second</th></tr></thead>
<tbody id="rows"></tbody></table></details>
<footer>Lines show the last two minutes; p99 of the last 10 to 20 s.
<a href="/metrics">Prometheus text</a>, <a href="/openapi.json">contract</a>.</footer>
<script>${script}</script>
</body>
</html>
`;

function sourceHash(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** Only this page's own script and style run, and it talks to this server alone. */
export const statusPageHeaders: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "content-security-policy":
    `default-src 'none'; connect-src 'self'; script-src ${sourceHash(script)}; ` +
    `style-src ${sourceHash(style)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
};
