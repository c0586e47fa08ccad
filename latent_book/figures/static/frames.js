/* frames.js - pictures that Python drew beforehand, one for each place of the sliders.
   With a kernel the function itself is called (see `Frames` in latent_book.figures.kit): the nearest stored frame shows at
   once, and the exact one replaces it when it arrives. */
/**
 * @typedef {object} Traits of `Frames`
 * @property {{ name: string, values: number[] }[]} axes
 * @property {number[]} at
 * @property {number[]} grid
 * @property {Bytes} light
 * @property {Bytes} dark
 * @property {Bytes[]} exact
 * @param {number[]} values
 * @param {number} value
 */
function nearest(values, value) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (Math.abs(values[i] - value) < Math.abs(values[best] - value)) best = i;
  return best;
}
/**
 * The number of the frame for values `at`: the last axis runs fastest.
 * @param {{ values: number[] }[]} axes
 * @param {number[]} at
 */
function frameNumber(axes, at) {
  return axes.reduce((k, axis, i) => k * axis.values.length + nearest(axis.values, at[i]), 0);
}
/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const axes = model.get("axes");
  const [columns, width, height] = model.get("grid");
  const canvas = kit.el("canvas", { width, height, class: "lb-frame", role: "img", "aria-label": model.get("alt") });
  canvas.style.cssText = "max-width:100%;height:auto;border-radius:4px";
  fig.stage.append(canvas);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser draws on no canvas");
  /** @typedef {ImageBitmap[] | null} Sheets a pair: for a light page and for a dark one */
  let sheets = /** @type {Sheets} */ (null);
  let exact = /** @type {Sheets} */ (null);
  /** @param {Bytes[]} views */
  const decode = (views) =>
    Promise.all(views.map((view) => createImageBitmap(new Blob([view], { type: "image/webp" }))));
  decode([model.get("light"), model.get("dark")])
    .then((pair) => {
      sheets = pair;
      fig.request();
    })
    .catch(fig.fail);
  fig.listen("change:at", () => {
    exact = null;
  });
  fig.listen("change:exact", () =>
    decode(model.get("exact"))
      .then((pair) => {
        exact = pair;
        fig.request();
      })
      .catch(fig.fail),
  );
  axes.forEach((axis, i) => {
    const live = model.get("kernel");
    const stored = axis.values;
    const low = Math.min(...stored);
    const high = Math.max(...stored);
    const step = live ? (high - low) / 200 : stored.length > 1 ? (high - low) / (stored.length - 1) : 1;
    fig.slider({
      key: "at",
      index: i,
      label: axis.name,
      min: low,
      max: high,
      step,
      format: (v) => String(+(live ? v : stored[nearest(stored, v)]).toPrecision(3)),
    });
  });
  fig.draw(() => {
    if (!sheets) return;
    const k = frameNumber(axes, model.get("at"));
    const dark = +kit.dark();
    if (exact) context.drawImage(exact[dark], 0, 0, width, height);
    else
      context.drawImage(
        sheets[dark],
        (k % columns) * width,
        Math.floor(k / columns) * height,
        width,
        height,
        0,
        0,
        width,
        height,
      );
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = { nearest, frameNumber };
export default { render };
