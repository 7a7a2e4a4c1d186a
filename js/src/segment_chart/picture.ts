// An SVG that Python made, as nodes of this page. Nothing comes in but shapes and text.

import { s } from "../shared/dom";

const SHAPES = new Set(["svg", "g", "path", "line", "rect", "circle", "text", "tspan"]);
const LOOKS = new Set([
  "cx",
  "cy",
  "d",
  "dx",
  "dy",
  "fill",
  "fill-opacity",
  "font-size",
  "font-style",
  "font-weight",
  "height",
  "opacity",
  "r",
  "rx",
  "stroke",
  "stroke-dasharray",
  "stroke-miterlimit",
  "stroke-opacity",
  "stroke-width",
  "text-anchor",
  "transform",
  "viewBox",
  "width",
  "x",
  "x1",
  "x2",
  "y",
  "y1",
  "y2",
]);

/** A segment's strip in the picture. */
export interface Strip {
  segment: string;
  node: SVGElement;
}

export interface Picture {
  root: SVGElement;
  /** From top to bottom. A segment has one in each panel. */
  strips: Strip[];
}

/** The picture, or null if the text is no SVG. */
export function picture(svg: string): Picture | null {
  const found = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  if (found.localName !== "svg") return null;
  const strips: Strip[] = [];
  return { root: copied(found, strips), strips };
}

/** New nodes with what is known to be harmless: no script, link, style or foreign element. */
function copied(from: Element, strips: Strip[]): SVGElement {
  const node = s(from.localName);
  for (const { name, value } of from.attributes) if (LOOKS.has(name)) node.setAttribute(name, value);
  for (const child of from.childNodes) {
    if (child instanceof Element && SHAPES.has(child.localName)) node.append(copied(child, strips));
    else if (child.nodeType === Node.TEXT_NODE) node.append(child.textContent ?? "");
  }
  const segment = from.getAttribute("aria-label");
  if (segment !== null && from.getAttribute("aria-roledescription") === "segment") strips.push({ segment, node });
  return node;
}
