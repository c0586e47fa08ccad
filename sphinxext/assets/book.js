/* book.js - what scrolls sideways (code, wide equations and figures on a phone) can be reached and scrolled by keyboard:
   it takes the focus for as long as it is wider than its place. */
(() => {
  const look = (node) => {
    if (node.scrollWidth > node.clientWidth) node.tabIndex = 0;
    else if (node.tabIndex === 0) node.removeAttribute("tabindex");
  };
  const sizes = new ResizeObserver((changes) => changes.forEach((change) => look(change.target)));
  addEventListener("load", () =>
    document.querySelectorAll(".pst-scrollable-table-container").forEach((node) => sizes.observe(node)),
  ); // the theme makes them
  for (const node of document.querySelectorAll("pre, div.math, .lb-svg, .cell_output > .output")) {
    sizes.observe(node);
    look(node);
  }
})();
