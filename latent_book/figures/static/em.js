/* em.js - EM by hand: a mixture of three Gaussians in the plane, its memberships, and the bound half step by half step. */
/**
 * @typedef {object} Traits of `EMFigure`
 * @property {number[]} pi
 * @property {number[]} points
 * @property {number[]} mu
 * @property {number[]} Sigma
 * @property {number[]} q
 * @property {number[]} log_p
 * @property {number[]} elbo
 * @property {number} halves
 * @property {number} collapsed
 * @property {number} chosen
 * @property {number} seed
 * @property {number} reach
 * @property {number[]} span
 */
/** @typedef {Pick<Traits, "points" | "pi" | "mu" | "Sigma" | "q" | "log_p" | "elbo" | "halves" | "collapsed">} State */
const mixtureEM = (() => {
  /**
   * log p(x, z = k) for every point and component; parameters flat: mu x, y; Sigma xx, xy, yy.
   * @param {Numbers} points
   * @param {Numbers} pi
   * @param {Numbers} mu
   * @param {Numbers} Sigma
   */
  function logJoint(points, pi, mu, Sigma) {
    const N = points.length / 2;
    const K = pi.length;
    const out = new Float64Array(N * K);
    for (let k = 0; k < K; k++) {
      const [a, b, c] = [Sigma[3 * k], Sigma[3 * k + 1], Sigma[3 * k + 2]];
      const det = a * c - b * b;
      const constant = Math.log(pi[k]) - Math.log(2 * Math.PI) - 0.5 * Math.log(det);
      for (let n = 0; n < N; n++) {
        const x = points[2 * n] - mu[2 * k];
        const y = points[2 * n + 1] - mu[2 * k + 1];
        out[n * K + k] = constant - (0.5 * (c * x * x - 2 * b * x * y + a * y * y)) / det;
      }
    }
    return out;
  }
  /**
   * log p(x) of point n.
   * @param {Float64Array<ArrayBuffer>} G
   * @param {number} K
   * @param {number} n
   */
  const logSum = (G, K, n) => kit.logSumExp(G.subarray(n * K, (n + 1) * K));
  /**
   * The E-step: each row of the table as a distribution.
   * @param {Numbers} points
   * @param {Numbers} pi
   * @param {Numbers} mu
   * @param {Numbers} Sigma
   */
  function eStep(points, pi, mu, Sigma) {
    const K = pi.length;
    const G = logJoint(points, pi, mu, Sigma);
    const q = new Float64Array(G.length);
    for (let n = 0; n < points.length / 2; n++) {
      const log_p = logSum(G, K, n);
      for (let k = 0; k < K; k++) q[n * K + k] = Math.exp(G[n * K + k] - log_p);
    }
    return q;
  }
  /**
   * The M-step; `collapsed` is the number of a component whose points span no area (or that has none), else -1.
   * @param {Numbers} points
   * @param {Numbers} q
   * @param {number} K
   */
  function mStep(points, q, K) {
    const N = points.length / 2;
    const pi = [];
    const mu = [];
    const Sigma = [];
    let collapsed = -1;
    for (let k = 0; k < K; k++) {
      let n_k = 0;
      let x = 0;
      let y = 0;
      let a = 0;
      let b = 0;
      let c = 0;
      for (let n = 0; n < N; n++) {
        const w = q[n * K + k];
        n_k += w;
        x += w * points[2 * n];
        y += w * points[2 * n + 1];
      }
      x /= n_k;
      y /= n_k;
      for (let n = 0; n < N; n++) {
        const w = q[n * K + k];
        const u = points[2 * n] - x;
        const v = points[2 * n + 1] - y;
        a += w * u * u;
        b += w * u * v;
        c += w * v * v;
      }
      a /= n_k;
      b /= n_k;
      c /= n_k;
      const least = (a + c) / 2 - Math.hypot((a - c) / 2, b);
      if (!(n_k > 1e-6 && least > 1e-5)) collapsed = k;
      pi.push(n_k / N);
      mu.push(x, y);
      Sigma.push(a, b, c);
    }
    return { pi, mu, Sigma, collapsed };
  }
  /**
   * log p and the bound, in nats per point.
   * @param {Numbers} points
   * @param {Numbers} pi
   * @param {Numbers} mu
   * @param {Numbers} Sigma
   * @param {Numbers} q
   */
  function levels(points, pi, mu, Sigma, q) {
    const N = points.length / 2;
    const K = pi.length;
    const G = logJoint(points, pi, mu, Sigma);
    let log_p = 0;
    let bound = 0;
    for (let n = 0; n < N; n++) {
      log_p += logSum(G, K, n);
      for (let k = 0; k < K; k++) {
        const w = q[n * K + k];
        if (w > 0) bound += w * (G[n * K + k] - Math.log(w));
      }
    }
    return [log_p / N, bound / N];
  }
  return { eStep, mStep, levels };
})();

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const K = model.get("pi").length;
  const reach = model.get("reach");
  const MOST = 140;
  const WINDOW = 24;
  const names = ["latent", "recon", "data"];
  const words = ["purple", "orange", "blue"];
  const plane = fig.plot({
    width: 340,
    height: 330,
    x: [-reach, reach],
    y: [-reach, reach],
    equal: true,
    left: 30,
    bottom: 24,
    label: "points and three components; press on an empty place to add a point",
  });
  const circles = kit.svg("g", { "aria-hidden": "true" });
  const ties = names.map((name) => plane.line(name, { thickness: 2 }));
  plane.inside.append(circles);
  const ellipses = names.map((name) => [
    plane.line(name, { thickness: 2.4 }),
    plane.line(name, { thickness: 1.2, opacity: 0.6 }),
  ]);
  const ring = plane.dots("ink", { radius: 7, opacity: 0.35 });
  const [low, high] = model.get("span");
  const chart = fig.plot({
    width: 338,
    height: 330,
    left: 54,
    x: [-1, WINDOW],
    y: [low, high],
    xlabel: "half steps (the last 24)",
    ylabel: "nats per point",
    label: "log-likelihood, bound and gap, half step by half step",
  });
  const gap = kit.svg("path", { fill: kit.color("kl"), opacity: 0.4 });
  chart.inside.append(gap);
  const bound = chart.line("elbo", { thickness: 2.4 });
  const log_p = chart.line("logp", { thickness: 2 });
  const dots = [chart.dots("elbo", { radius: 2.6, opacity: 1 }), chart.dots("logp", { radius: 2.6, opacity: 1 })];
  const labels = [
    chart.text("logp", { anchor: "end", weight: 600 }),
    chart.text("elbo", { anchor: "end", weight: 600 }),
    chart.text("kl", { anchor: "end", weight: 600 }),
  ];
  const out = fig.wide(fig.readout("ink"));
  const advice = fig.wide(fig.readout("kl"));

  const state = () => ({
    points: model.get("points"),
    pi: model.get("pi"),
    mu: model.get("mu"),
    Sigma: model.get("Sigma"),
    q: model.get("q"),
    log_p: model.get("log_p"),
    elbo: model.get("elbo"),
    halves: model.get("halves"),
    collapsed: -1,
  });
  /** @param {State} s @param {string} half */
  const note = (s, half) => {
    const [a, b] = mixtureEM.levels(s.points, s.pi, s.mu, s.Sigma, s.q);
    return {
      ...s,
      log_p: [...s.log_p, a].slice(-200),
      elbo: [...s.elbo, b].slice(-200),
      halves: half === "" ? 0 : s.halves + 1,
    };
  };
  /**
   * A new history that begins at this state.
   * @param {State} s
   */
  const restart = (s) => note({ ...s, log_p: [], elbo: [], collapsed: -1 }, "");
  /** @param {State} s */
  const E = (s) => note({ ...s, q: Array.from(mixtureEM.eStep(s.points, s.pi, s.mu, s.Sigma)) }, "E");
  /** @param {State} s */
  const M = (s) => {
    const next = mixtureEM.mStep(s.points, s.q, K);
    return next.collapsed >= 0
      ? { ...s, collapsed: next.collapsed }
      : note({ ...s, pi: next.pi, mu: next.mu, Sigma: next.Sigma }, "M");
  };
  /** @param {State} s */
  const ten = (s) => {
    for (let t = 0; t < 10 && s.collapsed < 0; t++) s = M(E(s));
    return s;
  };
  /** @param {Numbers} points */
  const even = (points) => Array.from({ length: (points.length / 2) * K }, () => 1 / K);
  function fresh() {
    const seed = model.get("seed") + 1;
    const random = kit.chance(seed);
    const points = model.get("points");
    const mu = [];
    for (let k = 0; k < K; k++) {
      const n = Math.floor(random() * (points.length / 2));
      mu.push(points[2 * n], points[2 * n + 1]);
    }
    fig.set({ seed });
    return restart({
      ...state(),
      mu,
      pi: mu.slice(0, K).map(() => 1 / K),
      Sigma: Array.from({ length: K }, () => [1.5, 0, 1.5]).flat(),
      q: even(points),
    });
  }
  const buttons = fig.buttons({
    "E: close the gap": () => fig.set(E(state())),
    "M: lift the bound": () => fig.set(M(state())),
    "10 steps": () => fig.set(ten(state())),
    "new start": () => fig.set(fresh()),
  });
  fig.panel.prepend(buttons);

  /** @param {number} v */
  const tidy = (v) => Math.round(1000 * v) / 1000;
  /** @param {number} v */
  const inside = (v) => tidy(kit.clamp(v, -reach, reach));
  const chosen = () => Math.min(model.get("chosen"), model.get("points").length / 2 - 1);
  /** @type {(EventTarget | null)[]} */
  const own = [];
  plane.svg.addEventListener(
    "pointerdown",
    fig.guard((event) => {
      // before the handle's own: take the nearest point, or make a new one
      if (event.button || own.includes(event.target)) return;
      const [x, y] = plane.at(event);
      const points = model.get("points");
      let best = 0;
      let least = Infinity;
      for (let n = 0; n < points.length / 2; n++) {
        const d = Math.hypot(points[2 * n] - x, points[2 * n + 1] - y);
        if (d < least) {
          least = d;
          best = n;
        }
      }
      if (least < 0.06 * reach || points.length / 2 >= MOST) fig.set({ chosen: best });
      else {
        const s = state();
        fig.set({
          ...restart({ ...s, points: [...points, inside(x), inside(y)], q: [...s.q, ...s.pi] }),
          chosen: points.length / 2,
        });
      }
    }),
    { capture: true },
  );
  fig.handle(plane, {
    label: "chosen point",
    name: "ink",
    radius: 5,
    text: ([x, y]) => `point ${chosen() + 1} at ${kit.number(x, 1)}, ${kit.number(y, 1)}`,
    get: () => {
      const p = model.get("points");
      const n = chosen();
      return [p[2 * n], p[2 * n + 1]];
    },
    set: (x, y) => {
      const s = state();
      const n = chosen();
      const points = [...s.points];
      points[2 * n] = inside(x);
      points[2 * n + 1] = inside(y);
      fig.set(restart({ ...s, points }));
    },
  });
  for (let k = 0; k < K; k++) {
    const dot = fig.handle(plane, {
      label: `centre of the ${words[k]} component`,
      name: names[k],
      radius: 9,
      surface: false,
      get: () => [model.get("mu")[2 * k], model.get("mu")[2 * k + 1]],
      set: (x, y) => {
        const s = state();
        const mu = [...s.mu];
        mu[2 * k] = inside(x);
        mu[2 * k + 1] = inside(y);
        fig.set(restart({ ...s, mu }));
      },
    });
    dot.addEventListener("pointerdown", (event) => event.stopPropagation());
    own.push(dot);
  }

  let shown = [];
  fig.draw(() => {
    const s = { ...state(), collapsed: model.get("collapsed") };
    const N = s.points.length / 2;
    const colours = names.map((name) => kit.rgb(name, fig.root));
    while (shown.length < N) {
      const c = kit.svg("circle", { r: 3.6 });
      circles.append(c);
      shown.push(c);
    }
    for (let n = 0; n < N; n++) {
      const mixed = [0, 1, 2].map((i) => Math.round(colours.reduce((sum, c, k) => sum + s.q[n * K + k] * c[i], 0)));
      shown[n].setAttribute("cx", plane.px(s.points[2 * n]).toFixed(1));
      shown[n].setAttribute("cy", plane.py(s.points[2 * n + 1]).toFixed(1));
      shown[n].setAttribute("fill", `rgb(${mixed.join(",")})`);
    }
    for (let k = 0; k < K; k++) {
      const [a, b, c] = s.Sigma.slice(3 * k, 3 * k + 3);
      const l = Math.sqrt(a);
      const m = b / l;
      const r = Math.sqrt(Math.max(0, c - m * m));
      [2, 1].forEach((size, i) => {
        const [xs, ys] = kit.ring(s.mu.slice(2 * k, 2 * k + 2), [size * l, size * m], [0, size * r]);
        ellipses[k][i].set(xs, ys);
      });
    }
    const n = chosen();
    const at = [s.points[2 * n], s.points[2 * n + 1]];
    ring.set([at[0]], [at[1]]);
    ties.forEach((tie, k) => {
      tie.set([at[0], s.mu[2 * k]], [at[1], s.mu[2 * k + 1]]);
      tie.node.setAttribute("opacity", (0.9 * s.q[n * K + k]).toFixed(3));
    });

    const from = Math.max(0, s.log_p.length - 1 - WINDOW);
    const heights = s.log_p.slice(from);
    const below = s.elbo.slice(from);
    const xs = heights.map((_, i) => i);
    /** @param {number} v */
    const fix = (v) => Math.max(v, low);
    /** @param {number} v */
    const deep = (v) => (v < low ? "\u2193 " : ""); // below the chart: on its edge, and an arrow
    log_p.set(xs, heights.map(fix));
    bound.set(xs, below.map(fix));
    dots[0].set(xs, below.map(fix));
    dots[1].set(xs, heights.map(fix));
    /** @param {number} x @param {number} y */
    const spot = (x, y) => chart.spot(x, fix(y));
    gap.setAttribute(
      "d",
      xs.length > 1
        ? `M${xs.map((x) => spot(x, heights[x])).join("L")}L${xs
            .toReversed()
            .map((x) => spot(x, below[x]))
            .join("L")}Z`
        : `M${spot(-0.8, heights[0])}L${spot(0, heights[0])}L${spot(0, below[0])}L${spot(-0.8, below[0])}Z`,
    );
    const last = heights.length - 1;
    const p = heights[last];
    const b = below[last];
    /** @param {number} i @param {string} words */
    const line = (i, words) => labels[i].set(WINDOW, low, words, -4, -12 - 17 * (2 - i));
    line(0, `${deep(p)}log p  ${kit.number(p, 4)}`);
    line(1, `${deep(b)}bound  ${kit.number(b, 4)}`);
    line(2, `gap  ${kit.number(p - b, 4)}`);
    const text = `log p ${kit.number(p, 4)} = bound ${kit.number(b, 4)} + gap ${kit.number(p - b, 4)}`;
    out.set(text);
    advice.set(
      s.collapsed >= 0
        ? `The ${words[s.collapsed]} component has collapsed: the likelihood has no summit here. Drag its centre away, or take a new start.`
        : "",
    );
    fig.say(text);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  steps(points, pi, mu, Sigma, times) {
    /** @type {Numbers} */
    let q = [];
    let path = [];
    for (let t = 0; t < times; t++) {
      q = mixtureEM.eStep(points, pi, mu, Sigma);
      path.push(mixtureEM.levels(points, pi, mu, Sigma, q));
      ({ pi, mu, Sigma } = mixtureEM.mStep(points, q, pi.length));
      path.push(mixtureEM.levels(points, pi, mu, Sigma, q));
    }
    return { pi, mu, Sigma, q: Array.from(q), path };
  },
  collapsed: (points, q, K) => mixtureEM.mStep(points, q, K).collapsed,
};
export default { render };
