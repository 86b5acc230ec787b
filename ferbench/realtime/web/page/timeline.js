// A video's expressions over time: for each face a band in which the probabilities lie on top of each other.

import { colourOf, percent } from "./faces.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000, HEIGHT = 100;
const POINTS = 250; // of a band: more than its pixels show nothing
const BANDS = 6;

function make(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function html(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

export function clock(ms) {
  const s = Math.floor(ms / 1000 + 0.05);
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

// { track, points: [{ t, p }], stretches: [{ label, from, to, p }] }, the faces seen longest first.
export function tracksOf(result) {
  const step = result.fps ? 1000 / result.fps : 40;
  const tracks = new Map();
  for (const frame of result.frames) {
    for (const face of frame.faces) {
      if (!tracks.has(face.track)) tracks.set(face.track, { track: face.track, points: [], stretches: [] });
      const { points, stretches } = tracks.get(face.track);
      points.push({ t: frame.t_ms, p: face.probabilities });
      const open = stretches.at(-1);
      if (open && open.label === face.label && frame.t_ms - open.to < 500) {
        open.to = frame.t_ms + step;
        open.sum += face.probability;
        open.n += 1;
      } else {
        stretches.push({ label: face.label, from: frame.t_ms, to: frame.t_ms + step, sum: face.probability, n: 1 });
      }
    }
  }
  return [...tracks.values()].sort((a, b) => b.points.length - a.points.length);
}

// Means over as many neighbouring frames as one step of the band holds: { from, to, p }. A face that is away leaves a gap.
function binned(points, labels, step) {
  const most = Math.ceil(points.length / POINTS);
  const bins = [];
  for (const { t, p } of points) {
    let bin = bins.at(-1);
    if (!bin || bin.n === most || t - bin.to > step) bins.push(bin = { from: t, n: 0, sums: labels.map(() => 0) });
    bin.n += 1;
    bin.to = t + step;
    labels.forEach((label, j) => { bin.sums[j] += p[label]; });
  }
  return bins.map(({ from, to, n, sums }) => ({ from, to, p: sums.map((sum) => sum / n) }));
}

function band(track, labels, duration, step) {
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const shares = labels.map((label) => [label, track.stretches.filter((s) => s.label === label).reduce((sum, s) => sum + s.n, 0) / track.points.length]);
  const most = shares.filter(([, share]) => share > 0).sort((a, b) => b[1] - a[1]);
  svg.setAttribute("aria-label", `Face ${track.track}: ` + most.map(([label, share]) => `${label} ${percent(share)} percent of the time`).join(", "));
  const steps = labels.map(() => "");
  for (const { from, to, p } of binned(track.points, labels, step)) {
    const x = (from / duration) * WIDTH, w = ((to - from) / duration) * WIDTH + 0.5; // a little wider: no seams
    let y = HEIGHT;
    p.forEach((value, j) => {
      const h = value * HEIGHT;
      if (h > 0.2) steps[j] += `M${x.toFixed(2)} ${(y - h).toFixed(2)}h${w.toFixed(2)}v${h.toFixed(2)}h${(-w).toFixed(2)}z`;
      y -= h;
    });
  }
  labels.forEach((label, j) => {
    if (steps[j]) svg.append(make("path", { d: steps[j], fill: colourOf(label) }, make("title", {}, label)));
  });
  svg.append(make("line", { class: "head", x1: 0, x2: 0, y1: 0, y2: HEIGHT }));
  return svg;
}

function table(tracks) {
  const rows = tracks.flatMap((track) => track.stretches.map((s) => [track.track, clock(s.from), ((s.to - s.from) / 1000).toFixed(1), s.label, percent(s.sum / s.n)]));
  const head = html("tr", "", ...["face", "from", "seconds", "expression", "mean %"].map((name) => {
    const cell = html("th", "", name);
    cell.scope = "col";
    return cell;
  }));
  const body = rows.map((row) => html("tr", "", ...row.map((value) => html("td", "", String(value)))));
  const scroll = html("div", "scroll", html("table", "", html("thead", "", head), html("tbody", "", ...body)));
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Expressions over time as a table");
  return html("details", "", html("summary", "", "As a table"), scroll);
}

// Draws all of it; calls `seek` with seconds where a band is clicked. Returns a function that moves the playhead.
export function drawTimeline(container, result, seek) {
  const tracks = tracksOf(result);
  container.replaceChildren();
  if (!tracks.length) return () => {};
  const step = result.fps ? 1000 / result.fps : 40;
  const duration = result.frames.at(-1).t_ms + step;
  const seen = result.labels.filter((label) => tracks.some((track) => track.points.some(({ p }) => p[label] >= 0.05)));
  const legend = html("ul", "legend", ...seen.map((label) => {
    const dot = html("i");
    dot.style.background = colourOf(label);
    return html("li", "", dot, label);
  }));
  const shown = tracks.slice(0, BANDS);
  const rows = shown.map((track) => {
    const svg = band(track, result.labels, duration, step);
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      seek(((event.clientX - box.left) / box.width) * (duration / 1000));
    });
    return html("div", "row", html("span", "", `face ${track.track}`), svg);
  });
  const axis = html("div", "row", html("span"), html("div", "axis", ...[0, 0.25, 0.5, 0.75, 1].map((share) => html("span", "", duration < 20000 ? `${(share * duration / 1000).toFixed(1)} s` : clock(share * duration)))));
  const left = tracks.length > BANDS ? [html("p", "note", `${tracks.length - BANDS} more faces, seen for a shorter time, are in the table.`)] : [];
  container.append(html("h2", "", "Expressions over time"), legend, ...rows, axis, ...left, table(tracks));
  const heads = container.querySelectorAll(".head");
  return (seconds) => {
    const x = Math.min(1, (seconds * 1000) / duration) * WIDTH;
    heads.forEach((head) => { head.setAttribute("x1", x); head.setAttribute("x2", x); });
  };
}
