// What stands where there is nothing to draw.

import { h } from "../shared/dom";
import { armName } from "../shared/glyph";
import type { TreeView } from "../shared/schema/segment_tree";

export function noRound(): HTMLElement {
  return h(
    "div",
    { class: "pt-empty" },
    h("h3", { class: "pt-h" }, "No round has run yet"),
    h("p", {}, "Segments are found from a round's data. Run the first round, then look here."),
  );
}

/** The tree of a round that does not split. */
export function oneSegment(tree: TreeView): HTMLElement {
  const id = tree.segments[0]?.id ?? "";
  const see = h("button", { type: "button", class: "pt-btn", "data-segment": id }, "See the single best arm");
  return h(
    "div",
    { class: "pt-empty one" },
    h("h3", { class: "pt-h" }, "One segment: everyone"),
    h(
      "p",
      {},
      "The evidence does not separate visitors into groups that want different arms. That is a result, not a failure. More data may change it.",
    ),
    tree.reason && h("p", {}, tree.reason),
    h("div", { class: "pt-row" }, armName(tree.best_arm, h("b", {}, `${tree.best_arm.name} is the best single arm`)), see),
  );
}

export function nothingSelected(): HTMLElement {
  return h(
    "aside",
    { class: "det none", "aria-label": "Segment" },
    h(
      "div",
      { class: "pt-empty" },
      h("h3", { class: "pt-h" }, "No segment selected"),
      h("p", {}, "Choose a leaf to see who is in it, its evidence over the rounds, and its rule as SQL."),
    ),
  );
}
