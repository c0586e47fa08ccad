/* rotate.js - turn an axis through a cloud of points: variance along it and error across it trade at a fixed sum. */
/**
 * @typedef {object} Traits of `RotateFigure`
 * @property {Bytes} points
 * @property {number} angle
 */
const RADIUS = 2.4; // where the handle sits on the axis
/**
 * Mean squares of the centred points along the axis and across it.
 * @param {Pair[]} points
 * @param {number} degrees
 */
function split(points, degrees) {
  const c = Math.cos((degrees * Math.PI) / 180);
  const s = Math.sin((degrees * Math.PI) / 180);
  let kept = 0;
  let error = 0;
  for (const [x, y] of points) {
    kept += (c * x + s * y) ** 2;
    error += (c * y - s * x) ** 2;
  }
  return { kept: kept / points.length, error: error / points.length };
}
/**
 * Direction of the leading eigenvector of a 2 x 2 covariance, in degrees from 0 to 180.
 * @param {Pair[]} points
 */
function best(points) {
  let xx = 0;
  let xy = 0;
  let yy = 0;
  for (const [x, y] of points) {
    xx += x * x;
    xy += x * y;
    yy += y * y;
  }
  const degrees = (90 * Math.atan2(2 * xy, xx - yy)) / Math.PI;
  return (degrees + 180) % 180;
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const flat = kit.floats(model.get("points"));
  /** @type {Pair[]} */
  const points = [];
  for (let i = 0; i < flat.length; i += 2) points.push([flat[i], flat[i + 1]]);
  const plane = fig.plot({
    width: 290,
    height: 280,
    x: [-3, 3],
    y: [-3, 3],
    equal: true,
    xlabel: "x\u2081",
    ylabel: "x\u2082",
    label: "points, and an axis through their mean",
  });
  const across = kit.svg("path", {
    stroke: kit.color("kl"),
    "stroke-width": 1,
    "stroke-dasharray": "3 2",
    fill: "none",
    opacity: 0.8,
  });
  plane.inside.append(across);
  const axis = plane.line("latent");
  const cloud = plane.dots("data", { radius: 2.6 });
  const shadows = plane.dots("recon", { radius: 2.2 });
  cloud.set(
    points.map((p) => p[0]),
    points.map((p) => p[1]),
  );

  const degrees = kit.linspace(0, 180, 91);
  const along = Array.from(degrees, (a) => split(points, a).kept);
  const { kept, error } = split(points, 0);
  const total = kept + error;
  const curve = fig.plot({
    width: 320,
    height: 280,
    x: [0, 180],
    y: [0, 1.1 * total],
    xlabel: "angle of the axis, degrees",
    ylabel: "mean square",
    label: "variance and error against the angle",
  });
  const lost = curve.line("kl", { area: total, opacity: 0.15 });
  const low = curve.line("recon", { area: 0, opacity: 0.25 });
  const whole = curve.line("ink", { dash: "5 4", thickness: 1.5 });
  const rim = curve.line("recon");
  const here = curve.line("latent", { thickness: 2.5 });
  lost.set(degrees, along);
  low.set(degrees, along);
  rim.set(degrees, along);
  whole.set([0, 180], [total, total]);
  const top = best(points);
  const side = top > 120 ? -1 : 1;
  const names = [
    curve.text("recon", { anchor: side > 0 ? "start" : "end" }),
    curve.text("kl", { anchor: "middle" }),
    curve.text("ink", { anchor: "end" }),
  ];
  names[0].set(top, 0, "variance", 8 * side, -14); // beside the line that marks the top when it is found
  names[1].set((top + 90) % 180, 0.72 * total, "error");
  names[2].set(180, total, "total: fixed", -4, -5);
  const out = fig.wide(fig.readout("ink"));

  /** @param {number} a */
  const turn = (a) => fig.write("angle", undefined, Math.round((((a % 180) + 180) % 180) * 10) / 10);
  fig.slider({ key: "angle", label: "angle", min: 0, max: 180, step: 1, format: (v) => `${kit.number(v, 0)}°` });
  fig.button({ label: "show the eigenvector", act: () => turn(top) });
  const radians = () => (model.get("angle") * Math.PI) / 180;
  fig.handle(plane, {
    label: "axis",
    name: "latent",
    step: 0.2,
    text: () => `axis at ${kit.number(model.get("angle"), 0)} degrees`,
    get: () => [RADIUS * Math.cos(radians()), RADIUS * Math.sin(radians())],
    set: (x, y) => {
      if (x || y) turn((Math.atan2(y, x) * 180) / Math.PI);
    },
  });
  fig.handle(curve, {
    label: "angle of the axis",
    name: "latent",
    step: 2,
    text: () => `${kit.number(model.get("angle"), 0)} degrees`,
    get: () => [model.get("angle"), split(points, model.get("angle")).kept],
    set: (a) => fig.write("angle", undefined, Math.round(a)),
  });

  fig.draw(() => {
    const c = Math.cos(radians());
    const s = Math.sin(radians());
    const now = split(points, model.get("angle"));
    const feet = points.map(([x, y]) => [c * (c * x + s * y), s * (c * x + s * y)]);
    across.setAttribute(
      "d",
      points.map(([x, y], i) => `M${plane.spot(x, y)}L${plane.spot(feet[i][0], feet[i][1])}`).join(""),
    );
    shadows.set(
      feet.map((p) => p[0]),
      feet.map((p) => p[1]),
    );
    axis.set([-5 * c, 5 * c], [-5 * s, 5 * s]);
    here.set([model.get("angle"), model.get("angle")], [0, total]);
    const text = `variance ${kit.number(now.kept, 2)} + error ${kit.number(now.error, 2)} = ${kit.number(total, 2)}`;
    out.set(text);
    fig.say(text);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = { split, best };
export default { render };
