/* rain.js - estimates of one slope from the same noise: by the score function, and reparameterised. */
/**
 * @typedef {object} Traits of `RainFigure`
 * @property {Bytes} noise
 * @property {number} most
 * @property {number} draws
 * @property {number} causes
 * @property {number} mu
 * @property {number} sigma
 * @property {number} tau2
 * @property {number} baseline
 * @property {number} reach
 */
/** @typedef {Pick<Traits, "draws" | "causes" | "mu" | "sigma" | "tau2" | "baseline">} Settings */
const raining = {
  /**
   * The true slope of the bound in the mean of one cause, and the bound of each cause; x = 1 = z + noise of variance tau2.
   * @param {{ mu: number, sigma: number, tau2: number }} now
   */
  truth({ mu, sigma, tau2 }) {
    const slope = -mu + (1 - mu) / tau2;
    const miss = (1 - mu) ** 2 + sigma * sigma;
    const bound = -0.5 * (mu * mu + sigma * sigma + miss / tau2 + Math.log(2 * Math.PI * tau2) - 1) + Math.log(sigma);
    return { slope, bound };
  },
  /**
   * Both estimates for each row of noise (dots x most x 8), by the mean over the first `draws`.
   * @param {Numbers} noise
   * @param {number} most
   * @param {Settings} now
   */
  estimates(noise, most, now) {
    const { mu, sigma, tau2, causes, draws, baseline } = now;
    const dots = noise.length / (most * 8);
    const score = [];
    const path = [];
    const c = baseline ? causes * raining.truth(now).bound : 0;
    const constant = -0.5 * Math.log(2 * Math.PI * tau2) + Math.log(sigma);
    for (let i = 0; i < dots; i++) {
      let a = 0;
      let b = 0;
      for (let s = 0; s < draws; s++) {
        const at = (i * most + s) * 8;
        let f = 0;
        for (let l = 0; l < causes; l++) {
          const e = noise[at + l];
          const z = mu + sigma * e;
          f += 0.5 * (e * e - z * z - ((1 - z) * (1 - z)) / tau2) + constant;
        }
        const e = noise[at];
        const z = mu + sigma * e;
        a += ((f - c) * e) / sigma;
        b += -z + (1 - z) / tau2;
      }
      score.push(a / draws);
      path.push(b / draws);
    }
    return { score, path };
  },
  /** @param {number[]} values */
  deviation(values) {
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
  },
};

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const noise = kit.floats(model.get("noise"));
  const most = model.get("most");
  const reach = model.get("reach");
  const plot = fig.plot({
    width: 330,
    height: 250,
    x: [0, 2],
    y: [-reach, reach],
    xticks: false,
    ylabel: "slope",
    bottom: 26,
    top: 24,
    label: "estimates of the slope, and the true slope",
  });
  plot.svg.style.maxWidth = "460px";
  const kinds = [
    { key: /** @type {const} */ ("score"), name: "recon", word: "score function" },
    { key: /** @type {const} */ ("path"), name: "latent", word: "reparameterised" },
  ];
  const rain = kinds.map(({ name }) => plot.dots(name, { radius: 2.4, opacity: 0.6 }));
  const heads = kinds.map(({ name }) => plot.text(name, { anchor: "middle", weight: 600 }));
  kinds.forEach(({ word }, i) => plot.text("ink", { anchor: "middle", size: 13 }).set(i + 0.5, -reach, word, 0, 17));
  const line = plot.line("logp", { thickness: 2 });
  const out = fig.wide(fig.readout("ink"));
  fig.slider({ key: "draws", label: "draws for each estimate", min: 1, max: most, step: 1 });
  fig.slider({ key: "causes", label: "causes", min: 1, max: 8, step: 1 });
  fig.slider({ key: "mu", label: "\u03BC of q", min: -1, max: 2, step: 0.01 });
  fig.slider({ key: "sigma", label: "\u03C3 of q", min: 0.2, max: 1.2, step: 0.01 });
  fig.choice({ key: "baseline", label: "baseline", options: ["none", "the bound"] });

  fig.draw(() => {
    const now = kit.pick(model, "draws", "causes", "mu", "sigma", "baseline", "tau2");
    const { slope } = raining.truth(now);
    const both = raining.estimates(noise, most, now);
    const spread = { score: 0, path: 0 };
    kinds.forEach(({ key }, i) => {
      rain[i].set(
        both[key].map((_, n) => i + 0.1 + 0.8 * ((n * 0.618034) % 1)),
        both[key].map((v) => kit.clamp(v, -reach, reach)),
      );
      const beyond = both[key].filter((v) => Math.abs(v) > reach).length;
      spread[key] = raining.deviation(both[key]);
      heads[i].set(i + 0.5, reach, `spread ${kit.number(spread[key], 2)}${beyond ? ` (${beyond} beyond)` : ""}`, 0, -8);
    });
    line.set([0, 2], [slope, slope]);
    const ratio = (spread.score / Math.max(spread.path, 1e-12)) ** 2;
    const text = `true slope ${kit.number(slope, 2)}; the variance on the left is ${kit.number(ratio, ratio < 10 ? 2 : 0)} times that on the right`;
    out.set(text);
    fig.say(text);
  });
  return fig.close;
}
render.maths = raining;
export default { render };
