// A photograph or a video from this machine: sent with progress, answered with drawn results.

import { Problem, ask, problemOf, show, sleep } from "./api.js";
import { announce, clearFaces, drawFaces, inWords, listFaces, overlay } from "./faces.js";
import { clock, drawTimeline } from "./timeline.js";

const LARGEST = 1600; // pixels of the longer side of a drawn photograph
const POLL_MS = 500;

const at = (id) => document.getElementById(id);
const problem = at("upload-problem"), result = at("upload-result"), stage = at("upload-stage");
const video = at("upload-video"), canvas = at("upload-canvas"), links = at("upload-links");

let limits = { image_bytes: Infinity, video_bytes: Infinity };
let current = null; // { cancelled, request, job, url }

function megabytes(bytes) { return `${Math.round(bytes / 2 ** 20)} MB`; }

function progress(text, share) {
  at("upload-progress").hidden = text === null;
  at("upload-text").textContent = text ?? "";
  if (share === null || share === undefined) at("upload-bar").removeAttribute("value");
  else at("upload-bar").value = share;
}

// XMLHttpRequest, because fetch does not tell how far an upload is.
function send(path, form, mine) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    mine.request = request;
    request.open("POST", path);
    request.responseType = "blob";
    request.upload.onprogress = (event) => progress(`Uploading, ${megabytes(event.loaded)} of ${megabytes(event.total)}`, event.loaded / event.total);
    request.upload.onload = () => progress("Looking for faces", null);
    request.onerror = () => fail(new Problem(0, "the server does not answer; is ferbench serve still running?"));
    request.onabort = () => fail(new Problem(-1, "cancelled"));
    request.onload = async () => {
      const retry = request.getResponseHeader("Retry-After");
      const response = new Response(request.response, { status: request.status, headers: retry ? { "Retry-After": retry } : {} });
      if (request.status >= 400) fail(await problemOf(response));
      else done(await response.json());
    };
    request.send(form);
  });
}

function reset() {
  if (current) {
    current.cancelled = true;
    current.request?.abort();
    if (current.job) ask(`/api/v1/videos/${current.job}`, { method: "DELETE" }).catch(() => {});
    if (current.url) URL.revokeObjectURL(current.url);
  }
  current = null;
  result.hidden = true;
  result.classList.remove("unplayable");
  at("drop").classList.remove("small");
  video.removeAttribute("src");
  video.load();
  video.hidden = canvas.hidden = true;
  at("timeline").replaceChildren();
  links.replaceChildren();
  clearFaces(at("upload-faces"));
  show(null, problem);
  progress(null);
}

function link(text, href, name) {
  const made = document.createElement("a");
  made.textContent = text;
  made.href = href;
  made.download = name ?? "";
  return made;
}

function note(text) {
  const made = document.createElement("span");
  made.className = "pace";
  made.textContent = text;
  links.append(made);
}

function present(title, words) {
  progress(null);
  at("upload-title").textContent = title;
  result.hidden = false;
  at("drop").classList.add("small");
  at("upload-title").focus({ preventScroll: true });
  result.scrollIntoView({ block: "nearest" });
  announce(words, { now: true });
}

async function photograph(file, pipeline, mine) {
  const form = new FormData();
  form.append("pipeline", pipeline);
  form.append("file", file);
  const answer = await send("/api/v1/predict", form, mine);
  present(file.name, inWords(answer.faces));
  listFaces(at("upload-faces"), answer.faces);
  const bitmap = await createImageBitmap(file).catch(() => null);
  stage.hidden = !bitmap;
  if (!bitmap) return show(new Problem(0, "This browser cannot show such a picture; its faces are listed."), problem);
  const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  [canvas.width, canvas.height] = [Math.round(bitmap.width * scale), Math.round(bitmap.height * scale)];
  stage.style.aspectRatio = `${canvas.width} / ${canvas.height}`;
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  canvas.hidden = false;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", inWords(answer.faces));
  stage.classList.add("full");
  const unit = Math.max(canvas.width / Math.max(stage.clientWidth, 1), 0.5);
  drawFaces(context, answer.faces, { scale: canvas.width / answer.width, width: canvas.width, unit });
  const picture = await new Promise((done) => canvas.toBlob(done, "image/png"));
  mine.url = URL.createObjectURL(picture);
  links.replaceChildren(link("Save the picture", mine.url, `${file.name.replace(/\.[^.]*$/, "")}-expressions.png`));
}

async function film(file, pipeline, mine) {
  const form = new FormData();
  form.append("pipeline", pipeline);
  form.append("file", file);
  let job = await send("/api/v1/videos", form, mine);
  mine.job = job.id;
  while (job.state === "queued" || job.state === "running") {
    const total = job.frames_total;
    if (job.state === "queued") progress("Waiting for another video", null);
    else progress(total ? `Frame ${job.frames_done} of ${total}` : `Frame ${job.frames_done}`, total ? Math.min(1, job.frames_done / total) : null);
    await sleep(POLL_MS);
    if (mine.cancelled) return;
    job = await ask(`/api/v1/videos/${job.id}`);
  }
  if (mine.cancelled) return;
  if (job.state === "failed") throw new Problem(0, job.error);
  const data = await ask(job.links.result);
  const people = new Set(data.frames.flatMap((frame) => frame.faces.map((face) => face.track))).size;
  const withFace = data.frames.filter((frame) => frame.faces.length).length;
  const lost = data.unreadable ? `, ${data.unreadable} could not be decoded` : "";
  present(file.name, `Done. ${people} faces in ${data.frames.length} frames${lost}.`);
  links.replaceChildren(link("Save the table (CSV)", job.links.csv), link("Save the annotated video (WebM)", job.links.video));
  note(`${withFace} of ${data.frames.length} frames with a face${lost}`);
  const move = drawTimeline(at("timeline"), data, (seconds) => { video.currentTime = seconds; });
  play(file, data, move, mine, job.links.video);
}

// Boxes over the user's own copy of the video: nothing is sent back, and it looks as it did. Of a form that the browser
// does not know, the server's annotated copy is played.
function play(file, data, move, mine, annotated) {
  mine.url = URL.createObjectURL(file);
  stage.hidden = false;
  stage.style.aspectRatio = `${data.width} / ${data.height}`;
  stage.classList.add("full");
  video.hidden = canvas.hidden = false;
  canvas.removeAttribute("role");
  canvas.removeAttribute("aria-label");
  canvas.setAttribute("aria-hidden", "true");
  const refuse = () => {
    if (mine.cancelled) return;
    if (isCopy) {
      result.classList.add("unplayable");
      show(new Problem(0, "This browser can play neither such a video nor its annotated copy; the copy can be saved below and played elsewhere."), problem);
      return;
    }
    isCopy = true;
    canvas.hidden = true;
    note("This browser cannot play such a video: this is the annotated copy, without sound.");
    video.src = annotated;
  };
  let i = 0, isCopy = false;
  video.onerror = refuse;
  video.onloadedmetadata = () => { if (!video.videoWidth) refuse(); }; // it knows the sound, and not the picture
  video.src = mine.url;
  const draw = (seconds) => {
    const t = seconds * 1000 + 1; // a hair late, so that a frame's own time finds that frame
    if (i >= data.frames.length || data.frames[i].t_ms > t) i = 0;
    while (i + 1 < data.frames.length && data.frames[i + 1].t_ms <= t) i += 1;
    const { faces } = data.frames[i];
    if (!isCopy) overlay(canvas, stage, faces, data.width, data.height);
    listFaces(at("upload-faces"), faces, "No face at this moment.");
    move(seconds);
  };
  const every = (_, frame) => {
    if (mine.cancelled) return;
    draw(frame.mediaTime);
    video.requestVideoFrameCallback(every);
  };
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(every);
  else video.ontimeupdate = () => draw(video.currentTime);
  video.onseeked = () => draw(video.currentTime);
  new ResizeObserver(() => { if (!mine.cancelled && !video.hidden) draw(video.currentTime); }).observe(stage);
}

async function take(file, pipeline) {
  reset();
  if (!file) return;
  const mine = (current = { cancelled: false });
  const isVideo = file.type.startsWith("video/") || /\.(avi|m4v|mkv|mov|mp4|mpe?g|webm|wmv)$/i.test(file.name);
  const most = isVideo ? limits.video_bytes : limits.image_bytes;
  try {
    if (file.size > most) throw new Problem(0, `${file.name} has ${megabytes(file.size)}; at most ${megabytes(most)} are taken.`);
    progress("Uploading", 0);
    announce(`Uploading ${file.name}.`, { now: true });
    await (isVideo ? film : photograph)(file, pipeline, mine);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (mine.cancelled || error.status === -1) return;
    progress(null);
    show(error, problem);
  }
}

export function setup(pipeline, given) {
  limits = given;
  at("allowed").textContent = `Photos up to ${megabytes(given.image_bytes)}, videos up to ${megabytes(given.video_bytes)} and ${Math.round(given.video_seconds / 60)} minutes.`;
  const input = at("file"), drop = at("drop");
  input.addEventListener("change", () => { take(input.files[0], pipeline()); input.value = ""; });
  at("upload-cancel").addEventListener("click", () => { reset(); input.focus(); announce("Cancelled.", { now: true }); });
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files[0], pipeline()); });
  // A file dropped beside the field would replace the page.
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
}
