/* generate.js - a generator under sliders: a walk from draw to draw, and two directions off the path. Needs network.js. */
/**
 * @typedef {object} Traits of `GenerateFigure`
 * @property {Bytes} directions
 * @property {Bytes} stations
 * @property {Layer[]} layers
 * @property {Bytes} weights
 * @property {number} t
 * @property {number[]} off
 * @property {number} walk
 */
/**
 * The causes at `t`: on the great circle from station floor(t) to the next, then off the path along two directions.
 * @param {number} t
 * @param {number[][]} stations
 * @param {number[][]} directions
 * @param {Pair} off
 */
function causes(t, stations, directions, off) {
  const n = stations.length;
  const k = Math.min(Math.floor(t), n - 2);
  const share = t - k;
  const a = stations[k];
  const b = stations[k + 1];
  /** @param {number[]} p @param {number[]} q */
  const dot = (p, q) => p.reduce((sum, v, i) => sum + v * q[i], 0);
  const angle = Math.acos(kit.clamp(dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)), -1, 1));
  const one = Math.sin((1 - share) * angle) / Math.sin(angle);
  const two = Math.sin(share * angle) / Math.sin(angle);
  return a.map((v, i) => one * v + two * b[i] + off[0] * directions[0][i] + off[1] * directions[1][i]);
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const layers = model.get("layers");
  const make = network(layers, kit.floats(model.get("weights")));
  const L = layers[0].inputs;
  const side = Math.round(Math.sqrt(layers[layers.length - 1].outputs));
  /** @param {Float32Array} values */
  const rows = (values) =>
    Array.from({ length: values.length / L }, (_, i) => Array.from(values.subarray(i * L, (i + 1) * L)));
  const all = rows(kit.floats(model.get("stations")));
  const directions = rows(kit.floats(model.get("directions")));
  const length = 5;
  const walks = Math.floor(all.length / length);
  const walk = () => all.slice(model.get("walk") * length, (model.get("walk") + 1) * length);
  const picture = fig.pixels({
    width: side,
    height: side,
    scale: 14,
    title: "generated",
    label: "the generated image",
  });
  const column = fig.column();
  const out = fig.readout("latent", column);
  /** @param {number} t */
  const where = (t) =>
    Number.isInteger(t) ? `draw ${t + 1}` : `between draws ${Math.floor(t) + 1} and ${Math.floor(t) + 2}`;
  fig.slider({ key: "t", label: "walk", min: 0, max: length - 1, step: 0.05, format: (t) => kit.number(t + 1) });
  fig.slider({ key: "off", index: 0, label: "first direction", min: -3, max: 3, step: 0.1 });
  fig.slider({ key: "off", index: 1, label: "second direction", min: -3, max: 3, step: 0.1 });
  fig.button({ label: "five other draws", act: () => fig.set({ walk: (model.get("walk") + 1) % walks }) });

  fig.draw(() => {
    const t = model.get("t");
    const z = causes(t, walk(), directions, model.get("off"));
    picture.paint(make(z));
    out.set(`${where(t)}, length of z: ${kit.number(Math.hypot(...z), 1)}`);
    picture.describe(`the generated image, ${where(t)}`);
    fig.say(where(t));
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = { causes, make: (layers, weights, z) => Array.from(network(layers, Float32Array.from(weights))(z)) };
export default { render };
