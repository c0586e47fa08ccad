/* renderer.js - the forward equation of the chapter on vision, as in latent_book.vision: pictures from causes.
   z lists x, y, size, distance, angle, brightness, light. lens = { softness, relief }. sides: [direction, offset] of
   each side of the shape; none for a disc. The equations' labels stand in the Python. */
/** @typedef {{ softness: number, relief: number }} Lens */
/** @typedef {{ sides: Pair[], lens: Lens, ranges: Pair[], circular: number[] }} Scene */
const renderer = (() => {
  const PIXELS = 28;
  /** @param {number} t */
  const inside = (t) => 1 / (1 + Math.exp(-t));

  /**
   * x = f(z): 784 grey values, top row first.
   * @param {number[]} z
   * @param {Pair[]} sides
   * @param {Lens} lens
   */
  function draw(z, sides, { softness, relief }, out = new Float64Array(PIXELS * PIXELS)) {
    const [x, y, size, distance, angle, brightness, light] = z;
    const a = size / distance;
    const h = relief / a;
    const lightX = Math.cos(light);
    const lightY = Math.sin(light);
    const turned = sides.map(([direction, offset]) => [
      Math.cos(direction + angle),
      Math.sin(direction + angle),
      a * offset,
    ]);
    for (let row = 0, p = 0; row < PIXELS; row++) {
      const above = 1 - (2 * row + 1) / PIXELS - y;
      for (let column = 0; column < PIXELS; column++, p++) {
        const right = (2 * column + 1) / PIXELS - 1 - x;
        let covered = turned.length ? 1 : inside((a - Math.sqrt(right * right + above * above + 1e-12)) / softness);
        for (const [cos, sin, offset] of turned) covered *= inside((offset - cos * right - sin * above) / softness);
        const facing =
          (1 + h * (lightX * right + lightY * above)) / Math.sqrt(2 * (1 + h * h * (right * right + above * above)));
        out[p] = brightness * covered * Math.max(0, facing);
      }
    }
    return out;
  }

  /**
   * E(z): half the squared difference of two pictures.
   * @param {Numbers} first
   * @param {Numbers} second
   */
  function energy(first, second) {
    let sum = 0;
    for (let p = 0; p < first.length; p++) sum += (first[p] - second[p]) ** 2;
    return sum / 2;
  }

  /**
   * Back into the ranges [[low, high], ...]; the causes at the places `circular` go round instead.
   * @param {number[]} z
   * @param {Pair[]} ranges
   * @param {number[]} circular
   */
  function keepInRange(z, ranges, circular) {
    return z.map((value, j) => {
      const [low, high] = ranges[j];
      const turn = high - low;
      return circular.includes(j)
        ? value - turn * Math.floor((value - low) / turn)
        : Math.min(high, Math.max(low, value));
    });
  }

  /**
   * One step of descent on z, with slopes from difference quotients; `speed` is changed in place. Returns the new z.
   * @param {Numbers} target
   * @param {number[]} z
   * @param {Float64Array<ArrayBuffer>} speed
   * @param {Scene} scene
   */
  function step(target, z, speed, scene, rate = 1e-3) {
    const { sides, lens, ranges, circular } = scene;
    const trial = new Float64Array(target.length);
    /** @param {number} j @param {number} change */
    const errorAt = (j, change) =>
      energy(
        target,
        draw(
          z.map((v, i) => (i === j ? v + change : v)),
          sides,
          lens,
          trial,
        ),
      );
    for (let j = 0; j < z.length; j++) {
      const slope = (errorAt(j, 1e-5) - errorAt(j, -1e-5)) / 2e-5;
      const reach = circular.includes(j) ? Math.PI : ranges[j][1] - ranges[j][0];
      speed[j] = 0.9 * speed[j] - rate * reach * reach * slope;
    }
    return keepInRange(
      z.map((v, j) => v + speed[j]),
      ranges,
      circular,
    );
  }

  /**
   * The lens as the model holds it.
   * @param {Pair} pair
   */
  const lens = ([softness, relief]) => ({ softness, relief });

  return { PIXELS, lens, draw, energy, keepInRange, step };
})();
