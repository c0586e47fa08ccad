/* surface.js - the pictures of a ball at all its places, as a surface in three directions of pixel space. Needs renderer.js. */
/**
 * @typedef {object} Traits of `SurfaceFigure`
 * @property {number[]} z
 * @property {number} azimuth
 * @property {number} elevation
 * @property {number} reach
 * @property {number} size
 * @property {Bytes} mean
 * @property {Bytes} axes
 * @property {number[]} others
 * @property {number[]} lens
 */
/** @typedef {{ others: number[], lens: Lens, mean: Numbers, axes: Numbers }} Ball */
const LEVELS = 14; // shades of the sheet
const surface = (() => {
  /**
   * Three numbers of the picture of the ball at (x, y): its shadow on three directions, from their mean.
   * @param {Pair} place
   * @param {Ball} ball
   * @param {Float64Array<ArrayBuffer>} [scratch]
   */
  function project([x, y], { others, lens, mean, axes }, scratch) {
    const z = [...others];
    z[0] = x;
    z[1] = y;
    const picture = renderer.draw(z, [], lens, scratch);
    const out = [0, 0, 0];
    for (let k = 0, q = 0; k < 3; k++)
      for (let p = 0; p < picture.length; p++, q++) out[k] += axes[q] * (picture[p] - mean[p]);
    return out;
  }
  /**
   * Seen from a direction, in degrees: to the right, upwards, and away from you.
   * @param {number[]} point
   * @param {number} azimuth
   * @param {number} elevation
   */
  function turn([a, b, c], azimuth, elevation) {
    const ca = Math.cos((azimuth * Math.PI) / 180);
    const sa = Math.sin((azimuth * Math.PI) / 180);
    const ce = Math.cos((elevation * Math.PI) / 180);
    const se = Math.sin((elevation * Math.PI) / 180);
    const right = ca * a + sa * b;
    const deep = ca * b - sa * a;
    return [right, ce * c + se * deep, ce * deep - se * c];
  }
  /**
   * The quadrilaterals of an n by n mesh, far ones first: their four corners and how squarely each faces you, from 0 to 1.
   * @param {number[][]} points
   * @param {number} n
   */
  function quads(points, n) {
    const out = [];
    for (let i = 0; i + 1 < n; i++)
      for (let j = 0; j + 1 < n; j++) {
        const p = points[i * n + j];
        const q = points[i * n + j + 1];
        const r = points[(i + 1) * n + j + 1];
        const s = points[(i + 1) * n + j];
        const u = [r[0] - p[0], r[1] - p[1], r[2] - p[2]];
        const v = [s[0] - q[0], s[1] - q[1], s[2] - q[2]];
        const normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
        const length = Math.hypot(...normal) || 1;
        out.push({
          corners: [p, q, r, s],
          depth: p[2] + q[2] + r[2] + s[2],
          facing: Math.abs((0.35 * normal[0] + 0.45 * normal[1] - 0.82 * normal[2]) / length),
        });
      }
    return out.sort((first, second) => second.depth - first.depth);
  }
  return { project, turn, quads };
})();

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const reach = model.get("reach");
  const n = 21;
  const size = model.get("size");
  const scene = {
    others: model.get("others"),
    lens: renderer.lens(model.get("lens")),
    mean: kit.floats(model.get("mean")),
    axes: kit.floats(model.get("axes")),
  };
  const scratch = new Float64Array(renderer.PIXELS ** 2);
  const places = Array.from(kit.linspace(-reach, reach, n));
  /** @param {Pair} z */
  const at = (z) => surface.project(z, scene, scratch);
  const nodes = places.flatMap((x) => places.map((y) => at([x, y])));
  const view = fig.plot({
    width: 380,
    height: 330,
    x: [-size, size],
    y: [-0.85 * size, 0.85 * size],
    axes: false,
    label: "the surface of all pictures of the ball",
  });
  const shade = Array.from(
    { length: LEVELS },
    (_, i) =>
      `color-mix(in srgb, ${kit.color("data")} ${Math.round(18 + (66 * i) / (LEVELS - 1))}%, ${kit.color("paper")})`,
  );
  const sheet = Array.from({ length: (n - 1) ** 2 }, () =>
    view.inside.appendChild(
      kit.svg("path", { stroke: kit.color("paper"), "stroke-width": 0.7, "stroke-linejoin": "round" }),
    ),
  );
  const along = [view.line("latent", { thickness: 2.5 }), view.line("recon", { thickness: 2.5 })];
  const point = view.dots("ink", { radius: 6, opacity: 1 });
  const column = fig.column();
  const seen = fig.pixels({
    width: renderer.PIXELS,
    height: renderer.PIXELS,
    scale: 6,
    title: "the picture at the point",
    label: "the ball",
    into: column,
  });
  const out = fig.readout("ink", column);
  const legend = fig.readout("latent", column);
  const other = fig.readout("recon", column);
  legend.set("line along which x changes");
  other.set("line along which y changes");
  fig.slider({ key: "z", index: 0, label: "x", min: -reach, max: reach, step: 0.01 });
  fig.slider({ key: "z", index: 1, label: "y", min: -reach, max: reach, step: 0.01 });
  /** @param {number} v */
  const degrees = (v) => `${kit.number(v, 0)}°`;
  fig.slider({ key: "azimuth", label: "turn", min: -180, max: 180, step: 2, format: degrees });
  fig.slider({ key: "elevation", label: "tilt", min: -90, max: 90, step: 2, format: degrees });

  let [x, y] = [0, 0]; // where the pointer was last
  /** @param {PointerEvent} event */
  const turn = (event) => {
    const azimuth = model.get("azimuth") - 0.6 * (event.clientX - x);
    const elevation = model.get("elevation") + 0.6 * (event.clientY - y);
    [x, y] = [event.clientX, event.clientY];
    fig.set({ azimuth: ((azimuth + 540) % 360) - 180, elevation: kit.clamp(elevation, -90, 90) });
  };
  fig.drag(view.svg, turn, (event) => {
    [x, y] = [event.clientX, event.clientY];
  });
  view.svg.style.cursor = "grab";

  /** @type {number[][][]} */
  let lines = [];
  let where = "";
  let centre = [0, 0, 0];
  fig.draw(() => {
    const z = model.get("z");
    const azimuth = model.get("azimuth");
    const elevation = model.get("elevation");
    const key = z.join();
    /** @param {number[]} p */
    const look = (p) => surface.turn(p, azimuth, elevation);
    if (key !== where) {
      where = key;
      lines = [places.map((x) => at([x, z[1]])), places.map((y) => at([z[0], y]))];
      centre = at(z);
      seen.paint(scratch);
    }
    surface.quads(nodes.map(look), n).forEach(({ corners, facing }, i) => {
      sheet[i].setAttribute("d", `M${corners.map(([a, b]) => view.spot(a, b)).join("L")}Z`);
      sheet[i].setAttribute("fill", shade[Math.min(LEVELS - 1, Math.floor(LEVELS * facing))]);
    });
    lines.forEach((line, i) => {
      const turned = line.map(look);
      along[i].set(
        turned.map((p) => p[0]),
        turned.map((p) => p[1]),
      );
    });
    const shown = look(centre);
    point.set([shown[0]], [shown[1]]);
    const text = `z = (${kit.number(z[0], 2)}, ${kit.number(z[1], 2)})`;
    out.set(text);
    seen.describe(`the ball at ${text}`);
    fig.say(`${text}; seen from ${degrees(azimuth)}, tilted ${degrees(elevation)}`);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  project: (z, scene) => surface.project(z, scene),
  turn: surface.turn,
  order: (points, n) => surface.quads(points, n).map(({ depth, facing }) => [depth, facing]),
};
export default { render };
