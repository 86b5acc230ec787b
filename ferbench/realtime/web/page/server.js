// The server's own camera: a motion JPEG in which the server has drawn, and its state in words.

import { Problem, ask, post, show, sleep } from "./api.js";
import { announce, clearFaces, inWords, listFaces } from "./faces.js";

const at = (id) => document.getElementById(id);
const picture = at("server-picture"), stage = picture.parentElement;
const button = at("server-start"), problem = at("server-problem");

let watching = 0; // counts the starts; 0 is off

async function follow(mine) {
  while (watching === mine) {
    await sleep(400);
    if (watching !== mine) return;
    let state;
    try {
      state = await ask("/api/v1/live");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      state = { running: false, error: error.message };
    }
    if (watching !== mine) return;
    if (!state.running) {
      off();
      if (state.error) show(new Problem(0, state.error), problem);
      return;
    }
    listFaces(at("server-faces"), state.faces);
    announce(inWords(state.faces));
    at("server-pace").textContent = state.fps ? `${state.source} · ${state.fps.toFixed(0)} frames/s` : state.source;
  }
}

async function start(pipeline) {
  show(null, problem);
  button.disabled = true;
  try {
    await post("/api/v1/live", { pipeline });
    watching = performance.now();
    picture.src = `/api/v1/live/stream?${watching}`;
    picture.hidden = false;
    stage.classList.add("full");
    button.textContent = "Stop the server’s camera";
    announce("The server’s camera is on.", { now: true });
    follow(watching);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    show(error, problem);
  } finally {
    button.disabled = false;
  }
}

function off() {
  watching = 0;
  picture.removeAttribute("src");
  picture.hidden = true;
  stage.classList.remove("full");
  clearFaces(at("server-faces"));
  at("server-pace").textContent = "";
  button.textContent = "Start the server’s camera";
  announce("The server’s camera is off.", { now: true });
}

export function stop() {
  if (!watching) return;
  off();
  ask("/api/v1/live", { method: "DELETE", keepalive: true }).catch(() => {});
}

export function setup(pipeline) {
  button.addEventListener("click", () => (watching ? stop() : start(pipeline())));
  picture.addEventListener("load", () => {
    if (picture.naturalWidth) stage.style.aspectRatio = `${picture.naturalWidth} / ${picture.naturalHeight}`;
  });
  window.addEventListener("pagehide", stop);
}

export function change(pipeline) {
  if (watching) post("/api/v1/live", { pipeline }).catch((error) => show(error, problem));
}
