// A finished round and the rounds before it, for tests.

import type { HistoryView, RoundView } from "../shared/schema/round_dashboard";
import type { ArmRef, Interval } from "../shared/schema/shared";

export const EVIL = "<img src=x onerror=alert(1)>";
export const CONTROL: ArmRef = { name: "control", slot: 0 };
export const PROMO: ArmRef = { name: "low_promo", slot: 1 };
const SHIP: ArmRef = { name: "free_ship", slot: 2 };

export function around(mean: number, half: number): Interval {
  return { mean, low: mean - half, high: mean + half };
}

function comparison(arm: ArmRef, mean: number): RoundView["comparisons"][number] {
  return {
    arm,
    control: "control",
    lift: around(mean, 0.11),
    relative_lift: around(mean / 2.4, 0.04),
    conversion_part: around(0.75 * mean, 0.1),
    severity_part: around(0.25 * mean, 0.1),
    p_positive: 0.999,
    observed_lift: mean,
    aipw_lift: null,
    aipw_se: null,
    claim: "honest estimate",
  };
}

export function segment(id: string, rule: string, gate: Interval): RoundView["segments"][number] {
  return {
    id,
    rule,
    share: 0.63,
    n_visitors: 1260,
    n_converted: 90,
    arm: PROMO,
    gate,
    leader: PROMO,
    p_best: 1,
    recommended: PROMO,
    claim: "exploratory",
    stability: 0.94,
    registered: false,
  };
}

export function round(changes: Partial<RoundView> = {}): RoundView {
  return {
    title: "Checkout promotion",
    metric: "revenue_per_visitor",
    currency: "$",
    number: 2,
    n_rounds: 3,
    n_visitors: 100000,
    n_cumulative: 150000,
    level: 0.8,
    fit_seconds: 162,
    is_calibrated: false,
    converged: true,
    arms: [CONTROL, PROMO, SHIP],
    health: [{ name: "Traffic split (SRM)", status: "ok", reading: "As planned, p = 0.71" }],
    notices: [],
    decision: {
      verdict: "SHIP",
      arm: PROMO,
      lift: around(0.268, 0.11),
      p_positive: 0.999,
      p_best: 0.99,
      loss_if_shipped: 0.0002,
      loss_if_kept: 0.268,
      value_of_round: 0.004,
      reason: "A lift below $0.025 would change it.",
    },
    routing: { best_arm: PROMO, n_segments: 2, value: around(0.014, 0.02), pays: false },
    options: [
      { kind: "ship", arm: PROMO, recommended: true, best: true, lift: around(0.268, 0.11), p_positive: 0.999, loss: 0.0002 },
      { kind: "keep", arm: CONTROL, recommended: false, best: false, lift: null, p_positive: null, loss: 0.268 },
      { kind: "ship", arm: SHIP, recommended: false, best: false, lift: around(-0.059, 0.13), p_positive: 0.29, loss: null },
    ],
    cells: [
      {
        id: "control",
        arm: CONTROL,
        policy: "Always control",
        n_visitors: 4962,
        recorded: true,
        share: 0.05,
        observed_rpv: 2.466,
        observed_lift: null,
        model_rpv: around(2.466, 0.07),
        model_lift: null,
      },
      {
        id: "explore",
        arm: null,
        policy: "Uniform over 3 arms",
        n_visitors: 4993,
        recorded: false,
        share: 0.05,
        observed_rpv: 2.696,
        observed_lift: 0.23,
        model_rpv: around(2.549, 0.067),
        model_lift: around(0.073, 0.067),
      },
      {
        id: "optimized",
        arm: null,
        policy: "Policy tree",
        n_visitors: 0,
        recorded: true,
        share: 0,
        observed_rpv: null,
        observed_lift: null,
        model_rpv: null,
        model_lift: null,
      },
    ],
    comparisons: [comparison(PROMO, 0.268), comparison(SHIP, -0.059)],
    segments: [
      segment("S2", "browse_depth > 1.14 AND z1 <= 1.08", around(0.401, 0.11)),
      segment("S1", "browse_depth <= 1.14", around(-0.118, 0.2)),
    ],
    verdicts: [
      {
        segment: "S0",
        called: "Everyone",
        arm: PROMO,
        verdict: "SHIP",
        lift: around(0.268, 0.11),
        per_round: around(53600, 22000),
        per_year: null,
        claim: "honest estimate",
        reason: "<b>It lifts RPV.</b>",
      },
      {
        segment: "S1",
        called: "S1",
        arm: PROMO,
        verdict: "STOP",
        lift: around(-0.118, 0.2),
        per_round: null,
        per_year: null,
        claim: "exploratory",
        reason: "It harms.",
      },
    ],
    truth: null,
    next_cells: 3,
    next_visitors: 200000,
    ...changes,
  };
}

export const HISTORY: HistoryView[] = [1, 2].map((number) => ({
  number,
  n_visitors: 50000 * number,
  arm: PROMO,
  lift: around(0.26, 0.15),
  n_segments: 4,
  verdict: "SHIP",
  verdict_arm: "low_promo",
  p_positive: 0.96,
  is_calibrated: false,
  converged: true,
}));
