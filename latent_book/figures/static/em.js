/* em.js - EM by hand: a mixture of three Gaussians in the plane, its memberships, and the bound half step by half step. */
const mixtureEM = (() => {
  /** log p(x, z = k) for every point and component; parameters flat: mu x, y; Sigma xx, xy, yy. */
  function logJoint(points, pi, mu, Sigma) {
    const N = points.length / 2, K = pi.length, out = new Float64Array(N * K);
    for (let k = 0; k < K; k++) {
      const [a, b, c] = [Sigma[3 * k], Sigma[3 * k + 1], Sigma[3 * k + 2]], det = a * c - b * b;
      const constant = Math.log(pi[k]) - Math.log(2 * Math.PI) - 0.5 * Math.log(det);
      for (let n = 0; n < N; n++) {
        const x = points[2 * n] - mu[2 * k], y = points[2 * n + 1] - mu[2 * k + 1];
        out[n * K + k] = constant - (0.5 * (c * x * x - 2 * b * x * y + a * y * y)) / det;
      }
    }
    return out;
  }
  /** log sum exp of row n. */
  function logSum(G, K, n) {
    let top = -Infinity, sum = 0;
    for (let k = 0; k < K; k++) top = Math.max(top, G[n * K + k]);
    for (let k = 0; k < K; k++) sum += Math.exp(G[n * K + k] - top);
    return top + Math.log(sum);
  }
  /** The E-step: each row of the table as a distribution. */
  function eStep(points, pi, mu, Sigma) {
    const K = pi.length, G = logJoint(points, pi, mu, Sigma), q = new Float64Array(G.length);
    for (let n = 0; n < points.length / 2; n++) {
      const log_p = logSum(G, K, n);
      for (let k = 0; k < K; k++) q[n * K + k] = Math.exp(G[n * K + k] - log_p);
    }
    return q;
  }
  /** The M-step; `collapsed` is the number of a component whose points span no area (or that has none), else -1. */
  function mStep(points, q, K) {
    const N = points.length / 2, pi = [], mu = [], Sigma = [];
    let collapsed = -1;
    for (let k = 0; k < K; k++) {
      let n_k = 0, x = 0, y = 0, a = 0, b = 0, c = 0;
      for (let n = 0; n < N; n++) { const w = q[n * K + k]; n_k += w; x += w * points[2 * n]; y += w * points[2 * n + 1]; }
      x /= n_k; y /= n_k;
      for (let n = 0; n < N; n++) {
        const w = q[n * K + k], u = points[2 * n] - x, v = points[2 * n + 1] - y;
        a += w * u * u; b += w * u * v; c += w * v * v;
      }
      a /= n_k; b /= n_k; c /= n_k;
      const least = (a + c) / 2 - Math.hypot((a - c) / 2, b);
      if (!(n_k > 1e-6 && least > 1e-5)) collapsed = k;
      pi.push(n_k / N); mu.push(x, y); Sigma.push(a, b, c);
    }
    return { pi, mu, Sigma, collapsed };
  }
  /** log p and the bound, in nats per point. */
  function levels(points, pi, mu, Sigma, q) {
    const N = points.length / 2, K = pi.length, G = logJoint(points, pi, mu, Sigma);
    let log_p = 0, bound = 0;
    for (let n = 0; n < N; n++) {
      log_p += logSum(G, K, n);
      for (let k = 0; k < K; k++) { const w = q[n * K + k]; if (w > 0) bound += w * (G[n * K + k] - Math.log(w)); }
    }
    return [log_p / N, bound / N];
  }
  /** Random numbers in [0, 1) from a seed (mulberry32). */
  function chance(seed) {
    let s = seed >>> 0;
    return () => {
      s = (s + 0x6d2b79f5) >>> 0;
      let t = Math.imul(s ^ (s >>> 15), 1 | s);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }
  return { eStep, mStep, levels, chance };
})();

function render({ model, el }) {
  const fig = kit.figure(model, el), K = model.get("pi").length, reach = model.get("reach"), MOST = 140, WINDOW = 24;
  const names = ["latent", "recon", "data"], words = ["purple", "orange", "blue"];
  const plane = fig.plot({ width: 340, height: 330, x: [-reach, reach], y: [-reach, reach], equal: true, left: 30, bottom: 24, label: "points and three components; press on an empty place to add a point" });
  const circles = kit.svg("g", { "aria-hidden": "true" });
  const ties = names.map((name) => plane.line(name, { thickness: 2 }));
  plane.inside.append(circles);
  const ellipses = names.map((name) => [plane.line(name, { thickness: 2.4 }), plane.line(name, { thickness: 1.2, opacity: 0.6 })]);
  const ring = plane.dots("ink", { radius: 7, opacity: 0.35 });
  const [low, high] = model.get("span");
  const chart = fig.plot({ width: 338, height: 330, left: 54, x: [-1, WINDOW], y: [low, high], xlabel: "half steps (the last 24)", ylabel: "nats per point", label: "log-likelihood, bound and gap, half step by half step" });
  const gap = kit.svg("path", { fill: kit.color("kl"), opacity: 0.4 });
  chart.inside.append(gap);
  const bound = chart.line("elbo", { thickness: 2.4 }), log_p = chart.line("logp", { thickness: 2 });
  const dots = [chart.dots("elbo", { radius: 2.6, opacity: 1 }), chart.dots("logp", { radius: 2.6, opacity: 1 })];
  const labels = [chart.text("logp", { anchor: "end", weight: 600 }), chart.text("elbo", { anchor: "end", weight: 600 }), chart.text("kl", { anchor: "end", weight: 600 })];
  const out = fig.readout("ink"), advice = fig.readout("kl");
  out.node.style.gridColumn = advice.node.style.gridColumn = "1 / -1";

  const state = () => ({ points: model.get("points"), pi: model.get("pi"), mu: model.get("mu"), Sigma: model.get("Sigma"), q: model.get("q"), log_p: model.get("log_p"), elbo: model.get("elbo"), halves: model.get("halves"), collapsed: -1 });
  const note = (s, half) => {
    const [a, b] = mixtureEM.levels(s.points, s.pi, s.mu, s.Sigma, s.q);
    return { ...s, log_p: [...s.log_p, a].slice(-200), elbo: [...s.elbo, b].slice(-200), halves: half === "" ? 0 : s.halves + 1 };
  };
  /** A new history that begins at this state. */
  const restart = (s) => note({ ...s, log_p: [], elbo: [], collapsed: -1 }, "");
  const E = (s) => note({ ...s, q: Array.from(mixtureEM.eStep(s.points, s.pi, s.mu, s.Sigma)) }, "E");
  const M = (s) => {
    const next = mixtureEM.mStep(s.points, s.q, K);
    return next.collapsed >= 0 ? { ...s, collapsed: next.collapsed } : note({ ...s, pi: next.pi, mu: next.mu, Sigma: next.Sigma }, "M");
  };
  const ten = (s) => { for (let t = 0; t < 10 && s.collapsed < 0; t++) s = M(E(s)); return s; };
  const even = (points) => Array.from({ length: (points.length / 2) * K }, () => 1 / K);
  function fresh() {
    const seed = model.get("seed") + 1, random = mixtureEM.chance(seed), points = model.get("points"), mu = [];
    for (let k = 0; k < K; k++) { const n = Math.floor(random() * (points.length / 2)); mu.push(points[2 * n], points[2 * n + 1]); }
    fig.set({ seed });
    return restart({ ...state(), mu, pi: mu.slice(0, K).map(() => 1 / K), Sigma: Array.from({ length: K }, () => [1.5, 0, 1.5]).flat(), q: even(points) });
  }
  const act = (label, move) => fig.button({ label, act: () => fig.set(move(state())) });
  const row = kit.el("div", { style: "grid-column:1/-1;display:flex;flex-wrap:wrap;gap:8px" });
  fig.panel.prepend(row);
  row.append(act("E: close the gap", E), act("M: lift the bound", M), act("10 steps", ten), act("new start", fresh));

  const tidy = (v) => Math.round(1000 * v) / 1000;
  const inside = (v) => tidy(kit.clamp(v, -reach, reach));
  const chosen = () => Math.min(model.get("chosen"), model.get("points").length / 2 - 1);
  const own = [];
  plane.svg.addEventListener("pointerdown", fig.guard((event) => { // before the handle's own: take the nearest point, or make a new one
    if (event.button || own.includes(event.target)) return;
    const [x, y] = plane.at(event), points = model.get("points");
    let best = 0, least = Infinity;
    for (let n = 0; n < points.length / 2; n++) {
      const d = Math.hypot(points[2 * n] - x, points[2 * n + 1] - y);
      if (d < least) { least = d; best = n; }
    }
    if (least < 0.06 * reach || points.length / 2 >= MOST) fig.set({ chosen: best });
    else {
      const s = state();
      fig.set({ ...restart({ ...s, points: [...points, inside(x), inside(y)], q: [...s.q, ...s.pi] }), chosen: points.length / 2 });
    }
  }), { capture: true });
  fig.handle(plane, { label: "chosen point", name: "ink", radius: 5, text: ([x, y]) => `point ${chosen() + 1} at ${kit.number(x, 1)}, ${kit.number(y, 1)}`,
    get: () => { const p = model.get("points"), n = chosen(); return [p[2 * n], p[2 * n + 1]]; },
    set: (x, y) => { const s = state(), n = chosen(), points = [...s.points]; points[2 * n] = inside(x); points[2 * n + 1] = inside(y); fig.set(restart({ ...s, points })); } });
  for (let k = 0; k < K; k++) {
    const dot = fig.handle(plane, { label: `centre of the ${words[k]} component`, name: names[k], radius: 9, surface: false,
      get: () => [model.get("mu")[2 * k], model.get("mu")[2 * k + 1]],
      set: (x, y) => { const s = state(), mu = [...s.mu]; mu[2 * k] = inside(x); mu[2 * k + 1] = inside(y); fig.set(restart({ ...s, mu })); } });
    dot.addEventListener("pointerdown", (event) => event.stopPropagation());
    own.push(dot);
  }

  const turns = kit.linspace(0, 2 * Math.PI, 49);
  let shown = [];
  fig.draw(() => {
    const s = { ...state(), collapsed: model.get("collapsed") }, N = s.points.length / 2;
    const colours = names.map((name) => kit.rgb(name, fig.root));
    while (shown.length < N) { const c = kit.svg("circle", { r: 3.6 }); circles.append(c); shown.push(c); }
    for (let n = 0; n < N; n++) {
      const mixed = [0, 1, 2].map((i) => Math.round(colours.reduce((sum, c, k) => sum + s.q[n * K + k] * c[i], 0)));
      shown[n].setAttribute("cx", plane.px(s.points[2 * n]).toFixed(1));
      shown[n].setAttribute("cy", plane.py(s.points[2 * n + 1]).toFixed(1));
      shown[n].setAttribute("fill", `rgb(${mixed.join(",")})`);
    }
    for (let k = 0; k < K; k++) {
      const [a, b, c] = s.Sigma.slice(3 * k, 3 * k + 3), l = Math.sqrt(a), m = b / l, r = Math.sqrt(Math.max(0, c - m * m));
      [2, 1].forEach((size, i) => ellipses[k][i].set(Array.from(turns, (t) => s.mu[2 * k] + size * l * Math.cos(t)), Array.from(turns, (t) => s.mu[2 * k + 1] + size * (m * Math.cos(t) + r * Math.sin(t)))));
    }
    const n = chosen(), at = [s.points[2 * n], s.points[2 * n + 1]];
    ring.set([at[0]], [at[1]]);
    ties.forEach((tie, k) => { tie.set([at[0], s.mu[2 * k]], [at[1], s.mu[2 * k + 1]]); tie.node.setAttribute("opacity", (0.9 * s.q[n * K + k]).toFixed(3)); });

    const from = Math.max(0, s.log_p.length - 1 - WINDOW), heights = s.log_p.slice(from), below = s.elbo.slice(from), xs = heights.map((_, i) => i);
    const fix = (v) => Math.max(v, low), deep = (v) => (v < low ? "\u2193 " : ""); // below the chart: on its edge, and an arrow
    log_p.set(xs, heights.map(fix));
    bound.set(xs, below.map(fix));
    dots[0].set(xs, below.map(fix));
    dots[1].set(xs, heights.map(fix));
    const spot = (x, y) => `${chart.px(x).toFixed(1)} ${chart.py(fix(y)).toFixed(1)}`;
    gap.setAttribute("d", xs.length > 1 ? `M${xs.map((x) => spot(x, heights[x])).join("L")}L${xs.toReversed().map((x) => spot(x, below[x])).join("L")}Z`
      : `M${spot(-0.8, heights[0])}L${spot(0, heights[0])}L${spot(0, below[0])}L${spot(-0.8, below[0])}Z`);
    const last = heights.length - 1, p = heights[last], b = below[last];
    const line = (i, words) => labels[i].set(WINDOW, low, words, -4, -12 - 17 * (2 - i));
    line(0, `${deep(p)}log p  ${kit.number(p, 4)}`);
    line(1, `${deep(b)}bound  ${kit.number(b, 4)}`);
    line(2, `gap  ${kit.number(p - b, 4)}`);
    const text = `log p ${kit.number(p, 4)} = bound ${kit.number(b, 4)} + gap ${kit.number(p - b, 4)}`;
    out.set(text);
    advice.set(s.collapsed >= 0 ? `The ${words[s.collapsed]} component has collapsed: the likelihood has no summit here. Drag its centre away, or take a new start.` : "");
    fig.say(text);
  });
  return fig.close;
}
render.maths = {
  steps(points, pi, mu, Sigma, times) {
    let q = [], path = [];
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
