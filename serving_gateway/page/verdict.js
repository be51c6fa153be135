"use strict";
// Decides what the page says: pure functions of the status document and the window of metrics.

const ALIVE_WITHIN_S = 3;
const share = (bp) => `${+(bp / 100).toFixed(2)} %`;
const named = (arm) => `${arm.model} v${arm.version}`;
const at = (state) => `${state.epoch}:${state.generation}`;
const later = (a, b) => a.epoch - b.epoch || a.generation - b.generation;

/** Whether there is a canary that a rollback would take something from. */
function onTrial(state) {
  return Boolean(state?.arms.canary) && ["canary", "shadow", "promoted"].includes(state.phase);
}

/** Whether steps lead the trial under way: only then there is something to hold, release or approve. */
function led(state) {
  return onTrial(state) && state.trial !== null && state.trial.step !== null;
}

/** Where the trial stands, in one line; what its step waits for, Dagster knows. */
function standing(state) {
  if (!onTrial(state)) return "";
  if (!led(state)) return "The trial is led by hand.";
  const { step, entered, held, approved } = state.trial;
  return [`Trial at step ${step} since ${clock(entered)} (event time)`, held && `held by ${held}`, approved && `approved by ${approved}`].filter(Boolean).join("; ") + ".";
}

/** What wants attention, the worst first: [{level: "bad"|"warn"|"info", text}]. */
function alerts(status, window) {
  const { state, serving, store, trip } = status;
  const found = [];
  const say = (level, text) => found.push({ level, text });
  if (state && !serving.ready) say("bad", `Triton does not have the baseline ${state.arms.baseline.triton_model} ready: predictions fail.`);
  if (!store.up) say("bad", `Redis is down: ${store.problem}. The last known rollout is served; changes and rollbacks wait. Gateways and history are shown as last known.`);
  else if (store.problem) say("warn", store.problem);
  if (trip && serving?.stopped && onTrial(state)) say("bad", `This gateway stopped the canary ${trip.triton_model} at ${clock(trip.time)}: ${trip.reason}. The rollout does not say so yet.`);
  if (state?.phase === "rolled_back") say("warn", `The canary ${named(state.arms.canary)} was stopped by ${state.actor}: ${state.reason}`);
  for (const [arm, why] of Object.entries(serving?.refused ?? {})) say("warn", `The ${arm} is not used here: ${why}`);
  if (state && status.problem) say("warn", status.problem);
  for (const text of gatewayAlerts(status)) say("warn", text);
  const lost = window.growth("serving_app_spool_dropped_records_total");
  if (lost) say("bad", `${lost} log records were lost in the last minute: the spool is full.`);
  const fallen = window.growth("serving_app_fallbacks_total");
  if (fallen) say("warn", `${fallen} rows were answered by the baseline for a failed canary in the last minute.`);
  const order = ["bad", "warn", "info"];
  return found.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

/** The newest state that is known, by this gateway or by the store. */
function newestOf({ state, store }) {
  return [state, store.history?.[0]].filter(Boolean).sort(later).at(-1);
}

/** How many live gateways serve `wanted` or a later state: "2 of 3". */
function obeying(gateways, wanted) {
  const alive = gateways.filter((one) => one.age_s <= ALIVE_WITHIN_S);
  return `${alive.filter((one) => later(one, wanted) >= 0).length} of ${alive.length}`;
}

function gatewayAlerts(status) {
  const { store } = status;
  const newest = newestOf(status);
  if (!newest) return [];
  return (store.gateways ?? []).flatMap((one) => {
    if (one.age_s > ALIVE_WITHIN_S) return [`${one.gateway} was not heard of for ${ago(one.age_s)}: it is down, or cut off and serves what it last knew.`];
    return later(one, newest) < 0 ? [`${one.gateway} still serves ${at(one)}, not ${at(newest)}.`] : [];
  });
}

/** The one line that says how it is: {level, text}. */
function headline(status, found) {
  if (!status.state) return { level: "bad", text: "Nothing is served yet" };
  const { state } = status;
  if (!status.serving.ready) return { level: "bad", text: "Predictions fail" };
  if (state.phase === "rolled_back" || (status.serving.stopped && onTrial(state))) return { level: worst(found), text: "Canary stopped, baseline answers" };
  if (found.some((one) => one.level !== "info")) return { level: worst(found), text: "Serving, with something to look at" };
  if (state.phase === "promoted") return { level: "ok", text: "Healthy, a model is promoted under watch" };
  return { level: "ok", text: onTrial(state) ? "Healthy, a canary is on trial" : "Healthy" };
}

function worst(found) {
  return found.some((one) => one.level === "bad") ? "bad" : found.length ? "warn" : "ok";
}

/** Who answers, in one sentence. */
function serves(status) {
  const { state, serving } = status;
  if (!state) return `${status.problem}.`;
  const { baseline, canary, shadow } = state.arms;
  const weight = serving.canary_weight_bp;
  const fraction = share(state.shadow_fraction * 10000);
  if (weight === 10000) return `${named(canary)} answers everything, ${named(baseline)} scores beside it and can take it back.`;
  if (weight && shadow?.triton_model === canary.triton_model) return `${named(baseline)} answers ${share(10000 - weight)} of the keys, canary ${named(canary)} answers ${share(weight)} and shadows ${fraction === "100 %" ? "the rest" : `${fraction} of the rest`}.`;
  const answers = weight ? `${named(baseline)} answers ${share(10000 - weight)} of the keys, canary ${named(canary)} answers ${share(weight)}` : `${named(baseline)} answers everything`;
  const scored = shadow ? `, ${named(shadow)} shadows ${fraction}` : "";
  return `${answers}${scored}.`;
}

/** What can be asked for here: {title, label, done, effect of a state, danger}. */
const ASKED = {
  rollback: { title: "Roll back the canary", label: "Roll back", done: "Rolled back", effect: rollbackEffect, danger: true },
  hold: { title: "Hold the trial", label: "Hold", done: "Held", effect: (state) => `${named(state.arms.canary)} stays at step ${state.trial.step} until it is released. A failed verdict still ends its trial.` },
  release: { title: "Release the trial", label: "Release", done: "Released", effect: (state) => `${named(state.arms.canary)} may go on from step ${state.trial.step}. It is held by ${state.trial.held}.` },
  approve: { title: "Approve the step", label: "Approve", done: "Approved", effect: (state) => `${named(state.arms.canary)} may leave step ${state.trial.step}, once the rest that the policy asks for is there.` },
};

function rollbackEffect(state) {
  const { baseline, canary, shadow } = state.arms;
  const loses = [state.canary_weight_bp && `loses its ${share(state.canary_weight_bp)} of the keys`, shadow && "shadows no more"].filter(Boolean);
  return `${named(canary)} ${loses.join(" and ") || "is on trial no more"}. ${named(baseline)} answers everything. Generation ${state.generation} becomes ${state.generation + 1}.`;
}

/** What `state` changed against the `before` it; null for the oldest that is known. */
function changed(state, before) {
  const { baseline, canary } = state.arms;
  if (before && state.epoch !== before.epoch) return `Restored under epoch ${state.epoch}`;
  if (state.phase === "rolled_back") return before?.phase === "rolled_back" ? "Rolled back again" : `Rolled back ${canary ? named(canary) : "the canary"}`;
  if (!before || before.arms.baseline.triton_model !== baseline.triton_model) return `${named(baseline)} is the baseline`;
  if (canary && (before.arms.canary?.triton_model !== canary.triton_model || !onTrial(before))) return `${named(canary)} on trial ${state.canary_weight_bp ? `at ${share(state.canary_weight_bp)}` : "in the shadow"}`;
  if (before.canary_weight_bp !== state.canary_weight_bp) return `Canary ${share(before.canary_weight_bp)} → ${share(state.canary_weight_bp)}`;
  for (const [what, word] of [["held", "Trial"], ["approved", "Step"]]) {
    const [was, is] = [before.trial?.[what] ?? "", state.trial?.[what] ?? ""];
    if (led(state) && was !== is) return is ? `${word} ${what}` : what === "held" ? "Trial released" : `Step ${state.trial.step} begins`;
  }
  if (before.shadow_fraction !== state.shadow_fraction) return `Shadow ${share(before.shadow_fraction * 10000)} → ${share(state.shadow_fraction * 10000)}`;
  return `Phase ${state.phase}`;
}

/** Tiles: [{name, value, note, level}]. */
function signals(window) {
  const count = (value) => value.toLocaleString("en");
  const minute = (name, where) => count(window.growth(name, where));
  const since = (name) => `${count(total(window.last, name))} since start`;
  const tile = (name, metric, bad) => ({ name, value: minute(metric), note: since(metric), level: window.growth(metric) ? bad : "" });
  return [
    ...["shadow", "canary"].flatMap((variant) => agreement(window, variant)),
    tile("Fallbacks, last minute", "serving_app_fallbacks_total", "warn"),
    features(window),
    tile("Shadow rows dropped, last minute", "serving_app_shadow_dropped_total", "warn"),
    tile("Ground truth, last minute", "serving_app_feedback_rows_total", ""),
    { name: "Log waiting to land", value: bytes(total(window.last, "serving_app_spool_bytes")), note: `${count(total(window.last, "serving_app_spool_dropped_records_total"))} records lost`, level: "" },
  ];
}

function agreement(window, variant) {
  const of = (labels) => labels.model_variant === variant;
  const rows = total(window.last, "serving_app_score_difference_count", of);
  if (!rows) return [];
  const flips = total(window.last, "serving_app_decision_flips_total", of);
  const mean = total(window.last, "serving_app_score_difference_sum", of) / rows;
  const who = variant === "shadow" ? "Shadow agrees" : "Canary agrees";
  return [{ name: who, value: `${(100 * (1 - flips / rows)).toFixed(2)} %`, note: `${flips.toLocaleString("en")} of ${rows.toLocaleString("en")} decisions flipped; scores differ by ${mean.toFixed(4)} on average`, level: "" }];
}

function features(window) {
  const name = "serving_app_feature_views_total";
  const [found, all] = [window.growth(name, (l) => l.status === "present"), window.growth(name)];
  return { name: "Features found, last minute", value: all ? `${((100 * found) / all).toFixed(1)} %` : "–", note: all ? `${(all - found).toLocaleString("en")} of ${all.toLocaleString("en")} views missing or expired` : "none read", level: all && found < all / 2 ? "warn" : "" };
}

// --- figures as text ---

function bytes(n) {
  return n < 1e6 ? `${Math.round(n / 1e3)} kB` : `${(n / 1e6).toFixed(1)} MB`;
}

function duration(seconds) {
  if (seconds === null) return "–";
  const ms = seconds * 1000;
  return ms < 1 ? `${ms.toFixed(2)} ms` : ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** As `ago`, but still for the first minute: what is read or selected must not change under the reader. */
function calmly(seconds) {
  return seconds < 60 ? "under a minute" : ago(seconds);
}

function ago(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  return s < 3600 ? `${Math.floor(s / 60)} min` : s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} days`;
}

function clock(iso) {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}
