// The drawn parts of a fit: stages, chains, interim lifts, convergence.

import { h, s } from "../shared/dom";
import { count, digitsFor, duration, liftFigures, plain, UNKNOWN } from "../shared/format";
import { armClass, armKey, armName } from "../shared/glyph";
import { definition, icon, statusIcon } from "../shared/icons";
import { liftTick, scaleOver } from "../shared/scale";
import type { FitSetup, LiftView, Progress, State } from "../shared/schema/fit_progress";
import type { Interval, LampStatus } from "../shared/schema/shared";
import { table } from "../shared/table";
import { isIndeterminate, kept, stageFraction, stageWeights, STAGE_WORD } from "./words";

export function stages(p: Progress, state: State): HTMLElement[] {
  const weights = stageWeights(p);
  return p.stages.map((stage) => {
    const current = stage.status === "current";
    const striped = current && isIndeterminate(p) && state === "running";
    const look = !current ? "" : striped ? "indet" : state === "running" ? "run" : "hold";
    const filled = stage.status === "done" || striped ? 1 : current ? stageFraction(p) : 0;
    const known = stage.status !== "todo" && stage.seconds !== null;
    const time = known ? duration(stage.seconds ?? 0) : "";
    return h(
      "li",
      {
        class: `${current ? "cur" : stage.status} ${look}`.trim(),
        style: `flex:${weights[stage.name].toFixed(2)} 1 0`,
        "aria-current": current ? "step" : undefined,
      },
      h("span", { class: "b" }, h("span", { class: "f", style: `width:${(100 * filled).toFixed(1)}%` })),
      h("span", { class: "l" }, stage.status === "done" && icon("tick"), STAGE_WORD[stage.name]),
      h("span", { class: "t" }, striped && time ? `${time} so far` : time),
    );
  });
}

/** The chains' traces, from the bytes that Python sends. Copied: a view may start at any byte. */
export function tracesFrom(view: DataView | undefined, lengths: readonly number[]): number[][] {
  if (!view) return [];
  const all = new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + 4 * Math.floor(view.byteLength / 4)));
  let from = 0;
  return lengths.map((length) => {
    from += length;
    return [...all.subarray(from - length, from)];
  });
}

const WIDTH = 240;
const HEIGHT = 30;

export function chains(p: Progress, traces: readonly number[][]): HTMLElement {
  const [drawn, planned] = kept(p);
  const reach = planned > 0 ? Math.min(1, drawn / planned) * WIDTH : WIDTH;
  const values = traces.flat().filter(Number.isFinite);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const y = (value: number) => (high > low ? HEIGHT - 1 - ((value - low) / (high - low)) * (HEIGHT - 2) : HEIGHT / 2);
  const first = p.lifts[0];
  const pooled = first ? Math.min(HEIGHT - 1, Math.max(1, y(first.lift.mean))) : HEIGHT / 2;
  return h(
    "section",
    { class: "pt-sec", "aria-label": "Chains" },
    h(
      "div",
      { class: "pt-sec-head" },
      h("h3", { class: "pt-h" }, "Chains"),
      h("span", { class: "pt-meta clip" }, first ? `${first.arm.name} lift, draw by draw` : "draw by draw"),
      h("span", { class: "pt-push pt-meta" }, planned > 0 && `draws of ${count(planned)}`),
    ),
    ...traces.map((trace, i) =>
      h(
        "div",
        { class: "ch" },
        h("span", { class: "cn" }, i + 1),
        s(
          "svg",
          { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
          s("line", { class: "pool", x1: 0, x2: WIDTH, y1: pooled.toFixed(1), y2: pooled.toFixed(1) }),
          s("polyline", {
            points: trace
              .map((value, j) => [trace.length > 1 ? (j / (trace.length - 1)) * reach : 0, y(value)] as const)
              .filter(([, at]) => Number.isFinite(at))
              .map(([x, at]) => `${x.toFixed(1)},${at.toFixed(1)}`)
              .join(" "),
          }),
        ),
        h("span", { class: "num" }, count(drawn)),
      ),
    ),
  );
}

/** How an arm's lift has settled: its interval at each share of the iterations. */
export type Settling = Map<string, { at: number; lift: Interval }[]>;

const MOST_POINTS = 300;

/** Remember a snapshot's lifts. Old points are thinned, never the newest. */
export function remember(settling: Settling, p: Progress): void {
  const at = p.total_iterations > 0 ? (100 * p.iteration) / p.total_iterations : 0;
  for (const { arm, lift } of p.lifts) {
    const points = settling.get(arm.name) ?? [];
    if (points.at(-1)?.at === at) points.pop();
    points.push({ at, lift });
    settling.set(arm.name, points.length > MOST_POINTS ? points.filter((_, i) => i % 2 === 0 || i === points.length - 1) : points);
  }
}

export function interim(p: Progress, setup: FitSetup, settling: Settling): HTMLElement {
  const ends = p.lifts.flatMap(({ lift }) => [lift.low, lift.high]);
  const scale = scaleOver([0, ...ends, ...ends.map((end) => 1.5 * end)], 4);
  const digits = Math.max(0, digitsFor(ends) - 1);
  return h(
    "section",
    { class: "pt-sec", "aria-label": "Interim lift" },
    h(
      "div",
      { class: "pt-sec-head" },
      h("h3", { class: "pt-h" }, "Interim lift"),
      h("span", { class: "pt-meta" }, `${setup.currency} per visitor against control, 80%`),
    ),
    h("div", { class: p.lifts.length > 1 ? "lifts" : "lifts one" }, ...p.lifts.map((lift) => fan(lift, setup, settling, scale, digits))),
  );
}

function fan(view: LiftView, setup: FitSetup, settling: Settling, scale: ReturnType<typeof scaleOver>, digits: number): HTMLElement {
  const points = settling.get(view.arm.name) ?? [];
  const y = (value: number) => 100 - scale.at(value);
  const line = (pick: (lift: Interval) => number) => points.map(({ at, lift }) => `${at.toFixed(1)},${y(pick(lift)).toFixed(1)}`);
  const lows = line((lift) => lift.low);
  const highs = line((lift) => lift.high);
  const now = points.at(-1)?.at ?? 0;
  const [mean, bounds] = liftFigures(view.lift, setup.currency, digits);
  const still = { "vector-effect": "non-scaling-stroke" };
  return h(
    "figure",
    { class: "lf" },
    h(
      "figcaption",
      {},
      h("span", { class: "pt-arm" }, armKey(view.arm), h("span", { class: "clip", title: view.arm.name }, view.arm.name)),
      h("b", {}, mean),
      h("span", { class: "soft" }, bounds),
    ),
    h(
      "div",
      { class: "fw" },
      s(
        "svg",
        { class: `fan ${armClass(view.arm)}`, viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" },
        ...scale.ticks.map((tick) =>
          s("line", { class: tick === 0 ? "pt-zero" : "pt-grid", x1: 0, x2: 100, y1: y(tick), y2: y(tick), ...still }),
        ),
        s("polygon", { class: "band", points: [...highs, ...lows.reverse()].join(" ") }),
        s("polyline", { class: "edge", points: highs.join(" "), ...still }),
        s("polyline", { class: "edge", points: lows.join(" "), ...still }),
        s("polyline", { class: "mid", points: line((lift) => lift.mean).join(" "), ...still }),
        s("line", { class: "now", x1: now, x2: now, y1: 0, y2: 100, ...still }),
      ),
      ...scale.ticks
        .filter((_, i) => i === 0 || i === scale.ticks.length - 1 || scale.ticks[i] === 0)
        .map((tick) => h("span", { class: "yl", "aria-hidden": "true", style: `top:${y(tick).toFixed(1)}%` }, liftTick(scale, tick))),
    ),
  );
}

const WORST_DRAWN = 1.1;
const CLOSE = 0.02;

function agreement(rHat: number | null, limit: number): LampStatus {
  if (rHat === null) return "none";
  return rHat <= limit ? "ok" : rHat <= limit + CLOSE ? "warn" : "bad";
}

const AGREEMENT_WORD: Record<LampStatus, string> = {
  ok: "within the limit",
  warn: "just above the limit",
  bad: "above the limit",
  none: "not known yet",
};

export function convergence(p: Progress, limit: number): HTMLElement {
  const x = (value: number) => `${(100 * Math.min(1, Math.max(0, (value - 1) / (WORST_DRAWN - 1)))).toFixed(2)}%`;
  const ticks = [1, 1.05, 1.1];
  const axis = s(
    "svg",
    { class: "pt-g pt-axis", height: 14, "aria-hidden": "true" },
    ...ticks.map((tick) => s("text", { class: "pt-tick", x: x(tick), y: 11, "text-anchor": "middle" }, plain(tick, 2))),
  );
  const rows = p.lifts.map(({ arm, r_hat, ess }) => {
    const status = agreement(r_hat, limit);
    const dot = s(
      "svg",
      { class: "pt-g ax", "aria-hidden": "true" },
      ...ticks.map((tick) => s("line", { class: "pt-grid", x1: x(tick), x2: x(tick), y1: 0, y2: "100%" })),
      s("line", { class: "lim", x1: x(limit), x2: x(limit), y1: 0, y2: "100%" }),
    );
    if (r_hat !== null) {
      dot.append(
        s("line", { class: "stem", x1: 0, x2: x(r_hat), y1: "50%", y2: "50%" }),
        s("circle", { class: "pt-m", cx: x(r_hat), cy: "50%", r: 4 }),
      );
    }
    const reading = h("span", { class: "okc" }, statusIcon(status, 12), h("span", { class: "vh" }, AGREEMENT_WORD[status]));
    return {
      cells: [
        [armName(arm, `${arm.name} vs control`)],
        [dot],
        [r_hat === null ? UNKNOWN : plain(r_hat, 3), reading],
        [ess === null ? UNKNOWN : count(ess)],
      ],
    };
  });
  return h(
    "section",
    { class: "pt-sec flush conv", "aria-label": "Convergence" },
    h(
      "div",
      { class: "pt-sec-head" },
      h("h3", { class: "pt-h" }, "Convergence of what will be reported"),
      h("span", { class: "pt-meta" }, `The line is the limit, ${limit}`),
    ),
    h(
      "div",
      { class: "pt-bleed" },
      table(
        "rh",
        "Convergence of each reported lift",
        [
          { head: "Reported quantity" },
          { head: h("span", { class: "vh" }, "R-hat, drawn"), class: "g", axis },
          {
            head: definition(
              "R-hat",
              "Whether the chains agree: their spread together against each one's own. 1.00 is full agreement.",
              "sampling",
            ),
            class: "num",
          },
          { head: definition("ESS", "How many independent draws the correlated ones are worth.", "sampling"), class: "num" },
        ],
        rows,
      ),
    ),
  );
}
