// A plan that is edited, for tests.

import type { PlanCellView, PlanSetup, PlanView } from "../shared/schema/cell_plan";
import type { ArmRef } from "../shared/schema/shared";

export const EVIL = "<img src=x onerror=alert(1)>";
const ARMS: ArmRef[] = ["control", "low_promo", EVIL].map((name, slot) => ({ name, slot }));
const interval = (mean: number) => ({ mean, low: mean - 0.1, high: mean + 0.1 });

export const SETUP: PlanSetup = {
  title: "Plan for round 3",
  currency: "$",
  n_visitors: 200000,
  control_floor: 0.05,
  explore_floor: 0.05,
  rule: "Changes come out of Optimized first",
  based_on: "round 2, uncalibrated",
  level: 0.8,
  is_calibrated: false,
  converged: true,
  arms: ARMS,
  features: [
    { name: "channel", kind: "categorical", levels: ["social", "email", EVIL], had_missing: true, low: 0, high: 0, middle: 0, counts: [] },
    { name: "depth", kind: "numeric", levels: [], had_missing: false, low: 0, high: 4, middle: 1.23456, counts: [4, 3, 2, 1] },
  ],
  n_seen: 150000,
};

export function cell(id: string, role: PlanCellView["role"], weight: number, changes: Partial<PlanCellView> = {}): PlanCellView {
  const floor = role === "control" || role === "explore" ? 0.05 : 0;
  return {
    id,
    role,
    policy: "Always control",
    arm: role === "control" ? ARMS[0]! : null,
    weight,
    floor,
    low: floor,
    high: 0.9,
    recommended: role === "hypothesis" ? null : weight,
    hypothesis: null,
    routes: [],
    n_visitors: weight * 200000,
    rpv: interval(2.4),
    regret: interval(0),
    regret_in_all: 0,
    detectable: role === "control" ? null : 0.65,
    detectable_between: role === "control" ? "baseline" : "vs control",
    ...changes,
  };
}

export const MINE = cell(EVIL, "hypothesis", 0.06, {
  regret: interval(0.061),
  regret_in_all: 730,
  hypothesis: {
    clauses: [
      { feature: "channel", kind: "levels", side: ">", cut: 0, levels: ["social"], includes_missing: false },
      { feature: "depth", kind: "threshold", side: ">", cut: 1.14, levels: [], includes_missing: false },
    ],
    shares: [0.5, 0, 0.5],
    matching: 0.1,
    n_matching: 15020,
    otherwise: "control",
    overlaps: [
      { segment: "S1", name: "Core", share: 0 },
      { segment: "S2", name: "Social", share: 1 },
    ],
  },
});
export const OPTIMIZED = cell("optimized", "optimized", 0.84, {
  recommended: 0.9,
  routes: [
    { segment: "S1", name: "Core", rule: "depth > 1", share: 0.63, shares: [0.01, 0.99, 0], set_by: "Thompson" },
    { segment: "S2", name: EVIL, rule: "depth <= 1", share: 0.37, shares: [0.2, 0.3, 0.5], set_by: "You" },
  ],
});

export function plan(changes: Partial<PlanView> = {}): PlanView {
  return {
    revision: 4,
    current: true,
    accepted_at: "",
    changes: "1 cell added, Optimized 6 points lower",
    can_undo: true,
    can_redo: false,
    cells: [cell("control", "control", 0.05), cell("explore", "explore", 0.05), MINE, OPTIMIZED],
    rpv: interval(2.663),
    regret: interval(0.004),
    regret_in_all: 730,
    refused: [],
    notices: [],
    message: "",
    code: "# the plan\nexp.accept([])",
    ...changes,
  };
}

export const UNDER_FLOOR: PlanView["refused"][number] = {
  field: "weight/explore",
  cell: "explore",
  text: "3",
  strong: "Explore has a floor of 5%.",
  rest: "3% was not applied; the plan still holds 5%.",
};
