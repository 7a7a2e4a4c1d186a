// The console's buttons: in a row of a table, in a drawer, under a form.

import { type Child, h } from "../shared/dom";

/** A press is the button's alone: the row that it stands in does not open. */
export function button(words: Child[], look: string, key: string, act: () => void, disabled = false): HTMLButtonElement {
  const node = h("button", { type: "button", class: `pt-btn ${look}`.trim(), "data-key": key, disabled }, ...words);
  node.addEventListener("click", (event) => {
    event.stopPropagation();
    act();
  });
  return node;
}
