// The same lift round after round, all data up to each.

import { h } from "../shared/dom";
import * as f from "../shared/format";
import { axis, glyph } from "../shared/glyph";
import { VERDICT } from "../shared/rules";
import { liftTick, scaleOver } from "../shared/scale";
import type { HistoryView, RoundView } from "../shared/schema/round_dashboard";
import { liftDigits } from "./decision";

export function history(round: RoundView, past: readonly HistoryView[]): HTMLElement {
  const { arm } = round.decision;
  const ends = past.flatMap(({ lift }) => (lift ? [lift.low, lift.high] : []));
  const scale = scaleOver([0, ...ends], 3);
  const digits = liftDigits(round);
  const items = past.map((was) => {
    const [mean, bounds] = was.lift ? f.liftFigures(was.lift, round.currency, digits) : [f.UNKNOWN, ""];
    return h(
      "li",
      { class: was.number === round.number ? "sel" : undefined, "aria-current": was.number === round.number ? "true" : undefined },
      h("div", { class: "hn" }, h("b", {}, `Round ${was.number}`), h("span", { class: "soft" }, f.count(was.n_visitors))),
      glyph({
        arm: was.arm,
        scale,
        zero: true,
        interval: was.lift,
        calibrated: was.is_calibrated,
        height: 34,
        label: f.labelled(`Round ${was.number}: ${was.arm.name} ${mean} ${bounds}`, was),
      }),
      axis(scale, liftTick, true),
      h("p", { class: "hv" }, h("b", {}, mean), " ", h("span", { class: "soft" }, bounds)),
      h(
        "p",
        { class: "soft hs" },
        f.labelled(
          `${was.n_segments} ${was.n_segments === 1 ? "segment" : "segments"}. ${VERDICT[was.verdict]} ${was.verdict_arm}, P ${f.probability(was.p_positive)}`,
          was,
        ),
      ),
    );
  });
  if (round.next_visitors !== null) {
    items.push(
      h(
        "li",
        { class: "plan" },
        h(
          "div",
          { class: "hn" },
          h("b", {}, `Round ${round.number + 1}`),
          h("span", { class: "soft" }, `${f.count(round.next_visitors)} planned`),
        ),
        glyph({ arm, scale, zero: true, calibrated: false, height: 34, label: `Round ${round.number + 1}: not run` }),
        axis(scale, liftTick, true),
        h("p", { class: "hv" }, h("span", { class: "soft" }, "Not run")),
        h("p", { class: "soft hs" }, `${round.next_cells} ${round.next_cells === 1 ? "cell" : "cells"} proposed`),
      ),
    );
  }
  return h(
    "section",
    { class: "pt-sec", "aria-label": "Over the rounds" },
    h(
      "div",
      { class: "pt-sec-head" },
      h("h3", { class: "pt-h" }, "Over the rounds"),
      h("span", { class: "pt-meta" }, `${arm.name} against control, all data up to that round`),
    ),
    h("ol", { class: "hist" }, ...items),
  );
}
