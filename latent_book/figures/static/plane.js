/* plane.js - a plane of codes: what each of its points decodes to. Needs network.js. */
/**
 * @typedef {object} Traits of `PlaneFigure`
 * @property {Bytes} codes
 * @property {Layer[]} layers
 * @property {Bytes} weights
 * @property {Bytes} y
 * @property {string[]} names
 * @property {number} reach
 * @property {number[]} at
 */
/**
 * The number of the point nearest to z, in a list x0, y0, x1, y1, ...
 * @param {Pair} z
 * @param {Numbers} points
 */
function nearest(z, points) {
  let best = 0;
  let least = Infinity;
  for (let i = 0; i < points.length; i += 2) {
    const distance = (points[i] - z[0]) ** 2 + (points[i + 1] - z[1]) ** 2;
    if (distance < least) {
      least = distance;
      best = i / 2;
    }
  }
  return best;
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const layers = model.get("layers");
  const decode = network(layers, kit.floats(model.get("weights")));
  const side = Math.round(Math.sqrt(layers[layers.length - 1].outputs));
  const points = kit.floats(model.get("codes"));
  const y = kit.bytes(model.get("y"));
  const reach = model.get("reach");
  const names = model.get("names");
  const edge = 1.05 * reach; // with room for what stands at the border
  const plot = fig.plot({
    width: 380,
    height: 340,
    x: [-edge, edge],
    y: [-edge, edge],
    equal: true,
    xlabel: "first code",
    ylabel: "second code",
    label: "digits by their two codes",
  });
  const numerals = kit.svg("g", { fill: kit.color("data"), "text-anchor": "middle", "aria-hidden": "true" });
  const kinds = names.map(() => kit.svg("g", {}));
  numerals.append(...kinds);
  y.forEach((k, i) => {
    const t = kit.svg(
      "text",
      { x: plot.px(points[2 * i]).toFixed(1), y: (plot.py(points[2 * i + 1]) + 3).toFixed(1) },
      names[k],
    );
    t.style.fontSize = "10.5px";
    kinds[k].append(t);
  });
  plot.inside.append(numerals);
  const column = fig.column();
  const decoded = fig.pixels({
    width: side,
    height: side,
    scale: 6,
    title: "decoded",
    label: "the decoded point",
    into: column,
  });
  const out = fig.readout("latent", column);
  const near = fig.readout("data", column);
  /** @param {Pair} z */
  const go = (z) => fig.set({ at: z.map((v) => Math.round(100 * kit.clamp(v, -reach, reach)) / 100) });
  fig.slider({ key: "at", index: 0, label: "first code", min: -reach, max: reach, step: 0.05 });
  fig.slider({ key: "at", index: 1, label: "second code", min: -reach, max: reach, step: 0.05 });
  fig.handle(plot, {
    label: "point of the plane",
    name: "latent",
    get: () => model.get("at"),
    set: (a, b) => go([a, b]),
  });
  plot.svg.addEventListener(
    "pointermove",
    fig.guard((event) => {
      if (event.pointerType === "mouse" && !event.buttons) go(plot.at(event));
    }),
  );

  fig.draw(() => {
    const z = model.get("at");
    const kind = y[nearest(z, points)];
    const digit = names[kind];
    kinds.forEach((group, k) => kit.put(group, { opacity: k === kind ? 1 : 0.45 }));
    if (numerals.lastChild !== kinds[kind]) numerals.append(kinds[kind]); // in front of the others
    decoded.paint(decode(z));
    out.set(`z = (${kit.number(z[0], 1)}, ${kit.number(z[1], 1)})`);
    near.set(`nearest digit here: ${digit}`);
    decoded.describe(`what the point ${kit.number(z[0], 1)}, ${kit.number(z[1], 1)} decodes to`);
    fig.say(`${kit.number(z[0], 1)}, ${kit.number(z[1], 1)}; nearest digit ${digit}`);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  nearest: (z, points) => nearest(z, points.flat()),
  decode: (layers, weights, z) => Array.from(network(layers, Float32Array.from(weights))(z)),
};
export default { render };
