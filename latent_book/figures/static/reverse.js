/* reverse.js - points on their way from noise to data, by the steps of a diffusion model. Needs network.js. */
/**
 * @typedef {object} Traits of `ReverseFigure`
 * @property {Bytes} data
 * @property {number} chain
 * @property {number[]} chains
 * @property {Layer[]} layers
 * @property {Bytes} weights
 * @property {number} waves
 * @property {number} first
 * @property {number} last
 * @property {Bytes} start
 * @property {Bytes} noise
 * @property {number[][]} heaps
 * @property {number} fine
 * @property {number} reach
 * @property {number} k
 * @property {number} calm
 */
const reverse = (() => {
  /**
   * a_t and s_t for t = 1 ... T, with log(a^2 / s^2) falling evenly.
   * @param {number} T
   * @param {number} first
   * @param {number} last
   */
  function levels(T, first, last) {
    return Array.from(kit.linspace(first, last, T), (l) => [
      1 / Math.sqrt(1 + Math.exp(-l)),
      1 / Math.sqrt(1 + Math.exp(l)),
      (first - l) / (first - last),
    ]);
  }
  /**
   * Stations of all points x0, y0, x1, y1, ...: z_T, then z_{T-1} down to z_1, and the data. `noise` holds a draw for each step, or is null.
   * @param {Network} net
   * @param {number} waves
   * @param {Numbers} start
   * @param {Numbers | null} noise
   * @param {number} T
   * @param {number} first
   * @param {number} last
   */
  function path(net, waves, start, noise, T, first, last) {
    const at = levels(T, first, last);
    const n = start.length;
    const stations = [Float64Array.from(start)];
    const input = new Float64Array(2 + waves);
    for (let t = T - 1; t >= 0; t--) {
      const [a, s, u] = at[t];
      const z = stations[T - 1 - t];
      const out = new Float64Array(n);
      for (let k = 0; k < waves; k++) input[2 + k] = Math.cos(Math.PI * u * k);
      const [b, r] = t ? at[t - 1] : [1, 0];
      const rho2 = (a / b) ** 2;
      const spread = t && noise ? (Math.sqrt(1 - rho2) * r) / s : 0;
      for (let i = 0; i < n; i += 2) {
        input[0] = z[i];
        input[1] = z[i + 1];
        const said = net(input);
        for (let d = 0; d < 2; d++) {
          const eps = s * z[i + d] + a * said[d];
          const x = (z[i + d] - s * eps) / a; // the guess at the noise, and so at the data
          out[i + d] = t ? (Math.sqrt(rho2) * r * r * z[i + d] + b * (1 - rho2) * x) / (s * s) : x;
          if (noise && spread) out[i + d] += spread * noise[(T - 1 - t) * n + i + d];
        }
      }
      stations.push(out);
    }
    return stations;
  }
  /**
   * How many points lie in a heap: inside the ellipse that holds 95 per cent of it. heaps: [x, y, then the inverse covariance by rows].
   * @param {Numbers} points
   * @param {number[][]} heaps
   */
  function inside(points, heaps) {
    let found = 0;
    for (let i = 0; i < points.length; i += 2)
      if (
        heaps.some(([x, y, p, q, , r]) => {
          const u = points[i] - x;
          const v = points[i + 1] - y;
          return p * u * u + 2 * q * u * v + r * v * v < 5.991;
        })
      )
        found++;
    return found;
  }
  /**
   * Where the points are after a share of the way, on the straight line between two stations.
   * @param {Float64Array<ArrayBuffer>[]} stations
   * @param {number} share
   */
  function between(stations, share) {
    const p = share * (stations.length - 1);
    const k = Math.min(Math.floor(p), stations.length - 2);
    const w = p - k;
    return stations[k].map((v, i) => (1 - w) * v + w * stations[k + 1][i]);
  }
  return { levels, path, inside, between };
})();

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const [start, noise, data] = [model.get("start"), model.get("noise"), model.get("data")].map(kit.floats);
  const net = network(model.get("layers"), kit.floats(model.get("weights")));
  const chains = model.get("chains");
  const fine = model.get("fine");
  const reach = model.get("reach");
  const heaps = model.get("heaps");
  const first = model.get("first");
  const last = model.get("last");
  const n = start.length / 2;
  const paths = chains.map((T) =>
    [noise, null].map((drawn) => reverse.path(net, model.get("waves"), start, drawn, T, first, last)),
  ); // once, before the first drawing
  const plot = fig.plot({
    width: 380,
    height: 350,
    x: [-reach, reach],
    y: [-reach, reach],
    equal: true,
    label: "points on their way from noise to data",
  });
  plot.dots("data", { radius: 1.6, opacity: 0.35 }).set(kit.axis(data, 0), kit.axis(data, 1));
  const trails = Array.from({ length: 8 }, () => plot.line("latent", { thickness: 1.2, opacity: 0.7 }));
  const dots = plot.dots("recon", { radius: 2.3, opacity: 0.9 });
  const column = fig.column();
  const where = fig.readout("ink", column);
  const blue = fig.readout("data", column);
  const orange = fig.readout("recon", column);
  const purple = fig.readout("latent", column);
  const count = fig.readout("ink", column);
  blue.set("blue: data");
  orange.set("orange: points that began as noise");
  purple.set("purple: the way of eight of them");
  fig.slider({
    key: "k",
    label: "way back",
    min: 0,
    max: fine,
    step: 1,
    format: (k) => `${kit.number((100 * k) / fine, 0)}%`,
  });
  fig.choice({ key: "chain", label: "noise levels", options: chains.map(String) });
  fig.choice({ key: "calm", label: "fresh noise at each step", options: ["yes", "no"] });

  fig.draw(() => {
    const k = model.get("k");
    const T = chains[model.get("chain")];
    const stations = paths[model.get("chain")][model.get("calm")];
    const share = k / fine;
    const now = reverse.between(stations, share);
    const passed = Math.floor(share * T + 1e-9);
    dots.set(kit.axis(now, 0), kit.axis(now, 1));
    trails.forEach((trail, i) => {
      const way = [...stations.slice(0, passed + 1), now];
      trail.set(
        way.map((x) => x[2 * i]),
        way.map((x) => x[2 * i + 1]),
      );
    });
    const left = passed < T ? reverse.levels(T, first, last)[T - 1 - passed][1] : 0;
    const found = reverse.inside(now, heaps);
    where.set(`step ${passed} of ${T}, noise left ${kit.number(left, 2)}`);
    count.set(`inside a heap: ${found} of ${n}`);
    fig.say(`step ${passed} of ${T}, ${found} of ${n} points inside a heap`);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  path: (layers, weights, waves, start, noise, T, first, last) =>
    reverse
      .path(network(layers, Float32Array.from(weights)), waves, start, noise, T, first, last)
      .map((x) => Array.from(x)),
  inside: (points, heaps) => reverse.inside(points, heaps),
  between: (/** @type {number[][]} */ stations, share) =>
    Array.from(
      reverse.between(
        stations.map((x) => Float64Array.from(x)),
        share,
      ),
    ),
};
export default { render };
