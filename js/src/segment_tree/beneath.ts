// What stands beneath the tree: whether it pays, and rules that are followed whatever it becomes.

import { h } from "../shared/dom";
import * as f from "../shared/format";
import { axis, glyph } from "../shared/glyph";
import { named, type Names, ruleText } from "../shared/rules";
import { liftTick, scaleOver } from "../shared/scale";
import type { TreeView } from "../shared/schema/segment_tree";

/** What routing by the tree is worth against the best single arm. */
export function payoff(tree: TreeView): HTMLElement {
  const { value, currency } = tree;
  const digits = f.digitsFor([value.low, value.high]);
  const scale = scaleOver([0, value.low, value.high], 3);
  const [mean, bounds] = f.liftFigures(value, currency, digits);
  return h(
    "div",
    { class: "pays" },
    h(
      "span",
      {},
      h("b", {}, "Does personalising pay?"),
      " ",
      h("span", { class: "soft" }, f.labelled(`Tree against the best single arm, ${tree.best_arm.name}`, tree)),
    ),
    h(
      "span",
      { class: "pg" },
      glyph({
        arm: null,
        scale,
        zero: true,
        interval: value,
        calibrated: tree.is_calibrated,
        height: 18,
        label: `Tree minus best single arm ${mean} ${bounds}`,
      }),
      axis(scale, liftTick, true),
    ),
    h("span", { class: "num" }, h("b", {}, mean), " ", h("span", { class: "soft" }, bounds)),
    h("span", {}, tree.pays ? "It pays" : "Not settled"),
  );
}

/** Registered rules and rules that are followed from the next round on: not leaves of the tree. */
export function followed(tree: TreeView, names: Names, selected: string | null, digits: number): HTMLElement | null {
  const registered = named(
    tree.segments.filter((segment) => segment.registered),
    names,
  );
  if (registered.length + tree.followed.length === 0) return null;
  const row = (id: string, name: string, rule: string, figures: string, chosen: boolean | null) =>
    h(
      "li",
      { class: chosen ? "sel" : undefined },
      chosen === null
        ? h("span", { class: "pt-name" }, name || id)
        : h("button", { type: "button", class: "pt-name pick-name", "aria-pressed": String(chosen), "data-segment": id }, name || id),
      h("span", { class: "soft sid" }, id),
      h("span", { class: "pt-rule" }, ...ruleText(rule)),
      h("span", { class: "soft num" }, figures),
    );
  return h(
    "section",
    { class: "pt-sec flush followed", "aria-label": "Registered segments" },
    h(
      "div",
      { class: "pt-sec-head" },
      h("h3", { class: "pt-h" }, "Registered"),
      h("span", { class: "pt-meta" }, "Followed over the rounds, whatever the tree becomes"),
    ),
    h(
      "ul",
      {},
      ...registered.map((r) =>
        row(
          r.id,
          r.name,
          r.rule,
          f.labelled(`${r.arm.name} ${f.liftFigures(r.gate, tree.currency, digits).join(" ")}, ${r.claim}`, tree),
          r.id === selected,
        ),
      ),
      ...named(tree.followed, names).map((r) =>
        row(r.id, r.name, r.rule, tree.next_number === null ? "not seen yet" : `from round ${tree.next_number} on`, null),
      ),
    ),
  );
}
