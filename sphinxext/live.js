/* live.js - mounts live figures on a page that has no kernel. See live.py for where its files come from.

   Each figure on the page is `<div class="lb-live lb-model-ID">` around its poster. Its values, and the names of its
   script, style and arrays, stand in the JSON script `#lb-figures-state`. A figure is mounted when it comes near the window;
   the poster stays until the first drawing, and comes back if a later one fails. What is lost or has changed on its way costs
   the figure that needs it, and no other. */
(() => {
  const here = document.currentScript.src.replace(/[^/]*$/, "");
  const data = document.getElementById("lb-figures-state");
  if (!data) return;
  const figures = JSON.parse(data.textContent);
  const modules = {};
  const arrays = {};
  const loading = {};

  const LatentBook = (globalThis.LatentBook = {
    define(name, body) {
      attempt(() => {
        modules[name] = body();
      });
    },
    bytes(name, base64) {
      attempt(() => {
        arrays[name] = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      });
    },
    failures: [],
  });
  const tell = (error) => {
    LatentBook.failures.push(String(error));
    console.error(error);
  };
  const attempt = (act) => {
    try {
      act();
    } catch (error) {
      tell(error);
    }
  };
  const load = (tag, attributes) =>
    (loading[attributes.src ?? attributes.href] ??= new Promise((resolve, reject) => {
      const node = Object.assign(document.createElement(tag), attributes, { onload: resolve });
      node.onerror = () => reject(new Error(`could not load ${attributes.src ?? attributes.href}`));
      document.head.append(node);
    }));

  /** The part of anywidget's model that a figure uses, with nobody on the other side. */
  class Model {
    constructor(values) {
      this.values = values;
      this.listeners = {};
    }
    get(key) {
      return this.values[key];
    }
    set(key, value) {
      const old = this.values[key];
      if (
        old === value ||
        (typeof value === "object" && !value?.byteLength && JSON.stringify(old) === JSON.stringify(value))
      )
        return;
      this.values[key] = value;
      this.emit(`change:${key}`, value);
      this.emit("change", value);
    }
    save_changes() {}
    on(event, handler) {
      (this.listeners[event] ??= []).push(handler);
    }
    off(event, handler) {
      this.listeners[event] = (this.listeners[event] ?? []).filter((h) => h !== handler);
    }
    emit(event, value) {
      for (const handler of this.listeners[event] ?? []) handler(this, value);
    }
  }

  async function mount(place) {
    const id = [...place.classList].find((c) => c.startsWith("lb-model-")).slice("lb-model-".length);
    const { values, arrays: names, script, style, seals } = figures[id];
    const sealed = (name) => (location.protocol === "file:" ? {} : { integrity: seals[name] }); // a browser takes no seal from disk
    await Promise.all([
      load("link", { rel: "stylesheet", href: `${here}${style}.css`, ...sealed(style) }),
      ...[script, ...names.map(([, name]) => name)].map((name) =>
        load("script", { src: `${here}${name}.js`, ...sealed(name) }),
      ),
    ]);
    for (const [path, name] of names) {
      if (!arrays[name]) throw new Error(`could not read ${name}`);
      const owner = path.slice(0, -1).reduce((value, step) => value[step], values);
      owner[path.at(-1)] = new DataView(arrays[name].buffer);
    }
    const host = document.createElement("div");
    const poster = [...place.childNodes];
    let failed = false;
    host.addEventListener("lb-failed", (event) => {
      // see `fail` in kit.js: the figure has stopped, and takes itself away
      event.preventDefault();
      failed = true;
      place.replaceChildren(...poster);
      delete place.dataset.mounted;
      tell(event.detail);
    });
    await modules[script].render({ model: new Model(values), el: host });
    if (failed) return;
    place.replaceChildren(host);
    place.dataset.mounted = "";
  }

  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        mount(target).catch(tell);
      }
    },
    { rootMargin: "800px" },
  );
  for (const place of document.querySelectorAll(".lb-live")) near.observe(place);
})();
