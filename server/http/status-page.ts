import { createHash } from "node:crypto";

/** The page at `/`: figures of the running server, without any resource from outside. */

const style = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: .3rem .6rem; border-bottom: 1px solid #8884; text-align: left; }
td + td { text-align: right; font-variant-numeric: tabular-nums; }
#state { font-weight: 600; }
`;

/** Draws every figure of /v1/status; counters ending in Total also as a rate. */
const script = `
const rows = document.getElementById("rows");
const state = document.getElementById("state");
let last = null;
function show(value) {
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(4);
}
function draw(figures) {
  const now = performance.now();
  rows.replaceChildren();
  for (const [name, value] of Object.entries(figures)) {
    const row = rows.insertRow();
    row.insertCell().textContent = name;
    row.insertCell().textContent = show(value);
    const rate = row.insertCell();
    if (last && name.endsWith("Total") && typeof value === "number") {
      const seconds = (now - last.now) / 1000;
      rate.textContent = ((value - (last.figures[name] ?? 0)) / seconds).toFixed(1) + " /s";
    }
  }
  last = { now, figures };
}
async function poll() {
  try {
    const answer = await fetch("/v1/status");
    if (!answer.ok) throw new Error("status " + answer.status);
    draw(await answer.json());
    state.textContent = "running";
  } catch (error) {
    state.textContent = "not reachable: " + error.message;
  }
  setTimeout(poll, 1000);
}
poll();
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
<h1>RecMaster</h1>
<p id="state" role="status">connecting</p>
<table><thead><tr><th>figure</th><th>value</th><th>per second</th></tr></thead>
<tbody id="rows"></tbody></table>
<p>Prometheus text: /metrics. The contract: /openapi.json.</p>
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
