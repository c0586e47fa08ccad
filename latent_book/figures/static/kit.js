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

   A listener of the figure's own goes through fig.guard, so that its errors bring the poster back, as those of the kit's do.

   Colours are the names of latent_book.plots.PALETTE, seen here as CSS variables: kit.color("kl") = "var(--lb-kl)".
   Values live in the model (synced traits), never in the page: a slider sets the model, the drawing reads it. */
const kit = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  // each figure of a page has a kit of its own, and no two may give the same id
  const serial = () => (globalThis.latentBookSerial = (globalThis.latentBookSerial ?? 0) + 1);

  // --- elements ------------------------------------------------------------------------------------------------
  const fill = (node, attributes, children) => {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (value === false || value == null) continue;
      node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  };
  const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  // --- numbers -------------------------------------------------------------------------------------------------
  /** Bytes from Python as floats; copied where the buffer is not aligned to four bytes. */
  const floats = (view) => {
    const offset = view.byteOffset ?? 0, length = view.byteLength, buffer = view.buffer ?? view;
    return offset % 4 ? new Float32Array(buffer.slice(offset, offset + length)) : new Float32Array(buffer, offset, length / 4);
  };
  const bytes = (view) => new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength);
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  /** A short, fixed-width number: a true minus sign, no "-0.00". */
  const number = (value, digits = 2) => {
    const text = Math.abs(value) < 0.5 * 10 ** -digits ? (0).toFixed(digits) : value.toFixed(digits);
    return text.replace("-", "\u2212");
  };
  const linspace = (low, high, n) => Float64Array.from({ length: n }, (_, i) => low + ((high - low) * i) / (n - 1));
  /** Round ticks inside [low, high], about `count` of them. */
  const ticks = (low, high, count = 4) => {
    const raw = (high - low) / count, base = 10 ** Math.floor(Math.log10(raw));
    const step = base * [1, 2, 5, 10].find((m) => m * base >= raw * 0.999);
    const out = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) out.push(+(i * step).toPrecision(12));
    return out;
  };

  // --- colours -------------------------------------------------------------------------------------------------
  const color = (name) => `var(--lb-${name})`;
  /** The colour as [r, g, b] on the page as it is now (for canvases, which know no CSS variables). */
  const rgb = (name, node = document.documentElement) => {
    const seen = node.isConnected ? node : document.documentElement; // a first drawing happens before the page has it
    const hex = getComputedStyle(seen).getPropertyValue(`--lb-${name}`).trim() || "#777777";
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  };

  /** Is the page dark just now? In the site by the theme's choice, in JupyterLab by its own. */
  const dark = () => document.documentElement.dataset.theme === "dark" || document.body.dataset.jpThemeLight === "false";

  // --- pictures ------------------------------------------------------------------------------------------------
  /** A canvas of width x height pixels, shown `scale` times as large. paint: greys; heat: one colour on the page. */
  function pixels({ width, height, label, scale = 6 }) {
    const canvas = el("canvas", { width, height, class: "lb-pixels", role: "img", "aria-label": label });
    canvas.style.width = `${width * scale}px`;
    const context = canvas.getContext("2d"), image = context.createImageData(width, height), out = image.data;
    return {
      canvas, width, height,
      describe: (text) => canvas.setAttribute("aria-label", text),
      /** values: width*height numbers, row by row; `low` is black and `high` white. */
      paint(values, low = 0, high = 1) {
        const gain = 255 / (high - low);
        for (let i = 0, j = 0; i < width * height; i++, j += 4) {
          out[j] = out[j + 1] = out[j + 2] = (values[i] - low) * gain;
          out[j + 3] = 255;
        }
        context.putImageData(image, 0, 0);
      },
      /** values in [0, 1] as the opacity of a palette colour. */
      heat(values, name) {
        const [r, g, b] = rgb(name, canvas);
        for (let i = 0, j = 0; i < width * height; i++, j += 4) {
          out[j] = r; out[j + 1] = g; out[j + 2] = b;
          out[j + 3] = 255 * values[i];
        }
        context.putImageData(image, 0, 0);
      },
      /** signed values: `negative` colour below zero, `positive` above, opacity |value| / scale. */
      signed(values, range, negative = "recon", positive = "data") {
        const low = rgb(negative, canvas), high = rgb(positive, canvas);
        for (let i = 0, j = 0; i < width * height; i++, j += 4) {
          const c = values[i] < 0 ? low : high;
          out[j] = c[0]; out[j + 1] = c[1]; out[j + 2] = c[2];
          out[j + 3] = 255 * Math.min(1, Math.abs(values[i]) / range);
        }
        context.putImageData(image, 0, 0);
      },
    };
  }

  /** Axes in SVG. Keep width near 320: then the words keep their size on a phone. x and y are [low, high]. */
  function plot({ width = 320, height = 220, x, y, xlabel = "", ylabel = "", label, equal = false, axes = true,
                  left = axes ? 46 : 6, bottom = axes ? 36 : 6, top = 8, right = 10 }) {
    const box = { left, top, width: width - left - right, height: height - top - bottom };
    if (equal) box.width = box.height = Math.min(box.width, box.height);
    const total = [box.left + box.width + right, box.top + box.height + bottom];
    const node = svg("svg", { viewBox: `0 0 ${total[0]} ${total[1]}`, class: "lb-plot", role: "group", "aria-label": label });
    node.style.maxWidth = `${1.35 * total[0]}px`;
    const px = (v) => box.left + ((v - x[0]) / (x[1] - x[0])) * box.width;
    const py = (v) => box.top + box.height - ((v - y[0]) / (y[1] - y[0])) * box.height;
    const clipId = `lb-clip-${serial()}`;
    node.append(svg("clipPath", { id: clipId }, svg("rect", { x: box.left, y: box.top - 1, width: box.width + 1, height: box.height + 2 })));
    if (axes) {
      const frame = svg("g", { class: "lb-axes", "aria-hidden": "true" });
      for (const t of ticks(...x)) frame.append(svg("text", { x: px(t), y: box.top + box.height + 14, "text-anchor": "middle" }, String(t).replace("-", "\u2212")));
      for (const t of ticks(...y)) frame.append(svg("text", { x: box.left - 6, y: py(t) + 4, "text-anchor": "end" }, String(t).replace("-", "\u2212")),
        svg("line", { x1: box.left, x2: box.left + box.width, y1: py(t), y2: py(t) }));
      frame.append(svg("path", { d: `M${box.left} ${box.top}V${box.top + box.height}H${box.left + box.width}` }),
        svg("text", { x: box.left + box.width / 2, y: total[1] - 6, "text-anchor": "middle", class: "lb-label" }, xlabel),
        svg("text", { transform: `translate(11 ${box.top + box.height / 2}) rotate(-90)`, "text-anchor": "middle", class: "lb-label" }, ylabel));
      node.append(frame);
    }
    const inside = svg("g", { "clip-path": `url(#${clipId})` }), above = svg("g");
    node.append(inside, above);
    const add = (shape, where = inside) => (where.append(shape), shape);
    return {
      svg: node, box, x, y, px, py, inside, above,
      /** Page coordinates of a pointer event as values on the axes. */
      at(event) {
        const r = node.getBoundingClientRect(), s = total[0] / r.width;
        const vx = (event.clientX - r.left) * s, vy = (event.clientY - r.top) * s;
        return [x[0] + ((vx - box.left) / box.width) * (x[1] - x[0]), y[0] + ((box.top + box.height - vy) / box.height) * (y[1] - y[0])];
      },
      /** A curve: .set(xs, ys). dash: an SVG dash pattern; area: fill down to that value. */
      line(name, { dash = null, thickness = 2, area = null, opacity = 1 } = {}) {
        const path = add(svg("path", { fill: area === null ? "none" : color(name), stroke: area === null ? color(name) : "none", opacity, "stroke-width": thickness, "stroke-dasharray": dash, "stroke-linejoin": "round" }));
        return {
          node: path,
          set(xs, ys) {
            let d = "";
            for (let i = 0; i < xs.length; i++) d += `${i ? "L" : "M"}${px(xs[i]).toFixed(1)} ${py(ys[i]).toFixed(1)}`;
            if (area !== null) d += `L${px(xs[xs.length - 1]).toFixed(1)} ${py(area).toFixed(1)}L${px(xs[0]).toFixed(1)} ${py(area).toFixed(1)}Z`;
            path.setAttribute("d", d);
          },
        };
      },
      /** Many small dots as one path: .set(xs, ys). */
      dots(name, { radius = 2, opacity = 0.7 } = {}) {
        const path = add(svg("path", { stroke: color(name), "stroke-width": 2 * radius, "stroke-linecap": "round", fill: "none", opacity }));
        return { node: path, set(xs, ys) { let d = ""; for (let i = 0; i < xs.length; i++) d += `M${px(xs[i]).toFixed(1)} ${py(ys[i]).toFixed(1)}h0`; path.setAttribute("d", d); } };
      },
      /** An upright bar from the bottom of the axes: .set(value). */
      bar(name, low, high, { from = y[0], opacity = 1 } = {}) {
        const rect = add(svg("rect", { fill: color(name), opacity, x: px(low), width: Math.max(0.5, px(high) - px(low)) }));
        return { node: rect, set(value, base = from) { const a = py(Math.max(value, base)), b = py(Math.min(value, base)); rect.setAttribute("y", a); rect.setAttribute("height", Math.max(0, b - a)); } };
      },
      text(name, { anchor = "start", size = 12, weight = null } = {}) {
        const t = add(svg("text", { fill: color(name), "text-anchor": anchor, "font-size": size, "font-weight": weight, class: "lb-note" }), above);
        return { node: t, set(vx, vy, words, dx = 0, dy = 0) { t.setAttribute("x", px(vx) + dx); t.setAttribute("y", py(vy) + dy); t.textContent = words; } };
      },
      /** A canvas (from fig.pixels) laid behind the curves, stretched over the axes. */
      backdrop(picture) {
        const holder = svg("foreignObject", { x: box.left, y: box.top, width: box.width, height: box.height });
        picture.canvas.style.cssText = "width:100%;height:100%;display:block;border:0";
        holder.append(picture.canvas);
        node.insertBefore(holder, node.firstChild);
        return picture;
      },
    };
  }

  // --- the figure ----------------------------------------------------------------------------------------------
  function figure(model, host) {
    const root = el("div", { class: "lb-figure", role: "group", "aria-label": model.get("alt") || "live figure" });
    const stage = el("div", { class: "lb-stage" }), panel = el("div", { class: "lb-panel" });
    const spoken = el("div", { class: "lb-spoken", "aria-live": "polite" });
    root.append(stage, panel, spoken);
    host.append(root);
    const drawings = [], listeners = [];
    let pending = false, closed = false, voice = 0;

    /** What goes wrong later than the first drawing: the page is told, and shows its still picture again. Where it has none
        (in JupyterLab) the figure stays, and the error goes its usual way. */
    const fail = (error) => {
      if (closed) return;
      if (root.dispatchEvent(new CustomEvent("lb-failed", { bubbles: true, cancelable: true, detail: error }))) throw error;
      close();
    };
    const guard = (act) => (...values) => { try { return act(...values); } catch (error) { fail(error); } };
    const close = () => { closed = true; clearTimeout(voice); theme.disconnect(); for (const [event, handler] of listeners) model.off(event, handler); root.remove(); };

    const redraw = () => {
      pending = false;
      if (closed) return;
      const start = performance.now();
      for (const drawing of drawings) drawing();
      root.dataset.ms = (performance.now() - start).toFixed(3);
      root.dataset.draws = +(root.dataset.draws ?? 0) + 1;
    };
    /** Once per event however many values it changed, and still before the next frame. */
    const request = () => { if (!pending) { pending = true; queueMicrotask(guard(redraw)); } };
    const listen = (event, handler) => { const guarded = guard(handler); model.on(event, guarded); listeners.push([event, guarded]); };
    listen("change", request);
    const theme = new MutationObserver(request);
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });

    const read = (key, index) => (index === undefined ? model.get(key) : model.get(key)[index]);
    const write = (key, index, value) => {
      if (index !== undefined) { const list = [...model.get(key)]; list[index] = value; value = list; }
      model.set(key, value);
      model.save_changes();
    };

    const fig = {
      root, stage, panel, model, read, write, listen, request, guard, fail, close,
      set(values) { for (const [key, value] of Object.entries(values)) model.set(key, value); model.save_changes(); },
      /** Draw now and after each change. */
      draw(drawing) { drawings.push(drawing); redraw(); },
      /** Tell those who listen instead of look, once the hand has come to rest. */
      say(text) { clearTimeout(voice); voice = setTimeout(() => { spoken.textContent = text; }, 600); },
      plot(options) { const p = plot(options); (options.into ?? stage).append(p.svg); return p; },
      /** A picture with its name above it. */
      pixels(options) {
        const p = pixels(options);
        if (options.into !== null) (options.into ?? stage).append(el("figure", { class: "lb-picture" }, el("figcaption", {}, options.title ?? options.label), p.canvas));
        return p;
      },
      /** A column within the stage, for a picture with things beneath it. */
      column(...children) { const c = el("div", { class: "lb-column" }, ...children); stage.append(c); return c; },
      /** A line of text that the drawing sets: .set("error 3.1"). */
      readout(name = "ink", into = panel) { const p = el("p", { class: "lb-readout" }); p.style.color = color(name); into.append(p); return { node: p, set: (t) => { p.textContent = t; } }; },
      /** A labelled slider on model[key], or on model[key][index]. */
      slider({ key, index, label, min, max, step = 0.01, format = (v) => number(v, step >= 1 ? 0 : step >= 0.1 ? 1 : 2), into = panel }) {
        const id = `lb-${serial()}`, input = el("input", { type: "range", id, min, max, step }), value = el("span", { class: "lb-value", "aria-hidden": "true" });
        const show = () => { const v = read(key, index); input.value = v; value.textContent = format(v); input.setAttribute("aria-valuetext", `${label} ${format(v)}`); };
        input.addEventListener("input", guard(() => write(key, index, +input.value)));
        listen(`change:${key}`, show);
        show();
        into.append(el("div", { class: "lb-control" }, el("label", { for: id }, label), input, value));
        return input;
      },
      /** A row of radio buttons; the model holds the number of the chosen one. */
      choice({ key, index, label, options, into = panel }) {
        const group = el("fieldset", { class: "lb-choice" }, el("legend", {}, label)), name = `lb-${serial()}`;
        const inputs = options.map((text, i) => {
          const input = el("input", { type: "radio", name, id: `${name}-${i}` });
          input.addEventListener("change", guard(() => write(key, index, i)));
          group.append(el("label", { for: `${name}-${i}` }, input, text));
          return input;
        });
        const show = () => inputs.forEach((input, i) => { input.checked = read(key, index) === i; });
        listen(`change:${key}`, show);
        show();
        into.append(group);
        return group;
      },
      button({ label, act, into = panel }) { const b = el("button", { type: "button", class: "lb-button" }, label); b.addEventListener("click", guard(act)); into.append(b); return b; },
      /** A point to drag in a plot, by mouse, finger or arrow keys. get() -> [x, y]; set(x, y) writes the model;
          a press anywhere in the axes brings the point there (surface: false turns that off). */
      handle(target, { label, get, set, name = "latent", step, radius = 8, surface = true, text = ([a, b]) => `${number(a)}, ${number(b)}` }) {
        const dx = step ?? (target.x[1] - target.x[0]) / 50, dy = step ?? (target.y[1] - target.y[0]) / 50;
        const dot = svg("circle", { r: radius, fill: color(name), class: "lb-handle", tabindex: 0, role: "slider", "aria-label": label, "aria-valuemin": target.x[0], "aria-valuemax": target.x[1] });
        target.above.append(dot);
        const place = (a, b) => set(clamp(a, ...target.x), clamp(b, ...target.y));
        const show = () => {
          const at = get();
          dot.setAttribute("cx", target.px(at[0])); dot.setAttribute("cy", target.py(at[1]));
          dot.setAttribute("aria-valuenow", at[0]); dot.setAttribute("aria-valuetext", text(at));
        };
        const keys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
        dot.addEventListener("keydown", guard((event) => {
          const move = keys[event.key];
          if (!move) return;
          event.preventDefault();
          event.stopPropagation(); // the page has shortcuts of its own, and JupyterLab moves between cells
          const [a, b] = get(), far = event.shiftKey ? 5 : 1;
          place(a + far * dx * move[0], b + far * dy * move[1]);
        }));
        const region = surface ? target.svg : dot;
        region.style.touchAction = "none";
        region.classList.add("lb-drag");
        const follow = guard((event) => place(...target.at(event)));
        region.addEventListener("pointerdown", guard((event) => {
          if (event.button) return;
          event.preventDefault();
          region.setPointerCapture(event.pointerId);
          dot.focus({ preventScroll: true });
          follow(event);
          const done = () => { region.removeEventListener("pointermove", follow); region.removeEventListener("pointerup", done); region.removeEventListener("pointercancel", done); };
          region.addEventListener("pointermove", follow); region.addEventListener("pointerup", done); region.addEventListener("pointercancel", done);
        }));
        drawings.push(show);
        show();
        return dot;
      },
    };
    return fig;
  }

  return { el, svg, floats, bytes, clamp, number, linspace, ticks, color, rgb, dark, figure };
})();
