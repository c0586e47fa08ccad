/* split.js - log p(x) of one observation, split by a guess q at its cause: what the guess explains, and how wrong it is. */
/**
 * @typedef {object} Traits of `SplitFigure`
 * @property {number[]} prior
 * @property {string[]} names
 * @property {number[]} log_joint
 * @property {number} floor
 * @property {number[]} weights
 * @property {number} shown
 */
const splitting = {
  /**
   * log p(x), the bound, the gap and the posterior, from log p(x, z) for each z.
   * @param {number[]} logJoint
   * @param {number[]} q
   */
  parts(logJoint, q) {
    const logp = kit.logSumExp(logJoint);
    /** @param {(k: number) => number} value */
    const mean = (value) => q.reduce((sum, v, k) => sum + (v > 0 ? v * (value(k) - Math.log(v)) : 0), 0);
    const elbo = mean((k) => logJoint[k]);
    const kl = -mean((k) => logJoint[k] - logp);
    return { logp, elbo, kl, posterior: logJoint.map((v) => Math.exp(v - logp)) };
  },
};

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const logJoint = model.get("log_joint");
  const prior = model.get("prior");
  const names = model.get("names");
  const K = names.length;
  const table = fig.plot({
    width: 320,
    height: 250,
    bottom: 26,
    x: [0, K],
    y: [0, 1],
    xticks: false, // causes have names, not numbers
    ylabel: "probability",
    label: "prior and guess for each cause",
    top: 26,
  });
  const before = names.map((_, k) => table.bar("prior", k + 0.16, k + 0.44, { opacity: 0.55 }));
  const guess = names.map((_, k) => table.bar("ink", k + 0.5, k + 0.84, { opacity: 0.8 }));
  const truth = names.map((_, k) => table.line("latent", { thickness: 4 }));
  names.forEach((name, k) => {
    table.text("ink", { anchor: "middle", size: 13 }).set(k + 0.5, 0, name, 0, 17);
    before[k].set(prior[k]);
  });
  table.text("prior", { weight: 600 }).set(0, 1, "prior", 4, -9);
  table.text("ink", { weight: 600 }).set(0, 1, "your q", 48, -9);
  const legend = table.text("latent", { weight: 600 });

  const { logp, posterior } = splitting.parts(logJoint, prior);
  const low = model.get("floor");
  const bar = fig.plot({
    width: 320,
    height: 250,
    bottom: 26,
    x: [0, 2.4],
    y: [low, Math.ceil(logp)],
    xticks: false,
    ylabel: "nats",
    label: "log p(x), split into the bound and the gap",
    top: 26,
  });
  const green = bar.bar("elbo", 0.2, 1.1);
  const red = bar.bar("kl", 0.2, 1.1);
  const top = bar.line("logp", { thickness: 2.5 });
  top.set([0, 2.4], [logp, logp]);
  bar.text("logp", { weight: 600 }).set(1.2, logp, "log p(x)", 0, -7);
  const bound = bar.text("elbo", { weight: 600 });
  const gap = bar.text("kl", { weight: 600 });
  const out = fig.wide(fig.readout("ink"));

  names.forEach((name, k) =>
    fig.slider({ key: "weights", index: k, label: `weight of ${name}`, min: 0, max: 1, step: 0.01 }),
  );
  fig.choice({ key: "shown", label: "posterior", options: ["hide", "show"] });
  /** @param {number[]} q */
  const put = (q) => fig.set({ weights: q.map((v) => v / Math.max(...q)) }); // the largest slider at its end
  fig.button({ label: "q = prior", act: () => put(prior) });
  fig.button({ label: "q = posterior", act: () => put(posterior) });

  fig.draw(() => {
    const q = kit.shares(model.get("weights"));
    const { elbo, kl } = splitting.parts(logJoint, q);
    const shown = model.get("shown") === 1;
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
/** @type {Record<string, Act>} */
render.maths = { ...splitting, normalised: kit.shares };
export default { render };
