// The page: tabs, the choice of pipeline, and what each tab does with it.

import { Problem, ask, show } from "./api.js";
import * as camera from "./camera.js";
import { announce, setColours } from "./faces.js";
import * as server from "./server.js";
import * as upload from "./upload.js";

const at = (id) => document.getElementById(id);
const select = at("pipeline");

function setupTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const choose = (tab) => {
    if (tab.id !== "tab-camera") camera.stop();
    if (tab.id !== "tab-server") server.stop();
    for (const other of tabs) {
      other.setAttribute("aria-selected", String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
      at(other.getAttribute("aria-controls")).hidden = other !== tab;
    }
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const shown = tabs.filter((other) => !other.hidden);
      const i = shown.indexOf(tab);
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1 + shown.length, Home: 0, End: shown.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(shown[to % shown.length]);
      shown[to % shown.length].focus();
    });
  }
}

async function setup() {
  setupTabs();
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  if (!local) at("where").textContent = `${location.hostname}, the machine that serves this page`;
  let facts;
  try {
    facts = await ask("/api/v1/pipelines");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return show(error, at("camera-problem"));
  }
  setColours(facts.colours);
  select.replaceChildren(...facts.pipelines.map(({ name }) => new Option(name, name)));
  select.disabled = false;
  at("tab-server").hidden = !facts.camera;
  const chosen = () => select.value;
  camera.setup(chosen);
  server.setup(chosen);
  upload.setup(chosen, facts.limits);
  select.addEventListener("change", () => {
    camera.change(select.value);
    server.change(select.value);
    announce(`Pipeline ${select.value}.`, { now: true });
  });
}

setup();
