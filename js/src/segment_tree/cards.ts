// The drawn tree: ribbons of visitors, and a card for each segment.

import { h, s } from "../shared/dom";
import * as f from "../shared/format";
import { armClass, armName, glyph } from "../shared/glyph";
import { type Named, segmentName, shortAnswer } from "../shared/rules";
import { scaleOver } from "../shared/scale";
import type { TreeSegmentView, TreeView } from "../shared/schema/segment_tree";
import type { Layout, Placed } from "./layout";

const UNDECIDED = 0.5;
const LETTER = 6.6;

export type Segments = ReadonlyMap<string, Named<TreeSegmentView>>;

/** The arm that a card is tinted by: the best one, if it is most probably so. */
function tint(placed: Placed, segments: Segments): { class: string; undecided: boolean } {
  const only = placed.segments.length === 1 ? segments.get(placed.segments[0]!) : undefined;
  if (!only) return { class: "", undecided: false };
  return { class: armClass(only.leader), undecided: only.p_best < UNDECIDED };
}

export function ribbons(tree: TreeView, plan: Layout, segments: Segments): SVGElement {
  const column = plan.placed.length > 1 ? plan.width / (1 + Math.max(...plan.placed.map((p) => p.depth))) : plan.width;
  const clip = (text: string) => {
    const most = Math.max(5, Math.floor((1.3 * column) / LETTER));
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  };
  const inner = plan.placed.filter((p) => !p.card);
  return s(
    "svg",
    { class: "tr", viewBox: `0 0 ${plan.width} ${plan.height}`, width: plan.width, height: plan.height, "aria-hidden": "true" },
    ...plan.ribbons.map(({ to, path }) => {
      const look = to.card ? tint(to, segments) : { class: "", undecided: false };
      const kind = look.class ? `end ${look.class}${look.undecided ? " un" : ""}` : "";
      return s("path", { class: `rib ${kind}`.trim(), d: path, "data-to": to.node.id });
    }),
    ...inner.map((p) =>
      s("rect", {
        class: "nd",
        x: p.x - 3,
        y: (p.y - p.height / 2).toFixed(1),
        width: 6,
        height: p.height.toFixed(1),
        rx: 1.5,
        "data-fold": p.node.id,
      }),
    ),
    ...(plan.dense
      ? []
      : inner.flatMap((p) => {
          const top = p.y - p.height / 2;
          const size = p.depth === 0 ? `${f.count(tree.n_visitors)} visitors` : f.share(p.node.share);
          return [
            s(
              "text",
              { class: "q", x: p.x - 4, y: (top - 19).toFixed(1) },
              clip(p.node.feature || "Rules"),
              s("title", {}, p.node.feature),
            ),
            s("text", { class: "qs", x: p.x - 4, y: (top - 6).toFixed(1) }, size),
          ];
        })),
    ...(plan.dense
      ? []
      : plan.ribbons.map(({ to, label }) =>
          s(
            "text",
            { class: "br", x: label.x.toFixed(1), y: label.y.toFixed(1) },
            clip(shortAnswer(to.node.answer)),
            s("title", {}, to.node.answer),
          ),
        )),
  );
}

export function armBar(tree: TreeView, shares: readonly number[]): HTMLElement {
  const words = tree.arms.map((arm, i) => `${arm.name} ${f.share(shares[i] ?? 0)}`).join(", ");
  return h(
    "div",
    { class: "pt-bar", role: "img", "aria-label": `Arm shares: ${words}`, title: words },
    ...tree.arms.map(
      (arm, i) => (shares[i] ?? 0) > 0 && h("span", { class: armClass(arm), style: `width:${(100 * (shares[i] ?? 0)).toFixed(2)}%` }),
    ),
  );
}

/** One scale and the same decimals on all cards, so that they compare by eye. */
export function gateFigures(tree: TreeView): { scale: ReturnType<typeof scaleOver>; digits: number } {
  const ends = tree.segments.flatMap(({ gate }) => [gate.low, gate.high]);
  return { scale: scaleOver([0, ...ends], 4), digits: f.digitsFor(ends) };
}

export interface CardLook {
  selected: boolean;
  found: boolean;
  stop: boolean;
}

export function card(
  tree: TreeView,
  plan: Layout,
  placed: Placed,
  segments: Segments,
  figures: ReturnType<typeof gateFigures>,
  look: CardLook,
): HTMLElement {
  const only = placed.node.segment === null ? undefined : segments.get(placed.node.segment);
  const classes = ["leaf", plan.dense && "line", look.selected && "sel", !look.found && "lost", !only && "folded"]
    .filter(Boolean)
    .join(" ");
  const name = only ? segmentName(only) : `${placed.segments.length} segments`;
  const item = h("li", {
    class: classes,
    role: "treeitem",
    "aria-level": placed.depth + 1,
    "aria-selected": only ? String(look.selected) : undefined,
    "aria-expanded": only ? undefined : "false",
    tabindex: look.stop ? 0 : -1,
    "data-node": placed.node.id,
    "data-segment": only?.id,
    style: `left:${plan.width}px;top:${(placed.y - plan.slot / 2).toFixed(1)}px;height:${plan.slot}px`,
  });
  const head = h(
    "div",
    { class: "lh" },
    h("span", { class: "pt-name clip", title: only ? only.rule : name }, name),
    h("span", { class: "soft" }, f.share(placed.node.share)),
  );
  if (plan.dense) {
    item.append(
      head,
      armBar(tree, placed.node.shares),
      only ? armName(only.leader, f.probability(only.p_best)) : h("span", { class: "soft" }, "folded"),
    );
    return item;
  }
  item.append(head, armBar(tree, placed.node.shares));
  if (!only) {
    item.append(
      h("div", { class: "lg soft" }, `Split by ${placed.node.feature || "rules"}`),
      h("div", { class: "lg" }, h("span", { class: "soft" }, "Right arrow or a click unfolds it")),
    );
    return item;
  }
  const [mean, bounds] = f.liftFigures(only.gate, tree.currency, figures.digits);
  item.append(
    h(
      "div",
      { class: "lg" },
      armName(only.leader, h("span", { class: "clip" }, only.leader.name)),
      h("span", { class: "soft" }, `P(best) ${f.probability(only.p_best)}`),
    ),
    h(
      "div",
      {},
      glyph({
        arm: only.arm,
        scale: figures.scale,
        zero: true,
        interval: only.gate,
        calibrated: tree.is_calibrated,
        height: 16,
        label: f.labelled(`${name}: ${only.arm.name} GATE ${mean} ${bounds}, ${only.claim}, ${f.count(only.n_visitors)} visitors`, tree),
      }),
    ),
    h(
      "div",
      { class: "lg" },
      h("span", { class: "soft clip", title: "Claim" }, only.claim),
      h("span", {}, mean, " ", h("span", { class: "soft" }, bounds)),
    ),
  );
  return item;
}
