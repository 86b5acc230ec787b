// The browser's own camera: one frame at a time goes to the server, and its faces are drawn over the picture.

import { Problem, ask, post, show, sleep } from "./api.js";
import { announce, clearFaces, inWords, listFaces, overlay } from "./faces.js";

const LARGEST = 640; // pixels of the longer side: what a face needs, and no more to send
const QUALITY = 0.85;

const at = (id) => document.getElementById(id);
const video = at("camera-video"), canvas = at("camera-canvas"), stage = video.parentElement;
const button = at("camera-start"), mirror = at("camera-mirror"), problem = at("camera-problem");

let run = null; // { stream, session, pipeline }
let last = { faces: [], width: 640, height: 480 };

const WHY = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it beside the address, then start again.",
  NotFoundError: "This browser finds no camera.",
  NotReadableError: "The camera is in use by another program.",
  OverconstrainedError: "The camera has no picture of a usable size.",
};

async function openCamera() {
  if (!navigator.mediaDevices) {
    throw new Problem(0, "Browsers give their camera to pages on this same machine or over https only. Open this page as localhost, or put it behind https.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" }, audio: false });
  } catch (error) {
    throw new Problem(0, WHY[error.name] ?? `The camera cannot be used: ${error.message}`);
  }
}

function capture(sheet) {
  const scale = Math.min(1, LARGEST / Math.max(video.videoWidth, video.videoHeight));
  [sheet.width, sheet.height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
  sheet.getContext("2d").drawImage(video, 0, 0, sheet.width, sheet.height);
  return new Promise((done) => sheet.toBlob(done, "image/jpeg", QUALITY));
}

function redraw() {
  if (run) overlay(canvas, stage, last.faces, last.width, last.height, mirror.checked);
}

async function look(mine) {
  const sheet = document.createElement("canvas");
  const ends = [];
  while (run === mine) {
    await new Promise(requestAnimationFrame); // pauses while the page is hidden
    if (!video.videoWidth) continue;
    const blob = await capture(sheet);
    try {
      mine.session ??= (await post("/api/v1/sessions", { pipeline: mine.pipeline })).id;
      const answer = await ask(`/api/v1/sessions/${mine.session}/frames`, { method: "POST", headers: { "Content-Type": "image/jpeg" }, body: blob });
      if (run !== mine) break;
      last = answer;
      redraw();
      listFaces(at("camera-faces"), answer.faces);
      announce(inWords(answer.faces));
      show(null, problem);
      ends.push(performance.now());
      if (ends.length > 20) ends.shift();
      if (ends.length > 4) {
        const rate = ((ends.length - 1) * 1000) / (ends.at(-1) - ends[0]);
        at("camera-pace").textContent = `${rate.toFixed(0)} frames/s`;
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (run !== mine) break;
      if (error.status === 404) mine.session = null; // was silent for too long: the page was hidden
      else if (error.status !== 429) show(error, problem);
      if (error.status !== 404) await sleep(1000 * error.retryAfter);
    }
  }
  forget(mine); // here, because only here no frame is under way
}

function forget({ session }) {
  if (session) ask(`/api/v1/sessions/${session}`, { method: "DELETE", keepalive: true }).catch(() => {});
}

export async function start(pipeline) {
  show(null, problem);
  button.disabled = true;
  try {
    const stream = await openCamera();
    run = { stream, session: null, pipeline };
    stream.getVideoTracks()[0].addEventListener("ended", stop);
    video.srcObject = stream;
    video.hidden = canvas.hidden = false;
    stage.classList.add("full");
    await video.play();
    stage.style.aspectRatio = `${video.videoWidth} / ${video.videoHeight}`;
    button.textContent = "Stop the camera";
    announce("The camera is on.", { now: true });
    look(run);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    show(error, problem);
  } finally {
    button.disabled = false;
  }
}

export function stop() {
  if (!run) return;
  const { stream } = run;
  run = null;
  stream.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  video.hidden = canvas.hidden = true;
  stage.classList.remove("full");
  clearFaces(at("camera-faces"));
  at("camera-pace").textContent = "";
  button.textContent = "Start the camera";
  announce("The camera is off.", { now: true });
}

export function setup(pipeline) {
  button.addEventListener("click", () => (run ? stop() : start(pipeline())));
  const mirrored = () => { video.classList.toggle("mirrored", mirror.checked); redraw(); };
  mirror.addEventListener("change", mirrored);
  mirrored();
  new ResizeObserver(redraw).observe(stage);
  window.addEventListener("pagehide", () => {
    if (run) forget(run);
    stop();
  });
}

// Another pipeline goes on with the same picture, and a memory of its own.
export function change(pipeline) {
  if (!run) return;
  run = { stream: run.stream, session: null, pipeline };
  look(run);
}
