/* walk.js - two ways from one picture of a ball to another: blend the pixels, or move the causes. Needs renderer.js before it. */
/**
 * @typedef {object} Traits of `WalkFigure`
 * @property {number} t
 * @property {number[]} ends
 * @property {number[]} start
 * @property {number} cells
 * @property {number} reach
 * @property {number[]} others
 * @property {number[]} lens
 */
/** @typedef {{ n: number, table: Float32Array, squares: Float64Array }} Atlas */
const walk = (() => {
  const D = renderer.PIXELS * renderer.PIXELS;
  /**
   * The picture of the ball at (x, y).
   * @param {Pair} place
   * @param {{ others: number[], lens: Lens }} scene
   * @param {Float64Array<ArrayBuffer>} [out]
   */
  function picture([x, y], { others, lens }, out) {
    const z = [...others];
    z[0] = x;
    z[1] = y;
    return renderer.draw(z, [], lens, out);
  }
  /**
   * All pictures of an n by n grid of places, x slowest, and their squared lengths.
   * @param {number} n
   * @param {number} reach
   * @param {{ others: number[], lens: Lens }} scene
   */
  function atlas(n, reach, scene) {
    const table = new Float32Array(n * n * D);
    const squares = new Float64Array(n * n);
    const one = new Float64Array(D);
    /** @param {number} i */
    const at = (i) => -reach + (2 * reach * i) / (n - 1);
    for (let i = 0; i < n * n; i++) {
      table.set(picture([at(Math.floor(i / n)), at(i % n)], scene, one), i * D);
      for (let p = 0; p < D; p++) squares[i] += one[p] * one[p];
    }
    return { n, table, squares };
  }
  /** @param {Numbers} a @param {Numbers} b */
  const dot = (a, b) => {
    let sum = 0;
    for (let p = 0; p < D; p++) sum += a[p] * b[p];
    return sum;
  };

  /**
   * The least value within [-1, 1] x [-1, 1] of the parabola through nine values around a grid point.
   * @param {number[][]} v
   */
  function leastOfPatch(v) {
    const gu = (v[2][1] - v[0][1]) / 2;
    const gw = (v[1][2] - v[1][0]) / 2;
    const uw = (v[2][2] - v[2][0] - v[0][2] + v[0][0]) / 4;
    const uu = v[2][1] - 2 * v[1][1] + v[0][1];
    const ww = v[1][2] - 2 * v[1][1] + v[1][0];
    let u = 0;
    let w = 0;
    for (let i = 0; i < 30 && uu > 0 && ww > 0; i++) {
      u = kit.clamp(-(gu + uw * w) / uu, -1, 1);
      w = kit.clamp(-(gw + uw * u) / ww, -1, 1);
    }
    return v[1][1] + gu * u + gw * w + (uu * u * u + ww * w * w) / 2 + uw * u * w;
  }
  /**
   * Distances from the blends (1 - t) a + t b to the nearest picture of a ball, for `steps` values of t from 0 to 1.
   * @param {Numbers} a
   * @param {Numbers} b
   * @param {Atlas} atlas
   * @param {number} steps
   */
  function distances(a, b, { n, table, squares }, steps) {
    const withA = new Float64Array(n * n);
    const withB = new Float64Array(n * n);
    const out = new Float64Array(steps);
    for (let i = 0, q = 0; i < n * n; i++) {
      let sa = 0;
      let sb = 0;
      for (let p = 0; p < D; p++, q++) {
        sa += a[p] * table[q];
        sb += b[p] * table[q];
      }
      withA[i] = sa;
      withB[i] = sb;
    }
    const aa = dot(a, a);
    const ab = dot(a, b);
    const bb = dot(b, b);
    const apart = Math.sqrt(Math.max(0, aa - 2 * ab + bb));
    for (let s = 0; s < steps; s++) {
      const t = s / (steps - 1);
      const own = (1 - t) * (1 - t) * aa + 2 * t * (1 - t) * ab + t * t * bb;
      /** @param {number} i */
      const squared = (i) => own - 2 * ((1 - t) * withA[i] + t * withB[i]) + squares[i];
      let best = 0;
      let least = Infinity;
      for (let i = 0; i < n * n; i++) {
        const d = squared(i);
        if (d < least) {
          least = d;
          best = i;
        }
      }
      const row = kit.clamp(Math.floor(best / n), 1, n - 2);
      const column = kit.clamp(best % n, 1, n - 2);
      const patch = [-1, 0, 1].map((u) => [-1, 0, 1].map((w) => squared((row + u) * n + column + w)));
      out[s] = Math.min(Math.sqrt(Math.max(0, Math.min(least, leastOfPatch(patch)))), t * apart, (1 - t) * apart); // the ends are balls, too
    }
    return out;
  }
  return { picture, atlas, distances };
})();

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const reach = model.get("reach");
  const steps = 41;
  const scene = { others: model.get("others"), lens: renderer.lens(model.get("lens")) };
  const atlas = walk.atlas(model.get("cells"), reach, scene);
  const ts = kit.linspace(0, 1, steps);
  const plane = fig.plot({
    width: 250,
    height: 240,
    x: [-reach, reach],
    y: [-reach, reach],
    equal: true,
    xlabel: "x",
    ylabel: "y",
    label: "the causes: where the ball is, at the start and at the end",
  });
  const way = plane.line("latent", { dash: "5 4" });
  const here = plane.dots("latent", { radius: 5, opacity: 1 });
  const pictures = kit.el("div", {
    style: "display:grid;gap:12px;align-items:end;grid-template-columns:repeat(2,minmax(0,168px))",
  });
  fig.stage.append(pictures);
  const size = { width: renderer.PIXELS, height: renderer.PIXELS, scale: 6, into: pictures };
  const blended = fig.pixels({ ...size, title: "pixels half-way", label: "the blend" });
  const moved = fig.pixels({ ...size, title: "causes half-way", label: "the picture of the causes" });
  const captions = pictures.querySelectorAll("figcaption");
  const plot = fig.plot({
    width: 340,
    height: 165,
    x: [0, 1],
    y: [0, 0.8],
    xlabel: "t",
    ylabel: "distance",
    label: "distance to the nearest picture of a ball, along both paths",
  });
  plot.svg.style.flexBasis = "100%";
  plot.svg.style.maxWidth = "520px";
  const blendLine = plot.line("recon");
  const movedLine = plot.line("latent", { thickness: 3 });
  const marker = plot.line("muted", { dash: "3 3", thickness: 1.5 });
  const blendDot = plot.dots("recon", { radius: 5, opacity: 1 });
  const movedDot = plot.dots("latent", { radius: 5, opacity: 1 });
  movedLine.set([0, 1], [0, 0]);
  plot.text("latent", { anchor: "middle" }).set(0.3, 0, "causes: a ball", 0, -7);
  const name = plot.text("recon", { anchor: "end" });
  const out = fig.wide(fig.readout("ink"));
  fig.slider({ key: "t", label: "t, how far along", min: 0, max: 1, step: 0.01 });
  fig.button({ label: "half-way", act: () => fig.set({ t: 0.5, ends: [...model.get("start")] }) });
  ["start of the walk", "end of the walk"].forEach((label, k) =>
    fig.handle(plane, {
      label,
      surface: false,
      name: "data",
      step: 0.02,
      get: () => model.get("ends").slice(2 * k, 2 * k + 2),
      set(x, y) {
        const ends = [...model.get("ends")];
        ends[2 * k] = Math.round(1000 * x) / 1000;
        ends[2 * k + 1] = Math.round(1000 * y) / 1000;
        fig.set({ ends });
      },
    }),
  );

  let known = "";
  let [a, b, curve] = [new Float64Array(0), new Float64Array(0), new Float64Array(0)];
  fig.draw(() => {
    const ends = model.get("ends");
    const t = model.get("t");
    const key = ends.join();
    if (key !== known) {
      known = key;
      a = walk.picture(ends.slice(0, 2), scene);
      b = walk.picture(ends.slice(2), scene);
      const length = Math.hypot(...a);
      curve = walk.distances(a, b, atlas, steps).map((d) => d / length);
      blendLine.set(ts, curve);
      way.set([ends[0], ends[2]], [ends[1], ends[3]]);
    }
    const at = [(1 - t) * ends[0] + t * ends[2], (1 - t) * ends[1] + t * ends[3]];
    const place = t * (steps - 1);
    const low = Math.min(steps - 2, Math.floor(place));
    const off = curve[low] + (place - low) * (curve[low + 1] - curve[low]);
    blended.paint(a.map((v, p) => (1 - t) * v + t * b[p]));
    moved.paint(walk.picture(at, scene));
    captions[0].textContent = `${kit.number(1 - t, 2)} start + ${kit.number(t, 2)} end`;
    captions[1].textContent = "f of the causes there";
    here.set([at[0]], [at[1]]);
    marker.set([t, t], [0, 0.8]);
    blendDot.set([t], [off]);
    movedDot.set([t], [0]);
    name.set(0.3, Math.max(curve[12], 0.12), "pixels", -8, -6); // clear of the other label
    const text = `at t = ${kit.number(t, 2)} the blend is ${kit.number(off, 2)} away from the nearest picture of a ball (black is 1 away)`;
    out.set(text);
    blended.describe(text);
    moved.describe(`the ball at ${kit.number(at[0], 2)}, ${kit.number(at[1], 2)}`);
    fig.say(text);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  distances(ends, scene, n, reach, steps) {
    const [a, b] = [ends.slice(0, 2), ends.slice(2)].map((z) => walk.picture(z, scene));
    return Array.from(walk.distances(a, b, walk.atlas(n, reach, scene), steps));
  },
};
export default { render };
