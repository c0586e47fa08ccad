/* mixture.js - two Gaussian components to drag: their samples follow, Bayes' rule colours them, and the
   border between the two is drawn. */
/**
 * @typedef {object} Traits of `MixtureFigure`
 * @property {number[]} mu
 * @property {number[]} long
 * @property {number[]} short
 * @property {number[]} angle
 * @property {number} weight
 * @property {number[]} probe
 * @property {number} draw
 * @property {Bytes} noise
 */
/** @typedef {Pick<Traits, "mu" | "long" | "short" | "angle" | "weight">} Components */
/**
 * log pi_k + log N(x | k) for both components; `m` holds mu, long, short, angle and weight.
 * @param {Numbers} x
 * @param {Components} m
 */
function logJoint(x, m) {
  return [0, 1].map((k) => {
    const dx = x[0] - m.mu[2 * k];
    const dy = x[1] - m.mu[2 * k + 1];
    const c = Math.cos(m.angle[k]);
    const s = Math.sin(m.angle[k]);
    const a = (c * dx + s * dy) / m.long[k];
    const b = (-s * dx + c * dy) / m.short[k]; // whitened
    return (
      Math.log(k ? 1 - m.weight : m.weight) -
      0.5 * (a * a + b * b) -
      Math.log(m.long[k] * m.short[k]) -
      Math.log(2 * Math.PI)
    );
  });
}
/** @param {Numbers} x @param {Components} m */
const logProb = (x, m) => kit.logSumExp(logJoint(x, m));

/** @param {Numbers} x @param {Components} m */
function responsibilities(x, m) {
  const log_p = logProb(x, m);
  return logJoint(x, m).map((g) => Math.exp(g - log_p));
}
/**
 * Where both are equally responsible: short strokes, x0, y0, x1, y1 each, from the cells of a grid that the border crosses.
 * @param {Components} m
 * @param {Pair} xs
 * @param {Pair} ys
 */
function border(m, [x0, x1], [y0, y1], nx = 64, ny = 48) {
  /** @type {number[]} */
  const odds = [];
  /** @param {number} i */
  const X = (i) => x0 + ((x1 - x0) * i) / nx;
  /** @param {number} j */
  const Y = (j) => y0 + ((y1 - y0) * j) / ny;
  const out = [];
  for (let j = 0; j <= ny; j++)
    for (let i = 0; i <= nx; i++) {
      const g = logJoint([X(i), Y(j)], m);
      odds.push(g[0] - g[1]);
    }
  /** @param {number} i @param {number} j */
  const at = (i, j) => odds[j * (nx + 1) + i];
  for (let j = 0; j < ny; j++)
    for (let i = 0; i < nx; i++) {
      const corners = [
        [i, j],
        [i + 1, j],
        [i + 1, j + 1],
        [i, j + 1],
      ];
      /** @type {Pair[]} */
      const crossed = [];
      corners.forEach(([a, b], c) => {
        // each side of the cell, with a sign at either end
        const [d, e] = corners[(c + 1) % 4];
        const from = at(a, b);
        const to = at(d, e);
        if (from < 0 !== to < 0) {
          const t = from / (from - to);
          crossed.push([X(a + t * (d - a)), Y(b + t * (e - b))]);
        }
      });
      for (let c = 0; c + 1 < crossed.length; c += 2) out.push([...crossed[c], ...crossed[c + 1]]);
    }
  return out;
}
/**
 * The points that stored draws (u, e1, e2, u, e1, e2, ...) become under these parameters: x0, y0, x1, y1, ...
 * @param {Numbers} noise
 * @param {Components} m
 */
function points(noise, m) {
  const out = new Float64Array((2 * noise.length) / 3);
  for (let n = 0; n < noise.length / 3; n++) {
    const k = noise[3 * n] < m.weight ? 0 : 1;
    const c = Math.cos(m.angle[k]);
    const s = Math.sin(m.angle[k]);
    const a = noise[3 * n + 1] * m.long[k];
    const b = noise[3 * n + 2] * m.short[k];
    out[2 * n] = m.mu[2 * k] + c * a - s * b;
    out[2 * n + 1] = m.mu[2 * k + 1] + s * a + c * b;
  }
  return out;
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const all = kit.floats(model.get("noise"));
  const each = 600;
  const names = ["data", "recon"];
  const now = () => kit.pick(model, "mu", "long", "short", "angle", "weight");
  const plot = fig.plot({
    width: 340,
    height: 276,
    x: [-4, 4],
    y: [-3, 3],
    xlabel: "x\u2081",
    ylabel: "x\u2082",
    label: "points, two components and a probe",
  });
  const dots = Array.from({ length: each / 3 }, () => plot.inside.appendChild(kit.svg("circle", { r: 2.6 })));
  const edge = plot.line("ink", { thickness: 1.2 });
  const rings = names.map((name) => plot.line(name, { thickness: 2 }));
  const chart = kit.el("div", { style: "width:150px" });
  const column = fig.column(chart); // a plot grows in a column, not in a box
  const bars = fig.plot({
    width: 150,
    height: 150,
    x: [0, 2],
    y: [0, 1],
    axes: false,
    left: 6,
    bottom: 26,
    label: "responsibilities of the probe",
    into: chart,
  });
  const share = names.map((name, k) => bars.bar(name, k + 0.15, k + 0.85));
  const said = names.map((name) => bars.text(name, { anchor: "middle", size: 13, weight: 600 }));
  const out = fig.readout("latent", column);
  const dense = fig.readout("logp", column);
  /** @param {number} k @param {number} which */
  const axis = (k, which) => [
    Math.cos(model.get("angle")[k] + (which ? Math.PI / 2 : 0)),
    Math.sin(model.get("angle")[k] + (which ? Math.PI / 2 : 0)),
  ];
  /** @param {number} k @param {number} which */
  const at = (k, which) => {
    const [dx, dy] = axis(k, which);
    const size = 2 * model.get(which ? "short" : "long")[k];
    const mu = model.get("mu");
    return [mu[2 * k] + size * dx, mu[2 * k + 1] + size * dy];
  };
  /**
   * @param {"long" | "short" | "angle"} key
   * @param {number} k
   * @param {number} value
   */
  const put = (key, k, value) => {
    const list = [...model.get(key)];
    list[k] = value;
    return list;
  };
  names.forEach((name, k) => {
    fig.handle(plot, {
      label: `end of the long axis of component ${k + 1}`,
      name,
      radius: 6,
      surface: false,
      get: () => at(k, 0),
      set: (x, y) => {
        const dx = x - model.get("mu")[2 * k];
        const dy = y - model.get("mu")[2 * k + 1];
        fig.set({
          long: put("long", k, kit.clamp(Math.hypot(dx, dy) / 2, 0.1, 3)),
          angle: put("angle", k, Math.atan2(dy, dx)),
        });
      },
    });
    fig.handle(plot, {
      label: `end of the short axis of component ${k + 1}`,
      name,
      radius: 6,
      surface: false,
      get: () => at(k, 1),
      set: (x, y) => {
        const [dx, dy] = axis(k, 1);
        const mu = model.get("mu");
        fig.set({
          short: put("short", k, kit.clamp(Math.abs((x - mu[2 * k]) * dx + (y - mu[2 * k + 1]) * dy) / 2, 0.1, 3)),
        });
      },
    });
    fig.handle(plot, {
      label: `mean of component ${k + 1}`,
      name,
      radius: 9,
      surface: false,
      get: () => model.get("mu").slice(2 * k, 2 * k + 2),
      set: (x, y) => {
        const mu = [...model.get("mu")];
        mu[2 * k] = x;
        mu[2 * k + 1] = y;
        fig.set({ mu });
      },
    });
  });
  fig.handle(plot, {
    label: "probe",
    name: "latent",
    radius: 8,
    surface: false,
    get: () => model.get("probe"),
    set: (x, y) => fig.set({ probe: [x, y] }),
  });
  fig.slider({ key: "weight", label: "weight of blue", min: 0.02, max: 0.98, step: 0.02 });
  fig.button({ label: "draw again", act: () => fig.set({ draw: (model.get("draw") + 1) % 8 }) });

  fig.draw(() => {
    const m = now();
    const first = model.get("draw") * each;
    const X = points(all.subarray(first, first + each), m);
    dots.forEach((dot, n) => {
      const x = [X[2 * n], X[2 * n + 1]];
      dot.setAttribute("cx", plot.px(x[0]).toFixed(1));
      dot.setAttribute("cy", plot.py(x[1]).toFixed(1));
      dot.setAttribute(
        "fill",
        `color-mix(in srgb, var(--lb-data) ${(100 * responsibilities(x, m)[0]).toFixed(0)}%, var(--lb-recon))`,
      );
    });
    edge.node.setAttribute(
      "d",
      border(m, plot.x, plot.y)
        .map((s) => `M${plot.spot(s[0], s[1])}L${plot.spot(s[2], s[3])}`)
        .join(""),
    );
    rings.forEach((ring, k) => {
      const [u, v] = [axis(k, 0).map((d) => 2 * m.long[k] * d), axis(k, 1).map((d) => 2 * m.short[k] * d)];
      const [xs, ys] = kit.ring(m.mu.slice(2 * k, 2 * k + 2), u, v);
      ring.set(xs, ys);
    });
    const probe = model.get("probe");
    const r = responsibilities(probe, m);
    const log_p = logProb(probe, m);
    share.forEach((bar, k) => bar.set(r[k]));
    said.forEach((text, k) => text.set(k + 0.5, 0, kit.number(r[k]), 0, 18));
    out.set("who made the probe?");
    dense.set(`log p = ${kit.number(log_p)} nats`);
    fig.say(`responsibilities ${kit.number(r[0])} and ${kit.number(r[1])}`);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = { border, logProb, responsibilities, points: (noise, m) => Array.from(points(noise, m)) };
export default { render };
