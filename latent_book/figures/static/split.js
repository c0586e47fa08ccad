/* split.js - log p(x) of one observation, split by a guess q at its cause: what the guess explains, and how wrong it is. */
const splitting = {
  /** Weights as probabilities; where all are zero, equal ones. */
  normalised(weights) {
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((w) => (sum > 0 ? w / sum : 1 / weights.length));
  },
  /** log p(x), the bound, the gap and the posterior, from log p(x, z) for each z. */
  parts(logJoint, q) {
    const top = Math.max(...logJoint), logp = top + Math.log(logJoint.reduce((sum, v) => sum + Math.exp(v - top), 0));
    const mean = (value) => q.reduce((sum, v, k) => sum + (v > 0 ? v * (value(k) - Math.log(v)) : 0), 0);
    const elbo = mean((k) => logJoint[k]), kl = -mean((k) => logJoint[k] - logp);
    return { logp, elbo, kl, posterior: logJoint.map((v) => Math.exp(v - logp)) };
  },
};

function render({ model, el }) {
  const fig = kit.figure(model, el), logJoint = model.get("log_joint"), prior = model.get("prior"), names = model.get("names"), K = names.length;
  const bare = (plot) => plot.svg.querySelectorAll('.lb-axes text[text-anchor="middle"]:not(.lb-label)').forEach((t) => t.remove()); // causes have names, not numbers
  const table = fig.plot({ width: 320, height: 250, bottom: 26, x: [0, K], y: [0, 1], ylabel: "probability", label: "prior and guess for each cause", top: 26 });
  bare(table);
  const before = names.map((_, k) => table.bar("prior", k + 0.16, k + 0.44, { opacity: 0.55 })), guess = names.map((_, k) => table.bar("ink", k + 0.5, k + 0.84, { opacity: 0.8 }));
  const truth = names.map((_, k) => table.line("latent", { thickness: 4 }));
  names.forEach((name, k) => { table.text("ink", { anchor: "middle", size: 13 }).set(k + 0.5, 0, name, 0, 17); before[k].set(prior[k]); });
  table.text("prior", { weight: 600 }).set(0, 1, "prior", 4, -9);
  table.text("ink", { weight: 600 }).set(0, 1, "your q", 48, -9);
  const legend = table.text("latent", { weight: 600 });

  const { logp, posterior } = splitting.parts(logJoint, prior), low = model.get("floor");
  const bar = fig.plot({ width: 320, height: 250, bottom: 26, x: [0, 2.4], y: [low, Math.ceil(logp)], ylabel: "nats", label: "log p(x), split into the bound and the gap", top: 26 });
  bare(bar);
  const green = bar.bar("elbo", 0.2, 1.1), red = bar.bar("kl", 0.2, 1.1), top = bar.line("logp", { thickness: 2.5 });
  top.set([0, 2.4], [logp, logp]);
  bar.text("logp", { weight: 600 }).set(1.2, logp, "log p(x)", 0, -7);
  const bound = bar.text("elbo", { weight: 600 }), gap = bar.text("kl", { weight: 600 });
  const out = fig.readout("ink");
  out.node.style.gridColumn = "1 / -1";

  names.forEach((name, k) => fig.slider({ key: "weights", index: k, label: `weight of ${name}`, min: 0, max: 1, step: 0.01 }));
  fig.choice({ key: "shown", label: "posterior", options: ["hide", "show"] });
  const put = (q) => fig.set({ weights: q.map((v) => v / Math.max(...q)) }); // the largest slider at its end
  fig.button({ label: "q = prior", act: () => put(prior) });
  fig.button({ label: "q = posterior", act: () => put(posterior) });

  fig.draw(() => {
    const q = splitting.normalised(model.get("weights")), { elbo, kl } = splitting.parts(logJoint, q), shown = model.get("shown") === 1;
    q.forEach((v, k) => guess[k].set(v));
    truth.forEach((line, k) => line.set(shown ? [k + 0.46, k + 0.88] : [], shown ? [posterior[k], posterior[k]] : []));
    legend.set(0, 1, shown ? "posterior" : "", 102, -9);
    green.set(elbo);
    red.set(logp, elbo);
    bound.set(1.2, (low + elbo) / 2, `\u{1D4DB} = ${kit.number(elbo, 3)}`, 0, 4);
    gap.set(1.2, (elbo + logp) / 2, `KL = ${kit.number(kl, 3)}`, 0, 14);
    const text = `${kit.number(elbo, 3)} + ${kit.number(kl, 3)} = ${kit.number(elbo + kl, 3)} = log p(x)`;
    out.set(text);
    fig.say(`bound plus gap: ${text}`);
  });
  return fig.close;
}
render.maths = splitting;
export default { render };
