/* bottleneck.js - one digit through codes of several widths, by a flat sheet and by a bent one. */
/**
 * @typedef {object} Traits of `BottleneckFigure`
 * @property {Bytes} images
 * @property {number[]} widths
 * @property {Bytes} flat
 * @property {number[]} flat_error
 * @property {string[]} names
 * @property {Bytes} bent
 * @property {number[]} bent_error
 * @property {number} digit
 * @property {number} k
 */
/**
 * Squared distance of two pictures of bytes, in squared grey values from 0 to 1.
 * @param {Numbers} a
 * @param {Numbers} b
 */
function away(a, b) {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += (a[d] - b[d]) ** 2;
  return sum / 255 ** 2;
}
/**
 * What is shown: the digit, both models' pictures of it at width number k, and their distances.
 * @param {Uint8Array} images
 * @param {Uint8Array} flat
 * @param {Uint8Array} bent
 * @param {number} digits
 * @param {number} digit
 * @param {number} k
 */
function chosen(images, flat, bent, digits, digit, k) {
  const D = images.length / digits;
  const at = (k * digits + digit) * D;
  const x = images.slice(digit * D, (digit + 1) * D);
  const a = flat.slice(at, at + D);
  const b = bent.slice(at, at + D);
  return { x, flat: a, bent: b, flatAway: away(x, a), bentAway: away(x, b) };
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const widths = model.get("widths");
  const names = model.get("names");
  const last = widths.length - 1;
  const [images, flat, bent] = [model.get("images"), model.get("flat"), model.get("bent")].map(kit.bytes);
  const side = Math.round(Math.sqrt(images.length / names.length));
  const errors = { flat: model.get("flat_error"), bent: model.get("bent_error") };
  const row = fig.row(3, 150);
  const pixels = { width: side, height: side, scale: 5, into: row };
  const image = fig.pixels({ ...pixels, title: "the digit", label: "the digit" });
  const byFlat = fig.pixels({ ...pixels, title: "PCA", label: "the digit as PCA redraws it" });
  const byBent = fig.pixels({ ...pixels, title: "network", label: "the digit as the network redraws it" });
  const each = widths.map((_, k) => names.map((_, digit) => chosen(images, flat, bent, names.length, digit, k)));
  const top = 1.1 * Math.max(...errors.flat, ...errors.bent, ...each.flat().flatMap((s) => [s.flatAway, s.bentAway]));
  const places = widths.map((_, i) => i);
  // equal steps for widths that double: the axes count places, and the widths are written below them
  const box = { left: 46, bottom: 36 };
  const plot = fig.plot({
    ...box,
    axes: false,
    width: 400,
    height: 200,
    x: [-0.25, last + 0.25],
    y: [0, top],
    label: "held-out errors of both models against the width of the code",
  });
  const frame = kit.svg("g", { class: "lb-axes", "aria-hidden": "true" });
  const floor = plot.py(0);
  const right = plot.box.left + plot.box.width;
  widths.forEach((w, i) =>
    frame.append(kit.svg("text", { x: plot.px(i), y: floor + 14, "text-anchor": "middle" }, String(w))),
  );
  for (const t of kit.ticks([0, top]))
    frame.append(
      kit.svg("text", { x: plot.box.left - 6, y: plot.py(t) + 4, "text-anchor": "end" }, String(t)),
      kit.svg("line", { x1: plot.box.left, x2: right, y1: plot.py(t), y2: plot.py(t) }),
    );
  frame.append(
    kit.svg("path", { d: `M${plot.box.left} ${plot.box.top}V${floor}H${right}` }),
    kit.svg(
      "text",
      { x: (plot.box.left + right) / 2, y: floor + 30, "text-anchor": "middle", class: "lb-label" },
      "width of the code",
    ),
    kit.svg(
      "text",
      {
        transform: `translate(11 ${plot.box.top + plot.box.height / 2}) rotate(-90)`,
        "text-anchor": "middle",
        class: "lb-label",
      },
      "held-out error, mean",
    ),
  );
  plot.svg.insertBefore(frame, plot.inside);
  const here = plot.line("latent", { thickness: 2.5 });
  plot.line("ink", { dash: "5 4" }).set(places, errors.flat);
  plot.line("recon").set(places, errors.bent);
  plot.dots("ink", { radius: 3, opacity: 1 }).set(places, errors.flat);
  plot.dots("recon", { radius: 3, opacity: 1 }).set(places, errors.bent);
  /** @param {string} colour */
  const ring = (colour) =>
    plot.inside.appendChild(kit.svg("circle", { r: 5, fill: "none", stroke: kit.color(colour), "stroke-width": 2 }));
  const rings = [ring("ink"), ring("recon")];
  plot.text("ink", { anchor: "end" }).set(last, top, "dashed: PCA", -12, 14);
  plot.text("recon", { anchor: "end" }).set(last, top, "line: network", -12, 30);
  plot.text("muted", { anchor: "end" }).set(last, top, "rings: this digit", -12, 46);
  const out = fig.wide(fig.readout("ink"));
  fig.choice({ key: "digit", label: "digit", options: names });
  /** @param {number} k */
  const words = (k) => `${widths[k]} ${widths[k] === 1 ? "number" : "numbers"}`;
  fig.slider({ key: "k", label: "width", min: 0, max: last, step: 1, format: (k) => String(widths[k]) });
  fig.handle(plot, {
    label: "width of the code",
    name: "latent",
    step: 1,
    text: ([k]) => words(Math.round(k)),
    get: () => [model.get("k"), errors.bent[model.get("k")]],
    set: (k) => fig.write("k", undefined, Math.round(kit.clamp(k, 0, last))),
  });

  fig.draw(() => {
    const k = model.get("k");
    const digit = model.get("digit");
    const now = each[k][digit];
    image.paint(now.x, 0, 255);
    byFlat.paint(now.flat, 0, 255);
    byBent.paint(now.bent, 0, 255);
    here.set([k, k], [0, top]);
    rings.forEach((node, i) => {
      kit.put(node, { cx: plot.px(k), cy: plot.py([now.flatAway, now.bentAway][i]) });
    });
    const text = `this digit through ${words(k)}: PCA loses ${kit.number(now.flatAway, 1)}, the network ${kit.number(now.bentAway, 1)}`;
    out.set(text);
    image.describe(`digit ${names[digit]}`);
    byFlat.describe(
      `digit ${names[digit]} redrawn by PCA from ${words(k)}; squared error ${kit.number(now.flatAway, 1)}`,
    );
    byBent.describe(
      `digit ${names[digit]} redrawn by the network from ${words(k)}; squared error ${kit.number(now.bentAway, 1)}`,
    );
    fig.say(text);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  away,
  chosen: (images, flat, bent, digits, digit, k) => {
    const s = chosen(images, flat, bent, digits, digit, k);
    return [s.flat, s.bent, [s.flatAway, s.bentAway]];
  },
};
export default { render };
