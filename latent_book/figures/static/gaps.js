/* gaps.js - an encoder in place of Bayes' rule, on a mixture in the plane: log p(x) split into the bound and two gaps. */
const guessing = {
  /** log p(x, z = k); `forms` has for each k the constant, and the three numbers of the inverse covariance. */
  logJoint: (x, mu, forms) => forms.map(([constant, a, b, d], k) => {
    const u = x[0] - mu[2 * k], v = x[1] - mu[2 * k + 1];
    return constant - 0.5 * (a * u * u + 2 * b * u * v + d * v * v);
  }),
  /** Logarithms as probabilities, and the logarithm of their sum. */
  softmax(g) {
    const top = Math.max(...g), sum = g.reduce((s, v) => s + Math.exp(v - top), 0), log = top + Math.log(sum);
    return [g.map((v) => Math.exp(v - log)), log];
  },
  /** The nearest guess that is at least c sure of one cause. */
  restrict(q, c) {
    const best = q.indexOf(Math.max(...q)), top = q[best];
    if (top >= c) return q;
    return q.map((v, k) => (k === best ? c : (v * (1 - c)) / (1 - top)));
  },
  kl: (q, p) => q.reduce((sum, v, k) => sum + (v > 0 ? v * Math.log(v / p[k]) : 0), 0),
  /** log p, the bound and both gaps at x, for an encoder's scores there. */
  split(x, scores, mu, forms, c) {
    const [posterior, logp] = guessing.softmax(guessing.logJoint(x, mu, forms));
    const [guess] = guessing.softmax(Array.from(scores));
    const own = guessing.kl(guessing.restrict(guess, c), posterior), approximation = guessing.kl(guessing.restrict(posterior, c), posterior);
    return { logp, elbo: logp - own, amortisation: own - approximation, approximation };
  },
  /** The encoders: each a list of layers, their weights one after the other. */
  encoders(all, weights) {
    let start = 0;
    return all.map((layers) => {
      const size = layers.reduce((sum, { inputs, outputs }) => sum + (inputs + 1) * outputs, 0);
      return network(layers, weights.subarray(start, (start += size)));
    });
  },
  /** `split` by the encoder of that number, from the figure's own values (for the tests). */
  whole: ({ layers, weights, mu, forms }, x, encoder, c) => {
    const scores = guessing.encoders(layers, Float32Array.from(weights))[encoder](x);
    return guessing.split(x, scores, mu, forms, c);
  },
};

function render({ model, el }) {
  const fig = kit.figure(model, el), points = kit.floats(model.get("points")), mu = model.get("mu"), forms = model.get("forms");
  const encoders = guessing.encoders(model.get("layers"), kit.floats(model.get("weights"))), names = ["elbo", "recon", "kl"];
  const reach = [[-4, 4], [-3, 3]], low = -model.get("depth");
  const plane = fig.plot({ width: 320, height: 262, x: reach[0], y: reach[1], xlabel: "x\u2081", ylabel: "x\u2082", label: "points, three Gaussians, and where the guess is poor" });
  const cells = [32, 24], heat = plane.backdrop(fig.pixels({ width: cells[0], height: cells[1], label: "the sum of both gaps, over the plane", into: null }));
  const xs = [], ys = [];
  for (let n = 0; n < points.length; n += 2) { xs.push(points[n]); ys.push(points[n + 1]); }
  plane.dots("data", { radius: 1.3, opacity: 0.65 }).set(xs, ys);
  const rings = model.get("rings"), turn = kit.linspace(0, 2 * Math.PI, 61);
  rings.forEach(([a, b, d], k) => plane.line("ink", { thickness: 1.3 }).set(
    Array.from(turn, (t) => mu[2 * k] + a * Math.cos(t)), Array.from(turn, (t) => mu[2 * k + 1] + b * Math.cos(t) + d * Math.sin(t))));
  const bars = fig.plot({ width: 320, height: 262, x: [0, 4], y: [low, 0], ylabel: "nats below log p", bottom: 26, top: 24, left: 56, label: "the bound and both gaps, at the point and on average" });
  bars.svg.querySelectorAll('.lb-axes text[text-anchor="middle"]:not(.lb-label)').forEach((t) => t.remove());
  const stacks = [0, 2].map((x) => names.map((name) => bars.bar(name, x + 0.25, x + 1.05)));
  const said = [0, 2].map(() => ["recon", "kl"].map((name) => bars.text(name, { weight: 600 })));
  ["this point", "all points"].forEach((word, i) => bars.text("ink", { anchor: "middle", size: 13 }).set(2 * i + 0.65, low, word, 0, 17));
  bars.text("logp", { weight: 600 }).set(0, 0, "log p", 2, -7);
  const top = bars.line("logp", { thickness: 2.5 });
  top.set([0, 4], [0, 0]);
  const keys = [["elbo", "bound"], ["recon", "amortisation gap"], ["kl", "approximation gap"]];
  keys.forEach(([name, word], i) => { const out = fig.readout(name); out.set(`\u25A0 ${word}`); out.node.style.display = "inline-block"; out.node.style.marginRight = "1em"; out.node.dataset.key = i; });
  const out = fig.readout("ink");
  out.node.style.gridColumn = "1 / -1";
  fig.slider({ key: "sure", label: "a guess is at least this sure, c", min: 0.34, max: 1, step: 0.01 });
  fig.choice({ key: "encoder", label: "encoder", options: model.get("names") });
  fig.handle(plane, { label: "the point x", name: "latent", get: () => model.get("probe"), set: (x, y) => fig.set({ probe: [x, y] }) });

  const mean = { of: null };
  const average = (c, e) => { // over the points; and the picture of the plane
    if (mean.of === `${c} ${e}`) return mean.value;
    const value = { amortisation: 0, approximation: 0, elbo: 0, logp: 0 }, N = xs.length;
    for (let n = 0; n < N; n++) {
      const x = [xs[n], ys[n]], part = guessing.split(x, encoders[e](x), mu, forms, c);
      for (const key in value) value[key] += part[key] / N;
    }
    const picture = new Float32Array(cells[0] * cells[1]);
    for (let j = 0, i = 0; j < cells[1]; j++) for (let k = 0; k < cells[0]; k++, i++) {
      const at = [reach[0][0] + ((k + 0.5) / cells[0]) * 8, reach[1][1] - ((j + 0.5) / cells[1]) * 6], part = guessing.split(at, encoders[e](at), mu, forms, c);
      picture[i] = 0.75 * Math.min(1, part.amortisation + part.approximation);
    }
    Object.assign(mean, { of: `${c} ${e}`, value, picture });
    return value;
  };
  fig.draw(() => {
    const c = model.get("sure"), e = model.get("encoder"), x = model.get("probe");
    const here = guessing.split(x, encoders[e](x), mu, forms, c), all = average(c, e);
    heat.heat(mean.picture, "kl"); // in the colours of the page as it is now
    [here, all].forEach(({ amortisation, approximation }, i) => {
      const [green, orange, red] = stacks[i], first = Math.max(low, -amortisation - approximation), second = Math.max(low, -approximation);
      green.set(first, low); orange.set(second, first); red.set(0, second);
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
