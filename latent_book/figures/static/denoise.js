/* denoise.js - a digit, noise on it, and what a network makes of that, once or many times over. Needs network.js. */
/**
 * @typedef {object} Traits of `DenoiseFigure`
 * @property {Bytes} images
 * @property {string[]} names
 * @property {number} trained
 * @property {Layer[]} layers
 * @property {Bytes} weights
 * @property {number} digit
 * @property {number} draw
 * @property {number[]} drawing
 * @property {number} sigma
 * @property {number} times
 * @property {number} shake
 */
/**
 * A stream of numbers in [0, 1) for a small whole number.
 * @param {number} seed
 */
const uniforms = (seed) => kit.chance(Math.imul(seed + 1, 0x9e3779b1));
/**
 * n standard normal numbers from that stream, by the method of Box and Muller.
 * @param {() => number} next
 * @param {number} n
 */
function normals(next, n) {
  const out = new Float64Array(n);
  for (let i = 0; i < n; i++) out[i] = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  return out;
}
/**
 * The noisy picture, and the picture after so many cleanings; with `shake`, fresh noise goes on before each but the first.
 * @param {Float64Array<ArrayBuffer>} x
 * @param {Network} net
 * @param {{ sigma: number, draw: number, times: number, shake: boolean }} settings
 */
function cleaned(x, net, { sigma, draw, times, shake }) {
  const next = uniforms(draw);
  /** @param {Numbers} picture */
  const add = (picture) => {
    const eps = normals(next, x.length);
    return Float64Array.from(picture, (v, d) => v + sigma * eps[d]);
  };
  const noisy = add(x);
  let now = noisy;
  for (let k = 0; k < times; k++) now = net(k && shake ? add(now) : now);
  return { noisy, now };
}
/**
 * Squared distance between two pictures.
 * @param {Float64Array<ArrayBuffer>} a
 * @param {Numbers} b
 */
const apart = (a, b) => a.reduce((sum, v, d) => sum + (v - b[d]) ** 2, 0);
/**
 * The drawing with a soft dab of the brush at (u, v), in pixels from the corner; values from 0 to 100.
 * @param {number[]} drawing
 * @param {number} u
 * @param {number} v
 * @param {number} side
 */
function dab(drawing, u, v, side) {
  return drawing.map((grey, i) =>
    Math.max(
      grey,
      Math.round(100 * kit.clamp(1.35 - Math.hypot((i % side) + 0.5 - u, Math.floor(i / side) + 0.5 - v), 0, 1)),
    ),
  );
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const net = network(model.get("layers"), kit.floats(model.get("weights")));
  const names = model.get("names");
  const D = model.get("layers")[0].inputs;
  const side = Math.round(Math.sqrt(D));
  const grey = kit.bytes(model.get("images"));
  const own = names.length;
  const row = kit.el("div", {
    style:
      "display:grid;gap:12px;width:100%;max-width:560px;margin:0 auto;align-items:end;grid-template-columns:repeat(3,minmax(0,1fr))",
  });
  fig.stage.append(row);
  const pixels = { width: side, height: side, scale: 12, into: row };
  const original = fig.pixels({ ...pixels, title: "draw here", label: "the original; draw on it with the pointer" });
  const noisy = fig.pixels({ ...pixels, title: "with noise", label: "with noise" });
  const result = fig.pixels({ ...pixels, title: "cleaned", label: "cleaned" });
  for (const p of [original, noisy, result]) p.canvas.style.cssText += ";width:100%;max-width:168px";
  const before = fig.readout("kl");
  const after = fig.readout("recon");
  fig.choice({ key: "digit", label: "picture", options: [...names, "yours"] });
  fig.slider({ key: "sigma", label: "noise sigma", min: 0, max: 1.5, step: 0.05 });
  fig.slider({ key: "times", label: "times cleaned", min: 1, max: 20, step: 1 });
  const further = fig.choice({
    key: "shake",
    label: "before each further cleaning",
    options: ["nothing", "noise again"],
  });
  further.addEventListener(
    "change",
    fig.guard(() => {
      if (model.get("shake") && model.get("times") === 1) fig.set({ times: 2 });
    }),
  ); // else there is no further one
  fig.buttons({
    "clean again": () => fig.set({ times: (model.get("times") % 20) + 1 }),
    "other noise": () =>
      fig.set({ draw: (model.get("draw") + 1) % 1000, sigma: model.get("sigma") || model.get("trained") }),
    "empty sheet": () => fig.set({ digit: own, drawing: Array(D).fill(0) }),
  });

  const picture = () =>
    model.get("digit") === own
      ? Float64Array.from(model.get("drawing"), (v) => v / 100)
      : kit.greys(grey, model.get("digit") * D, D);
  const surface = original.canvas;
  fig.drag(surface, (event) => {
    const r = surface.getBoundingClientRect();
    const start = Array.from(picture(), (v) => Math.round(100 * v));
    fig.set({
      drawing: dab(
        start,
        ((event.clientX - r.left) / r.width) * side,
        ((event.clientY - r.top) / r.height) * side,
        side,
      ),
      digit: own,
    });
  });
  fig.draw(() => {
    const x = picture();
    const sigma = model.get("sigma");
    const times = model.get("times");
    const shake = model.get("shake") === 1;
    const seen = cleaned(x, net, { sigma, draw: model.get("draw"), times, shake });
    original.paint(x);
    noisy.paint(seen.noisy);
    result.paint(seen.now);
    const name = model.get("digit") === own ? "your drawing" : `a ${names[model.get("digit")]}`;
    const errors = [apart(seen.noisy, x), apart(seen.now, x)].map((v) => kit.number(v, 1));
    before.set(`noisy: squared distance ${errors[0]}`);
    after.set(`cleaned ${times === 1 ? "once" : `${times} times`}: ${errors[1]}`);
    original.describe(`the original, ${name}; draw on it with the pointer`);
    noisy.describe(`${name} with noise ${kit.number(sigma)}; squared distance ${errors[0]}`);
    result.describe(`${name}, cleaned ${times} times; squared distance ${errors[1]}`);
    fig.say(`noisy ${errors[0]}, cleaned ${times} times ${errors[1]}`);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  normals: (seed, n) => Array.from(normals(uniforms(seed), n)),
  cleaned: (x, layers, weights, settings) => {
    const { noisy, now } = cleaned(x, network(layers, Float32Array.from(weights)), settings);
    return { noisy: Array.from(noisy), now: Array.from(now) };
  },
  apart,
};
export default { render };
