/* scene.js - analysis by hand: choose the causes until your picture is the target. Needs renderer.js before it. */
/**
 * @typedef {object} Traits of `SceneFigure`
 * @property {number[]} z
 * @property {number} shape
 * @property {number[]} target
 * @property {number} target_shape
 * @property {Pair[]} ranges
 * @property {string[]} shapes
 * @property {Pair[][]} sides
 * @property {number[]} lens
 */
const CAUSE = { x: 0, y: 1, size: 2, distance: 3, angle: 4, brightness: 5, light: 6 };
const MATCHED = 0.05; // an error that no eye sees

/**
 * What the picture can tell: the look of a scene, apart from the causes that cancel.
 * @param {number} error
 * @param {number[]} z
 * @param {number[]} target
 */
function verdict(error, z, target) {
  if (error > MATCHED) return `error E = ${kit.number(error, 2)}`;
  if (z.every((v, j) => v === target[j])) return `error E = ${kit.number(error, 2)}: these are its causes`;
  /** @param {number[]} v */
  const ratio = (v) => v[CAUSE.size] / v[CAUSE.distance];
  const twins = Math.abs(z[CAUSE.size] - target[CAUSE.size]) > 0.03 && Math.abs(ratio(z) - ratio(target)) < 0.02;
  return (
    `error E = ${kit.number(error, 2)}: you found it` +
    (twins ? ", though with another size and distance: the picture cannot tell" : "")
  );
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const ranges = model.get("ranges");
  const circular = [CAUSE.angle, CAUSE.light];
  const shapes = model.get("shapes");
  const lens = renderer.lens(model.get("lens"));
  /** @param {"shape" | "target_shape"} key */
  const sidesOf = (key) => model.get("sides")[model.get(key)];
  const row = fig.row(3, 168);
  const pixels = { width: renderer.PIXELS, height: renderer.PIXELS, scale: 6, into: row };
  const target = fig.pixels({ ...pixels, title: "target", label: "the target picture" });
  const yours = fig.pixels({ ...pixels, title: "yours", label: "your picture" });
  const apart = fig.pixels({ ...pixels, title: "target minus yours", label: "the difference" });
  const out = fig.readout("recon");

  fig.wide(out);
  fig.wide(fig.choice({ key: "shape", label: "shape", options: shapes }));
  for (const [name, j] of Object.entries(CAUSE)) {
    const [min, max] = ranges[j];
    const turns = circular.includes(j);
    /** @param {number} v */
    const degrees = (v) => `${kit.number((v * 180) / Math.PI, 0)}°`;
    fig.slider({
      key: "z",
      index: j,
      label: name,
      min,
      max,
      step: turns ? Math.PI / 90 : 0.01,
      ...(turns ? { format: degrees } : {}),
    });
  }

  let speed = new Float64Array(7);
  /** @type {number[]} */
  let stepped = []; // the descent keeps its speed until you move something yourself
  fig.buttons({
    "20 steps downhill"() {
      const scene = { sides: sidesOf("shape"), lens, ranges, circular };
      const x = renderer.draw(model.get("target"), sidesOf("target_shape"), lens);
      let z = [...model.get("z")];
      if (z.some((v, j) => v !== stepped[j])) speed = new Float64Array(7);
      for (let i = 0; i < 20; i++) z = renderer.step(x, z, speed, scene);
      stepped = z;
      fig.set({ z });
    },
    "new target"() {
      const target = ranges.map(([low, high]) => low + (high - low) * Math.random());
      fig.set({ target, target_shape: Math.floor(Math.random() * shapes.length) });
    },
    "show the causes": () => fig.set({ z: [...model.get("target")], shape: model.get("target_shape") }),
  });

  fig.draw(() => {
    const x = renderer.draw(model.get("target"), sidesOf("target_shape"), lens);
    const z = model.get("z");
    const drawn = renderer.draw(z, sidesOf("shape"), lens);
    const error = renderer.energy(x, drawn);
    target.paint(x);
    yours.paint(drawn);
    apart.signed(
      x.map((v, p) => v - drawn[p]),
      1,
    );
    const text = verdict(error, z, model.get("target"));
    out.set(text);
    yours.describe(`your picture, a ${shapes[model.get("shape")]}`);
    apart.describe(`the difference; ${text}`);
    fig.say(text);
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = {
  draw: (z, sides, lens) => Array.from(renderer.draw(z, sides, lens)),
  energy: renderer.energy,
  keepInRange: renderer.keepInRange,
  steps(target, z, scene, n) {
    const speed = new Float64Array(z.length);
    for (let i = 0; i < n; i++) z = renderer.step(target, z, speed, scene);
    return z;
  },
};
export default { render };
