/* collapse.js - the noise's variance against the eigenvalues: which dimensions of a linear VAE live, what they say, what is left of a digit. */
/**
 * @typedef {object} Traits of `CollapseFigure`
 * @property {Bytes} mean
 * @property {Bytes} images
 * @property {Bytes} W
 * @property {Bytes} lam
 * @property {number} log_sigma2
 * @property {number} digit
 */
/**
 * For each eigenvalue its price in nats, and the share of its direction that a round trip keeps.
 * @param {Float32Array} lam
 * @param {number} sigma2
 */
function predict(lam, sigma2) {
  return {
    kl: Array.from(lam, (v) => 0.5 * Math.log(Math.max(v, sigma2) / sigma2)),
    gain: Array.from(lam, (v) => Math.max(0, 1 - sigma2 / v)),
  };
}
/**
 * The round trip of x by the mean of its code: the living directions, each shrunk.
 * @param {Numbers} x
 * @param {Float32Array} mean
 * @param {Numbers} W
 * @param {number[]} gain
 */
function roundTrip(x, mean, W, gain) {
  const D = mean.length;
  const out = Float64Array.from(mean);
  gain.forEach((g, l) => {
    if (!g) return;
    let along = 0;
    for (let i = 0; i < D; i++) along += W[l * D + i] * (x[i] - mean[i]);
    for (let i = 0; i < D; i++) out[i] += g * along * W[l * D + i];
  });
  return out;
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const lam = kit.floats(model.get("lam"));
  const L = lam.length;
  const mean = kit.floats(model.get("mean"));
  const W = kit.floats(model.get("W"));
  const images = kit.bytes(model.get("images"));
  const D = mean.length;
  const side = Math.round(Math.sqrt(D));
  const low = Math.floor(Math.log10(lam[L - 1]));
  const high = Math.ceil(Math.log10(lam[0]));
  const plot = fig.plot({
    width: 360,
    height: 200,
    left: 56,
    x: [0.5, L + 0.5],
    y: [low, high],
    ylabel: "log\u2081\u2080 variance",
    label: "eigenvalues and the variance of the noise",
  });
  const bars = Array.from(lam, (v, l) => plot.bar("data", l + 0.6, l + 1.4, { from: low }));
  const line = plot.line("recon", { thickness: 2.5 });
  const name = plot.text("recon", { anchor: "end", size: 12 });
  Object.assign(name.node.style, { paintOrder: "stroke", stroke: kit.color("paper"), strokeWidth: "4px" }); // legible on the bars, too
  const prices = fig.plot({
    width: 360,
    height: 130,
    left: 56,
    x: [0.5, L + 0.5],
    y: [0, 0.5 * Math.log(lam[0] / 10 ** low)],
    xlabel: "dimension",
    ylabel: "nats",
    label: "what each dimension says",
  });
  const said = Array.from(lam, (_, l) => prices.bar("latent", l + 0.6, l + 1.4, { from: 0 }));
  const pixels = { width: side, height: side, scale: 4 };
  const digit = fig.pixels({ ...pixels, title: "digit", label: "a digit" });
  const trip = fig.pixels({ ...pixels, title: "round trip", label: "its round trip" });
  const out = fig.readout("elbo");
  fig.slider({ key: "log_sigma2", label: "log\u2081\u2080 of the noise variance", min: low, max: high, step: 0.02 });
  fig.slider({ key: "digit", label: "digit", min: 0, max: images.length / D - 1, step: 1 });

  fig.draw(() => {
    const t = model.get("log_sigma2");
    const { kl, gain } = predict(lam, 10 ** t);
    const k = model.get("digit");
    const x = kit.greys(images, k * D, D);
    bars.forEach((bar, l) => {
      bar.set(Math.log10(lam[l]));
      bar.node.setAttribute("fill", kit.color(gain[l] ? "data" : "grid"));
    });
    said.forEach((bar, l) => bar.set(kl[l]));
    line.set([0.5, L + 0.5], [t, t]);
    name.set(
      L + 0.5,
      kit.clamp(t, low + 0.02, high - 0.25),
      `\u03c3\u00b2 = ${kit.number(10 ** t, 10 ** t < 0.1 ? 3 : 2)}`,
      -4,
      -6,
    );
    digit.paint(x);
    trip.paint(roundTrip(x, mean, W, gain));
    const alive = gain.filter((g) => g > 0).length;
    const total = kl.reduce((a, b) => a + b, 0);
    out.set(`${alive} of ${L} live, ${kit.number(total, 1)} nats`);
    fig.say(`${alive} of ${L} dimensions live and say ${kit.number(total, 1)} nats`);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = { predict, roundTrip: (x, mean, W, gain) => Array.from(roundTrip(x, mean, W, gain)) };
export default { render };
