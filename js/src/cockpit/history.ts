// All rounds in one table; a row opens its round.

import { h } from "../shared/dom";
import * as f from "../shared/format";
import { axis, glyph } from "../shared/glyph";
import { definition } from "../shared/icons";
import { VERDICT } from "../shared/rules";
import { liftTick, scaleOver } from "../shared/scale";
import type { CockpitView } from "../shared/schema/cockpit";
import { type Row, stacked, table } from "../shared/table";

export function history(state: CockpitView): HTMLElement {
  if (state.rounds.length === 0) {
    return h(
      "div",
      { class: "pt-empty" },
      h("h3", { class: "pt-h" }, "No history yet"),
      h("p", {}, "Each finished round becomes a row here: what was served, what it says, and what was decided."),
    );
  }
  const ends = state.rounds.flatMap(({ lift }) => (lift ? [lift.low, lift.high] : []));
  const scale = scaleOver([0, ...ends], 3);
  const digits = f.digitsFor(ends);
  const truth = state.rounds.some((round) => round.policy_accuracy !== null);
  const arm = state.rounds.at(-1)!.arm;
  const rows = state.rounds.map((was): Row => {
    const [mean, bounds] = was.lift ? f.liftFigures(was.lift, state.currency, digits) : [f.UNKNOWN, ""];
    const open = h("button", { type: "button", class: "pt-name pick-name", "data-testid": `open-${was.number}` }, `Round ${was.number}`);
    return {
      round: was.number,
      class: `pick${was.number === state.shown ? " sel" : ""}`,
      cells: [
        [open, !was.converged && h("span", { class: "sub" }, "unconverged")],
        stacked(f.count(was.n_visitors), `${f.count(was.n_cumulative)} in all`, false),
        [h("span", { class: "cellmix" }, was.cells.join(", "))],
        [
          glyph({
            arm: was.arm,
            scale,
            zero: true,
            interval: was.lift,
            calibrated: was.is_calibrated,
            label: f.labelled(`Round ${was.number}: ${was.arm.name} ${mean} ${bounds}`, was),
          }),
        ],
        stacked(mean, bounds),
        [f.count(was.n_segments)],
        ...(truth
          ? [
              [was.policy_accuracy === null ? f.UNKNOWN : f.share(was.policy_accuracy, 1)],
              [was.oracle_gap === null ? f.UNKNOWN : f.money(was.oracle_gap, state.currency, 3)],
            ]
          : []),
        [`${VERDICT[was.verdict]} ${was.verdict_arm}`],
      ],
    };
  });
  if (state.next_visitors !== null) {
    const blank = [h("span", { class: "soft" }, f.UNKNOWN)];
    rows.push({
      cells: [
        [h("span", { class: "pt-name" }, `Round ${state.finished + 1}`), h("span", { class: "sub" }, "planned")],
        [f.count(state.next_visitors)],
        [h("span", { class: "cellmix soft" }, state.own_plan ? "your own plan" : "as recommended")],
        [glyph({ arm, scale, zero: true, calibrated: false, label: `Round ${state.finished + 1}: not run` })],
        [h("span", { class: "soft" }, "not run")],
        blank,
        ...(truth ? [[h("span", { class: "soft" }, f.UNKNOWN)], [h("span", { class: "soft" }, f.UNKNOWN)]] : []),
        [h("span", { class: "soft" }, f.UNKNOWN)],
      ],
    });
  }
  return h(
    "section",
    { class: "pt-sec flush", "aria-label": "History" },
    h(
      "div",
      { class: "pt-bleed" },
      table(
        truth ? "hist-all truth" : "hist-all",
        "History",
        [
          { head: "Round", class: "c1" },
          { head: "Visitors", class: "num c2" },
          { head: "Cells", class: "c3" },
          { head: `${arm.name} lift, ${state.currency}`, class: "g c4", axis: axis(scale, liftTick) },
          { head: `Lift, ${f.share(state.level)}`, class: "num c5" },
          { head: "Segments", class: "num c6" },
          ...(truth
            ? [
                {
                  head: definition(
                    "Accuracy",
                    "Share of visitors whom the policy gives their best arm, against the planted truth.",
                    "truth",
                  ),
                  class: "num c7",
                },
                {
                  head: definition("Oracle gap", "What the policy loses per visitor against knowing everyone's best arm.", "truth"),
                  class: "num c8",
                },
              ]
            : []),
          { head: "Decision", class: "c9" },
        ],
        rows,
      ),
    ),
    truth &&
      h("p", { class: "pt-help foot" }, "Accuracy and oracle gap compare with the simulated truth. They are not shown for real data."),
  );
}
