// The cell scoreboard: what was observed beside what the model says, on one scale.

import { type Child, h } from "../shared/dom";
import * as f from "../shared/format";
import { axis, glyph } from "../shared/glyph";
import { definition } from "../shared/icons";
import { cellName } from "../shared/rules";
import { amountTick, scaleOver } from "../shared/scale";
import type { CellView, RoundView } from "../shared/schema/round_dashboard";
import { section, stacked, table } from "../shared/table";

const BLANK = "\u00a0";

export function cells(round: RoundView): HTMLElement {
  const drawn = round.cells.flatMap((c) => [
    ...(c.model_rpv ? [c.model_rpv.low, c.model_rpv.high] : []),
    ...(c.observed_rpv === null ? [] : [c.observed_rpv]),
  ]);
  const scale = scaleOver(drawn, 4);
  // Two cells have to be told apart, so decimals come from how far they lie apart.
  const digits = Math.min(6, Math.max(f.digitsFor(drawn), f.digitsFor([Math.max(...drawn) - Math.min(...drawn)])));
  const lifts = f.digitsFor(round.cells.flatMap((c) => (c.model_lift ? [c.model_lift.low, c.model_lift.high] : [])));
  return section(
    "Cells",
    f.labelled("Revenue per visitor, every cell on one scale", round),
    h(
      "div",
      { class: "pt-bleed" },
      table(
        "cells",
        "Cell scoreboard",
        [
          { head: "Cell", class: "c1" },
          { head: "Visitors", class: "num c2" },
          {
            head: definition("Observed", "Mean revenue of the visitors who were in the cell, before any model.", "estimates"),
            class: "num c3",
          },
          { head: `Revenue per visitor, ${round.currency}`, class: "g c4", axis: axis(scale, amountTick) },
          {
            head: definition("Model", "Posterior mean revenue per visitor under the cell's policy, with its interval.", "reported"),
            class: "num c5",
          },
          { head: "Lift vs control", class: "num c6" },
        ],
        round.cells.map((cell) => ({ cells: row(cell, round, scale, digits, lifts) })),
      ),
    ),
  );
}

function row(cell: CellView, round: RoundView, scale: ReturnType<typeof scaleOver>, digits: number, lifts: number): Child[][] {
  const { currency } = round;
  const name = cellName(cell.id);
  const observed = cell.observed_rpv === null ? f.UNKNOWN : f.money(cell.observed_rpv, currency, digits);
  const model = cell.model_rpv;
  const drawn = model
    ? glyph({
        arm: cell.arm,
        scale,
        interval: model,
        observed: cell.observed_rpv,
        calibrated: round.is_calibrated,
        label: `${name}: RPV ${f.money(model.mean, currency, digits)} ${f.range(model, digits)}, observed ${observed}`,
      })
    : null;
  return [
    [h("span", { class: "pt-name" }, name), h("span", { class: "sub" }, cell.policy)],
    [`${cell.recorded ? "" : "about "}${f.count(cell.n_visitors)}`, h("span", { class: "sub" }, f.share(cell.share, 1))],
    [observed, h("span", { class: "sub" }, outside(cell))],
    [drawn],
    model ? stacked(f.money(model.mean, currency, digits), f.range(model, digits)) : [h("span", { class: "soft" }, f.UNKNOWN)],
    cell.model_lift
      ? stacked(f.signedMoney(cell.model_lift.mean, currency, lifts), f.signedRange(cell.model_lift, lifts))
      : [h("span", { class: "soft" }, model ? "baseline" : "no visitors")],
  ];
}

/** An observed mean outside its interval is said in words. It is no alarm. */
function outside(cell: CellView): string {
  if (cell.observed_rpv === null || !cell.model_rpv) return BLANK;
  if (cell.observed_rpv > cell.model_rpv.high) return "above interval";
  return cell.observed_rpv < cell.model_rpv.low ? "below interval" : BLANK;
}
