/* network.js - a chain of linear layers and activations, as `pack_network` of latent_book.figures.kit ships it. */
/** @typedef {{ inputs: number, outputs: number, activation: string }} Layer */
/** @typedef {(x: Numbers) => Float64Array<ArrayBuffer>} Network */
/** @type {Record<string, (v: number) => number>} */
const ACTIVATIONS = {
  identity: (v) => v,
  relu: (v) => (v > 0 ? v : 0),
  sigmoid: (v) => 1 / (1 + Math.exp(-v)),
  tanh: Math.tanh,
  softplus: (v) => (v > 20 ? v : Math.log1p(Math.exp(v))),
};
/**
 * The function that the layers compute; `weights` holds each layer's rows, one after the other, and then its offsets.
 * @param {Layer[]} layers
 * @param {Float32Array} weights
 */
function network(layers, weights) {
  let start = 0;
  const parts = layers.map(({ inputs, outputs, activation }) => {
    const W = weights.subarray(start, (start += inputs * outputs));
    const b = weights.subarray(start, (start += outputs));
    return { inputs, outputs, W, b, act: ACTIVATIONS[activation] };
  });
  return (/** @type {Numbers} */ x) => {
    let z = new Float64Array(0);
    for (const { inputs, outputs, W, b, act } of parts) {
      const y = new Float64Array(outputs);
      for (let o = 0, w = 0; o < outputs; o++) {
        let sum = b[o];
        for (let i = 0; i < inputs; i++, w++) sum += W[w] * x[i];
        y[o] = act(sum);
      }
      x = z = y;
    }
    return z;
  };
}
