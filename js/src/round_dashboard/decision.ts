// The answer first: what to do, what it risks, and the options in money.

import { breakable, h } from "../shared/dom";
import * as f from "../shared/format";
import { armKey, armName, axis, glyph } from "../shared/glyph";
import { definition } from "../shared/icons";
import { VERDICT } from "../shared/rules";
import { liftTick, scaleOver } from "../shared/scale";
import type { OptionView, RoundView } from "../shared/schema/round_dashboard";
import { type Row, stacked, table } from "../shared/table";

const LOSS =
  "What choosing this option gives up on average, over all the ways the truth could be, " +
  "against the best single arm. Zero means nothing is at risk.";

/** Visitors that money is counted over: the next round's, or as many as this one had. */
export function horizon(round: RoundView): number {
  return round.next_visitors ?? round.n_visitors;
}

/** Decimals of every lift on the dashboard. */
export function liftDigits(round: RoundView): number {
  return f.digitsFor(round.comparisons.flatMap((c) => [c.lift.low, c.lift.high]));
}

export function decision(round: RoundView): HTMLElement {
  const d = round.decision;
  const digits = liftDigits(round);
  const figures: [string, Node | string][] = [
    ["Expected loss if shipped", perVisitor(f.risk(d.loss_if_shipped, round.currency, digits))],
    ["Expected loss if control stays", perVisitor(f.risk(d.loss_if_kept, round.currency, digits))],
  ];
  if (round.next_visitors !== null) {
    const all = d.value_of_round * round.next_visitors;
    figures.push(
      ["Value of one more round", perVisitor(f.risk(d.value_of_round, round.currency, digits))],
      [`That is, over ${f.count(round.next_visitors)} visitors`, f.money(all, round.currency, Math.abs(all) < 10 ? 2 : 0)],
    );
  }
  return h(
    "section",
    { class: "pt-sec flush decision", "aria-label": "Decision" },
    h(
      "div",
      { class: "verdict" },
      h(
        "div",
        {},
        h("p", { class: "pt-meta" }, f.labelled(`Decision after round ${round.number}`, round)),
        h("p", { class: "pt-big", "data-testid": "verdict" }, `${VERDICT[d.verdict]} `, armName(d.arm, d.arm.name)),
        h("p", { class: "why" }, ...why(round, digits)),
        h("details", { class: "why soft" }, h("summary", {}, "Against the thresholds, and what would change it"), h("p", {}, d.reason)),
      ),
      h("dl", { class: "pt-dl side" }, ...figures.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)])),
    ),
    h("div", { class: "pt-bleed" }, options(round, digits)),
  );
}

function perVisitor(amount: string): HTMLElement {
  return h("span", {}, amount, h("small", {}, " per visitor"));
}

function why(round: RoundView, digits: number): (Node | string)[] {
  const { lift, p_positive: p } = round.decision;
  const parts: (Node | string)[] = [
    "Lift over control ",
    h("b", {}, `${f.signedMoney(lift.mean, round.currency, digits)} per visitor`),
    ` ${f.signedRange(lift, digits)}, above zero with probability ${f.probabilityWords(p)}.`,
  ];
  const { routing } = round;
  if (routing.n_segments > 1) {
    const end = routing.pays ? "it pays, so Optimized routes by segment." : "not settled, so one arm for everyone is the simpler choice.";
    parts.push(
      ` Routing by segment would add `,
      h("b", {}, f.signedMoney(routing.value.mean, round.currency, digits)),
      ` ${f.signedRange(routing.value, digits)} to ${routing.best_arm.name} for everyone: ${end}`,
    );
  } else {
    parts.push(` No split by segment pays: ${routing.best_arm.name} is the best single arm.`);
  }
  return parts;
}

function options(round: RoundView, digits: number): HTMLElement {
  const { currency, routing, is_calibrated: calibrated } = round;
  const routed = routing.n_segments > 1;
  const lifts = round.options.flatMap((o) => (o.lift ? [o.lift.low, o.lift.high] : [0]));
  const scale = scaleOver(routed ? [...lifts, routing.value.low, routing.value.high] : lifts);
  const visitors = horizon(round);
  const rows: (Row | string)[] = round.options.map((o) => {
    const name = o.kind === "keep" ? `Keep ${o.arm.name}` : `Ship ${o.arm.name} to everyone`;
    const label = o.lift ? `${name}: lift ${f.liftFigures(o.lift, currency, digits).join(" ")}` : `${name}: baseline`;
    const loss =
      o.loss === null
        ? [h("span", { class: "soft" }, f.UNKNOWN)]
        : stacked(f.risk(o.loss, currency, digits), total(o.loss, visitors, currency), false);
    return {
      class: o.recommended ? "best" : undefined,
      cells: [
        [armName(o.arm, h("span", { class: "main" }, ...breakable(name))), h("span", { class: "sub" }, about(o))],
        [glyph({ arm: o.arm, scale, zero: true, interval: o.lift, point: 0, calibrated, label })],
        o.lift ? gain(o.lift, visitors, currency) : stacked(f.money(0, currency, 0), "baseline"),
        loss,
      ],
    } as Row;
  });
  if (routed) {
    const label = `Route by segment: ${f.liftFigures(routing.value, currency, digits).join(" ")} over ${routing.best_arm.name} for everyone`;
    rows.push(`Against ${routing.best_arm.name} for everyone, same scale`, {
      cells: [
        [
          h("span", { class: "pt-arm" }, armKey(null), h("span", { class: "main" }, "Route by segment")),
          h("span", { class: "sub" }, `${routing.n_segments} segments, each its own arm`),
        ],
        [glyph({ arm: null, scale, zero: true, interval: routing.value, calibrated, label })],
        gain(routing.value, visitors, currency),
        [h("span", { class: "soft" }, f.UNKNOWN)],
      ],
    });
  }
  return table(
    "opts",
    f.labelled("Options in money", round),
    [
      { head: "Option", class: "c1" },
      { head: `Lift per visitor against control, ${currency}`, class: "g c2", axis: axis(scale, liftTick) },
      { head: `Gain over ${f.count(visitors)} visitors`, class: "num c3" },
      { head: h("span", {}, definition("Expected loss", LOSS, "loss"), " per visitor"), class: "num c4" },
    ],
    rows,
  );
}

function about(option: OptionView): string {
  if (option.kind === "keep") return option.best ? "No change, best single arm" : "No change";
  const words: string[] = [];
  if (option.recommended) words.push("recommended");
  if (option.best) words.push("best single arm");
  if (words.length === 0 && option.p_positive !== null) {
    const [side, p] = option.p_positive < 0.5 ? ["below", 1 - option.p_positive] : ["above", option.p_positive];
    words.push(`${side} control with probability ${f.probabilityWords(p)}`);
  }
  return f.capitalised(words.join(", "));
}

function totalDigits(values: readonly number[]): number {
  return Math.max(...values.map(Math.abs)) < 10 ? 2 : 0;
}

function gain(lift: { mean: number; low: number; high: number }, visitors: number, currency: string): (Node | string)[] {
  const all = { mean: lift.mean * visitors, low: lift.low * visitors, high: lift.high * visitors };
  const digits = totalDigits([all.low, all.high]);
  return stacked(f.signedMoney(all.mean, currency, digits), f.signedRange(all, digits)) as (Node | string)[];
}

function total(loss: number, visitors: number, currency: string): string {
  const all = loss * visitors;
  return all < 10 ? `under ${f.money(10, currency, 0)}` : f.money(all, currency, 0);
}
