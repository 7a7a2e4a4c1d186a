// How the console says things.

import * as f from "../shared/format";
import { chip } from "../shared/icons";
import type { ExperimentStatus, ExperimentSummary } from "../shared/schema/console";
import type { ArmRef } from "../shared/schema/shared";

export function statusChip(status: ExperimentStatus): HTMLElement {
  if (status === "running") return chip("Running", "on", "play");
  return status === "draft" ? chip("Draft", "", "pen") : chip("Stopped", "", "square");
}

export function modeWords(one: Pick<ExperimentSummary, "type" | "n_rounds">): string | null {
  if (one.type === "adaptive") return `Adaptive, ${one.n_rounds} ${one.n_rounds === 1 ? "round" : "rounds"}`;
  return one.type === "bandit" ? "Thompson sampling" : null;
}

/** "22 Nov 2026". */
export function day(iso: string): string {
  return new Date(iso).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

/** "22 Nov 2026, 14:00". */
export function moment(iso: string): string {
  return `${day(iso)}, ${new Date(iso).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}`;
}

export function armRef(name: string, slot: number): ArmRef {
  return { name, slot };
}

/** A p-value, in two decimals where it is far from any limit: "0.29", "0.031", "< 0.001". */
export function shortPValue(p: number): string {
  return p < 0.1 ? f.pValue(p) : f.plain(p, 2);
}

/** "p = 0.031", "p < 0.001". */
export function pEquals(p: number): string {
  const figure = shortPValue(p);
  return figure.startsWith("<") ? `p ${figure}` : `p = ${figure}`;
}

export function percents(values: readonly number[]): string {
  return values.map((value) => f.plain(100 * value, 1)).join(" / ");
}
