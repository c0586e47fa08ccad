/* ambiguity.js - size against distance: likelihood, prior and posterior of one noisy disc. Needs renderer.js before it. */
/**
 * @typedef {object} Traits of `AmbiguityFigure`
 * @property {number} apparent
 * @property {number} sigma
 * @property {number} mean
 * @property {number} width
 * @property {number} cells
 * @property {number[]} looks
 * @property {number[]} others
 * @property {Bytes} noise
 * @property {Pair[]} ranges
 * @property {number[]} lens
 */
const ambiguity = (() => {
  /**
   * The drawing of the disc for every cell of an n by n grid, first row = smallest size, first column = nearest.
   * @param {number} n
   * @param {Pair[]} ranges
   * @param {number[]} others
   * @param {Lens} lens
   */
  function drawings(n, [sizes, distances], others, lens) {
    const table = new Float32Array(n * n * 784);
    const one = new Float64Array(784);
    /** @param {Pair} pair @param {number} i */
    const middle = ([low, high], i) => low + ((high - low) * (i + 0.5)) / n;
    for (let i = 0, at = 0; i < n; i++)
      for (let j = 0; j < n; j++, at += 784) {
        const z = [...others];
        z[2] = middle(sizes, i);
        z[3] = middle(distances, j);
        table.set(renderer.draw(z, [], lens, one), at);
      }
    return table;
  }
  /**
   * log p(x|z) in every cell, up to a constant.
   * @param {Numbers} x
   * @param {Float32Array} table
   * @param {number} sigma
   */
  function logLikelihood(x, table, sigma) {
    const cells = table.length / 784;
    const out = new Float64Array(cells);
    for (let i = 0, at = 0; i < cells; i++) {
      let sum = 0;
      for (let p = 0; p < 784; p++, at++) sum += (x[p] - table[at]) ** 2;
      out[i] = -sum / (2 * sigma * sigma);
    }
    return out;
  }
  /**
   * log p(z) in every cell, up to a constant: a Gaussian in the size, flat in the distance.
   * @param {number} n
   * @param {Pair} sizes
   * @param {number} mean
   * @param {number} width
   */
  const logPrior = (n, [low, high], mean, width) =>
    Float64Array.from(
      { length: n * n },
      (_, k) => -0.5 * ((low + ((high - low) * (Math.floor(k / n) + 0.5)) / n - mean) / width) ** 2,
    );
  /**
   * The probability of every cell, from logarithms up to a constant.
   * @param {...Float64Array<ArrayBuffer>} logs
   */
  function normalised(...logs) {
    const total = logs[0].map((_, k) => logs.reduce((sum, values) => sum + values[k], 0));
    const whole = kit.logSumExp(total);
    return total.map((v) => Math.exp(v - whole));
  }
  /**
   * Mean and standard deviation of value(size, distance) under the cells' probabilities.
   * @param {Numbers} probability
   * @param {number} n
   * @param {Pair[]} ranges
   * @param {(size: number, distance: number) => number} value
   */
  function moments(probability, n, [sizes, distances], value) {
    let mean = 0;
    let square = 0;
    for (let k = 0; k < n * n; k++) {
      const size = sizes[0] + ((sizes[1] - sizes[0]) * (Math.floor(k / n) + 0.5)) / n;
      const distance = distances[0] + ((distances[1] - distances[0]) * ((k % n) + 0.5)) / n;
      const v = value(size, distance);
      mean += probability[k] * v;
      square += probability[k] * v * v;
    }
    return [mean, Math.sqrt(Math.max(0, square - mean * mean))];
  }
  return { drawings, logLikelihood, logPrior, normalised, moments };
})();

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const n = model.get("cells");
  const ranges = model.get("ranges");
  const [sizes, distances] = ranges;
  const others = model.get("others");
  const noise = kit.floats(model.get("noise"));
  const lens = renderer.lens(model.get("lens"));
  const table = ambiguity.drawings(n, ranges, others, lens);
  const grid = kit.el("div", {
    style:
      "display:grid;gap:12px 18px;width:100%;grid-template-columns:repeat(auto-fit,minmax(min(100%,250px),1fr));align-items:end",
  });
  fig.stage.append(grid);
  const seen = fig.pixels({
    width: 28,
    height: 28,
    scale: 6,
    title: "what you see",
    label: "a noisy picture of a disc",
    into: grid,
  });

  /** @param {string} title @param {string} colour */
  const map = (title, colour) => {
    const holder = kit.el("figure", { class: "lb-picture" }, kit.el("figcaption", {}, title));
    grid.append(holder);
    const axes = fig.plot({
      width: 260,
      height: 200,
      x: distances,
      y: sizes,
      xlabel: "distance",
      ylabel: "size",
      label: title,
      into: holder,
    });
    const picture = axes.backdrop(fig.pixels({ width: n, height: n, label: title, into: null }));
    picture.canvas.style.imageRendering = "auto";
    const upwards = new Float64Array(n * n); // a canvas has its first row on top, the axis its smallest size below
    return {
      axes,
      describe: picture.describe,
      /** @param {Float64Array<ArrayBuffer>} probability */
      show(probability) {
        const top = probability.reduce((a, b) => Math.max(a, b), 0);
        for (let i = 0; i < n; i++)
          for (let j = 0; j < n; j++) upwards[(n - 1 - i) * n + j] = probability[i * n + j] / top;
        picture.heat(upwards, colour);
      },
    };
  };
  const likelihood = map("likelihood p(x|z): drag it", "data");
  const prior = map("prior p(z): drag it", "prior");
  const posterior = map("posterior p(z|x)", "latent");
  const centre = posterior.axes.dots("ink", { radius: 4, opacity: 1 });
  const middle = (distances[0] + distances[1]) / 2;
  const [least, most] = model.get("looks");
  /** @param {number} apparent */
  const onRay = (apparent) => {
    // the point of size = apparent * distance that is nearest to the middle and in the plot
    const size = kit.clamp(middle * apparent, sizes[0] + 0.01, sizes[1] - 0.01);
    return [kit.clamp(size / apparent, distances[0], distances[1]), size];
  };
  const ray = likelihood.axes.line("data", { dash: "4 4", thickness: 1.5 });
  fig.handle(likelihood.axes, {
    name: "data",
    label: "size over distance of the disc",
    get: () => onRay(model.get("apparent")),
    set: (d, s) => fig.set({ apparent: kit.clamp(s / d, least, most) }),
    text: ([d, s]) => `size over distance ${kit.number(s / d)}`,
  });
  fig.handle(prior.axes, {
    name: "prior",
    label: "expected size",
    get: () => [middle, model.get("mean")],
    set: (_, s) => fig.set({ mean: s }),
    text: ([, s]) => `expected size ${kit.number(s)}`,
  });

  const out = fig.wide(fig.readout("latent"));
  fig.slider({ key: "apparent", label: "disc's size/distance", min: least, max: most, step: 0.01 });
  fig.slider({ key: "sigma", label: "noise σ", min: 0.3, max: 2, step: 0.05 });
  fig.slider({ key: "mean", label: "expected size", min: sizes[0], max: sizes[1], step: 0.01 });
  fig.slider({ key: "width", label: "width of the prior", min: 0.01, max: 0.4, step: 0.01 });

  /** @type {{ sigma: number, apparent: number, x: Numbers, logLik: Float64Array<ArrayBuffer> } | null} */
  let drawn = null;
  fig.draw(() => {
    const sigma = model.get("sigma");
    const apparent = model.get("apparent");
    if (drawn === null || sigma !== drawn.sigma || apparent !== drawn.apparent) {
      // the picture has changed, not the prior alone
      const z = [...others];
      z[2] = apparent * z[3];
      const x = renderer.draw(z, [], lens).map((v, p) => v + sigma * noise[p]);
      drawn = { sigma, apparent, x, logLik: ambiguity.logLikelihood(x, table, sigma) };
    }
    const { x, logLik } = drawn;
    const logPrior = ambiguity.logPrior(n, sizes, model.get("mean"), model.get("width"));
    const probability = ambiguity.normalised(logLik, logPrior);
    const [size, sizeSpread] = ambiguity.moments(probability, n, ranges, (s) => s);
    const [distance, distanceSpread] = ambiguity.moments(probability, n, ranges, (_, d) => d);
    const [ratio, ratioSpread] = ambiguity.moments(probability, n, ranges, (s, d) => s / d);
    seen.paint(x, -sigma, 1 + sigma);
    const ends = [Math.max(distances[0], sizes[0] / apparent), Math.min(distances[1], sizes[1] / apparent)];
    ray.set(
      ends,
      ends.map((d) => d * apparent),
    );
    likelihood.show(ambiguity.normalised(logLik));
    prior.show(ambiguity.normalised(logPrior));
    posterior.show(probability);
    centre.set([distance], [size]);
    /**
     * @param {number} mean
     * @param {number} spread
     * @param {number} digits
     */
    const give = (mean, spread, digits) => `${kit.number(mean, digits)} ± ${kit.number(spread, digits)}`;
    const text = `posterior: size ${give(size, sizeSpread, 2)}, distance ${give(distance, distanceSpread, 2)}, size/distance ${give(ratio, ratioSpread, 3)}`;
    out.set(text);
    posterior.describe(text);
    fig.say(text);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  posterior(x, n, ranges, others, lens, sigma, mean, width) {
    const logLik = ambiguity.logLikelihood(x, ambiguity.drawings(n, ranges, others, lens), sigma);
    return Array.from(ambiguity.normalised(logLik, ambiguity.logPrior(n, ranges[0], mean, width)));
  },
  moments: (probability, n, ranges) => [
    ambiguity.moments(probability, n, ranges, (s) => s),
    ambiguity.moments(probability, n, ranges, (_, d) => d),
  ],
};
export default { render };
