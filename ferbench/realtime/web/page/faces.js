// Faces drawn over a picture, listed beside it, and told to those who do not see it.

let colours = {};

export function setColours(given) { colours = given; }
export function colourOf(label) { return colours[label] ?? "#ffffff"; }

// Rounded down below 100, so that certainty is shown only where there is certainty.
export function percent(p) { return Math.floor(p * 100 + 1e-6); }

function inkOn(colour) {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const v = parseInt(colour.slice(i, i + 2), 16) / 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#141418" : "#ffffff";
}

// Draws boxes with labels above them. `view` says how large the picture is drawn on the canvas, in its pixels.
export function drawFaces(context, faces, { scale, left = 0, top = 0, width, mirrored = false, unit = 1 }) {
  const text = 15 * unit, pad = 6 * unit, line = 2.5 * unit;
  context.font = `600 ${text}px ui-sans-serif, system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const face of faces) {
    let [x1, y1, x2, y2] = face.box.map((v) => v * scale);
    if (mirrored) [x1, x2] = [width - x2, width - x1];
    x1 += left; x2 += left; y1 += top; y2 += top;
    const colour = colourOf(face.label);
    for (const [style, thick] of [["#141418", line + 2 * unit], [colour, line]]) {
      context.strokeStyle = style;
      context.lineWidth = thick;
      context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
    const words = `${face.label} ${percent(face.probability)} %`;
    const w = context.measureText(words).width + 2 * pad, h = text + 1.4 * pad;
    const x = Math.max(left, Math.min(x1 - line, left + width - w));
    const y = y1 - h - line / 2 >= 0 ? y1 - h - line / 2 : Math.max(y1, 0);
    context.fillStyle = colour;
    context.fillRect(x, y, w, h);
    context.fillStyle = inkOn(colour);
    context.fillText(words, x + pad, y + h / 2);
  }
}

// Where a picture of this size lies inside a box that shows all of it.
export function contained(box, width, height) {
  const scale = Math.min(box.clientWidth / width, box.clientHeight / height);
  return { scale, left: (box.clientWidth - width * scale) / 2, top: (box.clientHeight - height * scale) / 2, width: width * scale };
}

// Lays a canvas over a picture of width × height shown in `stage`, and draws faces on it.
export function overlay(canvas, stage, faces, width, height, mirrored = false) {
  const dots = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(stage.clientWidth * dots), Math.round(stage.clientHeight * dots)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(dots, 0, 0, dots, 0, 0);
  context.clearRect(0, 0, stage.clientWidth, stage.clientHeight);
  drawFaces(context, faces, { ...contained(stage, width, height), mirrored });
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function card(face) {
  const box = element("div", "face");
  const title = element("h3");
  title.append(element("span", "label"), element("small", "", `face ${face.track}`));
  const bars = element("dl", "bars");
  for (const label of Object.keys(face.probabilities)) {
    const track = element("span", "track");
    track.setAttribute("aria-hidden", "true");
    track.append(element("i"));
    track.firstChild.style.background = colourOf(label);
    bars.append(element("dt", "", label), track, element("dd"));
  }
  box.append(title, bars);
  return box;
}

// One card a face; kept while the face stays, so that only figures change.
export function listFaces(container, faces, empty = "No face found.") {
  const key = JSON.stringify(faces.map((face) => [face.track, Object.keys(face.probabilities)]));
  if (container.dataset.key !== key) {
    container.dataset.key = key;
    container.replaceChildren(...(faces.length ? faces.map(card) : [element("p", "none", empty)]));
  }
  faces.forEach((face, i) => {
    const box = container.children[i];
    box.querySelector(".label").textContent = face.label;
    const bars = box.querySelector(".bars").children;
    Object.entries(face.probabilities).forEach(([label, p], j) => {
      const [name, track, value] = [bars[3 * j], bars[3 * j + 1], bars[3 * j + 2]];
      track.firstChild.style.transform = `scaleX(${p})`;
      value.textContent = `${percent(p)} %`;
      name.className = value.className = label === face.label ? "best" : "";
    });
  });
}

export function clearFaces(container) {
  container.replaceChildren();
  delete container.dataset.key;
}

export function inWords(faces) {
  if (!faces.length) return "No face found.";
  if (faces.length === 1) return `One face: ${faces[0].label}, ${percent(faces[0].probability)} percent.`;
  return `${faces.length} faces: ` + faces.map((face) => face.label).join(", ") + ".";
}

let told = "", toldAt = 0;

// Tells a change in words, at most every three seconds: a screen reader must be able to follow.
export function announce(words, { now = false } = {}) {
  const shape = words.replace(/, \d+ percent/, "");
  if (!now && (shape === told || performance.now() - toldAt < 3000)) return;
  [told, toldAt] = [shape, performance.now()];
  document.getElementById("announce").textContent = words;
}
