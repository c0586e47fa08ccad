/* field.js - a mixture of Gaussians in the plane, blurred by noise: the best denoiser's step at each place, and a walk of such steps. */
/**
 * @typedef {object} Traits of `FieldFigure`
 * @property {number[]} pi
 * @property {Pair[]} mu
 * @property {number[][][]} Sigma
 * @property {number} sigma
 * @property {number} steps
 * @property {number[]} at
 * @property {number} reach
 */
/** @typedef {{ mu: Pair, inverse: number[], log: number }} Blurred */
/**
 * For each component what the blur makes of it: the inverse of C = Sigma + sigma^2 I and the log of pi / sqrt|2 pi C|.
 * @param {{ pi: number[], mu: Pair[], Sigma: number[][][] }} mixture
 * @param {number} sigma
 */
function blurred({ pi, mu, Sigma }, sigma) {
  return pi.map((share, k) => {
    const [[a, b], [, d]] = Sigma[k];
    const A = a + sigma * sigma;
    const E = d + sigma * sigma;
    const det = A * E - b * b;
    return {
      mu: mu[k],
      inverse: [E / det, -b / det, A / det],
      log: Math.log(share) - 0.5 * Math.log(det) - Math.log(2 * Math.PI),
    };
  });
}
/**
 * log p_sigma and its slope at (u, v).
 * @param {Blurred[]} parts
 * @param {number} u
 * @param {number} v
 */
function score(parts, u, v) {
  const each = parts.map(({ mu, inverse, log }) => {
    const x = u - mu[0];
    const y = v - mu[1];
    const px = -(inverse[0] * x + inverse[1] * y);
    const py = -(inverse[1] * x + inverse[2] * y);
    return [log + 0.5 * (px * x + py * y), px, py];
  });
  const logp = kit.logSumExp(each.map(([joint]) => joint));
  const slope = [0, 0];
  for (const [joint, px, py] of each) {
    const share = Math.exp(joint - logp);
    slope[0] += share * px;
    slope[1] += share * py;
  }
  return { logp, slope };
}
/**
 * The stations of repeated denoising: x + sigma^2 times the slope, so many times.
 * @param {Blurred[]} parts
 * @param {number} sigma
 * @param {Pair} at
 * @param {number} steps
 */
function walked(parts, sigma, at, steps) {
  const path = [at];
  for (let k = 0; k < steps; k++) {
    const [u, v] = path[k];
    const { slope } = score(parts, u, v);
    path.push([u + sigma * sigma * slope[0], v + sigma * sigma * slope[1]]);
  }
  return path;
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const mixture = { pi: model.get("pi"), mu: model.get("mu"), Sigma: model.get("Sigma") };
  const reach = model.get("reach");
  const plot = fig.plot({
    width: 400,
    height: 390,
    x: [-reach, reach],
    y: [-reach, reach],
    equal: true,
    xlabel: "x\u2081",
    ylabel: "x\u2082",
    label: "density, steps of the denoiser, and a walk",
  });
  const cells = 48;
  const shade = fig.pixels({ width: cells, height: cells, into: null, label: "the blurred density" });
  plot.backdrop(shade);
  const arrows = kit.svg("path", {
    stroke: kit.color("muted"),
    "stroke-width": 1.4,
    fill: "none",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
  });
  plot.inside.append(arrows);
  const line = plot.line("latent", { thickness: 2.5 });
  const dots = plot.dots("latent", { radius: 3, opacity: 1 });
  const end = plot.dots("recon", { radius: 6, opacity: 1 });
  const out = fig.readout("latent");
  const height = fig.readout("recon");
  fig.slider({ key: "sigma", label: "noise sigma", min: 0.1, max: 3, step: 0.05 });
  fig.slider({ key: "steps", label: "steps", min: 0, max: 60, step: 1 });
  fig.handle(plot, {
    label: "start of the walk",
    name: "latent",
    get: () => model.get("at"),
    set: (a, b) => fig.set({ at: [a, b].map((v) => Math.round(100 * v) / 100) }),
  });
  const n = 17;
  const spacing = (2 * reach) / n;
  const grid = Array.from({ length: n }, (_, i) => -reach + (i + 0.5) * spacing);

  fig.draw(() => {
    const sigma = model.get("sigma");
    const parts = blurred(mixture, sigma);
    const log = new Float64Array(cells * cells);
    let top = -Infinity;
    for (let j = 0; j < cells; j++)
      for (let i = 0; i < cells; i++) {
        const value = score(
          parts,
          -reach + ((i + 0.5) * 2 * reach) / cells,
          reach - ((j + 0.5) * 2 * reach) / cells,
        ).logp;
        log[j * cells + i] = value;
        top = Math.max(top, value);
      }
    shade.heat(
      log.map((v) => 0.75 * Math.exp(v - top)),
      "data",
    );
    let d = "";
    for (const u of grid)
      for (const v of grid) {
        const { slope } = score(parts, u, v);
        const long = sigma * sigma * Math.hypot(...slope);
        const r = 0.9 * spacing * Math.tanh(long / spacing);
        if (long < 1e-9) continue;
        const [cx, cy] = [slope[0], slope[1]].map((s) => (r * s * sigma * sigma) / long);
        const X = plot.px(u + cx);
        const Y = plot.py(v + cy);
        const ax = X - plot.px(u);
        const ay = Y - plot.py(v);
        const h = 0.32;
        d += `M${plot.spot(u, v)}L${X.toFixed(1)} ${Y.toFixed(1)}M${(X - h * (ax + 0.7 * ay)).toFixed(1)} ${(Y - h * (ay - 0.7 * ax)).toFixed(1)}L${X.toFixed(1)} ${Y.toFixed(1)}L${(X - h * (ax - 0.7 * ay)).toFixed(1)} ${(Y - h * (ay + 0.7 * ax)).toFixed(1)}`;
      }
    arrows.setAttribute("d", d);
    const path = walked(parts, sigma, model.get("at"), model.get("steps"));
    const last = path[path.length - 1];
    line.set(
      path.map((p) => p[0]),
      path.map((p) => p[1]),
    );
    dots.set(
      path.map((p) => p[0]),
      path.map((p) => p[1]),
    );
    end.set([last[0]], [last[1]]);
    const place = last.map((v) => kit.number(v)).join(", ");
    const climbed = score(parts, last[0], last[1]).logp - score(parts, path[0][0], path[0][1]).logp;
    out.set(`after ${model.get("steps")} steps at (${place})`);
    height.set(`climbed ${kit.number(climbed)} nats of log p`);
    fig.say(`after ${model.get("steps")} steps at ${place}, ${kit.number(climbed)} nats higher`);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  score: (pi, mu, Sigma, sigma, /** @type {Pair[]} */ points) =>
    points.map(([u, v]) => score(blurred({ pi, mu, Sigma }, sigma), u, v)),
  walked: (pi, mu, Sigma, sigma, at, steps) => walked(blurred({ pi, mu, Sigma }, sigma), sigma, at, steps),
};
export default { render };
