"use strict";
// Asks every two seconds, says so when nobody answers, and rolls back.

const EVERY_MS = 2000;
const PATIENCE_MS = 4000;
const window_ = new Window();
let answeredAt = null;
let status_ = null;
let rolledBack = null;

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

/** How far a rollback asked for here has come. */
function notice() {
  if (!rolledBack) return "";
  return `Rolled back: ${at(rolledBack)} stands. ${obeying(status_.store.gateways ?? [], rolledBack)} live gateways serve it.`;
}

async function rollBack(event) {
  event.preventDefault();
  byId("confirm").disabled = true;
  draw("rollback-error", []);
  let answer = null;
  try {
    answer = await fetch("/rollout/rollback", {
      method: "POST",
      headers: { authorization: `Bearer ${byId("token").value}`, "content-type": "application/json" },
      body: JSON.stringify({ reason: byId("reason").value }),
      signal: AbortSignal.timeout(2 * PATIENCE_MS),
    });
    const document_ = await answer.json();
    if (!answer.ok) throw new Error(document_.error?.message ?? document_.error ?? `HTTP ${answer.status}`);
    rolledBack = document_.state ?? document_;
    byId("rollback").close();
    redraw();
  } catch (error) {
    const unanswered = "No answer. Whether it took effect, the history shows. By hand: python -m serving_gateway.rollback --confirm. ";
    draw("rollback-error", [`${answer ? "" : unanswered}${error.message}`]);
  }
  byId("confirm").disabled = false;
}

byId("open-rollback").addEventListener("click", () => {
  draw("rollback-effect", [effect(status_.state)]);
  draw("rollback-error", []);
  byId("rollback").showModal();
});
byId("cancel").addEventListener("click", () => byId("rollback").close());
byId("rollback").addEventListener("close", () => byId("rollback").querySelector("form").reset());
byId("rollback").querySelector("form").addEventListener("submit", rollBack);
ask();
