/* direction.js - one Gaussian q for a density p with two bumps: the divergence in both directions, and the fit that each asks for. */
/**
 * @typedef {object} Traits of `DirectionFigure`
 * @property {number[]} grid
 * @property {number} share
 * @property {number} width
 * @property {number[]} means
 * @property {number[]} widths
 * @property {number} separation
 * @property {number} mu
 * @property {number} sigma
 */
const direction = (() => {
  /** @param {number[]} ends */
  const grid = ([low, high, n]) => kit.linspace(low, high, n);
  /**
   * From logarithms up to a constant to logarithms of probabilities.
   * @param {Float64Array<ArrayBuffer>} logs
   */
  function normalised(logs) {
    const whole = kit.logSumExp(logs);
    return logs.map((v) => v - whole);
  }
  /**
   * @param {number} z
   * @param {number} mean
   * @param {number} width
   */
  const bump = (z, mean, width) => Math.exp(-0.5 * ((z - mean) / width) ** 2) / (width * Math.sqrt(2 * Math.PI));
  /**
   * The density with two bumps, `separation` to each side of zero; `share` of it on the left.
   * @param {number} z
   * @param {number} separation
   * @param {number} share
   * @param {number} width
   */
  const density = (z, separation, share, width) =>
    share * bump(z, -separation, width) + (1 - share) * bump(z, separation, width);
  /**
   * @param {Float64Array<ArrayBuffer>} zs
   * @param {number} separation
   * @param {number} share
   * @param {number} width
   */
  const target = (zs, separation, share, width) =>
    normalised(zs.map((z) => Math.log(density(z, separation, share, width))));
  /**
   * @param {Float64Array<ArrayBuffer>} zs
   * @param {number} mu
   * @param {number} sigma
   */
  const gaussian = (zs, mu, sigma) => normalised(zs.map((z) => -0.5 * ((z - mu) / sigma) ** 2));
  /** @param {Numbers} logA @param {Numbers} logB */
  function kl(logA, logB) {
    let sum = 0;
    for (let i = 0; i < logA.length; i++) sum += Math.exp(logA[i]) * (logA[i] - logB[i]);
    return Math.max(0, sum);
  }
  /**
   * Mean and standard deviation of the density.
   * @param {Float64Array<ArrayBuffer>} zs
   * @param {Numbers} logP
   */
  function forward(zs, logP) {
    let mean = 0;
    let square = 0;
    zs.forEach((z, i) => {
      const p = Math.exp(logP[i]);
      mean += p * z;
      square += p * z * z;
    });
    return [mean, Math.sqrt(square - mean * mean)];
  }
  /**
   * Downhill on KL(q || p) from mu, sigma; a step that leads uphill is halved.
   * @param {Float64Array<ArrayBuffer>} zs
   * @param {Numbers} logP
   * @param {number} mu
   * @param {number} sigma
   */
  function reverse(zs, logP, mu, sigma, steps = 300, pace = 0.3) {
    let here = [mu, Math.log(sigma)];
    let move = [0, 0];
    let lowest = Infinity;
    for (let step = 0; step < steps; step++) {
      mu = here[0] + move[0];
      sigma = Math.exp(here[1] + move[1]);
      const logQ = gaussian(zs, mu, sigma);
      let u1 = 0;
      let u2 = 0;
      let e = 0;
      let u1e = 0;
      let u2e = 0;
      for (let i = 0; i < zs.length; i++) {
        const q = Math.exp(logQ[i]);
        const u = (zs[i] - mu) / sigma;
        const excess = logQ[i] - logP[i];
        u1 += q * u;
        u2 += q * u * u;
        e += q * excess;
        u1e += q * u * excess;
        u2e += q * u * u * excess;
      }
      if (e > lowest) {
        move = move.map((v) => v / 2);
        continue;
      } // too far: try half of it
      here = [mu, Math.log(sigma)];
      lowest = e;
      move = [-pace * sigma * (u1e - u1 * e), (-pace / 2) * (u2e - u2 * e)];
    }
    return [here[0], Math.exp(here[1])];
  }
  return { grid, bump, density, target, gaussian, kl, forward, reverse };
})();

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const ends = model.get("grid");
  const zs = direction.grid(ends);
  const share = model.get("share");
  const width = model.get("width");
  const plot = fig.plot({
    width: 330,
    height: 260,
    x: [ends[0], ends[1]],
    y: [0, 0.75],
    xlabel: "z",
    ylabel: "density",
    label: "the target and your Gaussian",
  });
  const filled = plot.line("latent", { area: 0, opacity: 0.22 });
  const rim = plot.line("latent");
  const curve = plot.line("ink", { thickness: 2.5 });
  plot.text("latent", { weight: 600 }).set(ends[0], 0.75, "target p", 8, 14);
  plot.text("ink", { weight: 600 }).set(ends[0], 0.75, "your q: drag its top", 8, 32);
  const bars = fig.plot({
    width: 330,
    height: 260,
    x: [0, 2],
    y: [0, 4],
    top: 24,
    xticks: false,
    ylabel: "nats",
    label: "the divergence in both directions",
  });
  const there = bars.bar("kl", 0.2, 0.8);
  const back = bars.bar("kl", 1.2, 1.8, { opacity: 0.6 });
  const words = [0, 1].map(() => bars.text("ink", { anchor: "middle", weight: 600, size: 13 }));
  bars.text("ink", { anchor: "middle", size: 13 }).set(0.5, 0, "KL(p \u2016 q)", 0, 16);
  bars.text("ink", { anchor: "middle", size: 13 }).set(1.5, 0, "KL(q \u2016 p)", 0, 16);
  bars.text("muted", { anchor: "middle" }).set(0.5, 0, "forward", 0, 31);
  bars.text("muted", { anchor: "middle" }).set(1.5, 0, "reverse", 0, 31);

  const [left, right] = model.get("means");
  const [narrow, wide] = model.get("widths");
  /** @param {Pair} moments */
  const put = ([mu, sigma]) => fig.set({ mu: kit.clamp(mu, left, right), sigma: kit.clamp(sigma, narrow, wide) });
  const target = () => direction.target(zs, model.get("separation"), share, width);
  fig.slider({ key: "separation", label: "separation", min: 0, max: 3, step: 0.05 });
  fig.slider({ key: "mu", label: "mean of q", min: left, max: right, step: 0.05 });
  fig.slider({ key: "sigma", label: "width of q", min: narrow, max: wide, step: 0.05 });
  fig.handle(plot, {
    label: "top of q",
    name: "ink",
    step: 0.1,
    text: ([m]) => `mean ${kit.number(m)}, width ${kit.number(model.get("sigma"))}`,
    get: () => [model.get("mu"), direction.bump(0, 0, model.get("sigma"))],
    set: (m, height) => put([m, height > 0 ? direction.bump(0, 0, 1) / height : wide]),
  });
  fig.button({ label: "fit forward", act: () => put(direction.forward(zs, target())) });
  fig.button({
    label: "fit reverse, from here",
    act: () => put(direction.reverse(zs, target(), model.get("mu"), model.get("sigma"))),
  });
  const out = fig.readout("ink");

  fig.draw(() => {
    const mu = model.get("mu");
    const sigma = model.get("sigma");
    const separation = model.get("separation");
    const p = zs.map((z) => direction.density(z, separation, share, width));
    const logP = target();
    const logQ = direction.gaussian(zs, mu, sigma);
    filled.set(zs, p);
    rim.set(zs, p);
    curve.set(
      zs,
      zs.map((z) => direction.bump(z, mu, sigma)),
    );
    const values = [direction.kl(logP, logQ), direction.kl(logQ, logP)];
    there.set(values[0]);
    back.set(values[1]);
    words.forEach((w, i) =>
      w.set(
        i + 0.5,
        Math.min(values[i], 4),
        (values[i] > 4 ? "\u2191 " : "") + kit.number(values[i], values[i] < 100 ? 2 : 0),
        0,
        -5,
      ),
    ); // an arrow: the bar ends at the frame
    out.set(`q: mean ${kit.number(mu)}, width ${kit.number(sigma)}`);
    fig.say(`forward ${kit.number(values[0])}, reverse ${kit.number(values[1])} nats`);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  both(ends, separation, share, width, mu, sigma) {
    const zs = direction.grid(ends);
    const p = direction.target(zs, separation, share, width);
    const q = direction.gaussian(zs, mu, sigma);
    return [direction.kl(p, q), direction.kl(q, p)];
  },
  forward(ends, separation, share, width) {
    const zs = direction.grid(ends);
    return direction.forward(zs, direction.target(zs, separation, share, width));
  },
  reverse(ends, separation, share, width, mu, sigma) {
    const zs = direction.grid(ends);
    return direction.reverse(zs, direction.target(zs, separation, share, width), mu, sigma);
  },
};
export default { render };
