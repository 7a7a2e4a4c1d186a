// Status is a shape and a word, never a colour alone.

import { type Part, documentation } from "./documentation";
import { h, s } from "./dom";
import type { LampStatus } from "./schema/shared";

const SHAPE: Record<LampStatus, [tag: string, attributes: Record<string, string>, mark: string]> = {
  ok: ["circle", { cx: "8", cy: "8", r: "7" }, "M4.8 8.3l2.2 2.1 4.2-4.6"],
  warn: ["path", { d: "M8 1.2L15.2 14H.8z" }, "M8 6v3.8M8 12v.05"],
  bad: ["path", { d: "M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z" }, "M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8"],
  none: ["circle", { cx: "8", cy: "8", r: "6.3" }, "M5.5 8h5"],
};

/** Tick in a circle, triangle, octagon, or an empty circle for what is not known. */
export function statusIcon(status: LampStatus, size = 16): SVGElement {
  const [tag, attributes, mark] = SHAPE[status];
  return s(
    "svg",
    { viewBox: "0 0 16 16", width: size, height: size, "aria-hidden": "true" },
    s(tag, { ...attributes, class: `pt-st ${status}` }),
    s("path", { class: `pt-st-mark ${status === "none" ? "none" : ""}`, d: mark }),
  );
}

const LINES = {
  undo: "M6 3.5L3 6.5l3 3M3.2 6.5H9a3.5 3.5 0 010 7H6",
  redo: "M10 3.5l3 3-3 3M12.8 6.5H7a3.5 3.5 0 000 7h3",
  plus: "M8 3.5v9M3.5 8h9",
  right: "M6 4l4 4-4 4",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  clock: "M8 2.5a5.5 5.5 0 100 11 5.5 5.5 0 000-11M8 5v3.2l2 1.3",
  play: "M5 3.5v9l7.5-4.5z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  cross: "M4 4l8 8M12 4l-8 8",
  tick: "M3 8.5l3.2 3L13 4.5",
  search: "M7 3a4 4 0 100 8 4 4 0 000-8M10 10l3.5 3.5",
  save: "M8 2.5v8M4.8 7.5L8 10.7l3.2-3.2M3 13.2h10",
  down: "M4 6l4 4 4-4",
  pen: "M10.5 3l2.5 2.5L5.8 12.7 3 13l.3-2.8z",
  copy: "M5.5 7a1.5 1.5 0 011.5-1.5h5A1.5 1.5 0 0113.5 7v5a1.5 1.5 0 01-1.5 1.5H7A1.5 1.5 0 015.5 12zM10.5 5.5v-2a1 1 0 00-1-1h-6a1 1 0 00-1 1v6a1 1 0 001 1h2",
  square: "M4.5 4.5h7v7h-7z",
} as const;

export type IconName = keyof typeof LINES;

export function icon(name: IconName): SVGElement {
  return s("svg", { class: "pt-ic", viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: LINES[name] }));
}

export function chip(word: string, look: LampStatus | "on" | "", mark?: IconName): HTMLElement {
  const kind = look === "none" ? "" : look;
  const status = look === "ok" || look === "warn" || look === "bad" ? statusIcon(look, 12) : null;
  return h("span", { class: `pt-chip ${kind}`.trim() }, mark ? icon(mark) : status, word);
}

/** A band under the header that says what is so and what it means. */
export function note(look: LampStatus, strong: string, rest: string): HTMLElement {
  const kind = look === "warn" || look === "bad" ? look : "";
  return h("div", { class: `pt-note ${kind}`.trim() }, statusIcon(look), h("span", {}, h("b", {}, strong), rest ? ` ${rest}` : ""));
}

let tips = 0;

/**
 * A dotted word with its definition: on hover after a moment, on focus at once; Esc closes it.
 * Where the server has the documentation, the word leads to the part that says more.
 */
export function definition(word: string, text: string, part?: Part): HTMLElement {
  tips += 1;
  const id = `pt-tip-${tips}`;
  const href = part ? documentation(part) : null;
  const term = href
    ? h("a", { class: "def", href, target: "_blank", rel: "noopener", "aria-describedby": id }, word)
    : h("span", { class: "def", tabindex: 0, "aria-describedby": id }, word);
  const tip = h(
    "span",
    { class: "pt-tip", role: "tooltip", id },
    h("b", {}, word),
    text,
    href && h("small", {}, "Click or press Enter to read more."),
  );
  const box = h("span", { class: "pt-defined" }, term, tip);
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    box.classList.add("closed");
  });
  const open = () => box.classList.remove("closed");
  box.addEventListener("focusin", open);
  box.addEventListener("mouseenter", open);
  return box;
}
