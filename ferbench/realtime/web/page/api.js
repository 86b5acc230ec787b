// Requests to the server that sent the page, and to no other.

export class Problem extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  return new Problem(response.status, body.detail ?? `the server answered ${response.status}`, Number(response.headers.get("Retry-After")) || 1);
}

export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "the server does not answer; is ferbench serve still running?", 2);
  }
  if (!response.ok) throw await problemOf(response);
  return response.status === 204 ? null : response.json();
}

export function post(path, data) {
  return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) });
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export function show(problem, where) {
  where.textContent = problem ? problem.message : "";
  where.hidden = !problem;
}
