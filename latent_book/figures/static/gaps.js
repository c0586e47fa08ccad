/* gaps.js - an encoder in place of Bayes' rule, on a mixture in the plane: log p(x) split into the bound and two gaps. */
/**
 * @typedef {object} Traits of `GapsFigure`
 * @property {number} encoder
 * @property {string[]} names
 * @property {Bytes} points
 * @property {number[]} mu
 * @property {number[][]} forms
 * @property {number[][]} rings
 * @property {Layer[][]} layers
 * @property {Bytes} weights
 * @property {number[]} probe
 * @property {number} sure
 * @property {number} depth
 */
const guessing = {
  /**
   * log p(x, z = k); `forms` has for each k the constant, and the three numbers of the inverse covariance.
   * @param {Numbers} x
   * @param {Numbers} mu
   * @param {number[][]} forms
   */
  logJoint: (x, mu, forms) =>
    forms.map(([constant, a, b, d], k) => {
      const u = x[0] - mu[2 * k];
      const v = x[1] - mu[2 * k + 1];
      return constant - 0.5 * (a * u * u + 2 * b * u * v + d * v * v);
    }),
  /**
   * Logarithms as probabilities, and the logarithm of their sum.
   * @param {number[]} g
   */
  softmax(g) {
    const log = kit.logSumExp(g);
    return { shares: g.map((v) => Math.exp(v - log)), log };
  },
  /**
   * The nearest guess that is at least c sure of one cause.
   * @param {number[]} q
   * @param {number} c
   */
  restrict(q, c) {
    const best = q.indexOf(Math.max(...q));
    const top = q[best];
    if (top >= c) return q;
    return q.map((v, k) => (k === best ? c : (v * (1 - c)) / (1 - top)));
  },
  /** @param {number[]} q @param {Numbers} p */
  kl: (q, p) => q.reduce((sum, v, k) => sum + (v > 0 ? v * Math.log(v / p[k]) : 0), 0),
  /**
   * log p, the bound and both gaps at x, for an encoder's scores there.
   * @param {Numbers} x
   * @param {Float64Array<ArrayBuffer>} scores
   * @param {Numbers} mu
   * @param {number[][]} forms
   * @param {number} c
   */
  split(x, scores, mu, forms, c) {
    const { shares: posterior, log: logp } = guessing.softmax(guessing.logJoint(x, mu, forms));
    const { shares: guess } = guessing.softmax(Array.from(scores));
    const own = guessing.kl(guessing.restrict(guess, c), posterior);
    const approximation = guessing.kl(guessing.restrict(posterior, c), posterior);
    return { logp, elbo: logp - own, amortisation: own - approximation, approximation };
  },
  /**
   * The encoders: each a list of layers, their weights one after the other.
   * @param {Layer[][]} all
   * @param {Float32Array} weights
   */
  encoders(all, weights) {
    let start = 0;
    return all.map((layers) => {
      const size = layers.reduce((sum, { inputs, outputs }) => sum + (inputs + 1) * outputs, 0);
      return network(layers, weights.subarray(start, (start += size)));
    });
  },
  /**
   * `split` by the encoder of that number, from the figure's own values (for the tests).
   * @param {{ layers: Layer[][], weights: number[], mu: number[], forms: number[][] }} figure
   * @param {number[]} x
   * @param {number} encoder
   * @param {number} c
   */
  whole: ({ layers, weights, mu, forms }, x, encoder, c) => {
    const scores = guessing.encoders(layers, Float32Array.from(weights))[encoder](x);
    return guessing.split(x, scores, mu, forms, c);
  },
};

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const points = kit.floats(model.get("points"));
  const mu = model.get("mu");
  const forms = model.get("forms");
  const encoders = guessing.encoders(model.get("layers"), kit.floats(model.get("weights")));
  const names = ["elbo", "recon", "kl"];
  const reach = [
    [-4, 4],
    [-3, 3],
  ];
  const low = -model.get("depth");
  const plane = fig.plot({
    width: 320,
    height: 262,
    x: reach[0],
    y: reach[1],
    xlabel: "x\u2081",
    ylabel: "x\u2082",
    label: "points, three Gaussians, and where the guess is poor",
  });
  const cells = [32, 24];
  const heat = plane.backdrop(
    fig.pixels({ width: cells[0], height: cells[1], label: "the sum of both gaps, over the plane", into: null }),
  );
  const xs = kit.axis(points, 0);
  const ys = kit.axis(points, 1);
  plane.dots("data", { radius: 1.3, opacity: 0.65 }).set(xs, ys);
  const rings = model.get("rings");
  rings.forEach(([a, b, d], k) => {
    const [us, vs] = kit.ring(mu.slice(2 * k, 2 * k + 2), [a, b], [0, d]);
    plane.line("ink", { thickness: 1.3 }).set(us, vs);
  });
  const bars = fig.plot({
    width: 320,
    height: 262,
    x: [0, 4],
    y: [low, 0],
    xticks: false,
    ylabel: "nats below log p",
    bottom: 26,
    top: 24,
    left: 56,
    label: "the bound and both gaps, at the point and on average",
  });
  const stacks = [0, 2].map((x) => names.map((name) => bars.bar(name, x + 0.25, x + 1.05)));
  const said = [0, 2].map(() => ["recon", "kl"].map((name) => bars.text(name, { weight: 600 })));
  ["this point", "all points"].forEach((word, i) =>
    bars.text("ink", { anchor: "middle", size: 13 }).set(2 * i + 0.65, low, word, 0, 17),
  );
  bars.text("logp", { weight: 600 }).set(0, 0, "log p", 2, -7);
  const top = bars.line("logp", { thickness: 2.5 });
  top.set([0, 4], [0, 0]);
  const keys = [
    ["elbo", "bound"],
    ["recon", "amortisation gap"],
    ["kl", "approximation gap"],
  ];
  keys.forEach(([name, word], i) => {
    const out = fig.readout(name);
    out.set(`\u25A0 ${word}`);
    out.node.style.display = "inline-block";
    out.node.style.marginRight = "1em";
    out.node.dataset.key = String(i);
  });
  const out = fig.wide(fig.readout("ink"));
  fig.slider({ key: "sure", label: "a guess is at least this sure, c", min: 0.34, max: 1, step: 0.01 });
  fig.choice({ key: "encoder", label: "encoder", options: model.get("names") });
  fig.handle(plane, {
    label: "the point x",
    name: "latent",
    get: () => model.get("probe"),
    set: (x, y) => fig.set({ probe: [x, y] }),
  });

  /** What was last averaged, and the picture of the plane. */
  const mean = { of: "", value: { amortisation: 0, approximation: 0 }, picture: new Float32Array(0) };
  /** @param {number} c @param {number} e */
  const average = (c, e) => {
    if (mean.of === `${c} ${e}`) return mean.value;
    const value = { amortisation: 0, approximation: 0 };
    const N = xs.length;
    for (let n = 0; n < N; n++) {
      const x = [xs[n], ys[n]];
      const part = guessing.split(x, encoders[e](x), mu, forms, c);
      value.amortisation += part.amortisation / N;
      value.approximation += part.approximation / N;
    }
    const picture = new Float32Array(cells[0] * cells[1]);
    for (let j = 0, i = 0; j < cells[1]; j++)
      for (let k = 0; k < cells[0]; k++, i++) {
        const at = [reach[0][0] + ((k + 0.5) / cells[0]) * 8, reach[1][1] - ((j + 0.5) / cells[1]) * 6];
        const part = guessing.split(at, encoders[e](at), mu, forms, c);
        picture[i] = 0.75 * Math.min(1, part.amortisation + part.approximation);
      }
    Object.assign(mean, { of: `${c} ${e}`, value, picture });
    return value;
  };
  fig.draw(() => {
    const c = model.get("sure");
    const e = model.get("encoder");
    const x = model.get("probe");
    const here = guessing.split(x, encoders[e](x), mu, forms, c);
    const all = average(c, e);
    heat.heat(mean.picture, "kl"); // in the colours of the page as it is now
    [here, all].forEach(({ amortisation, approximation }, i) => {
      const [green, orange, red] = stacks[i];
      const first = Math.max(low, -amortisation - approximation);
      const second = Math.max(low, -approximation);
      green.set(first, low);
      orange.set(second, first);
      red.set(0, second);
      said[i][0].set(2 * i + 1.12, Math.max(0.93 * low, 0.36 * low), kit.number(Math.max(0, amortisation), 3), 0, 0);
      said[i][1].set(2 * i + 1.12, 0.16 * low, kit.number(Math.max(0, approximation), 3), 0, 0);
    });
    const text = `at this point ${kit.number(here.elbo, 2)} + ${kit.number(Math.max(0, here.amortisation), 2)} + ${kit.number(Math.max(0, here.approximation), 2)} = ${kit.number(here.logp, 2)} = log p(x)`;
    out.set(text);
    fig.say(`bound, amortisation gap and approximation gap: ${text}`);
  });
  return fig.close;
}
render.maths = guessing;
export default { render };
