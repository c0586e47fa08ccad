/* kit.js - what every live figure shares.

   A figure's script is this file followed by its own (see `script` in latent_book.figures.kit), so there is nothing to
   import and the same text runs in JupyterLab, on the static site and from file://. A figure's own file defines
   `render` and ends with `export default { render };`. Pure maths that repeats a Python function hangs on
   `render.maths = { name: fn }`, where a test run under node finds it.

   function render({ model, el }) {
     const fig = kit.figure(model, el);
     const plot = fig.plot({ x: [-3, 3], y: [0, 1], xlabel: "z", ylabel: "density", label: "what it shows" });
     const curve = plot.line("latent");
     fig.slider({ key: "sigma", label: "noise sigma", min: 0.1, max: 2, step: 0.01 });
     fig.draw(() => curve.set(xs, ys));       // now, and once after every event that changed the model
     return fig.close;
   }

   Comments say what each function takes, and which traits the figure has (`Traits`): scripts/check_scripts.py has
   TypeScript read them.

   A listener of the figure's own goes through fig.guard, so that its errors bring the poster back, as those of the kit's do.

   Colours are the names of latent_book.plots.PALETTE, seen here as CSS variables: kit.color("kl") = "var(--lb-kl)".
   Values live in the model (synced traits), never in the page: a slider sets the model, the drawing reads it. */

/** @typedef {ArrayLike<number>} Numbers read by their place: an array or a typed one */
/** @typedef {number[]} Pair of numbers: a place (x, y), or a range (low, high) */
/** @typedef {(...values: any[]) => any} Act */
/** @typedef {Record<string, any>} Attributes */
/** @typedef {DataView<ArrayBuffer>} Bytes of an array that Python packed */
/**
 * The part of anywidget's model that a figure uses; each figure's file says which traits it has.
 * @template Traits
 * @typedef {{
 *   get<K extends keyof Traits>(key: K): Traits[K],
 *   set<K extends keyof Traits>(key: K, value: Traits[K]): void,
 *   save_changes(): void,
 *   on(event: string, act: Act): void,
 *   off(event: string, act: Act): void,
 * }} Model
 */
/**
 * What `render` is given.
 * @template Traits
 * @typedef {{ model: Model<Traits & { alt: string, kernel: boolean }>, el: HTMLElement }} Shown
 */
/** @typedef {{ node: Element }} Part of a figure */
/** @typedef {ReturnType<typeof kit.figure>} Figure */
/** @typedef {ReturnType<Figure["plot"]>} Plot */
/** @typedef {ReturnType<Figure["pixels"]>} Pixels */
/**
 * @typedef {object} PixelsOptions
 * @property {number} width
 * @property {number} height
 * @property {string} label what a reader who cannot see it must know
 * @property {number} [scale] CSS pixels for one of its own
 * @property {string} [title] shown above it; else the label
 * @property {Element | null} [into] where to put it, instead of on the stage; null for nowhere
 */
/**
 * @typedef {object} PlotOptions
 * @property {number} [width]
 * @property {number} [height]
 * @property {Pair} x
 * @property {Pair} y
 * @property {string} [xlabel]
 * @property {string} [ylabel]
 * @property {string} label
 * @property {boolean} [equal] one unit of both axes is as long
 * @property {boolean} [axes]
 * @property {boolean} [xticks] false where the places along x have names instead of numbers
 * @property {number} [left]
 * @property {number} [bottom]
 * @property {number} [top]
 * @property {number} [right]
 * @property {Element} [into]
 */
/**
 * @typedef {object} SliderOptions
 * @property {string} key
 * @property {number} [index]
 * @property {string} label
 * @property {number} min
 * @property {number} max
 * @property {number} [step]
 * @property {(value: number) => string} [format]
 * @property {Element} [into]
 */
/** @typedef {{ key: string, index?: number, label: string, options: string[], into?: Element }} ChoiceOptions */
/**
 * @typedef {object} HandleOptions
 * @property {string} label
 * @property {() => Pair} get
 * @property {(x: number, y: number) => void} set
 * @property {string} [name] of its colour
 * @property {number} [step] of the arrow keys
 * @property {number} [radius]
 * @property {boolean} [surface]
 * @property {(at: Pair) => string} [text]
 */
const kit = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  // each figure of a page has a kit of its own, and no two may give the same id
  const page = /** @type {{ latentBookSerial?: number }} */ (globalThis);
  const serial = () => (page.latentBookSerial = (page.latentBookSerial ?? 0) + 1);

  // --- elements ------------------------------------------------------------------------------------------------
  /**
   * Set the attributes of an element; those that are false, null or undefined are left out.
   * @template {Element} E
   * @param {E} node
   * @param {Attributes} attributes
   */
  const put = (node, attributes) => {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === false || value == null) continue;
      node.setAttribute(name, value === true ? "" : value);
    }
    return node;
  };
  /**
   * @template {keyof HTMLElementTagNameMap} T
   * @param {T} tag
   * @param {Attributes} [attributes]
   * @param {(Node | string)[]} children
   */
  const el = (tag, attributes = {}, ...children) => {
    const node = put(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };
  /**
   * @template {keyof SVGElementTagNameMap} T
   * @param {T} tag
   * @param {Attributes} [attributes]
   * @param {(Node | string)[]} children
   */
  const svg = (tag, attributes = {}, ...children) => {
    const node = put(document.createElementNS(SVG, tag), attributes);
    node.append(...children);
    return node;
  };

  // --- numbers -------------------------------------------------------------------------------------------------
  /**
   * Bytes from Python as floats; copied where the buffer is not aligned to four bytes.
   * @param {ArrayBuffer | ArrayBufferView<ArrayBuffer>} view
   */
  const floats = (view) => {
    const { buffer, byteOffset: offset, byteLength: length } = bytes(view);
    return offset % 4
      ? new Float32Array(buffer.slice(offset, offset + length))
      : new Float32Array(buffer, offset, length / 4);
  };
  /** @param {ArrayBuffer | ArrayBufferView<ArrayBuffer>} view */
  const bytes = (view) =>
    view instanceof ArrayBuffer || !("buffer" in view)
      ? new Uint8Array(view)
      : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  /**
   * `count` greys from 0 to 1 out of bytes.
   * @param {Numbers} values
   * @param {number} start
   * @param {number} count
   */
  const greys = (values, start, count) => Float64Array.from({ length: count }, (_, d) => values[start + d] / 255);
  /**
   * @param {number} value
   * @param {number} low
   * @param {number} high
   */
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  /**
   * A short, fixed-width number: a true minus sign, no "-0.00".
   * @param {number} value
   */
  const number = (value, digits = 2) => {
    const text = Math.abs(value) < 0.5 * 10 ** -digits ? (0).toFixed(digits) : value.toFixed(digits);
    return text.replace("-", "\u2212");
  };
  /**
   * @param {number} low
   * @param {number} high
   * @param {number} n
   */
  const linspace = (low, high, n) => Float64Array.from({ length: n }, (_, i) => low + ((high - low) * i) / (n - 1));
  /**
   * Round ticks inside [low, high], about `count` of them.
   * @param {Pair} range
   */
  const ticks = ([low, high], count = 4) => {
    const raw = (high - low) / count;
    const base = 10 ** Math.floor(Math.log10(raw));
    const step = base * ([1, 2, 5].find((m) => m * base >= raw * 0.999) ?? 10);
    const out = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++)
      out.push(+(i * step).toPrecision(12));
    return out;
  };
  /**
   * log(exp(v0) + exp(v1) + ...), whatever their size.
   * @param {Numbers} values
   */
  const logSumExp = (values) => {
    let top = -Infinity;
    let sum = 0;
    for (let i = 0; i < values.length; i++) if (values[i] > top) top = values[i];
    for (let i = 0; i < values.length; i++) sum += Math.exp(values[i] - top);
    return top + Math.log(sum);
  };
  /**
   * Weights as probabilities; where all are zero, equal ones.
   * @param {number[]} weights
   */
  const shares = (weights) => {
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((w) => (sum > 0 ? w / sum : 1 / weights.length));
  };
  /**
   * Random numbers in [0, 1) that follow from a seed (mulberry32, by Tommy Ettinger), bit by bit those of
   * `mulberry_normals` in latent_book.figures.denoising.
   * @param {number} seed
   */
  const chance = (seed) => {
    let s = seed | 0;
    return () => {
      s = (s + 0x6d2b79f5) | 0;
      let t = Math.imul(s ^ (s >>> 15), 1 | s);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  };
  /**
   * Every x (k = 0) or every y (k = 1) of points x0, y0, x1, y1, ...
   * @param {Numbers} points
   * @param {0 | 1} k
   */
  const axis = (points, k) => Array.from({ length: points.length / 2 }, (_, i) => points[2 * i + k]);
  /**
   * The xs and the ys of an ellipse: centre + u cos t + v sin t, once round.
   * @param {Pair} centre
   * @param {Pair} u
   * @param {Pair} v
   */
  const ring = (centre, u, v) => {
    const turn = Array.from(linspace(0, 2 * Math.PI, 61));
    return [0, 1].map((i) => turn.map((t) => centre[i] + u[i] * Math.cos(t) + v[i] * Math.sin(t)));
  };

  /**
   * Several values of a model by their names.
   * @template T
   * @template {keyof T} K
   * @param {Model<T>} model
   * @param {K[]} keys
   */
  const pick = (model, ...keys) => /** @type {Pick<T, K>} */ (Object.fromEntries(keys.map((k) => [k, model.get(k)])));

  // --- colours -------------------------------------------------------------------------------------------------
  /** @param {string} name */
  const color = (name) => `var(--lb-${name})`;
  /**
   * The colour as [r, g, b] on the page as it is now (for canvases, which know no CSS variables).
   * @param {string} name
   * @param {Element} node
   */
  const rgb = (name, node = document.body) => {
    const seen = node.isConnected ? node : document.body; // a first drawing happens before the page has it
    const hex = getComputedStyle(seen).getPropertyValue(`--lb-${name}`).trim() || "#777777";
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  };

  /** What says that the page is dark, in each host of a figure: DARK in latent_book.plots. */
  const DARK =
    'html[data-theme="dark"], body[data-jp-theme-light="false"], html[theme="dark"], body.vscode-dark, ' +
    "body.vscode-high-contrast:not(.vscode-high-contrast-light), body.dark";
  const hosts = () => [document.documentElement, document.body];
  /** Is the page dark just now? */
  const dark = () => hosts().some((node) => node.matches(DARK));

  // --- pictures ------------------------------------------------------------------------------------------------
  /**
   * A canvas of width x height pixels, shown `scale` times as large. paint: greys; heat: one colour on the page.
   * @param {PixelsOptions} options
   */
  function pixels({ width, height, label, scale = 6 }) {
    const canvas = el("canvas", { width, height, class: "lb-pixels", role: "img", "aria-label": label });
    canvas.style.width = `${width * scale}px`;
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser draws on no canvas");
    const image = context.createImageData(width, height);
    const out = image.data;
    return {
      canvas,
      width,
      height,
      /** @param {string} text */
      describe: (text) => canvas.setAttribute("aria-label", text),
      /**
       * values: width*height numbers, row by row; `low` is black and `high` white.
       * @param {Numbers} values
       */
      paint(values, low = 0, high = 1) {
        const gain = 255 / (high - low);
        for (let i = 0, j = 0; i < width * height; i++, j += 4) {
          out[j] = out[j + 1] = out[j + 2] = (values[i] - low) * gain;
          out[j + 3] = 255;
        }
        context.putImageData(image, 0, 0);
      },
      /**
       * values in [0, 1] as the opacity of a palette colour.
       * @param {Numbers} values
       * @param {string} name
       */
      heat(values, name) {
        const [r, g, b] = rgb(name, canvas);
        for (let i = 0, j = 0; i < width * height; i++, j += 4) {
          out[j] = r;
          out[j + 1] = g;
          out[j + 2] = b;
          out[j + 3] = 255 * values[i];
        }
        context.putImageData(image, 0, 0);
      },
      /**
       * signed values: `negative` colour below zero, `positive` above, opacity |value| / range.
       * @param {Numbers} values
       * @param {number} range
       */
      signed(values, range, negative = "recon", positive = "data") {
        const low = rgb(negative, canvas);
        const high = rgb(positive, canvas);
        for (let i = 0, j = 0; i < width * height; i++, j += 4) {
          const c = values[i] < 0 ? low : high;
          out[j] = c[0];
          out[j + 1] = c[1];
          out[j + 2] = c[2];
          out[j + 3] = 255 * Math.min(1, Math.abs(values[i]) / range);
        }
        context.putImageData(image, 0, 0);
      },
    };
  }

  /**
   * Axes in SVG. Keep width near 320: then the words keep their size on a phone. x and y are [low, high].
   * @param {PlotOptions} options
   */
  function plot({
    width = 320,
    height = 220,
    x,
    y,
    xlabel = "",
    ylabel = "",
    label,
    equal = false,
    axes = true,
    xticks = true,
    left = axes ? 46 : 6,
    bottom = axes ? 36 : 6,
    top = 8,
    right = 10,
  }) {
    const box = { left, top, width: width - left - right, height: height - top - bottom };
    if (equal) box.width = box.height = Math.min(box.width, box.height);
    const total = [box.left + box.width + right, box.top + box.height + bottom];
    const node = svg("svg", {
      viewBox: `0 0 ${total[0]} ${total[1]}`,
      class: "lb-plot",
      role: "group",
      "aria-label": label,
    });
    node.style.maxWidth = `${1.35 * total[0]}px`;
    /** @param {number} v */
    const px = (v) => box.left + ((v - x[0]) / (x[1] - x[0])) * box.width;
    /** @param {number} v */
    const py = (v) => box.top + box.height - ((v - y[0]) / (y[1] - y[0])) * box.height;
    /** @param {number} v @param {number} w */
    const spot = (v, w) => `${px(v).toFixed(1)} ${py(w).toFixed(1)}`;
    const clipId = `lb-clip-${serial()}`;
    node.append(
      svg(
        "clipPath",
        { id: clipId },
        svg("rect", { x: box.left, y: box.top - 1, width: box.width + 1, height: box.height + 2 }),
      ),
    );
    if (axes) {
      const frame = svg("g", { class: "lb-axes", "aria-hidden": "true" });
      for (const t of xticks ? ticks(x) : [])
        frame.append(
          svg(
            "text",
            { x: px(t), y: box.top + box.height + 14, "text-anchor": "middle" },
            String(t).replace("-", "\u2212"),
          ),
        );
      for (const t of ticks(y))
        frame.append(
          svg("text", { x: box.left - 6, y: py(t) + 4, "text-anchor": "end" }, String(t).replace("-", "\u2212")),
          svg("line", { x1: box.left, x2: box.left + box.width, y1: py(t), y2: py(t) }),
        );
      frame.append(
        svg("path", { d: `M${box.left} ${box.top}V${box.top + box.height}H${box.left + box.width}` }),
        svg(
          "text",
          { x: box.left + box.width / 2, y: total[1] - 6, "text-anchor": "middle", class: "lb-label" },
          xlabel,
        ),
        svg(
          "text",
          {
            transform: `translate(11 ${box.top + box.height / 2}) rotate(-90)`,
            "text-anchor": "middle",
            class: "lb-label",
          },
          ylabel,
        ),
      );
      node.append(frame);
    }
    const inside = svg("g", { "clip-path": `url(#${clipId})` });
    const above = svg("g");
    node.append(inside, above);
    /**
     * @template {SVGElement} S
     * @param {S} shape
     */
    const add = (shape, where = inside) => (where.append(shape), shape);
    return {
      svg: node,
      box,
      x,
      y,
      px,
      py,
      inside,
      above,
      /** A place on the axes as part of an SVG path. */
      spot,
      /**
       * Page coordinates of a pointer event as values on the axes.
       * @param {MouseEvent} event
       */
      at(event) {
        const r = node.getBoundingClientRect();
        const s = total[0] / r.width;
        const vx = (event.clientX - r.left) * s;
        const vy = (event.clientY - r.top) * s;
        return [
          x[0] + ((vx - box.left) / box.width) * (x[1] - x[0]),
          y[0] + ((box.top + box.height - vy) / box.height) * (y[1] - y[0]),
        ];
      },
      /**
       * A curve: .set(xs, ys). dash: an SVG dash pattern; area: fill down to that value.
       * @param {string} name
       * @param {{ dash?: string | null, thickness?: number, area?: number | null, opacity?: number }} [options]
       */
      line(name, { dash = null, thickness = 2, area = null, opacity = 1 } = {}) {
        const path = add(
          svg("path", {
            fill: area === null ? "none" : color(name),
            stroke: area === null ? color(name) : "none",
            opacity,
            "stroke-width": thickness,
            "stroke-dasharray": dash,
            "stroke-linejoin": "round",
          }),
        );
        return {
          node: path,
          /** @param {Numbers} xs @param {Numbers} ys */
          set(xs, ys) {
            let d = "";
            for (let i = 0; i < xs.length; i++) d += `${i ? "L" : "M"}${spot(xs[i], ys[i])}`;
            if (area !== null) d += `L${spot(xs[xs.length - 1], area)}L${spot(xs[0], area)}Z`;
            path.setAttribute("d", d);
          },
        };
      },
      /**
       * Many small dots as one path: .set(xs, ys).
       * @param {string} name
       */
      dots(name, { radius = 2, opacity = 0.7 } = {}) {
        const path = add(
          svg("path", {
            stroke: color(name),
            "stroke-width": 2 * radius,
            "stroke-linecap": "round",
            fill: "none",
            opacity,
          }),
        );
        return {
          node: path,
          /** @param {Numbers} xs @param {Numbers} ys */
          set(xs, ys) {
            let d = "";
            for (let i = 0; i < xs.length; i++) d += `M${spot(xs[i], ys[i])}h0`;
            path.setAttribute("d", d);
          },
        };
      },
      /**
       * An upright bar from the bottom of the axes: .set(value).
       * @param {string} name
       * @param {number} low
       * @param {number} high
       */
      bar(name, low, high, { from = y[0], opacity = 1 } = {}) {
        const rect = add(
          svg("rect", { fill: color(name), opacity, x: px(low), width: Math.max(0.5, px(high) - px(low)) }),
        );
        return {
          node: rect,
          /** @param {number} value */
          set(value, base = from) {
            const a = py(Math.max(value, base));
            const b = py(Math.min(value, base));
            put(rect, { y: a, height: Math.max(0, b - a) });
          },
        };
      },
      /**
       * Words at a place: .set(x, y, words).
       * @param {string} name
       * @param {{ anchor?: string, size?: number, weight?: number | null }} [options]
       */
      text(name, { anchor = "start", size = 12, weight = null } = {}) {
        const t = add(
          svg("text", {
            fill: color(name),
            "text-anchor": anchor,
            "font-size": size,
            "font-weight": weight,
            class: "lb-note",
          }),
          above,
        );
        return {
          node: t,
          /** @param {number} vx @param {number} vy @param {string} words */
          set(vx, vy, words, dx = 0, dy = 0) {
            put(t, { x: px(vx) + dx, y: py(vy) + dy });
            t.textContent = words;
          },
        };
      },
      /**
       * A canvas (from fig.pixels) laid behind the curves, stretched over the axes.
       * @template {{ canvas: HTMLCanvasElement }} P
       * @param {P} picture
       */
      backdrop(picture) {
        const holder = svg("foreignObject", { x: box.left, y: box.top, width: box.width, height: box.height });
        picture.canvas.style.cssText = "width:100%;height:100%;display:block;border:0";
        holder.append(picture.canvas);
        node.insertBefore(holder, node.firstChild);
        return picture;
      },
    };
  }

  /** @typedef {ReturnType<typeof plot>} Axes */

  // --- the figure ----------------------------------------------------------------------------------------------
  /**
   * @param {Model<any>} model
   * @param {HTMLElement} host
   */
  function figure(model, host) {
    // A key that is pressed in a figure is the figure's. JupyterLab, which listens first, looks for the attribute: it would
    // go to another cell, or cut this one.
    const alone = { "data-lm-suppress-shortcuts": "true" };
    const name = model.get("alt") || "live figure";
    const root = el("div", { class: "lb-figure", role: "group", "aria-label": name, ...alone });
    for (const key of ["keydown", "keypress", "keyup"]) root.addEventListener(key, (event) => event.stopPropagation());
    const stage = el("div", { class: "lb-stage" });
    const panel = el("div", { class: "lb-panel" });
    const spoken = el("div", { class: "lb-spoken", "aria-live": "polite" });
    root.append(stage, panel, spoken);
    host.append(root);
    /** @type {(() => void)[]} */
    const drawings = [];
    /** @type {[string, Act][]} */
    const listeners = [];
    let pending = false;
    let closed = false;
    let voice = 0;

    /**
     * What goes wrong later than the first drawing: the page is told, and shows its still picture again. Where it has
     * none (in JupyterLab) the figure stays, and the error goes its usual way.
     * @param {unknown} error
     */
    const fail = (error) => {
      if (closed) return;
      if (root.dispatchEvent(new CustomEvent("lb-failed", { bubbles: true, cancelable: true, detail: error })))
        throw error;
      close();
    };
    /**
     * @template {any[]} V
     * @param {(...values: V) => void} act
     * @returns {(...values: V) => void}
     */
    const guard =
      (act) =>
      (...values) => {
        try {
          return act(...values);
        } catch (error) {
          fail(error);
        }
      };
    const close = () => {
      closed = true;
      clearTimeout(voice);
      theme.disconnect();
      for (const [event, handler] of listeners) model.off(event, handler);
      root.remove();
    };

    const redraw = () => {
      pending = false;
      if (closed) return;
      const start = performance.now();
      for (const drawing of drawings) drawing();
      root.dataset.ms = (performance.now() - start).toFixed(3);
      root.dataset.draws = String(+(root.dataset.draws ?? 0) + 1);
    };
    /** Once per event however many values it changed, and still before the next frame. */
    const request = () => {
      if (!pending) {
        pending = true;
        queueMicrotask(guard(redraw));
      }
    };
    /** @param {string} event @param {Act} handler */
    const listen = (event, handler) => {
      const guarded = guard(handler);
      model.on(event, guarded);
      listeners.push([event, guarded]);
    };
    listen("change", request);
    const look = () => {
      if (root.classList.contains("lb-dark") === dark()) return;
      root.classList.toggle("lb-dark");
      request();
    };
    root.classList.toggle("lb-dark", dark());
    const theme = new MutationObserver(guard(look));
    for (const node of hosts())
      theme.observe(node, {
        attributes: true,
        attributeFilter: ["class", "theme", "data-theme", "data-jp-theme-light"],
      });

    /** @param {string} key @param {number} [index] */
    const read = (key, index) => (index === undefined ? model.get(key) : model.get(key)[index]);
    /** @param {string} key @param {number | undefined} index @param {any} value */
    const write = (key, index, value) => {
      if (index !== undefined) {
        const list = [...model.get(key)];
        list[index] = value;
        value = list;
      }
      model.set(key, value);
      model.save_changes();
    };

    const fig = {
      root,
      stage,
      panel,
      model,
      read,
      write,
      listen,
      request,
      guard,
      fail,
      close,
      /** @param {Record<string, any>} values */
      set(values) {
        for (const [key, value] of Object.entries(values)) model.set(key, value);
        model.save_changes();
      },
      /**
       * Draw now and after each change.
       * @param {() => void} drawing
       */
      draw(drawing) {
        drawings.push(drawing);
        redraw();
      },
      /**
       * Tell those who listen instead of look, once the hand has come to rest.
       * @param {string} text
       */
      say(text) {
        clearTimeout(voice);
        voice = setTimeout(() => {
          spoken.textContent = text;
        }, 600);
      },
      /** @param {PlotOptions} options */
      plot(options) {
        const p = plot(options);
        (options.into ?? stage).append(p.svg);
        return p;
      },
      /**
       * A picture with its name above it.
       * @param {PixelsOptions} options
       */
      pixels(options) {
        const p = pixels(options);
        if (options.into !== null)
          (options.into ?? stage).append(
            el("figure", { class: "lb-picture" }, el("figcaption", {}, options.title ?? options.label), p.canvas),
          );
        return p;
      },
      /**
       * A column within the stage, for a picture with things beneath it.
       * @param {Element[]} children
       */
      column(...children) {
        const c = el("div", { class: "lb-column" }, ...children);
        stage.append(c);
        return c;
      },
      /**
       * A row across the stage for so many pictures, each at most `most` CSS pixels wide.
       * @param {number} columns
       * @param {number} most
       */
      row(columns, most) {
        const style = `grid-template-columns: repeat(${columns}, minmax(0, ${most}px))`;
        const r = el("div", { class: "lb-row", style });
        stage.append(r);
        return r;
      },
      /**
       * A part of the panel that takes its whole width.
       * @template {Part | Element} P
       * @param {P} part
       */
      wide(part) {
        const node = part instanceof Element ? part : part.node;
        node.classList.add("lb-wide");
        return part;
      },
      /**
       * A line of text that the drawing sets: .set("error 3.1").
       * @param {Element} into
       */
      readout(name = "ink", into = panel) {
        const p = el("p", { class: "lb-readout" });
        p.style.color = color(name);
        into.append(p);
        return {
          node: p,
          /** @param {string} t */
          set: (t) => {
            p.textContent = t;
          },
        };
      },
      /**
       * A labelled slider on model[key], or on model[key][index].
       * @param {SliderOptions} options
       */
      slider({
        key,
        index,
        label,
        min,
        max,
        step = 0.01,
        format = (v) => number(v, step >= 1 ? 0 : step >= 0.1 ? 1 : 2),
        into = panel,
      }) {
        const id = `lb-${serial()}`;
        const input = el("input", { type: "range", id, min, max, step });
        const value = el("span", { class: "lb-value", "aria-hidden": "true" });
        const show = () => {
          const v = read(key, index);
          input.value = String(v);
          value.textContent = format(v);
          input.setAttribute("aria-valuetext", `${label} ${format(v)}`);
        };
        input.addEventListener(
          "input",
          guard(() => write(key, index, +input.value)),
        );
        listen(`change:${key}`, show);
        show();
        into.append(el("div", { class: "lb-control" }, el("label", { for: id }, label), input, value));
        return input;
      },
      /**
       * A row of radio buttons; the model holds the number of the chosen one.
       * @param {ChoiceOptions} options
       */
      choice({ key, index, label, options, into = panel }) {
        const group = el("fieldset", { class: "lb-choice" }, el("legend", {}, label));
        const name = `lb-${serial()}`;
        const inputs = options.map((text, i) => {
          const input = el("input", { type: "radio", name, id: `${name}-${i}` });
          input.addEventListener(
            "change",
            guard(() => write(key, index, i)),
          );
          group.append(el("label", { for: `${name}-${i}` }, input, text));
          return input;
        });
        const show = () =>
          inputs.forEach((input, i) => {
            input.checked = read(key, index) === i;
          });
        listen(`change:${key}`, show);
        show();
        into.append(group);
        return group;
      },
      /** @param {{ label: string, act: () => void, into?: Element }} options */
      button({ label, act, into = panel }) {
        const b = el("button", { type: "button", class: "lb-button" }, label);
        b.addEventListener("click", guard(act));
        into.append(b);
        return b;
      },
      /**
       * A row of buttons by what they say: .buttons({ "new start": act }).
       * @param {Record<string, () => void>} acts
       * @returns {HTMLElement}
       */
      buttons(acts) {
        const row = el("div", { class: "lb-buttons" });
        panel.append(fig.wide(row));
        for (const [label, act] of Object.entries(acts)) fig.button({ label, act, into: row });
        return row;
      },
      /**
       * Follow a pointer that is pressed on an element: `start` where it is pressed, `move` wherever it goes until it
       * is lifted.
       * @param {SVGElement | HTMLElement} node
       * @param {(event: PointerEvent) => void} move
       * @returns {void}
       */
      drag(node, move, start = move) {
        node.style.touchAction = "none";
        node.classList.add("lb-drag");
        /** @param {Event} event */
        const follow = (event) => guard(move)(/** @type {PointerEvent} */ (event));
        const press = guard((/** @type {PointerEvent} */ event) => {
          if (event.button) return;
          event.preventDefault();
          node.setPointerCapture(event.pointerId);
          start(event);
          const done = () => {
            node.removeEventListener("pointermove", follow);
            for (const end of ["pointerup", "pointercancel"]) node.removeEventListener(end, done);
          };
          node.addEventListener("pointermove", follow);
          for (const end of ["pointerup", "pointercancel"]) node.addEventListener(end, done);
        });
        node.addEventListener("pointerdown", (event) => press(/** @type {PointerEvent} */ (event)));
      },
      /**
       * A point to drag in a plot, by mouse, finger or arrow keys. get() -> [x, y]; set(x, y) writes the model;
       * a press anywhere in the axes brings the point there (surface: false turns that off).
       * @param {Axes} target
       * @param {HandleOptions} options
       * @returns {SVGCircleElement}
       */
      handle(
        target,
        {
          label,
          get,
          set,
          name = "latent",
          step,
          radius = 8,
          surface = true,
          text = ([a, b]) => `${number(a)}, ${number(b)}`,
        },
      ) {
        const dx = step ?? (target.x[1] - target.x[0]) / 50;
        const dy = step ?? (target.y[1] - target.y[0]) / 50;
        const dot = svg("circle", {
          r: radius,
          fill: color(name),
          class: "lb-handle",
          tabindex: 0,
          role: "slider",
          "aria-label": label,
          "aria-valuemin": target.x[0],
          "aria-valuemax": target.x[1],
        });
        target.above.append(dot);
        const [[x0, x1], [y0, y1]] = [target.x, target.y];
        /** @param {number} a @param {number} b */
        const place = (a, b) => set(clamp(a, x0, x1), clamp(b, y0, y1));
        const show = () => {
          const at = get();
          put(dot, { cx: target.px(at[0]), cy: target.py(at[1]), "aria-valuenow": at[0], "aria-valuetext": text(at) });
        };
        /** @type {Record<string, Pair>} */
        const keys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
        dot.addEventListener(
          "keydown",
          guard((/** @type {KeyboardEvent} */ event) => {
            const move = keys[event.key];
            if (!move) return;
            event.preventDefault();
            const [a, b] = get();
            const far = event.shiftKey ? 5 : 1;
            place(a + far * dx * move[0], b + far * dy * move[1]);
          }),
        );
        /** @param {PointerEvent} event */
        const follow = (event) => {
          const [a, b] = target.at(event);
          place(a, b);
        };
        fig.drag(surface ? target.svg : dot, follow, (event) => {
          dot.focus({ preventScroll: true });
          follow(event);
        });
        drawings.push(show);
        show();
        return dot;
      },
    };
    return fig;
  }

  return {
    el,
    svg,
    put,
    floats,
    bytes,
    greys,
    clamp,
    number,
    linspace,
    ticks,
    logSumExp,
    shares,
    chance,
    axis,
    ring,
    pick,
    color,
    rgb,
    dark,
    figure,
  };
})();
