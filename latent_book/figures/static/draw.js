/* draw.js - draw a picture, and watch the encoder's guess move over the plane of codes. Needs network.js. */
/**
 * @typedef {object} Traits of `DrawFigure`
 * @property {Bytes} codes
 * @property {Bytes} examples
 * @property {Layer[]} encoder_layers
 * @property {Bytes} encoder_weights
 * @property {Layer[]} decoder_layers
 * @property {Bytes} decoder_weights
 * @property {Bytes} y
 * @property {number} side
 * @property {number} reach
 * @property {number[]} ink
 * @property {number[]} pen
 */
/**
 * Mean and standard deviation of q(z | x): the encoder's numbers are mu and log sigma^2, half and half.
 * @param {Network} encode
 * @param {Numbers} x
 */
function posterior(encode, x) {
  const out = encode(x);
  const L = out.length / 2;
  return { mu: Array.from(out.subarray(0, L)), sigma: Array.from(out.subarray(L), (v) => Math.exp(v / 2)) };
}
/**
 * The drawing with ink at the pen: the pixel under it in full, those beside it where they are near enough.
 * @param {number[]} picture
 * @param {number} side
 * @param {Pair} pen
 */
function inked(picture, side, [a, b]) {
  const out = [...picture];
  for (let r = 0; r < side; r++)
    for (let c = 0; c < side; c++) if (Math.hypot(c + 0.5 - a, side - r - 0.5 - b) < 0.9) out[r * side + c] = 1;
  return out;
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const side = model.get("side");
  const reach = model.get("reach");
  /** @param {"encoder" | "decoder"} name */
  const net = (name) => network(model.get(`${name}_layers`), kit.floats(model.get(`${name}_weights`)));
  const encode = net("encoder");
  const decode = net("decoder");
  const examples = kit.bytes(model.get("examples"));
  const codes = kit.floats(model.get("codes"));
  const y = kit.bytes(model.get("y"));
  const sheet = fig.plot({
    width: 240,
    height: 240,
    x: [0, side],
    y: [0, side],
    equal: true,
    axes: false,
    label: "a sheet to draw on",
  });
  const paper = sheet.backdrop(fig.pixels({ width: side, height: side, label: "your drawing", into: null }));
  const plane = fig.plot({
    width: 310,
    height: 290,
    x: [-reach, reach],
    y: [-reach, reach],
    equal: true,
    xlabel: "first code",
    ylabel: "second code",
    label: "the plane of codes with the encoder's guess",
  });
  const numerals = kit.svg("g", {
    fill: kit.color("data"),
    "text-anchor": "middle",
    "aria-hidden": "true",
    opacity: 0.55,
  });
  y.forEach((k, i) =>
    numerals.append(
      kit.svg(
        "text",
        {
          x: plane.px(codes[2 * i]).toFixed(1),
          y: (plane.py(codes[2 * i + 1]) + 3).toFixed(1),
          style: "font-size: 10px",
        },
        String(k),
      ),
    ),
  );
  plane.inside.append(numerals);
  const rings = [2, 1].map((k) =>
    plane.inside.appendChild(
      kit.svg("ellipse", {
        fill: kit.color("latent"),
        "fill-opacity": k === 1 ? 0.45 : 0.2,
        stroke: kit.color("latent"),
        "stroke-width": 1.5,
      }),
    ),
  );
  const column = fig.column();
  const decoded = fig.pixels({
    width: side,
    height: side,
    scale: 7,
    title: "decoded from its middle",
    label: "what the middle of the guess decodes to",
    into: column,
  });
  const out = fig.readout("latent", column);
  const cost = fig.readout("latent", column);
  /** @param {number} a @param {number} b */
  const draw = (a, b) => fig.set({ pen: [a, b], ink: inked(model.get("ink"), side, [a, b]) });
  fig.handle(sheet, {
    label: "pen",
    name: "recon",
    step: 1,
    radius: 7,
    get: () => model.get("pen"),
    set: draw,
    text: ([a, b]) => `column ${Math.ceil(a)}, row ${side - Math.floor(b)}`,
  });
  /** @param {number} k */
  const digit = (k) => Array.from(examples.subarray(k * side * side, (k + 1) * side * side));
  /** @type {Record<string, () => void>} */
  const acts = {};
  for (let k = 0; k < 10; k++) acts[k] = () => fig.set({ ink: digit(k) });
  acts.clear = () => fig.set({ ink: new Array(side * side).fill(0) });
  const buttons = [...fig.buttons(acts).children];
  for (let k = 0; k < 10; k++) buttons[k].setAttribute("aria-label", `take over a digit ${k}`);

  fig.draw(() => {
    const ink = model.get("ink");
    const { mu, sigma } = posterior(encode, ink);
    paper.paint(ink);
    [2, 1].forEach((k, i) => {
      const ring = rings[i];
      const unit = plane.px(1) - plane.px(0);
      ring.setAttribute("cx", plane.px(kit.clamp(mu[0], -reach, reach)).toFixed(2));
      ring.setAttribute("cy", plane.py(kit.clamp(mu[1], -reach, reach)).toFixed(2));
      ring.setAttribute("rx", (k * sigma[0] * unit).toFixed(2));
      ring.setAttribute("ry", (k * sigma[1] * unit).toFixed(2));
    });
    decoded.paint(decode(mu));
    const price = mu.reduce((sum, m, l) => sum + 0.5 * (m * m + sigma[l] ** 2 - 1) - Math.log(sigma[l]), 0);
    out.set(
      `middle ${mu.map((v) => kit.number(v, 1)).join(", ")}; width ${sigma.map((v) => kit.number(v, 2)).join(", ")}`,
    );
    cost.set(`price ${kit.number(price, 1)} nats`);
    fig.say(`guess at ${mu.map((v) => kit.number(v, 1)).join(", ")}, price ${kit.number(price, 1)} nats`);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  posterior: (layers, weights, x) => posterior(network(layers, Float32Array.from(weights)), x),
  decoded: (layers, weights, z) => Array.from(network(layers, Float32Array.from(weights))(z)),
  inked,
};
export default { render };
