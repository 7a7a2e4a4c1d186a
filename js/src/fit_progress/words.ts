// What a snapshot of a fit says, in words and in per cent. Nothing here touches the page.

import { count, duration, roundedLeft } from "../shared/format";
import type { IconName } from "../shared/icons";
import type { Progress, StageName, State } from "../shared/schema/fit_progress";
import type { LampStatus } from "../shared/schema/shared";

export const STAGE_WORD: Record<StageName, string> = {
  read: "Read",
  compile: "Compile",
  "warm up": "Warm up",
  sample: "Sample",
  segments: "Segments",
  plan: "Plan",
  fits: "Fits",
};

const DOING: Record<StageName, string> = {
  read: "Reading",
  compile: "Compiling",
  "warm up": "Warming up",
  sample: "Sampling",
  segments: "Finding segments",
  plan: "Planning",
  fits: "Simulating and fitting",
};

/** Whether nothing is known of the time left. */
export function isIndeterminate(p: Progress): boolean {
  return p.stage === "read" || p.stage === "compile";
}

export function isOver(state: State): boolean {
  return state === "done" || state === "cancelled" || state === "failed";
}

/** Draws kept so far and in all, a chain. */
export function kept(p: Progress): [number, number] {
  return [Math.max(0, p.iteration - p.warm_up_iterations), p.total_iterations - p.warm_up_iterations];
}

const DRAWING = 66;

/** How wide each stage is drawn. Warm-up and sampling share theirs by iterations. */
export function stageWeights(p: Progress): Record<StageName, number> {
  const warm = p.total_iterations > 0 ? p.warm_up_iterations / p.total_iterations : 0.25;
  return {
    read: 4,
    compile: 14,
    "warm up": DRAWING * warm,
    sample: DRAWING * (1 - warm),
    segments: 10,
    plan: 6,
    fits: 100,
  };
}

/** How much of the current stage is done, 0 where that is not known. */
export function stageFraction(p: Progress): number {
  const [drawn, planned] = kept(p);
  if (p.stage === "warm up") return ratio(p.iteration, p.warm_up_iterations);
  return p.stage === "sample" || p.stage === "fits" ? ratio(drawn, planned) : 0;
}

function ratio(part: number, whole: number): number {
  return whole > 0 ? Math.min(1, part / whole) : 0;
}

/** The part of the bar that is filled, in whole per cent; null before anything can be counted. */
export function percentDone(p: Progress): number | null {
  if (p.state === "done") return 100;
  if (isIndeterminate(p)) return null;
  const weights = stageWeights(p);
  let filled = 0;
  for (const stage of p.stages) {
    if (stage.status === "done") filled += weights[stage.name];
    if (stage.status === "current") filled += weights[stage.name] * stageFraction(p);
  }
  return Math.floor(filled);
}

export interface Headline {
  big: string;
  rest: string;
}

/**
 * The time left. `shown` is the last estimate on screen: an estimate that grew a little is held
 * there, one that grew a lot is replaced and says so.
 */
export function headline(p: Progress, state: State, shown: number | null): Headline & { left: number | null } {
  const done = percentDone(p);
  const share = done === null ? "" : `${done}% done`;
  if (state === "done") return { big: duration(p.elapsed_seconds), rest: "in all", left: null };
  if (state === "failed") return { big: "Not fitted", rest: `after ${duration(p.elapsed_seconds)}`, left: null };
  if (state === "cancelling") return { big: "Cancelling", rest: "stops at the next checkpoint", left: null };
  if (isIndeterminate(p)) {
    const rest = state === "paused" ? "paused at the next checkpoint" : "the time left is known with the first draws";
    return { big: DOING[p.stage], rest, left: null };
  }
  if (p.eta_seconds === null) return { big: DOING[p.stage], rest: share, left: null };
  const now = roundedLeft(p.eta_seconds);
  const grew = shown !== null && now > shown;
  const held = grew && now <= 1.2 * shown + 2;
  const left = held ? shown : now;
  const revised = grew && !held ? ", more than it looked" : "";
  const once = state === "paused" ? "left once resumed" : "left";
  return { big: duration(left), rest: `${once}${revised}, ${share}`, left };
}

/** The state as a chip. */
export function stateChip(p: Progress, state: State): [word: string, look: LampStatus | "on" | "", icon?: IconName] {
  switch (state) {
    case "done":
      return p.unconverged ? ["Done, unconverged", "bad"] : ["Done", "ok"];
    case "failed":
      return ["Failed", "bad"];
    case "cancelled":
      return ["Cancelled", ""];
    case "cancelling":
      return ["Cancelling", "", "cross"];
    case "paused":
      return ["Paused", "", "pause"];
    case "running":
      return isIndeterminate(p) ? [DOING[p.stage], "on", "clock"] : ["Running", "on", "play"];
  }
}

/** "150,000 visitors, 3 arms, 4 chains", as far as that is known. */
export function size(p: Progress): string {
  const parts: string[] = [];
  if (p.n_visitors > 0) parts.push(`${count(p.n_visitors)} visitors`);
  if (p.n_arms > 0) parts.push(`${p.n_arms} arms`);
  if (p.n_chains > 0) parts.push(`${p.n_chains} ${p.n_chains === 1 ? "chain" : "chains"}`);
  return parts.join(", ");
}

/** What the middle of the card says while there is nothing to draw. */
export function waiting(p: Progress): Headline {
  if (p.stage === "read") return { big: "Reading the data", rest: "Every column is checked before the fit begins." };
  if (p.stage === "compile") {
    const whom = p.n_visitors > 0 ? ` for ${count(p.n_visitors)} visitors` : "";
    return {
      big: `Compiling${whom}`,
      rest: "The sampler is compiled for this size first. Chains and interim lifts appear with the first draws.",
    };
  }
  if (p.stage === "fits") {
    const rest = "Finished fits are kept where the work has a folder, so that it can go on later.";
    return { big: `${count(p.iteration)} of ${count(p.total_iterations)} fits`, rest };
  }
  return {
    big: DOING[p.stage],
    rest: `Iteration ${count(p.iteration)} of ${count(p.total_iterations)}. Interim lifts appear with the first kept draws.`,
  };
}

/** What a screen reader is told. It changes with the state, the stage and every tenth. */
export function spoken(title: string, p: Progress, state: State): string {
  if (state === "done") return p.unconverged ? `${title}: done, unconverged.` : `${title}: done.`;
  if (state === "failed") return `${title}: failed. ${p.message}`;
  if (state === "cancelled") return `${title}: cancelled.`;
  const done = percentDone(p);
  const tenth = done === null ? "" : `, ${10 * Math.floor(done / 10)}% done`;
  const word = state === "running" ? DOING[p.stage] : state === "paused" ? "Paused" : "Cancelling";
  return `${title}: ${word}${tenth}.`;
}
