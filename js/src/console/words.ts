// How the console says things.

import * as f from "../shared/format";
import { chip } from "../shared/icons";
import { locale } from "../shared/locale";
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

/** An answer takes milliseconds, but for one that opens a large experiment. */
export const SILENCE_MS = 8_000;
export const SILENCE = "No answer yet. If none comes, the kernel is gone: run this cell, or load this page, again.";

/** "22 Nov 2026", as the reader writes it. */
export function day(iso: string): string {
  return new Date(iso).toLocaleDateString(locale(), { dateStyle: "medium" });
}

/** "22 Nov 2026, 14:00", as the reader writes it. */
export function moment(iso: string): string {
  return new Date(iso).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "short" });
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
