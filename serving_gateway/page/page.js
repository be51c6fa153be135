"use strict";
// Asks every two seconds, says so when nobody answers; rolls back, holds, releases and approves.

const EVERY_MS = 2000;
const PATIENCE_MS = 4000;
const window_ = new Window();
let answeredAt = null;
let status_ = null;
let asked = null;
let changedHere = null;

async function ask() {
  const options = () => ({ cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  try {
    const [status, metrics] = await Promise.all([fetch("/status", options()), fetch("/metrics", options())]);
    if (!status.ok || !metrics.ok) throw new Error(`HTTP ${status.ok ? metrics.status : status.status}`);
    status_ = await status.json();
    window_.add(status_.now, parsed(await metrics.text()));
    answeredAt = Date.now();
    redraw();
    fresh(true, "");
  } catch (error) {
    fresh(false, error.message);
  }
  setTimeout(ask, EVERY_MS);
}

function redraw() {
  drawSummary(status_, window_, notice());
  drawArms(status_, window_);
  drawSignals(window_);
  drawShared(status_);
}

function fresh(is, why) {
  document.body.classList.toggle("stale", !is);
  byId("stale").hidden = is;
  draw("freshness", [answeredAt ? `as of ${clock(new Date(answeredAt).toISOString())}` : "no answer yet"]);
  if (is) return;
  document.title = "? The gateway does not answer";
  const since = answeredAt ? `What you see is from ${clock(new Date(answeredAt).toISOString())}, ${ago((Date.now() - answeredAt) / 1000)} ago.` : "There is nothing to show.";
  draw("stale", [`Stale: the gateway does not answer (${why}). ${since} Asking again every two seconds.`]);
}

/** How far a change asked for here has come. */
function notice() {
  if (!changedHere) return "";
  const { state, done } = changedHere;
  return `${done}: ${at(state)} stands. ${obeying(status_.store.gateways ?? [], state)} live gateways serve it.`;
}

/** Send what the dialog asks for. People's word is said of the state that they saw; a rollback of whatever is on trial. */
async function send(event) {
  event.preventDefault();
  byId("confirm").disabled = true;
  draw("rollback-error", []);
  const seen = asked.name === "rollback" ? {} : { epoch: asked.state.epoch, generation: asked.state.generation };
  let answer = null;
  try {
    answer = await fetch(`/rollout/${asked.name}`, {
      method: "POST",
      headers: { authorization: `Bearer ${byId("token").value}`, "content-type": "application/json" },
      body: JSON.stringify({ reason: byId("reason").value, ...seen }),
      signal: AbortSignal.timeout(2 * PATIENCE_MS),
    });
    const document_ = await answer.json();
    if (!answer.ok) throw new Error(document_.error?.message ?? document_.error ?? `HTTP ${answer.status}`);
    changedHere = { state: document_.state ?? document_, done: ASKED[asked.name].done };
    byId("rollback").close();
    redraw();
  } catch (error) {
    const byHand = asked.name === "rollback" ? "rollback --confirm" : `trial ${asked.name}`;
    const unanswered = `No answer. Whether it took effect, the history shows. By hand: python -m serving_gateway.${byHand}. `;
    draw("rollback-error", [`${answer ? "" : unanswered}${error.message}`]);
  }
  byId("confirm").disabled = false;
}

for (const [name, { title, label, effect, danger }] of Object.entries(ASKED)) {
  byId(`open-${name}`).addEventListener("click", () => {
    asked = { name, state: status_.state };
    draw("rollback-title", [title]);
    draw("rollback-effect", [effect(status_.state)]);
    draw("rollback-error", []);
    draw("confirm", [label]);
    byId("confirm").className = danger ? "danger" : "";
    byId("rollback").showModal();
  });
}
byId("cancel").addEventListener("click", () => byId("rollback").close());
byId("rollback").addEventListener("close", () => byId("rollback").querySelector("form").reset());
byId("rollback").querySelector("form").addEventListener("submit", send);
ask();
