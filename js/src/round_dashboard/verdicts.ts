// One verdict for each treatment, for everyone and in each segment, with the engine's reason.

import { h } from "../shared/dom";
import * as f from "../shared/format";
import { armName, axis, glyph } from "../shared/glyph";
import { chip, definition } from "../shared/icons";
import { CLAIM, type Names, VERDICT } from "../shared/rules";
import { liftTick, scaleOver } from "../shared/scale";
import type { RoundView, VerdictView } from "../shared/schema/round_dashboard";
import type { Interval, LampStatus, Verdict } from "../shared/schema/shared";
import { type Column, section, stacked, table } from "../shared/table";

const LOOK: Record<Verdict, LampStatus | ""> = { SHIP: "ok", CONTINUE: "", STOP: "bad" };
/** More rows than this are folded away: everyone's verdicts stay in sight. */
const SHOWN = 6;

/** The section, and how its rows take in other names without being laid out anew. */
export interface Verdicts {
  el: HTMLElement;
  rename(names: Names): void;
}

export function verdicts(round: RoundView, names: Names, selected: () => string | null): Verdicts | null {
  if (round.verdicts.length === 0) return null;
  let called = names;
  const nameOf = (v: VerdictView) => called[v.segment] ?? v.called;
  const ends = round.verdicts.flatMap(({ lift }) => [lift.low, lift.high]);
  const scale = scaleOver([0, ...ends], 4);
  const digits = f.digitsFor(ends);
  // Everyone is nothing that could be selected.
  const known = new Set(round.segments.map((segment) => segment.id));
  const year = round.verdicts.some((v) => v.per_year !== null);
  const columns = (): Column[] => [
    { head: "Segment and arm", class: "c1" },
    { head: "Verdict", class: "c2" },
    { head: `Lift in revenue per visitor, ${round.currency}`, class: "g c3", axis: axis(scale, liftTick) },
    { head: `Lift, ${f.share(round.level)} interval`, class: "num c4" },
    {
      head: definition(
        year ? "Worth a year" : "Worth next round",
        year
          ? "The lift times the visitors of a year that are in the segment."
          : "The lift times the visitors of the next round that are in the segment.",
        "thresholds",
      ),
      class: "num c5",
    },
    { head: definition("Claim", CLAIM, "claim"), class: "c6" },
  ];
  const [mean, bounds] = [
    (v: VerdictView) => f.signedMoney(v.lift.mean, round.currency, digits),
    (v: VerdictView) => f.signedRange(v.lift, digits),
  ];
  const drawn = (v: VerdictView) =>
    glyph({
      arm: v.arm,
      scale,
      zero: true,
      interval: v.lift,
      calibrated: round.is_calibrated,
      label: f.labelled(`${nameOf(v)}, ${v.arm.name}: ${VERDICT[v.verdict]}, lift ${mean(v)} ${bounds(v)}, ${v.claim}`, round),
    });
  const name = (v: VerdictView) =>
    known.has(v.segment)
      ? h("button", { type: "button", class: "pt-name pick-name", "aria-pressed": String(v.segment === selected()) }, nameOf(v))
      : h("span", { class: "pt-name" }, nameOf(v));
  const row = (v: VerdictView) => ({
    ...(known.has(v.segment) ? { segment: v.segment, class: `pick${v.segment === selected() ? " sel" : ""}` } : {}),
    cells: [
      [name(v), h("span", { class: "sub" }, armName(v.arm, v.arm.name)), reason(v)],
      [chip(VERDICT[v.verdict], LOOK[v.verdict])],
      [drawn(v)],
      stacked(mean(v), bounds(v)),
      worth(year ? v.per_year : v.per_round, round.currency),
      [h("span", { class: "cl" }, f.capitalised(v.claim))],
    ],
  });
  const made: { node: HTMLElement; of: VerdictView }[] = [];
  const tableOf = (name: string, some: readonly VerdictView[]) => {
    const built = table("verd", name, columns(), some.map(row));
    built.querySelectorAll<HTMLElement>("tbody tr").forEach((node, i) => made.push({ node, of: some[i]! }));
    return built;
  };
  const first = round.verdicts.slice(0, SHOWN);
  const rest = round.verdicts.slice(SHOWN);
  const el = section(
    "Verdicts",
    f.labelled("One for each treatment, for everyone and where targeting pays in each segment", round),
    h("div", { class: "pt-bleed" }, tableOf("Verdicts", first)),
    rest.length > 0 && folded(`${rest.length} more verdicts`, () => tableOf("More verdicts", rest)),
  );
  return {
    el,
    rename(now) {
      called = now;
      for (const { node, of } of made) {
        const name = node.querySelector(".pt-name");
        if (!name || name.textContent === nameOf(of)) continue;
        name.textContent = nameOf(of);
        node.querySelector("td.g")?.replaceChildren(drawn(of));
      }
    },
  };
}

/** Hundreds of rows that nobody has asked for yet are drawn when somebody does. */
function folded(words: string, content: () => HTMLElement): HTMLElement {
  const box = h("div", { class: "pt-bleed" });
  const made = h("details", { class: "more" }, h("summary", {}, words), box);
  made.addEventListener("toggle", () => box.append(content()), { once: true });
  return made;
}

function reason(v: VerdictView): HTMLElement {
  return h("details", { class: "said" }, h("summary", {}, "Why"), h("p", {}, v.reason));
}

function worth(sum: Interval | null, currency: string): (Node | string)[] {
  if (sum === null) return [h("span", { class: "soft" }, f.UNKNOWN)];
  const digits = Math.max(Math.abs(sum.low), Math.abs(sum.high)) < 10 ? 2 : 0;
  return stacked(f.signedMoney(sum.mean, currency, digits), f.signedRange(sum, digits), false) as (Node | string)[];
}
