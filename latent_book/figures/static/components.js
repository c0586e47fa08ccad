/* components.js - a digit rebuilt from its first components: what the code gains, the error loses. */
/**
 * @typedef {object} Traits of `ComponentsFigure`
 * @property {Bytes} mu
 * @property {Bytes} images
 * @property {string[]} names
 * @property {Bytes} W
 * @property {number} digit
 * @property {number} k
 */
/**
 * The code of x: its shadow on each component (rows of W, one after the other).
 * @param {Numbers} x
 * @param {Numbers} mu
 * @param {Numbers} W
 */
function codes(x, mu, W) {
  const D = x.length;
  const z = new Float64Array(W.length / D);
  for (let l = 0; l < z.length; l++) {
    let sum = 0;
    for (let d = 0; d < D; d++) sum += W[l * D + d] * (x[d] - mu[d]);
    z[l] = sum;
  }
  return z;
}
/**
 * The picture that the first k numbers of the code decode to.
 * @param {Numbers} z
 * @param {Float32Array} mu
 * @param {Numbers} W
 * @param {number} k
 */
function rebuild(z, mu, W, k) {
  const D = mu.length;
  const out = Float64Array.from(mu);
  for (let l = 0; l < k; l++) for (let d = 0; d < D; d++) out[d] += z[l] * W[l * D + d];
  return out;
}
/**
 * Squared distance that is left after 0, 1, 2, ... components; the first is the distance from the mean.
 * @param {Float64Array<ArrayBuffer>} x
 * @param {Numbers} mu
 * @param {Iterable<number>} z
 */
function errors(x, mu, z) {
  const left = [x.reduce((sum, v, d) => sum + (v - mu[d]) ** 2, 0)];
  for (const v of z) left.push(left[left.length - 1] - v * v);
  return left;
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const mu = kit.floats(model.get("mu"));
  const W = kit.floats(model.get("W"));
  const side = Math.round(Math.sqrt(mu.length));
  const grey = kit.bytes(model.get("images"));
  const D = mu.length;
  const most = W.length / D;
  const digits = grey.length / D;
  const all = Array.from({ length: digits }, (_, i) => {
    const x = kit.greys(grey, i * D, D);
    const z = codes(x, mu, W);
    return { x, z, left: errors(x, mu, z) };
  });
  const row = fig.row(4, 132);
  const pixels = { width: side, height: side, scale: 5, into: row };
  const image = fig.pixels({ ...pixels, title: "x", label: "the digit" });
  const added = fig.pixels({ ...pixels, title: "added last", label: "what the last component added" });
  const rebuilt = fig.pixels({ ...pixels, title: "rebuilt", label: "the digit, rebuilt" });
  const missing = fig.pixels({ ...pixels, title: "missing", label: "what is missing" });
  const highest = Math.max(...all.map((a) => a.left[0]));
  const plot = fig.plot({
    width: 400,
    height: 190,
    x: [-2, most],
    y: [0, 1.12 * highest],
    xlabel: "components",
    ylabel: "squared distance",
    label: "what is kept and the error, against components",
  });
  const kept = plot.line("recon", { area: 0, opacity: 0.25 });
  const error = plot.line("kl", { area: 0, opacity: 0.3 });
  const edge = plot.line("kl");
  const total = plot.line("ink", { dash: "5 4", thickness: 1.5 });
  const here = plot.line("latent", { thickness: 2.5 });
  const names = [plot.text("recon", { anchor: "end" }), plot.text("kl")];
  const steps = kit.linspace(0, most, most + 1);
  const out = fig.wide(fig.readout("ink"));
  fig.choice({ key: "digit", label: "digit", options: model.get("names") });
  fig.slider({ key: "k", label: "components", min: 0, max: most, step: 1 });
  fig.handle(plot, {
    label: "components",
    name: "latent",
    step: 1,
    text: ([k]) => `${k} components`,
    get: () => [model.get("k"), all[model.get("digit")].left[model.get("k")]],
    set: (k) => fig.write("k", undefined, Math.round(kit.clamp(k, 0, most))),
  });

  fig.draw(() => {
    const k = model.get("k");
    const { x, z, left } = all[model.get("digit")];
    const x_hat = rebuild(z, mu, W, k);
    image.paint(x);
    rebuilt.paint(x_hat);
    missing.signed(
      x.map((v, d) => v - x_hat[d]),
      1,
    );
    const last = Float64Array.from({ length: D }, (_, d) => (k ? z[k - 1] * W[(k - 1) * D + d] : 0));
    added.signed(last, 1.2 * Math.max(1e-9, ...last.map(Math.abs)));
    kept.set(
      steps,
      steps.map(() => left[0]),
    );
    error.set(steps, left);
    edge.set(steps, left);
    total.set([0, most], [left[0], left[0]]);
    here.set([k, k], [0, left[0]]);
    names[0].set(most, left[0], "kept", -6, 18);
    names[1].set(0, 0, "error", 50, -8); // beside the point that the figure starts with
    const text = `${k} components: kept ${kit.number(left[0] - left[k], 2)} + error ${kit.number(left[k], 2)} = ${kit.number(left[0], 2)}`;
    out.set(text);
    rebuilt.describe(`the digit, rebuilt from ${k} components`);
    missing.describe(`what is missing; squared distance ${kit.number(left[k], 2)}`);
    fig.say(text);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  codes: (x, mu, W) => Array.from(codes(x, mu, W.flat())),
  rebuild: (z, mu, W, k) => Array.from(rebuild(z, mu, W.flat(), k)),
  errors,
};
export default { render };
