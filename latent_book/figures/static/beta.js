/* beta.js - models trained with different prices for their codes: round trips, samples, and the terms of the bound. */
/**
 * @typedef {object} Traits of `BetaFigure`
 * @property {number[]} betas
 * @property {Bytes} digits
 * @property {Bytes} trips
 * @property {number[][]} terms
 * @property {Bytes} samples
 * @property {number} n
 * @property {number} side
 * @property {number} k
 */
/**
 * Rows of side x side pictures, n of them, side by side with a pixel between: one sheet's greys from 0 to 1.
 * @param {Numbers} bytes
 * @param {number} start
 * @param {number} n
 * @param {number} side
 */
function sheet(bytes, start, n, side) {
  const width = n * (side + 1) - 1;
  const out = new Float64Array(width * side).fill(0.5);
  for (let k = 0; k < n; k++)
    for (let r = 0; r < side; r++)
      for (let c = 0; c < side; c++)
        out[r * width + k * (side + 1) + c] = bytes[start + (k * side + r) * side + c] / 255;
  return out;
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const betas = model.get("betas");
  const n = model.get("n");
  const side = model.get("side");
  const terms = model.get("terms");
  const [digits, trips, samples] = [model.get("digits"), model.get("trips"), model.get("samples")].map(kit.bytes);
  const column = fig.column();
  const size = { width: n * (side + 1) - 1, height: side, scale: 2, into: column };
  const first = fig.pixels({ ...size, title: "digits", label: "ten test digits" });
  const second = fig.pixels({ ...size, title: "round trips", label: "their round trips" });
  const third = fig.pixels({ ...size, title: "samples", label: "ten samples from the prior" });
  const low = Math.min(...terms.flatMap(([a, , c]) => [a, c]));
  const high = Math.max(...terms.map((t) => t[1]));
  const plot = fig.plot({
    width: 300,
    height: 240,
    x: [0, 3],
    y: [Math.floor(1.15 * low), 1.25 * high],
    axes: false,
    label: "reconstruction, price and bound in nats per test image",
  });
  plot.inside.append(
    kit.svg("line", { x1: plot.px(0), x2: plot.px(3), y1: plot.py(0), y2: plot.py(0), stroke: kit.color("ink") }),
  );
  const bars = [
    ["recon", "reconstruction"],
    ["latent", "price"],
    ["elbo", "bound"],
  ].map(([name, words], k) => ({
    bar: plot.bar(name, k + 0.2, k + 0.8, { from: 0 }),
    value: plot.text(name, { anchor: "middle", size: 11 }),
    words,
    k,
  }));
  const labels = bars.map(() => plot.text("ink", { anchor: "middle", size: 11 }));
  const out = fig.readout("ink", column);
  fig.slider({ key: "k", label: "beta", min: 0, max: betas.length - 1, step: 1, format: (k) => String(betas[k]) });

  fig.draw(() => {
    const k = model.get("k");
    const start = k * n * side * side;
    const [reconstruction, price, bound] = terms[k];
    first.paint(sheet(digits, 0, n, side));
    second.paint(sheet(trips, start, n, side));
    third.paint(sheet(samples, start, n, side));
    [reconstruction, -price, bound].forEach((value, i) => {
      bars[i].bar.set(value, 0);
      bars[i].value.set(i + 0.5, value, kit.number(value, 1), 0, 13);
      labels[i].set(i + 0.5, 0, bars[i].words, 0, -5);
    });
    out.set(`beta ${betas[k]}: nats per test image`);
    fig.say(
      `beta ${betas[k]}: reconstruction ${kit.number(reconstruction, 1)}, price ${kit.number(price, 1)}, bound ${kit.number(bound, 1)} nats`,
    );
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = { sheet: (bytes, start, n, side) => Array.from(sheet(bytes, start, n, side)) };
export default { render };
