// A menu that saves the tree as a picture.

import { h } from "../shared/dom";
import { icon } from "../shared/icons";
import { pngBlob, save, svgBlob } from "./picture";

/** The tree as it is drawn now, and what its file is called, without an ending. */
export interface Drawn {
  picture: SVGSVGElement;
  name: string;
}

/** `draw` gives null where there is no tree; `failed` is called when a picture could not be made. */
export function exportMenu(draw: () => Drawn | null, failed: () => void): HTMLDetailsElement {
  const menu = h(
    "details",
    { class: "menu" },
    h("summary", { class: "pt-btn", "data-testid": "export" }, icon("save"), "Export", icon("down")),
  );
  const entry = (word: string, testid: string, ending: string, blobOf: (picture: SVGSVGElement) => Blob | Promise<Blob>) => {
    const made = h("button", { type: "button", class: "pt-btn quiet", "data-testid": testid }, word);
    made.addEventListener("click", async () => {
      menu.open = false;
      try {
        const drawn = draw();
        if (drawn) save(`${drawn.name}.${ending}`, await blobOf(drawn.picture));
      } catch {
        failed();
      }
    });
    return made;
  };
  menu.append(
    h("div", { class: "entries" }, entry("Tree as SVG", "export-svg", "svg", svgBlob), entry("Tree as PNG", "export-png", "png", pngBlob)),
  );
  // It closes when somebody goes on elsewhere, by a key or by a click.
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget instanceof Node && !menu.contains(event.relatedTarget)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    menu.querySelector("summary")?.focus();
  });
  return menu;
}
