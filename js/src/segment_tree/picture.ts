// The tree as a picture of its own: an SVG with its colours written into it, or a PNG of that.

import { s } from "../shared/dom";
import * as f from "../shared/format";
import { armClass } from "../shared/glyph";
import { segmentName } from "../shared/rules";
import type { TreeView } from "../shared/schema/segment_tree";
import { ribbons, type Segments } from "./cards";
import type { Layout } from "./layout";

const CARD_WIDTH = 270;
const MARGIN = 16;
const INHERITED = ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-family", "font-size", "font-weight", "opacity"] as const;

/**
 * The picture. It is put into `root` for a moment, so that the theme's colours can be read off it.
 */
export function picture(root: HTMLElement, tree: TreeView, plan: Layout, segments: Segments): SVGSVGElement {
  const width = plan.width + CARD_WIDTH + 2 * MARGIN;
  const height = plan.height + 2 * MARGIN;
  const drawn = ribbons(tree, plan, segments);
  drawn.setAttribute("x", String(MARGIN));
  drawn.setAttribute("y", String(MARGIN));
  const made = s(
    "svg",
    { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}`, class: "picture" },
    s("title", {}, `${tree.title}: segments after round ${tree.number}`),
    s("rect", { class: "paper", width: "100%", height: "100%" }),
    drawn,
    ...plan.placed
      .filter((p) => p.card)
      .map((p) => {
        const only = p.node.segment === null ? undefined : segments.get(p.node.segment);
        const x = plan.width + MARGIN;
        const y = p.y - plan.slot / 2 + MARGIN;
        const name = only ? segmentName(only) : `${p.segments.length} segments`;
        let from = x + 10;
        const full = CARD_WIDTH - 20;
        const bar = tree.arms.map((arm, i) => {
          const wide = full * (p.node.shares[i] ?? 0);
          from += wide;
          return s("rect", {
            class: `arm ${armClass(arm)}`,
            x: (from - wide).toFixed(1),
            y: (y + (plan.dense ? 22 : 28)).toFixed(1),
            width: wide.toFixed(1),
            height: plan.dense ? 4 : 8,
          });
        });
        const digits = only ? f.digitsFor([only.gate.low, only.gate.high]) : 2;
        return s(
          "g",
          {},
          s("rect", { class: "box", x, y: y.toFixed(1), width: CARD_WIDTH, height: plan.slot, rx: 5 }),
          s("text", { class: "q", x: x + 10, y: (y + 16).toFixed(1) }, name),
          s("text", { class: "qs", x: x + CARD_WIDTH - 10, y: (y + 16).toFixed(1), "text-anchor": "end" }, f.share(p.node.share)),
          ...bar,
          ...(only && !plan.dense
            ? [
                s("text", { class: "qs", x: x + 10, y: (y + 56).toFixed(1) }, `${only.leader.name}, P(best) ${f.probability(only.p_best)}`),
                s(
                  "text",
                  { class: "br", x: x + 10, y: (y + 76).toFixed(1) },
                  `${only.arm.name} GATE ${f.liftFigures(only.gate, tree.currency, digits).join(" ")}`,
                ),
                s(
                  "text",
                  { class: "qs", x: x + 10, y: (y + 94).toFixed(1) },
                  f.labelled(`${only.claim}, ${tree.is_calibrated ? "recalibrated" : "uncalibrated"}`, tree),
                ),
              ]
            : []),
        );
      }),
  ) as SVGSVGElement;
  root.append(made);
  for (const node of [made, ...made.querySelectorAll<SVGElement>("*")]) {
    const style = getComputedStyle(node);
    for (const name of INHERITED) {
      const value = style.getPropertyValue(name);
      if (value) node.setAttribute(name, value);
    }
  }
  made.remove();
  return made;
}

export function save(name: string, blob: Blob): void {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1_000);
}

export function svgBlob(made: SVGSVGElement): Blob {
  return new Blob([new XMLSerializer().serializeToString(made)], { type: "image/svg+xml" });
}

/** Twice the size on screen, so that it can be printed. */
export async function pngBlob(made: SVGSVGElement, scale = 2): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(made))}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = scale * Number(made.getAttribute("width"));
  canvas.height = scale * Number(made.getAttribute("height"));
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture could not be drawn."))), "image/png"),
  );
}
