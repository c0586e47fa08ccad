/* duel.js - a game of generator and discriminator, round by round: what one makes, and what the other thinks of each place. Needs network.js. */
/**
 * @typedef {object} Traits of `DuelFigure`
 * @property {number} game
 * @property {number[]} steps
 * @property {Bytes} data
 * @property {Pair[]} centres
 * @property {Bytes} z
 * @property {Layer[]} layers_g
 * @property {Layer[]} layers_d
 * @property {Bytes} weights
 * @property {number} radius
 * @property {number} reach
 * @property {string[]} names
 * @property {number} k
 */
const CELLS = 32; // places along each side at which the discriminator is asked
const duel = (() => {
  /**
   * How many numbers a chain of layers has.
   * @param {Layer[]} layers
   */
  const size = (layers) => layers.reduce((n, { inputs, outputs }) => n + (inputs + 1) * outputs, 0);
  /**
   * Generator and discriminator at a snapshot; each snapshot ships the one and then the other.
   * @param {Layer[]} layersG
   * @param {Layer[]} layersD
   * @param {Float32Array} weights
   * @param {number} snapshot
   */
  function players(layersG, layersD, weights, snapshot) {
    const g = size(layersG);
    const both = g + size(layersD);
    const from = snapshot * both;
    return {
      make: network(layersG, weights.subarray(from, from + g)),
      judge: network(layersD, weights.subarray(from + g, from + both)),
    };
  }
  /**
   * The generated points x0, y0, x1, y1, ... of the causes, in the same form.
   * @param {Network} make
   * @param {Numbers} z
   */
  function points(make, z) {
    const out = new Float64Array(z.length);
    for (let i = 0; i < z.length; i += 2) out.set(make([z[i], z[i + 1]]), i);
    return out;
  }
  /**
   * The probability of "real" at the middle of each cell, the top row first.
   * @param {Network} judge
   * @param {number} reach
   * @param {number} n
   */
  function landscape(judge, reach, n) {
    const out = new Float64Array(n * n);
    /** @param {number} i */
    const at = (i) => reach * ((2 * i + 1) / n - 1);
    for (let row = 0; row < n; row++)
      for (let column = 0; column < n; column++)
        out[row * n + column] = 1 / (1 + Math.exp(-judge([at(column), -at(row)])[0]));
    return out;
  }
  /**
   * In how many heaps there is a point, closer than `radius` to its centre.
   * @param {Numbers} x
   * @param {Numbers} centres
   * @param {number} radius
   */
  function modes(x, centres, radius) {
    let found = 0;
    for (let k = 0; k < centres.length; k += 2) {
      let hit = false;
      for (let i = 0; i < x.length && !hit; i += 2)
        hit = Math.hypot(x[i] - centres[k], x[i + 1] - centres[k + 1]) < radius;
      if (hit) found++;
    }
    return found;
  }
  return { players, points, landscape, modes };
})();

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const weights = kit.floats(model.get("weights"));
  const z = kit.floats(model.get("z"));
  const data = kit.floats(model.get("data"));
  const steps = model.get("steps");
  const reach = model.get("reach");
  const centres = model.get("centres").flat();
  const names = model.get("names");
  const plot = fig.plot({
    width: 380,
    height: 350,
    x: [-reach, reach],
    y: [-reach, reach],
    equal: true,
    label: "real points, generated points, and the discriminator's opinion of each place",
  });
  const shade = plot.backdrop(
    fig.pixels({ width: CELLS, height: CELLS, label: "the discriminator's opinion", into: null }),
  );
  const real = plot.dots("data", { radius: 2, opacity: 0.9 });
  const made = plot.dots("recon", { radius: 2, opacity: 0.9 });
  real.set(kit.axis(data, 0), kit.axis(data, 1));
  const column = fig.column();
  const round = fig.readout("ink", column);
  const blue = fig.readout("data", column);
  const orange = fig.readout("recon", column);
  const count = fig.readout("ink", column);
  blue.set("blue: real; shaded blue: taken for real");
  orange.set("orange: generated; shaded orange: taken for generated");
  fig.choice({ key: "game", label: "the game", options: names });
  fig.slider({ key: "k", label: "round", min: 0, max: steps.length - 1, step: 1, format: (k) => String(steps[k]) });

  fig.draw(() => {
    const game = model.get("game");
    const k = model.get("k");
    const { make, judge } = duel.players(
      model.get("layers_g"),
      model.get("layers_d"),
      weights,
      game * steps.length + k,
    );
    const x = duel.points(make, z);
    const found = duel.modes(x, centres, model.get("radius"));
    made.set(kit.axis(x, 0), kit.axis(x, 1));
    shade.signed(
      duel.landscape(judge, reach, CELLS).map((p) => p - 0.5),
      0.4,
    );
    round.set(`round ${steps[k]}`);
    count.set(`points in ${found} of ${centres.length / 2} heaps`);
    fig.say(`${names[game]}, round ${steps[k]}: generated points in ${found} of ${centres.length / 2} heaps`);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  state: (layersG, layersD, weights, snapshot, z, reach, n, centres, radius) => {
    const { make, judge } = duel.players(layersG, layersD, Float32Array.from(weights), snapshot);
    const x = duel.points(make, z);
    return [Array.from(x), Array.from(duel.landscape(judge, reach, n)), duel.modes(x, centres, radius)];
  },
};
export default { render };
