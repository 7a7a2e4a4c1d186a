// Arms and segments on one scale, then how each arm's lift comes about.

import { breakable, h } from "../shared/dom";
import * as f from "../shared/format";
import { armName, axis, glyph } from "../shared/glyph";
import { definition } from "../shared/icons";
import { CLAIM, named, type Named, type Names, ruleText, segmentName } from "../shared/rules";
import { liftTick, type Scale, scaleOver } from "../shared/scale";
import type { ClassicView, ComparisonView, RoundView, SegmentView } from "../shared/schema/round_dashboard";
import { type Column, type Row, rowNode, section, stacked, table } from "../shared/table";
import { liftDigits } from "./decision";

const CLASSICAL =
  "Welch's test of this round's Control and Explore visitors, whose arms do not depend on who they are: no model, no earlier rounds, so it is wider. Holm: p corrected for all comparisons of the round.";
/** Rows that are there at the first paint: more than a screen holds. */
const AT_ONCE = 24;
/** Rows that are added in each frame after it. */
const A_FRAME = 40;

interface Line {
  /** What it shows: a line with the same key is not drawn again. */
  key: string;
  row: () => Row | string;
}

/** The table of arms and segments. There may be hundreds, so only what changed is drawn again. */
export class Effects {
  readonly el = h("section", { class: "pt-sec flush", "aria-label": "Arms and segments" });
  readonly #selected: () => string | null;
  #frame = "";
  #lines: Line[] = [];
  #columns: Column[] = [];
  #body: Element | null = null;
  #turn = 0;

  constructor(selected: () => string | null) {
    this.#selected = selected;
  }

  show(round: RoundView, names: Names, classic: ClassicView | null): void {
    const { currency, is_calibrated: calibrated, level } = round;
    const ends = [...round.comparisons.map((c) => c.lift), ...round.segments.map((s) => s.gate)].flatMap((i) => [i.low, i.high]);
    const scale = scaleOver([0, ...ends], 4);
    const digits = Math.max(liftDigits(round), f.digitsFor(ends));
    const segments = named(round.segments, names);
    const found = segments.filter((s) => !s.registered);
    const registered = segments.filter((s) => s.registered);
    const segment = (s: Named<SegmentView>): Line => ({
      key: JSON.stringify(s),
      row: () => segmentRow(s, round, scale, digits, this.#selected()),
    });
    const words = (text: string): Line => ({ key: text, row: () => text });
    const lines: Line[] = [
      ...round.comparisons.flatMap((c) => [
        { key: JSON.stringify(c), row: () => armRow(c, round, scale, digits) },
        { key: JSON.stringify(classic), row: () => classicRow(c, classic, round, scale, digits) },
      ]),
      words(
        found.length === 1
          ? "No split pays: everyone is one segment, its strongest treatment against control"
          : `${found.length} segments, each with its strongest treatment against control, ordered by gain`,
      ),
      ...found.map(segment),
      ...(registered.length > 0 ? [words("Registered, followed whatever the tree becomes")] : []),
      ...registered.map(segment),
    ];
    const frame = JSON.stringify([
      currency,
      calibrated,
      level,
      round.converged,
      round.n_cumulative,
      round.arms,
      scale.ticks,
      scale.at(0),
      scale.at(1),
      digits,
    ]);
    if (frame === this.#frame && lines.length === this.#lines.length) this.#update(lines);
    else this.#build(lines, round, scale);
    this.#frame = frame;
  }

  #update(lines: Line[]): void {
    const before = this.#lines;
    this.#lines = lines;
    [...(this.#body?.children ?? [])].forEach((node, i) => {
      const line = lines[i]!;
      if (line.key === before[i]!.key) return;
      // Another row in its place would make the browser style every row again; other cells do not.
      const fresh = rowNode(line.row(), this.#columns);
      for (const { name, value } of fresh.attributes) node.setAttribute(name, value);
      node.replaceChildren(...fresh.childNodes);
    });
  }

  #build(lines: Line[], round: RoundView, scale: Scale): void {
    this.#lines = lines;
    this.#columns = [
      { head: "Arm", class: "c1" },
      { head: "Share", class: "num c2" },
      { head: `Lift in revenue per visitor, ${round.currency}`, class: "g c3", axis: axis(scale, liftTick) },
      { head: `Lift, ${f.share(round.level)} interval`, class: "num c4" },
      { head: "Evidence", class: "c5" },
      { head: definition("Claim", CLAIM, "claim"), class: "c6" },
    ];
    const made = table(
      "eff",
      "Arms and segments",
      this.#columns,
      lines.slice(0, AT_ONCE).map((line) => line.row()),
    );
    this.#body = made.querySelector("tbody");
    const whole = section(
      "Arms and segments",
      f.labelled(`Lift in revenue per visitor, ${round.currency}, one scale from top to bottom`, round),
      h("div", { class: "pt-bleed" }, made),
    );
    this.el.replaceChildren(...whole.childNodes);
    this.#turn += 1;
    this.#addLater(this.#turn);
  }

  /** Add the other rows frame by frame; a table that was built anew has its own turn. */
  #addLater(turn: number): void {
    if (!this.#body || this.#body.children.length >= this.#lines.length) return;
    requestAnimationFrame(() =>
      setTimeout(() => {
        if (turn !== this.#turn || !this.#body) return;
        const from = this.#body.children.length;
        this.#body.append(...this.#lines.slice(from, from + A_FRAME).map((line) => rowNode(line.row(), this.#columns)));
        this.#addLater(turn);
      }),
    );
  }
}

function armRow(c: ComparisonView, round: RoundView, scale: Scale, digits: number): Row {
  const { currency } = round;
  const label = `${c.arm.name} vs ${c.control} ${f.liftFigures(c.lift, currency, digits).join(" ")}, ${f.share(round.level)} interval, ${f.count(round.n_cumulative)} visitors, ${c.claim}`;
  return {
    cells: [
      [armName(c.arm, h("span", { class: "pt-name" }, ...breakable(c.arm.name))), h("span", { class: "sub ind" }, `vs ${c.control}`)],
      [f.share(1)],
      [glyph({ arm: c.arm, scale, zero: true, interval: c.lift, calibrated: round.is_calibrated, label })],
      stacked(f.signedMoney(c.lift.mean, currency, digits), f.signedRange(c.lift, digits)),
      [f.probability(c.p_positive), h("span", { class: "sub" }, "P(lift > 0)")],
      [h("span", { class: "cl" }, f.capitalised(c.claim)), h("span", { class: "sub" }, settled(c))],
    ],
  };
}

/** The same comparison without the model. Its place is kept until Python has worked it out. */
function classicRow(c: ComparisonView, classic: ClassicView | null, round: RoundView, scale: Scale, digits: number): Row {
  const { currency } = round;
  const name = h("span", { class: "sub ind" }, definition("Classical test", CLASSICAL, "floors"));
  const found = classic?.lifts.find((lift) => lift.arm.name === c.arm.name);
  if (!found) {
    const why = classic === null ? "" : classic.problem || "fewer than two visitors to compare";
    return {
      class: "classic",
      cells: [
        [name],
        [],
        [glyph({ arm: c.arm, scale, zero: true, calibrated: true, label: `${c.arm.name}, classical test: not known` })],
        [f.UNKNOWN],
        [h("span", { class: "sub" }, why)],
        [],
      ],
    };
  }
  const [mean, bounds] = f.liftFigures(found.lift, currency, digits);
  const label = `${c.arm.name}, classical test: ${mean} ${bounds}, ${f.share(classic?.level ?? 0)} interval`;
  return {
    class: "classic",
    cells: [
      [name],
      [],
      // The scale is the model's: a much wider interval would press all others together.
      [glyph({ arm: c.arm, scale, zero: true, interval: found.lift, calibrated: true, label })],
      stacked(mean, bounds, false),
      [`p ${f.pValue(found.p_value)}`, h("span", { class: "sub" }, `Holm ${f.pValue(found.p_adjusted)}`)],
      [h("span", { class: "sub" }, `${f.share(classic?.level ?? 0)}, ${f.count(found.n_treatment)} vs ${f.count(found.n_control)}`)],
    ],
  };
}

function segmentRow(s: Named<SegmentView>, round: RoundView, scale: Scale, digits: number, selected: string | null): Row {
  const { currency } = round;
  const everyone = s.rule === "everyone";
  const called = segmentName(s);
  const label = `${called}: ${s.arm.name} GATE ${f.liftFigures(s.gate, currency, digits).join(" ")}, ${f.share(round.level)} interval, ${f.count(s.n_visitors)} visitors, ${s.claim}`;
  const stability = s.stability === null ? "stability not known" : `stability ${f.plain(s.stability, 2)}`;
  const chosen = s.id === selected;
  return {
    class: chosen ? "pick sel" : "pick",
    segment: s.id,
    cells: [
      [
        h(
          "button",
          {
            type: "button",
            class: "pt-name pick-name",
            "aria-pressed": String(chosen),
            title: `${f.count(s.n_visitors)} visitors, ${f.count(s.n_converted)} converted`,
          },
          called,
        ),
        h("span", { class: "soft sid" }, ...breakable([s.name ? `${s.id}, ` : "", s.arm.name, " vs ", round.arms[0]?.name ?? ""].join(""))),
        ...(everyone ? [] : [h("span", { class: "pt-rule" }, ...ruleText(s.rule))]),
      ],
      [f.share(s.share)],
      [glyph({ arm: s.arm, scale, zero: true, interval: s.gate, calibrated: round.is_calibrated, label })],
      stacked(f.signedMoney(s.gate.mean, currency, digits), f.signedRange(s.gate, digits)),
      [
        armName(s.leader, h("span", { class: "clip", title: s.leader.name }, s.leader.name)),
        h("span", { class: "sub ind" }, `P(best) ${f.probability(s.p_best)}`),
      ],
      [h("span", { class: "cl" }, f.capitalised(s.claim)), h("span", { class: "sub" }, stability)],
    ],
  };
}

/** Which side of zero the interval is on. */
function settled(c: ComparisonView): string {
  if (c.lift.low > 0) return "interval above zero";
  return c.lift.high < 0 ? "interval below zero" : "interval holds zero";
}

/** The same lift in per cent, in its two parts, and by two other methods. */
export function parts(round: RoundView): HTMLElement {
  const digits = liftDigits(round);
  const { currency } = round;
  const amount = (value: number | null) => (value === null ? f.UNKNOWN : f.signedMoney(value, currency, digits));
  return section(
    "Where the lift comes from",
    f.labelled("Conversion and severity add up to the lift; the last two columns are cross-checks", round),
    h(
      "div",
      { class: "pt-bleed" },
      table(
        "parts",
        "Where the lift comes from",
        [
          { head: "Arm", class: "c1" },
          { head: definition("Relative lift", "The lift as a share of control's revenue per visitor.", "reported"), class: "num" },
          { head: definition("Conversion", "What more or fewer buyers add to the lift, money per visitor.", "reported"), class: "num" },
          { head: definition("Severity", "What larger or smaller orders add to the lift, money per visitor.", "reported"), class: "num" },
          { head: definition("Observed", "Difference of the raw means, before any model.", "estimates"), class: "num" },
          {
            head: definition(
              "AIPW",
              "Doubly robust estimate from the recorded assignment probabilities, with its standard error.",
              "estimates",
            ),
            class: "num",
          },
        ],
        round.comparisons.map((c) => {
          const { relative_lift: relative } = c;
          const share = relative
            ? stacked(f.signedShare(relative.mean), f.pair(f.signedShare(relative.low), f.signedShare(relative.high)))
            : [f.UNKNOWN];
          return {
            cells: [
              [
                armName(c.arm, h("span", { class: "pt-name" }, ...breakable(c.arm.name))),
                h("span", { class: "sub ind" }, `vs ${c.control}`),
              ],
              share,
              stacked(f.signedMoney(c.conversion_part.mean, currency, digits), f.signedRange(c.conversion_part, digits)),
              stacked(f.signedMoney(c.severity_part.mean, currency, digits), f.signedRange(c.severity_part, digits)),
              [amount(c.observed_lift), h("span", { class: "sub" }, "raw means")],
              [amount(c.aipw_lift), h("span", { class: "sub" }, c.aipw_se === null ? "\u00a0" : `± ${f.plain(c.aipw_se, digits)}`)],
            ],
          };
        }),
      ),
    ),
  );
}
