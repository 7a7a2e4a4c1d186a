// What is known about the coverage of this experiment's intervals.

import { documentation } from "../shared/documentation";
import { h, s } from "../shared/dom";
import * as f from "../shared/format";
import { statusIcon } from "../shared/icons";
import type { CockpitView, CoverageView } from "../shared/schema/cockpit";
import { section, table } from "../shared/table";

export function calibration(state: CockpitView): HTMLElement {
  const words = state.is_calibrated
    ? "Intervals of the latest round are those that a sweep over simulated experiments of this size taught. They are drawn solid."
    : state.coverage.length > 0
      ? "There is a calibration artifact, but it does not hold for the latest round, whose intervals are as the model has them. They are drawn dashed."
      : "No sweep has been attached to this experiment. Without one, nobody knows how often its intervals hold the truth; they tend to be too narrow on large rounds. They are drawn dashed.";
  const href = documentation("calibration");
  const more = href && h("a", { href, target: "_blank", rel: "noopener" }, "What calibration is");
  return h(
    "div",
    {},
    h(
      "section",
      { class: "pt-sec", "aria-label": "Calibration" },
      h("p", { class: "pt-meta" }, "Calibration"),
      h(
        "p",
        { class: "pt-big kbig" },
        statusIcon(state.is_calibrated ? "ok" : "warn", 18),
        state.is_calibrated ? "Recalibrated" : "Not calibrated",
      ),
      h("p", { class: "ktext" }, words),
      h("p", { class: "ktext soft" }, `Every table of this experiment carries the label: ${state.label}.`, more && " ", more),
    ),
    ...(state.coverage.length > 0 ? [coverage(state.coverage)] : []),
  );
}

function coverage(rows: readonly CoverageView[]): HTMLElement {
  return section(
    "Coverage",
    "How often intervals held the truth in simulated experiments that taught nothing",
    h(
      "div",
      { class: "pt-bleed" },
      table(
        "cover",
        "Coverage of the calibration artifact",
        [
          { head: "Quantity", class: "c1" },
          { head: "Claimed", class: "num c2" },
          { head: h("span", { class: "vh" }, "Drawn coverage"), class: "g c3" },
          { head: "Before", class: "num c4" },
          { head: "After", class: "num c5" },
          { head: "Intervals", class: "num c6" },
        ],
        rows.map((row) => ({
          cells: [
            [h("span", { class: "pt-name" }, row.quantity), h("span", { class: "sub" }, row.artifact)],
            [f.share(row.level)],
            [drawn(row)],
            [f.share(row.before, 1)],
            [f.share(row.after, 1), h("span", { class: "sub" }, `± ${f.share(row.error, 1)}`)],
            [f.count(row.n_intervals)],
          ],
        })),
      ),
    ),
  );
}

/** From half to all: the claim as a line, what was as a ring, what is as a dot. */
function drawn(row: CoverageView): SVGElement {
  const x = (value: number) => `${Math.max(0, Math.min(100, 200 * (value - 0.5))).toFixed(1)}%`;
  const label = `${row.quantity}: claimed ${f.share(row.level)}, before ${f.share(row.before, 1)}, after ${f.share(row.after, 1)}`;
  return s(
    "svg",
    { class: "pt-g ax", role: "img", "aria-label": label },
    s("line", { class: "pt-grid", x1: 0, x2: "100%", y1: "50%", y2: "50%" }),
    s("line", { class: "lim", x1: x(row.level), x2: x(row.level), y1: 0, y2: "100%" }),
    s("circle", { class: "pt-obs", cx: x(row.before), cy: "50%", r: 5 }),
    s("circle", { class: "pt-m", cx: x(row.after), cy: "50%", r: 4.5 }),
  );
}
