"use strict";
// Reads /metrics: one sample a poll, rates and quantiles over the samples of the last minute.

const WINDOW_S = 60;
const SAMPLE = /^(\w+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The series of a text exposition: [{name, labels, value}]. */
function parsed(text) {
  const series = [];
  for (const line of text.split("\n")) {
    const match = SAMPLE.exec(line);
    if (!match) continue;
    const labels = Object.fromEntries([...(match[2] ?? "").matchAll(LABEL)].map(([, name, value]) => [name, value]));
    series.push({ name: match[1], labels, value: Number(match[3]) });
  }
  return series;
}

/** Sum of the series called `name` whose labels pass `where`. */
function total(series, name, where = () => true) {
  return series.reduce((sum, one) => (one.name === name && where(one.labels) ? sum + one.value : sum), 0);
}

/** The samples of the window. A counter that fell belongs to a gateway that started anew: what came before is dropped. */
class Window {
  constructor() {
    this.samples = [];
  }

  add(at, series) {
    const answered = total(series, "serving_app_http_responses_total");
    if (this.samples.length && answered < this.samples.at(-1).answered) this.samples = [];
    this.samples.push({ at, series, answered });
    while (this.samples.length > 2 && at - this.samples[0].at > WINDOW_S) this.samples.shift();
  }

  get last() {
    return this.samples.at(-1).series;
  }

  get seconds() {
    return this.samples.length < 2 ? 0 : this.samples.at(-1).at - this.samples[0].at;
  }

  /** How much a counter grew in the window. */
  growth(name, where) {
    return this.seconds ? total(this.last, name, where) - total(this.samples[0].series, name, where) : 0;
  }

  /** Growth a second between each two samples, oldest first. */
  rates(name, where) {
    const values = this.samples.map(({ at, series }) => [at, total(series, name, where)]);
    return values.slice(1).map(([at, value], i) => (value - values[i][1]) / Math.max(at - values[i][0], 0.001));
  }

  /** The `q` quantile in seconds of a histogram's growth, as Prometheus interpolates it; null without observations. */
  quantile(q, name, variant) {
    const bounds = this.last
      .filter((one) => one.name === `${name}_bucket` && one.labels.model_variant === variant)
      .map((one) => [one.labels.le === "+Inf" ? Infinity : Number(one.labels.le), one.labels.le])
      .sort(([a], [b]) => a - b)
      .map(([bound, le]) => [bound, this.growth(`${name}_bucket`, (l) => l.model_variant === variant && l.le === le)]);
    const wanted = q * (bounds.at(-1)?.[1] ?? 0);
    if (!wanted) return null;
    const at = bounds.findIndex(([, count]) => count >= wanted);
    const [below, before] = at ? bounds[at - 1] : [0, 0];
    const [bound, count] = bounds[at];
    return bound === Infinity ? below : below + ((bound - below) * (wanted - before)) / (count - before);
  }
}
