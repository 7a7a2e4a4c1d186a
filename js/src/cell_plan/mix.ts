// Arm mixes: the bar, and one number an arm. The other arms keep their proportions.

import { h, s } from "../shared/dom";
import * as f from "../shared/format";
import { armClass, armKey, armName } from "../shared/glyph";
import type { PlanCellView, RouteView } from "../shared/schema/cell_plan";
import type { ArmRef } from "../shared/schema/shared";
import { table } from "../shared/table";
import { percentField, refusal, type View } from "./view";

/** A share without needless decimals: "33.3", "50". Hundreds are written at every edit. */
function percent(share: number): string {
  return f.typed(100 * share, 1);
}

/** A stacked bar of arm shares that says its numbers. */
function bar(arms: readonly ArmRef[], shares: readonly number[]): HTMLElement {
  const words = arms.map((arm, k) => `${arm.name} ${f.shortShare(shares[k] ?? 0)}`).join(", ");
  return h(
    "div",
    { class: "pt-bar tall", role: "img", "aria-label": words },
    ...arms.flatMap((arm, k) => {
      const share = shares[k] ?? 0;
      return share > 0 ? [h("span", { class: armClass(arm), style: `flex: ${share} 1 0` })] : [];
    }),
  );
}

/** The mix of a hypothesis cell. */
export function mix(view: View, id: string): HTMLElement {
  const { arms } = view.setup;
  const shares = () => view.cell(id)?.hypothesis?.shares ?? [];
  const drawn = h("div");
  view.bindCell(id, () => drawn.replaceChildren(bar(arms, shares())));
  const rows = arms.flatMap((arm, k) => {
    const name = `share/${id}//${k}`;
    const value = () => percent(shares()[k] ?? 0);
    const [message, describedBy] = refusal(view, name, id, () => `Put ${f.shortShare(shares()[k] ?? 0)} back`);
    const [box] = percentField(view, {
      name,
      label: `${arm.name} share, percent`,
      cell: id,
      key: name,
      value,
      describedBy,
      send: (text) => view.send({ kind: "share", field: name, cell: id, segment: null, arm: arm.name, text }),
    });
    return [armName(arm, h("span", { class: "clip", title: arm.name }, arm.name)), box, message];
  });
  return h("div", {}, drawn, h("div", { class: "mixr" }, ...rows));
}

/** The mixes of a policy tree, one row a segment. */
export function mixes(view: View, id: string): HTMLElement {
  const { arms } = view.setup;
  const routes = view.cell(id)?.routes ?? [];
  const now = (segment: string): RouteView | undefined => view.route(id, segment);
  const [message, describedBy] = refusal(view, `share/${id}/`, id, () => "Leave the shares as they were");
  const rows = routes.map((route, i) => {
    const drawn = h("div");
    const setBy = h("span", { class: "soft" });
    let shown = "";
    view.bind(() => {
      const found = now(route.segment);
      const state = found ? found.shares.join() : shown;
      if (!found || state === shown) return;
      shown = state;
      drawn.replaceChildren(bar(arms, found.shares));
      setBy.textContent = found.set_by;
    });
    const numbers = arms.map((arm, k) => {
      const name = `share/${id}/${route.segment}/${k}`;
      const value = () => percent(now(route.segment)?.shares[k] ?? 0);
      const [box, input] = percentField(view, {
        name,
        label: `${arm.name} share in ${route.name}, percent`,
        cell: id,
        key: name,
        value,
        describedBy,
        class: "bare",
        send: (text) => view.send({ kind: "share", field: name, cell: id, segment: route.segment, arm: arm.name, text }),
      });
      input.dataset["row"] = String(i);
      input.dataset["column"] = String(k);
      return [h("span", { class: "share" }, armKey(arm), box)];
    });
    return {
      class: "pick",
      segment: route.segment,
      cells: [
        [h("button", { class: "pick-name", type: "button", "aria-pressed": "false", title: route.rule }, route.name)],
        [h("span", { class: "soft" }, route.share === null ? f.UNKNOWN : f.share(route.share))],
        [drawn],
        ...numbers,
        [setBy],
      ],
    };
  });
  const grid = table(
    "mixes",
    `Arm shares of ${id} by segment`,
    [
      { head: "Segment" },
      { head: "Share", class: "num" },
      { head: "Arm shares" },
      ...arms.map((arm) => ({ head: armName(arm, h("span", { class: "clip", title: arm.name }, arm.name)), class: "num" })),
      { head: "Set by", class: "num" },
    ],
    rows,
  );
  walk(grid);
  return h("div", { class: "mixbox" }, h("div", { class: "mixscroll" }, grid), message);
}

/** Arrows walk the numbers; one of them is in the tab order. */
function walk(grid: HTMLElement): void {
  const inputs = [...grid.querySelectorAll<HTMLInputElement>("input")];
  const columns = Math.max(1, ...inputs.map((i) => Number(i.dataset["column"]) + 1));
  const rove = (chosen: HTMLInputElement | undefined) => {
    for (const input of inputs) input.tabIndex = input === chosen ? 0 : -1;
  };
  rove(inputs[0]);
  grid.addEventListener("focusin", (event) => {
    if (event.target instanceof HTMLInputElement) rove(event.target);
  });
  grid.addEventListener("keydown", (event) => {
    const at = inputs.indexOf(event.target as HTMLInputElement);
    if (at < 0) return;
    const to = { ArrowUp: at - columns, ArrowDown: at + columns }[event.key];
    const next = to === undefined ? undefined : inputs[to];
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.select();
  });
}

/** The shape of a mix in the plan's strip of cells. */
export function cellClass(cell: PlanCellView): string {
  return { control: "c0", explore: "ce", hypothesis: "ch", optimized: "co" }[cell.role];
}

/** The drawn distribution of a numeric feature and where a cut divides it. */
export function histogram(feature: { name: string; low: number; high: number; counts: number[] }, side: string, cut: number): SVGElement {
  const width = 9;
  const most = Math.max(1, ...feature.counts);
  const step = (feature.high - feature.low) / feature.counts.length;
  const all = feature.counts.length * width;
  const inside = (middle: number) => (side === ">" ? middle > cut : middle <= cut);
  const at = step > 0 ? Math.min(Math.max((cut - feature.low) / step, 0), feature.counts.length) * width : 0;
  return s(
    "svg",
    {
      class: "fh",
      viewBox: `0 0 ${all} 30`,
      height: 30,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `Distribution of ${feature.name}, values ${side === ">" ? "above" : "up to"} ${cut} marked`,
    },
    ...feature.counts.map((count, i) => {
      const tall = (28.8 * count) / most;
      const middle = feature.low + (i + 0.5) * step;
      return s("rect", {
        x: i * width,
        y: (30 - tall).toFixed(1),
        width: width - 1,
        height: tall.toFixed(1),
        class: inside(middle) ? "in" : "outb",
      });
    }),
    s("line", { x1: at.toFixed(1), x2: at.toFixed(1), y1: -2, y2: 30 }),
  );
}
