// A button that opens a short menu under it.

import { type Child, h } from "../shared/dom";

export interface Item {
  words: string;
  run: () => void;
}

/** The button's menu is made when it opens. Arrows walk it; Escape and a click elsewhere close it. */
export function menuButton(label: string, key: string, look: Child, looks: string, items: () => Item[]): HTMLElement {
  const button = h(
    "button",
    { class: looks, type: "button", "aria-label": label, "aria-haspopup": "menu", "aria-expanded": "false", "data-key": key },
    look,
  );
  const box = h("span", { class: "pt-menu-box" }, button);
  let menu: HTMLElement | null = null;

  const close = (focus: boolean) => {
    const closed = menu;
    menu = null; // first: taking away what has the focus asks to close again
    closed?.remove();
    button.setAttribute("aria-expanded", "false");
    if (focus) button.focus();
  };
  const open = () => {
    const entries = items().map((item) => {
      const entry = h("button", { class: "item", role: "menuitem", type: "button", tabindex: -1 }, item.words);
      entry.addEventListener("click", () => {
        close(true);
        item.run();
      });
      return entry;
    });
    menu = h("span", { class: "pt-menu", role: "menu", "aria-label": label }, ...entries);
    box.append(menu);
    button.setAttribute("aria-expanded", "true");
    entries[0]?.focus();
  };
  button.addEventListener("click", () => (menu ? close(true) : open()));
  box.addEventListener("keydown", (event) => {
    if (!menu) return;
    const entries = [...menu.querySelectorAll<HTMLElement>(".item")];
    const at = entries.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      entries[(to + entries.length) % entries.length]?.focus();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      close(true);
    }
  });
  box.addEventListener("focusout", (event) => {
    if (menu && !(event.relatedTarget instanceof Node && box.contains(event.relatedTarget))) close(false);
  });
  return box;
}
