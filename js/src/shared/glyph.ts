// The interval glyph: one line with caps, a marker in the arm's shape, a ring for what was observed.

import { breakable, type Child, h, s } from "./dom";
import type { Scale } from "./scale";
import type { ArmRef, Interval } from "./schema/shared";

const N_SLOTS = 6;

/** The place of an arm's look. Control is 0 and alone; from the seventh arm on, looks repeat. */
export function lookOf(arm: ArmRef): number {
  return arm.slot <= 0 ? 0 : 1 + ((arm.slot - 1) % (N_SLOTS - 1));
}

/** The class that sets an arm's colour; a mix of arms takes the text's colour. */
export function armClass(arm: ArmRef | null): string {
  return arm === null ? "ax" : `a${lookOf(arm)}`;
}

const KEYS: [tag: string, attributes: Record<string, string>][] = [
  ["rect", { x: "1", y: "1", width: "8", height: "8", rx: ".5" }],
  ["circle", { cx: "5", cy: "5", r: "4.3" }],
  ["path", { d: "M5 .2L9.8 5 5 9.8 .2 5z" }],
  ["path", { d: "M5 .6L9.7 9.2H.3z" }],
  ["path", { d: "M5 9.4L.3 .8h9.4z" }],
  ["path", { d: "M3.4 .6h3.2v2.8h2.8v3.2H6.6v2.8H3.4V6.6H.6V3.4h2.8z" }],
];
const ROUTES = "M0 4h3v2H0zM3 4.5h1.5V1.2H7v-1h3v3H7v-1H5.5v5.6H7v-1h3v3H7v-1H4.5V5.5H3z";

/** An arm's key: its shape in its colour. Null is routing, a mix of arms. */
export function armKey(arm: ArmRef | null): SVGElement {
  const [tag, attributes] = (arm && KEYS[lookOf(arm)]) ?? ["path", { d: ROUTES }];
  return s("svg", { class: `pt-key ${armClass(arm)}`, viewBox: "0 0 10 10", "aria-hidden": "true" }, s(tag, attributes));
}

/** An arm's key and name. */
export function armName(arm: ArmRef | null, name: Child): HTMLElement {
  return h("span", { class: "pt-arm" }, armKey(arm), typeof name === "string" ? h("span", {}, ...breakable(name)) : name);
}

/** A marker at a place in per cent. A nested svg carries it, so that it does not stretch. */
function marker(arm: ArmRef | null, x: number): SVGElement {
  const at = `${x.toFixed(2)}%`;
  if (arm === null) return s("rect", { class: "pt-m mix", x: at, y: "50%", width: 5, height: 13, rx: 2 });
  const look = lookOf(arm);
  if (look === 0) return s("rect", { class: "pt-m sq", x: at, y: "50%", width: 8, height: 8 });
  if (look === 1) return s("circle", { class: "pt-m", cx: at, cy: "50%", r: 4.5 });
  if (look === 2) return s("rect", { class: "pt-m di", x: at, y: "50%", width: 8, height: 8 });
  const [tag, attributes] = KEYS[look] ?? KEYS[0]!;
  return s("svg", { x: at, y: "50%", overflow: "visible" }, s(tag, { ...attributes, class: "pt-m at" }));
}

/** The end of an interval: a cap, or an arrow at the edge of the scale that it goes beyond. */
function end(x: number): SVGElement {
  const edge = clamped(x);
  if (x === edge) return s("rect", { class: "pt-cap", x: `${x.toFixed(2)}%`, y: "50%" });
  const arrow = s("path", { class: "pt-beyond", d: x > edge ? "M-4 -4.5L0 0l-4 4.5" : "M4 -4.5L0 0l4 4.5" });
  return s("svg", { x: `${edge}%`, y: "50%", overflow: "visible" }, arrow);
}

function clamped(x: number): number {
  return Math.min(100, Math.max(0, x));
}

export interface Glyph {
  arm: ArmRef | null;
  scale: Scale;
  /** What is drawn, in words and numbers. */
  label: string;
  /** Marks the value of no difference with a stronger line. */
  zero?: boolean;
  interval?: Interval | null;
  /** A marker without an interval, for a baseline. */
  point?: number;
  /** Mean before any model. */
  observed?: number | null;
  /** Recalibrated intervals are solid, others dashed. */
  calibrated: boolean;
  /** A box of its own instead of a table cell. */
  height?: number;
}

export function glyph(g: Glyph): SVGElement {
  const x = (value: number) => `${g.scale.at(value).toFixed(2)}%`;
  const grid = g.scale.ticks.map((tick) =>
    s("line", {
      class: g.zero && tick === 0 ? "pt-zero" : "pt-grid",
      x1: x(tick),
      x2: x(tick),
      y1: 0,
      y2: "100%",
    }),
  );
  const drawn: SVGElement[] = [];
  if (g.interval) {
    const [mean, low, high] = [g.interval.mean, g.interval.low, g.interval.high].map(g.scale.at) as [number, number, number];
    const [from, to] = [low, high].map((x) => `${clamped(x).toFixed(2)}%`);
    drawn.push(
      s("line", { class: `pt-iv ${g.calibrated ? "" : "raw"}`.trim(), x1: from!, x2: to!, y1: "50%", y2: "50%" }),
      end(low),
      end(high),
    );
    if (mean === clamped(mean)) drawn.push(marker(g.arm, mean));
  } else if (g.point !== undefined) {
    drawn.push(marker(g.arm, g.scale.at(g.point)));
  }
  if (g.observed !== undefined && g.observed !== null) {
    drawn.push(s("circle", { class: "pt-obs", cx: x(g.observed), cy: "50%", r: 5.5 }));
  }
  return s(
    "svg",
    {
      class: `pt-g ${armClass(g.arm)}${g.height ? " box" : ""}`,
      height: g.height,
      role: "img",
      "aria-label": g.label,
    },
    // What a pointer is told when it rests on the drawing.
    s("title", {}, g.label),
    ...grid,
    ...drawn,
  );
}

/** The tick labels over a column of glyphs. */
export function axis(scale: Scale, text: (scale: Scale, tick: number) => string, boxed = false): SVGElement {
  return s(
    "svg",
    { class: boxed ? "pt-g box" : "pt-g pt-axis", height: 14, "aria-hidden": "true" },
    ...scale.ticks.map((tick) => {
      const x = scale.at(tick);
      // A label at the edge of a box is kept inside it; a column has room beside it.
      const edge = boxed ? 6 : 1;
      const anchor = x < edge ? "start" : x > 100 - edge ? "end" : "middle";
      return s("text", { class: "pt-tick", x: `${x.toFixed(2)}%`, y: 11, "text-anchor": anchor }, text(scale, tick));
    }),
  );
}
