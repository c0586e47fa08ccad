/* surface.js - the pictures of a ball at all its places, as a surface in three directions of pixel space. Needs renderer.js. */
const LEVELS = 14; // shades of the sheet
const surface = (() => {
  /** Three numbers of the picture of the ball at (x, y): its shadow on three directions, from their mean. */
  function project([x, y], { others, lens, mean, axes }, scratch) {
    const z = [...others];
    z[0] = x; z[1] = y;
    const picture = renderer.draw(z, [], lens, scratch), out = [0, 0, 0];
    for (let k = 0, q = 0; k < 3; k++) for (let p = 0; p < picture.length; p++, q++) out[k] += axes[q] * (picture[p] - mean[p]);
    return out;
  }
  /** Seen from a direction, in degrees: to the right, upwards, and away from you. */
  function turn([a, b, c], azimuth, elevation) {
    const ca = Math.cos((azimuth * Math.PI) / 180), sa = Math.sin((azimuth * Math.PI) / 180), ce = Math.cos((elevation * Math.PI) / 180), se = Math.sin((elevation * Math.PI) / 180);
    const right = ca * a + sa * b, deep = ca * b - sa * a;
    return [right, ce * c + se * deep, ce * deep - se * c];
  }
  /** The quadrilaterals of an n by n mesh, far ones first: their four corners and how squarely each faces you, from 0 to 1. */
  function quads(points, n) {
    const out = [];
    for (let i = 0; i + 1 < n; i++)
      for (let j = 0; j + 1 < n; j++) {
        const p = points[i * n + j], q = points[i * n + j + 1], r = points[(i + 1) * n + j + 1], s = points[(i + 1) * n + j];
        const u = [r[0] - p[0], r[1] - p[1], r[2] - p[2]], v = [s[0] - q[0], s[1] - q[1], s[2] - q[2]];
        const normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]], length = Math.hypot(...normal) || 1;
        out.push({ corners: [p, q, r, s], depth: p[2] + q[2] + r[2] + s[2], facing: Math.abs((0.35 * normal[0] + 0.45 * normal[1] - 0.82 * normal[2]) / length) });
      }
    return out.sort((first, second) => second.depth - first.depth);
  }
  return { project, turn, quads };
})();

function render({ model, el }) {
  const fig = kit.figure(model, el), reach = model.get("reach"), n = 21, size = model.get("size");
  const scene = { others: model.get("others"), lens: { softness: model.get("lens")[0], relief: model.get("lens")[1] }, mean: kit.floats(model.get("mean")), axes: kit.floats(model.get("axes")) };
  const scratch = new Float64Array(renderer.PIXELS ** 2), places = Array.from(kit.linspace(-reach, reach, n)), at = (z) => surface.project(z, scene, scratch);
  const nodes = places.flatMap((x) => places.map((y) => at([x, y])));
  const view = fig.plot({ width: 380, height: 330, x: [-size, size], y: [-0.85 * size, 0.85 * size], axes: false, label: "the surface of all pictures of the ball" });
  const shade = Array.from({ length: LEVELS }, (_, i) => `color-mix(in srgb, ${kit.color("data")} ${Math.round(18 + (66 * i) / (LEVELS - 1))}%, ${kit.color("paper")})`);
  const sheet = Array.from({ length: (n - 1) ** 2 }, () => view.inside.appendChild(kit.svg("path", { stroke: kit.color("paper"), "stroke-width": 0.7, "stroke-linejoin": "round" })));
  const along = [view.line("latent", { thickness: 2.5 }), view.line("recon", { thickness: 2.5 })], point = view.dots("ink", { radius: 6, opacity: 1 });
  const column = fig.column(), seen = fig.pixels({ width: renderer.PIXELS, height: renderer.PIXELS, scale: 6, title: "the picture at the point", label: "the ball", into: column });
  const out = fig.readout("ink", column), legend = fig.readout("latent", column), other = fig.readout("recon", column);
  legend.set("line along which x changes");
  other.set("line along which y changes");
  fig.slider({ key: "z", index: 0, label: "x", min: -reach, max: reach, step: 0.01 });
  fig.slider({ key: "z", index: 1, label: "y", min: -reach, max: reach, step: 0.01 });
  const degrees = (v) => `${kit.number(v, 0)}°`;
  fig.slider({ key: "azimuth", label: "turn", min: -180, max: 180, step: 2, format: degrees });
  fig.slider({ key: "elevation", label: "tilt", min: -90, max: 90, step: 2, format: degrees });

  view.svg.style.touchAction = "none";
  view.svg.style.cursor = "grab";
  view.svg.addEventListener("pointerdown", fig.guard((event) => {
    if (event.button) return;
    event.preventDefault();
    view.svg.setPointerCapture(event.pointerId);
    let [x, y] = [event.clientX, event.clientY];
    const follow = fig.guard((next) => {
      const azimuth = model.get("azimuth") - 0.6 * (next.clientX - x), elevation = model.get("elevation") + 0.6 * (next.clientY - y);
      [x, y] = [next.clientX, next.clientY];
      fig.set({ azimuth: ((azimuth + 540) % 360) - 180, elevation: kit.clamp(elevation, -90, 90) });
    });
    const done = () => { for (const [name, act] of [["pointermove", follow], ["pointerup", done], ["pointercancel", done]]) view.svg.removeEventListener(name, act); };
    for (const [name, act] of [["pointermove", follow], ["pointerup", done], ["pointercancel", done]]) view.svg.addEventListener(name, act);
  }));

  const spot = (p) => `${view.px(p[0]).toFixed(1)} ${view.py(p[1]).toFixed(1)}`;
  let lines = null, where = null, centre, picture;
  fig.draw(() => {
    const z = model.get("z"), azimuth = model.get("azimuth"), elevation = model.get("elevation"), key = z.join();
    const look = (p) => surface.turn(p, azimuth, elevation);
    if (key !== where) {
      where = key;
      lines = [places.map((x) => at([x, z[1]])), places.map((y) => at([z[0], y]))];
      centre = at(z);
      picture = Float64Array.from(scratch);
      seen.paint(picture);
    }
    surface.quads(nodes.map(look), n).forEach(({ corners, facing }, i) => {
      sheet[i].setAttribute("d", `M${corners.map(spot).join("L")}Z`);
      sheet[i].setAttribute("fill", shade[Math.min(LEVELS - 1, Math.floor(LEVELS * facing))]);
    });
    lines.forEach((line, i) => { const turned = line.map(look); along[i].set(turned.map((p) => p[0]), turned.map((p) => p[1])); });
    const shown = look(centre);
    point.set([shown[0]], [shown[1]]);
    const text = `z = (${kit.number(z[0], 2)}, ${kit.number(z[1], 2)})`;
    out.set(text);
    seen.describe(`the ball at ${text}`);
    fig.say(`${text}; seen from ${degrees(azimuth)}, tilted ${degrees(elevation)}`);
  });
  return fig.close;
}
render.maths = {
  project: (z, scene) => surface.project(z, scene),
  turn: surface.turn,
  order: (points, n) => surface.quads(points, n).map(({ depth, facing }) => [depth, facing]),
};
export default { render };
