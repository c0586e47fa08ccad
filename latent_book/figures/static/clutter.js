/* clutter.js - a digit over a photograph, its round trips through several codes, where each code loses the digit, and what a probe makes of it. */
/**
 * @typedef {object} Traits of `ClutterFigure`
 * @property {number[]} levels
 * @property {Bytes} digits
 * @property {string[]} names
 * @property {Bytes} trips
 * @property {Bytes} maps
 * @property {string[]} rows
 * @property {number[][][][]} scores
 * @property {number} labels
 * @property {Bytes} photos
 * @property {number} side
 * @property {number} k
 * @property {number} i
 * @property {number} j
 */
/**
 * Ink m over a photograph b of strength c, greys from 0 to 1.
 * @param {Float64Array<ArrayBuffer>} m
 * @param {Numbers} b
 * @param {number} c
 */
function layOver(m, b, c) {
  return Float64Array.from(m, (ink, d) => ink + (1 - ink) * c * b[d]);
}
/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const levels = model.get("levels");
  const names = model.get("names");
  const rows = model.get("rows");
  const side = model.get("side");
  const D = side * side;
  const scores = model.get("scores");
  const n = rows.length;
  const [digits, photos, trips, maps] = [
    model.get("digits"),
    model.get("photos"),
    model.get("trips"),
    model.get("maps"),
  ].map(kit.bytes);
  const I = digits.length / D;
  const J = photos.length / D;
  const size = { width: side, height: side, scale: 5 };
  const whole = fig.column();
  const picture = fig.pixels({ ...size, title: "picture", label: "the cluttered digit", into: whole });
  const behind = fig.pixels({ ...size, title: "photograph", label: "the photograph alone", into: whole });
  const pairs = names.map((name) => {
    const column = fig.column();
    return {
      trip: fig.pixels({ ...size, title: name, label: `round trip by ${name}`, into: column }),
      map: fig.pixels({ ...size, title: "digit lost", label: `where ${name} loses the digit`, into: column }),
    };
  });
  const plot = fig.plot({
    width: 330,
    height: 24 * n + 44,
    x: [0, 100],
    y: [0, n],
    axes: false,
    left: 104,
    bottom: 32,
    right: 34,
    label: "probe accuracy of each code",
  });
  /** @param {number} k */
  const at = (k) => n - k - 0.5;
  const thick = 0.6 * Math.abs(plot.py(1) - plot.py(0));
  const bars = rows.map((name, k) => {
    const bar = kit.svg("rect", {
      x: plot.px(0),
      y: plot.py(at(k)) - thick / 2,
      height: thick,
      fill: kit.color(names.includes(name) ? "recon" : name.startsWith("transfer") ? "latent" : "muted"),
    });
    const whisker = kit.svg("path", { stroke: kit.color("ink"), "stroke-width": 1.5, fill: "none" });
    plot.inside.append(bar, whisker);
    plot.text("ink", { anchor: "end", size: 12 }).set(0, at(k), name, -6, 4);
    return { bar, whisker, value: plot.text("ink", { size: 12 }) };
  });
  const chance = plot.line("kl", { dash: "4 3", thickness: 1.5 });
  chance.set([20, 20], [0, n]);
  plot.text("kl", { anchor: "middle", size: 12 }).set(20, 0, "chance", 0, 14);
  plot.text("ink", { anchor: "middle", size: 12 }).set(65, 0, "probe accuracy in %", 0, 28);
  fig.slider({
    key: "k",
    label: "clutter",
    min: 0,
    max: levels.length - 1,
    step: 1,
    format: (k) => kit.number(levels[k], 2),
  });
  fig.slider({ key: "i", label: "digit", min: 0, max: I - 1, step: 1, format: (i) => String(i + 1) });
  fig.slider({ key: "j", label: "photograph", min: 0, max: J - 1, step: 1, format: (j) => String(j + 1) });
  fig.choice({ key: "labels", label: "labels for the probe", options: ["few", "many"] });

  fig.draw(() => {
    const { k, i, j, labels } = kit.pick(model, "k", "i", "j", "labels");
    const b = kit.greys(photos, j * D, D);
    picture.paint(layOver(kit.greys(digits, i * D, D), b, levels[k]));
    behind.paint(b);
    pairs.forEach(({ trip, map }, a) => {
      const back = kit.greys(trips, (((k * names.length + a) * I + i) * J + j) * D, D);
      trip.paint(back);
      map.heat(kit.greys(maps, (k * names.length + a) * D, D), "kl");
    });
    bars.forEach(({ bar, whisker, value }, r) => {
      const mean = 100 * scores[r][0][k][labels];
      const half = 100 * scores[r][1][k][labels];
      const y = plot.py(at(r));
      kit.put(bar, { width: Math.max(0, plot.px(mean) - plot.px(0)) });
      whisker.setAttribute(
        "d",
        `M${plot.px(mean - half)} ${y}H${plot.px(mean + half)}M${plot.px(mean - half)} ${y - 4}v8M${plot.px(mean + half)} ${y - 4}v8`,
      );
      value.set(mean + half, at(r), kit.number(mean, 0), 5, 4);
    });
    fig.say(
      `clutter ${kit.number(levels[k], 2)}: ` +
        rows.map((name, r) => `${name} ${kit.number(100 * scores[r][0][k][labels], 0)}`).join(", ") +
        " percent",
    );
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  layOver: (m, b, c) => Array.from(layOver(m, b, c)),
  greys: (bytes, start, count) => Array.from(kit.greys(bytes, start, count)),
};
export default { render };
