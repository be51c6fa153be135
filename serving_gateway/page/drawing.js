"use strict";
// Draws: every text is a text node, so a reason that looks like markup is shown, not run.

const ARMS = ["baseline", "canary", "control", "shadow"];
const byId = (id) => document.getElementById(id);

/** An element with attributes and children. */
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Replace the children of `id`, unless they would be the same: what somebody selects or hears stays. */
const drawn = new Map();
function draw(id, children) {
  const target = typeof id === "string" ? byId(id) : id;
  const markup = children.map((child) => child.outerHTML ?? child).join("\u0000");
  if (drawn.get(target) === markup) return;
  drawn.set(target, markup);
  target.replaceChildren(...children);
}

function cell(label, text, ...further) {
  return element("td", { "data-label": label, class: "number" }, text, ...further);
}

function drawSummary(status, window, notice) {
  const found = alerts(status, window);
  const { level, text } = headline(status, found);
  const { state } = status;
  document.body.dataset.level = level;
  document.title = `${{ ok: "✓", warn: "!", bad: "✕" }[level]} ${text}${state ? `, ${named(state.arms.baseline)}` : ""}`;
  draw("gateway", [status.gateway]);
  draw("headline", [text]);
  draw("serves", [serves(status)]);
  drawSplit(status);
  draw("change", lastChange(status));
  draw("trial", [standing(state)].filter(Boolean));
  const told = notice ? [{ level: "info", text: notice }] : [];
  draw("alerts", [...told, ...found].map((one) => element("li", { class: one.level }, one.text)));
  byId("open-rollback").disabled = !onTrial(state);
  byId("rulings").hidden = !led(state);
  byId("open-hold").hidden = !led(state) || state.trial.held !== "";
  byId("open-release").hidden = !led(state) || state.trial.held === "";
  byId("open-approve").hidden = !led(state) || state.trial.approved !== "";
  draw("rollback-hint", [onTrial(state) ? "Takes the canary's traffic, needs the admin token." : "No canary is on trial: nothing to take back."]);
  draw("links", [...Object.entries(status.links), ["Metrics", "/metrics"]].map(([name, url]) => element("a", { href: url }, name)));
}

function drawSplit(status) {
  const weight = status.serving?.canary_weight_bp ?? 0;
  byId("split").hidden = !status.state;
  byId("split").setAttribute("aria-label", `Baseline ${share(10000 - weight)}, canary ${share(weight)}`);
  if (byId("split").dataset.weight === String(weight)) return;
  byId("split").dataset.weight = weight;
  const part = (arm, bp) => {
    const made = element("span", { class: arm });
    made.style.flexGrow = bp;
    return made;
  };
  byId("split").replaceChildren(part("baseline", 10000 - weight), ...(weight ? [part("canary", weight)] : []));
}

function lastChange({ state, now, store }) {
  const last = store.history?.[0] ?? state;
  if (!last) return [];
  const when = element("time", { datetime: last.time, title: clock(last.time) }, `${ago(now - Date.parse(last.time) / 1000)} ago`);
  return ["Last change ", when, `: ${changed(last, store.history?.[1])}, by ${last.actor || "unknown"}. ${last.reason}`];
}

function drawArms(status, window) {
  const { state, serving } = status;
  const weight = serving?.canary_weight_bp ?? 0;
  const models = { baseline: state?.arms.baseline, canary: state?.arms.canary, control: weight ? state?.arms.baseline : null, shadow: state?.arms.shadow };
  const shares = { baseline: share(10000 - weight), canary: share(weight), control: "within the baseline's", shadow: state ? `scores ${share(state.shadow_fraction * 10000)}` : "" };
  const rows = ARMS.filter((arm) => models[arm]).map((arm) => {
    const of = (labels) => labels.model_variant === arm;
    const failed = window.growth("serving_app_requests_total", (l) => of(l) && l.outcome !== "ok");
    const rates = window.rates("serving_app_requests_total", of);
    const rate = window.seconds ? window.growth("serving_app_requests_total", of) / window.seconds : null;
    return element("tr", { class: arm },
      element("th", { scope: "row" }, element("span", { class: "dot", "aria-hidden": "true" }), arm),
      element("td", { "data-label": "Model" }, named(models[arm]), ...inTriton(models[arm])),
      cell("Share of keys", shares[arm]),
      cell("Rows/s", rate === null ? "…" : rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString("en"), sparkline(rates)),
      cell("p50", duration(window.quantile(0.5, "serving_app_request_latency_seconds", arm))),
      cell("p99", duration(window.quantile(0.99, "serving_app_request_latency_seconds", arm))),
      element("td", { "data-label": "Failed rows", class: failed ? "number bad" : "number" }, failed.toLocaleString("en")));
  });
  draw("window", [window.seconds ? `over the last ${Math.round(window.seconds)} s, as this gateway sees them` : "counting"]);
  draw(byId("arms").tBodies[0], rows.length ? rows : [element("tr", {}, element("td", { colspan: "7" }, "No model is served yet."))]);
}

/** Triton's name of a model, where it is not the one that follows from the version. */
function inTriton(arm) {
  return arm.triton_model === `${arm.model}_v${arm.version}` ? [] : [element("small", {}, arm.triton_model)];
}

function sparkline(values) {
  const [width, height, top] = [96, 22, Math.max(...values, 0.001)];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const points = values.map((v, i) => `${((i * width) / Math.max(values.length - 1, 1)).toFixed(1)},${(height - 1 - (v / top) * (height - 3)).toFixed(1)}`);
  for (const [name, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, class: "spark", "aria-hidden": "true" })) svg.setAttribute(name, value);
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  return svg;
}

function drawSignals(window) {
  draw("signals", signals(window).map((one) => element("div", { class: one.level }, element("dt", {}, one.name), element("dd", {}, one.value, element("small", {}, one.note)))));
}

/** What the store alone knows stays as it was last known while the store is away, and is said to be so. */
function drawShared(status) {
  const { gateways, history } = status.store;
  document.body.classList.toggle("unshared", !gateways);
  if (!gateways) return;
  drawGateways(status);
  drawHistory(status.now, history);
}

function drawGateways(status) {
  const { store } = status;
  const newest = newestOf(status);
  draw("served-by", newest ? [`${obeying(store.gateways, newest)} live serve ${at(newest)}`] : []);
  const rows = store.gateways.map((one) => {
    const silent = one.age_s > ALIVE_WITHIN_S;
    const behind = newest && later(one, newest) < 0;
    return element("tr", { class: silent || behind ? "warn" : "" },
      element("th", { scope: "row" }, one.gateway),
      cell("Epoch : generation", `${at(one)}${behind ? ", behind" : ""}`),
      cell("Canary", share(one.canary_weight_bp)),
      cell("Heard", silent ? `silent for ${ago(one.age_s)}` : "now"));
  });
  draw(byId("gateways").tBodies[0], rows.length ? rows : [element("tr", {}, element("td", { colspan: "4" }, "No gateway serves anything yet."))]);
}

function drawHistory(now, history) {
  const entries = history.map((state, i) => element("li", { class: state.phase },
    element("p", {}, element("strong", {}, changed(state, history[i + 1])), " ", element("small", {}, at(state))),
    element("p", {}, state.reason || "no reason given"),
    element("p", { class: "muted" }, element("time", { datetime: state.time }, clock(state.time)), `, ${calmly(now - Date.parse(state.time) / 1000)} ago, by ${state.actor || "unknown"}`)));
  draw("history", entries.length ? entries : [element("li", {}, "The rollout has never changed.")]);
}
