/* jensen.js - points on the curve of the logarithm, weighted: their average lies below the curve. */
/**
 * @typedef {object} Traits of `JensenFigure`
 * @property {number[]} values
 * @property {number[]} weights
 * @property {number[]} range
 */
/**
 * Mean of the values, log of the mean, mean of the logs.
 * @param {number[]} weights
 * @param {number[]} values
 */
function averages(weights, values) {
  const a = kit.shares(weights);
  const mean = values.reduce((sum, b, i) => sum + a[i] * b, 0);
  return {
    mean,
    logOfMean: Math.log(mean),
    meanOfLogs: values.reduce((sum, b, i) => sum + (a[i] ? a[i] * Math.log(b) : 0), 0),
  };
}

/** @param {Shown<Traits>} shown */
function render({ model, el }) {
  const fig = kit.figure(model, el);
  const [low, high] = model.get("range");
  const plot = fig.plot({
    width: 360,
    height: 270,
    x: [0, high],
    y: [-2.2, 2.6],
    xlabel: "b",
    ylabel: "log b",
    label: "the curve of the logarithm with three points on it",
  });
  const hull = kit.svg("path", { fill: kit.color("elbo"), opacity: 0.15 });
  plot.inside.append(hull);
  const curve = plot.line("ink", { thickness: 2 });
  const tangent = plot.line("muted", { dash: "5 4", thickness: 1.5 });
  const gap = plot.line("kl", { thickness: 4 });
  const above = plot.dots("logp", { radius: 5, opacity: 1 });
  const below = plot.dots("elbo", { radius: 5, opacity: 1 });
  const xs = kit.linspace(0.08, high, 160);
  curve.set(xs, xs.map(Math.log));
  const words = ["logp", "elbo", "kl"].map((name) => plot.text(name, { weight: 600, anchor: "end" }));
  model.get("values").forEach((_, i) => {
    /** @param {number} x */
    const move = (x) => {
      const all = [...model.get("values")];
      all[i] = Math.round(100 * kit.clamp(x, low, high)) / 100;
      fig.set({ values: all });
    };
    fig.handle(plot, {
      label: `value b${i + 1}`,
      name: "data",
      surface: false,
      step: 0.2,
      text: ([b]) => `b${i + 1} = ${kit.number(b)}`,
      get: () => {
        const b = model.get("values")[i];
        return [b, Math.log(b)];
      },
      set: (x, y) => {
        const b = model.get("values")[i];
        move(x === b ? Math.exp(y) : x);
      },
    }); // up and down the curve with the arrows, too
  });
  model
    .get("weights")
    .forEach((_, i) =>
      fig.slider({ key: "weights", index: i, label: `weight of b${i + 1}`, min: 0, max: 1, step: 0.01 }),
    );

  fig.draw(() => {
    const values = model.get("values");
    const { mean, logOfMean, meanOfLogs } = averages(model.get("weights"), values);
    hull.setAttribute("d", values.map((b, i) => `${i ? "L" : "M"}${plot.spot(b, Math.log(b))}`).join("") + "Z");
    tangent.set([0, high], [logOfMean - 1, logOfMean + (high - mean) / mean]);
    gap.set([mean, mean], [meanOfLogs, logOfMean]);
    above.set([mean], [logOfMean]);
    below.set([mean], [meanOfLogs]);
    words[0].set(high, -1.15, `log of the mean: ${kit.number(logOfMean, 3)}`, -6);
    words[1].set(high, -1.15, `mean of the logs: ${kit.number(meanOfLogs, 3)}`, -6, 19);
    words[2].set(high, -1.15, `gap: ${kit.number(logOfMean - meanOfLogs, 3)}`, -6, 38);
    fig.say(
      `log of the mean ${kit.number(logOfMean, 3)}, mean of the logs ${kit.number(meanOfLogs, 3)}, gap ${kit.number(logOfMean - meanOfLogs, 3)}`,
    );
  });
  return fig.close;
}
/** @type {Record<string, Act>} */
render.maths = { averages };
export default { render };
