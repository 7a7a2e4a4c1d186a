// All that there is to show of an experiment. Python did the statistics.

import { type Child, h, s } from "../shared/dom";
import * as f from "../shared/format";
import { armClass, armName, axis, glyph } from "../shared/glyph";
import { chip, definition, icon, note } from "../shared/icons";
import { amountTick, scaleOver } from "../shared/scale";
import type { AnalysisView, ComparisonFiguresView, ExperimentDetail, ResultView, WeightHistoryView } from "../shared/schema/console";
import { table } from "../shared/table";
import { button } from "./button";
import { armRef, modeWords, moment, pEquals, percents, shortPValue, statusChip } from "./words";

export interface DrawerActions {
  close(): void;
  launch(): void;
  stop(): void;
  analyze(): void;
  edit(): void;
  remove(): void;
  history(): void;
}

const ALPHA = "Successes + 1: the first parameter of the Beta posterior that Thompson sampling draws from.";
const BETA = "Failures + 1: the second parameter of the Beta posterior.";

function section(title: string, meta: string, ...content: Child[]): HTMLElement {
  return h(
    "section",
    { class: "ds", "aria-label": title },
    h("div", { class: "pt-sec-head" }, h("h4", { class: "pt-h" }, title), h("span", { class: "pt-meta" }, meta)),
    ...content,
  );
}

function head(one: ExperimentDetail, actions: DrawerActions): HTMLElement {
  const close = button([icon("cross")], "quiet icon", "close", actions.close);
  close.setAttribute("aria-label", "Close");
  const mode = modeWords({ type: one.type, n_rounds: one.rounds.length });
  const launched =
    one.status === "draft"
      ? `Made ${moment(one.created_at)} by ${one.created_by}`
      : `Launched ${moment(one.launched_at ?? one.created_at)}${one.stopped_at ? `, stopped ${moment(one.stopped_at)}` : ""}`;
  return h(
    "div",
    { class: "dh" },
    h("div", { class: "pt-row hd" }, h("h3", { class: "pt-title" }, one.name), close),
    h(
      "div",
      { class: "pt-row" },
      statusChip(one.status),
      mode !== null && h("span", { class: "pt-chip" }, mode),
      one.winner !== null
        ? chip(`Winner: ${one.winner}`, "ok")
        : one.type !== "adaptive" && h("span", { class: "pt-chip" }, "No winner yet"),
    ),
    one.hypothesis && h("p", { class: "soft hyp" }, one.hypothesis),
    h("p", { class: "pt-meta" }, launched),
  );
}

function splitNote(result: ResultView): HTMLElement | null {
  const { split } = result;
  if (!split.alarm) return null;
  const p = split.p_value === null ? "" : `: ${pEquals(split.p_value)}`;
  const node = note(
    "bad",
    "The traffic split is off.",
    `Seen ${percents(split.observed)} against a planned ${percents(split.expected)}, time-weighted${p}. Until assignment is fixed, the figures below may mislead.`,
  );
  node.setAttribute("role", "alert");
  node.dataset["testid"] = "srm";
  return node;
}

function variants(one: ExperimentDetail): HTMLElement {
  const rows = one.variants.map((v, i) => ({
    class: v.is_winner ? "win" : "",
    cells: [
      [
        armName(armRef(v.name, i), h("span", { class: "wrap" }, v.name)),
        ...(v.is_winner ? [chip("Winner", "ok")] : []),
        ...(v.note ? [h("span", { class: "sub ind" }, v.note)] : []),
      ],
      [f.share(v.traffic_weight, 1)],
      [f.count(v.alpha)],
      [f.count(v.beta)],
    ] as Child[][],
  }));
  const meta = one.type === "bandit" ? "weights follow what is observed" : "weights stay";
  return section(
    "Variants",
    one.status === "draft" ? "before the launch" : meta,
    table(
      "vt",
      "Variants",
      [
        { head: "Variant" },
        { head: "Weight", class: "num w1" },
        { head: definition("α", ALPHA), class: "num w1" },
        { head: definition("β", BETA), class: "num w1" },
      ],
      rows,
    ),
  );
}

function rates(one: ExperimentDetail, result: ResultView): HTMLElement {
  const share = one.metric === "conversion";
  const times = share ? 100 : 1;
  const ends = result.variants.flatMap((v) => (v.low === null || v.high === null ? [] : [times * v.low, times * v.high]));
  const scale = scaleOver(ends, 4);
  const digits = share ? 2 : f.digitsFor(ends);
  const text = (value: number) => (share ? f.share(value, 2) : f.plain(value, digits));
  const rows = result.variants.map((v, i) => {
    const known = v.mean !== null && v.low !== null && v.high !== null;
    const range = known ? f.range({ mean: 0, low: times * v.low!, high: times * v.high! }, digits) : "";
    const interval = known ? { mean: times * v.mean!, low: times * v.low!, high: times * v.high! } : null;
    return {
      cells: [
        [armName(armRef(v.name, i), h("span", { class: "wrap" }, v.name))],
        [f.count(v.conversions), h("span", { class: "sub" }, `of ${f.count(v.exposures)}`)],
        [
          glyph({
            arm: armRef(v.name, i),
            scale,
            interval,
            calibrated: true,
            label: `${v.name} ${known ? `${text(v.mean!)} ${range}` : "no visitors"}`,
          }),
        ],
        known ? [h("span", { class: "main" }, text(v.mean!)), h("span", { class: "sub" }, range)] : [f.UNKNOWN],
      ] as Child[][],
    };
  });
  const pooled = one.type === "bandit" ? ", pooled over changing weights" : "";
  return section(
    share ? "Conversion" : "Revenue per visitor",
    `${share ? "rate, %, " : ""}80% interval${pooled}`,
    table(
      "vt r2",
      "Outcome of each variant",
      [
        { head: "Variant" },
        { head: "Conversions", class: "num w2" },
        { head: h("span", { class: "vh" }, "Drawn interval"), class: "g", axis: axis(scale, amountTick) },
        { head: share ? "Rate" : "Mean", class: "num w3" },
      ],
      rows,
    ),
  );
}

/** The log-likelihood ratio on a scale with its limit. */
function ratio(value: number, limit: number): Child[] {
  const scale = scaleOver([0, value, limit, -2], 4);
  const x = (at: number) => `${Math.min(100, Math.max(0, scale.at(at))).toFixed(2)}%`;
  const ticks = scale.ticks.filter((tick) => Math.abs(scale.at(tick) - scale.at(limit)) > 16);
  const drawn = s(
    "svg",
    { class: "pt-g box ax", height: 22, role: "img", "aria-label": `log-LR ${f.plain(value, 2)}, limit ${f.plain(limit, 2)}` },
    ...ticks.map((tick) => s("line", { class: "pt-grid", x1: x(tick), x2: x(tick), y1: 0, y2: "100%" })),
    s("line", { class: "lim", x1: x(limit), x2: x(limit), y1: 0, y2: "100%" }),
    s("line", { class: "stem", x1: x(0), x2: x(value), y1: "50%", y2: "50%" }),
    s("circle", { class: "pt-m", cx: x(value), cy: "50%", r: 4.5 }),
  );
  const text = (at: number, words: string, anchor = "middle") =>
    s("text", { class: "pt-tick", x: x(at), y: 11, "text-anchor": anchor }, words);
  const over = scale.at(limit) > 70 ? "end" : "middle";
  return [
    drawn,
    s(
      "svg",
      { class: "pt-g box", height: 14, "aria-hidden": "true" },
      ...ticks.filter((t) => over === "middle" || scale.at(t) < 52).map((tick) => text(tick, f.plain(tick, scale.digits))),
      text(limit, `decide at ${f.plain(limit, 1)}`, over),
    ),
  ];
}

function test(name: string, small: string, drawn: Child[], value: string, under: string): HTMLElement {
  return h(
    "div",
    { class: drawn.length ? "tr1" : "tr1 nb" },
    h("span", { class: "tn" }, name, h("small", {}, small)),
    h("div", {}, ...drawn),
    h("span", { class: "num" }, h("b", {}, value), h("small", {}, under)),
  );
}

function comparison(one: ExperimentDetail, analysis: AnalysisView, c: ComparisonFiguresView, slot: number): HTMLElement {
  const { result } = analysis;
  const several = result.comparisons.length > 1;
  const tests: HTMLElement[] = [];
  const level = f.share(1 - one.alpha);
  if (c.lift !== null && c.lift_low !== null && c.lift_high !== null) {
    const shown = { mean: 100 * c.lift, low: 100 * c.lift_low, high: 100 * c.lift_high };
    const scale = scaleOver([0, shown.low, shown.high], 2);
    const label = `relative lift ${f.signedShare(c.lift)} ${f.signedRange(shown, 1)}`;
    tests.push(
      test(
        "Relative lift",
        `${level}, valid at any time`,
        [
          glyph({ arm: armRef(c.name, slot), scale, zero: true, interval: shown, calibrated: true, label, height: 20 }),
          axis(scale, (sc, tick) => (tick === 0 ? f.percent(0, 0) : f.signedPercent(tick, sc.digits)), true),
        ],
        f.signedShare(c.lift),
        f.signedRange(shown, 1),
      ),
    );
  } else {
    tests.push(test("Relative lift", "no interval yet", [], c.lift === null ? f.UNKNOWN : f.signedShare(c.lift), ""));
  }
  const always = c.enough ? pEquals(c.p_always) : "";
  const holm = several && c.enough ? `, Holm ${shortPValue(c.p_always_holm)}` : "";
  tests.push(
    c.log_lr === null || !c.enough
      ? test("mSPRT log-LR", "from 100 visitors and 10 conversions each", [], f.UNKNOWN, "")
      : test("mSPRT log-LR", "valid at any time", ratio(c.log_lr, result.log_lr_limit), f.plain(c.log_lr, 2), always + holm),
  );
  const end =
    one.planned_visitors === null
      ? "valid only at a planned end; none was set"
      : `valid only at the planned end, ${f.count(one.planned_visitors)} visitors`;
  tests.push(
    c.p_classical === null
      ? test("Classical p", one.type === "bandit" ? "not valid while weights change" : end, [], f.UNKNOWN, "")
      : test(
          "Classical p",
          end,
          [],
          shortPValue(c.p_classical),
          several && c.p_classical_holm !== null ? `Holm ${shortPValue(c.p_classical_holm)}` : "",
        ),
  );
  const control = one.variants[0]?.name ?? "control";
  return section(
    `${c.name} against ${control}`,
    "",
    h("div", { class: `tests ${armClass(armRef(c.name, slot))}`, "data-testid": "tests" }, ...tests),
  );
}

function recommendation(analysis: AnalysisView): HTMLElement {
  const { verdict, cuped } = analysis.result;
  return h(
    "section",
    { class: "ds rec", "aria-label": "Recommendation", "data-testid": "recommendation" },
    h("h4", { class: "pt-h" }, "Recommendation"),
    h("p", {}, h("b", {}, verdict.headline)),
    h("p", { class: "soft" }, verdict.reason),
    h("p", { class: "pt-meta" }, `CUPED: ${cuped} Analysed ${moment(analysis.made_at)}.`),
  );
}

function adaptive(one: ExperimentDetail): HTMLElement[] {
  const rows = one.rounds.map((r) => ({
    cells: [
      [String(r.number)],
      [f.count(r.n_visitors)],
      [h("span", { class: "main" }, `${r.verdict} ${r.treatment}`), h("span", { class: "sub" }, r.label)],
      [
        h("span", { class: "main" }, f.signed(r.lift, 3)),
        h("span", { class: "sub" }, f.signedRange({ mean: 0, low: r.lift_low, high: r.lift_high }, 3)),
      ],
    ] as Child[][],
  }));
  const code = `exp = pt.open(${JSON.stringify(one.name)})`;
  return [
    rows.length
      ? section(
          "Rounds",
          "lift in revenue per visitor",
          table(
            "vt",
            "Rounds",
            [{ head: "Round" }, { head: "Visitors", class: "num" }, { head: "Verdict" }, { head: "Lift, 80% interval", class: "num" }],
            rows,
          ),
        )
      : section("Rounds", "", h("p", { class: "soft fs" }, "No round is finished yet.")),
    section("Go on in a notebook", "rounds are run there", h("pre", { class: "pt-code", "data-testid": "open-code" }, code)),
  ];
}

function periods(history: WeightHistoryView, one: ExperimentDetail): HTMLElement {
  const rows = [...history.periods]
    .reverse()
    .slice(0, 50)
    .map((p) => ({ cells: [[moment(p.since)], ...one.variants.map((v): Child[] => [f.share(p.weights[v.name] ?? 0, 1)])] as Child[][] }));
  return section(
    "Weight history",
    `${f.count(history.periods.length)} ${history.periods.length === 1 ? "period" : "periods"}, newest first`,
    h(
      "div",
      { class: "scroll" },
      table("vt", "Weight history", [{ head: "Since" }, ...one.variants.map((v) => ({ head: v.name, class: "num" }))], rows),
    ),
  );
}

export function drawer(
  one: ExperimentDetail,
  history: WeightHistoryView | null,
  message: string,
  busy: boolean,
  actions: DrawerActions,
): HTMLElement {
  const analysis = one.analysis;
  const isAdaptive = one.type === "adaptive";
  const body: Child[] = isAdaptive ? adaptive(one) : [variants(one)];
  if (analysis !== null) {
    body.push(
      rates(one, analysis.result),
      ...analysis.result.comparisons.map((c, i) => comparison(one, analysis, c, i + 1)),
      recommendation(analysis),
    );
  } else if (!isAdaptive && one.status !== "draft") {
    body.push(
      h(
        "section",
        { class: "ds" },
        h("p", { class: "soft fs" }, "Not analysed yet. Looking is free: the sequential test is valid at any time."),
      ),
    );
  }
  if (history !== null) body.push(periods(history, one));
  const footer: Child[] = [];
  if (one.status === "draft" && !isAdaptive) {
    footer.push(
      button(["Launch"], "primary", "d-launch", actions.launch, busy),
      button(["Edit"], "", "d-edit", actions.edit, busy),
      h("span", { class: "pt-push" }),
      button(["Delete"], "danger", "d-delete", actions.remove, busy),
    );
  } else if (!isAdaptive) {
    footer.push(
      button([busy ? "Analyzing" : "Analyze"], "primary", "d-analyze", actions.analyze, busy),
      button(["Weight history"], "", "d-history", actions.history),
    );
    if (one.status === "running")
      footer.push(h("span", { class: "pt-push" }), button([icon("square"), "Stop"], "danger", "d-stop", actions.stop, busy));
  }
  return h(
    "aside",
    { class: "dr", "aria-label": one.name, "data-testid": "drawer" },
    head(one, actions),
    analysis && splitNote(analysis.result),
    message !== "" && note("bad", message, ""),
    ...body,
    footer.length > 0 && h("footer", { class: "df" }, ...footer),
  );
}
