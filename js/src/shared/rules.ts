// Rules, cells, segments and verdicts as people read them.

import { type Child, h } from "./dom";
import { capitalised } from "./format";
import type { Verdict } from "./schema/shared";

export const VERDICT: Record<Verdict, string> = { SHIP: "Ship", CONTINUE: "Keep testing", STOP: "Stop" };

function pretty(rule: string): string {
  return rule.replaceAll("<=", "≤").replaceAll(" == ", " is ");
}

/** A rule with its joints set apart: "a > 1 and b ≤ 2". */
export function ruleText(rule: string): Child[] {
  return pretty(rule)
    .split(" AND ")
    .flatMap((clause, i) => (i === 0 ? [clause] : [h("i", {}, " and "), clause]));
}

/** A clause or an answer: "≤ 1.14", "channel is one of direct, email". */
export function clauseText(clause: string): string {
  return pretty(clause).replace(/ in \{(.*)\}$/s, " is one of $1");
}

/** An answer in few letters, for a drawing: a threshold to three figures, many levels by their number. */
export function shortAnswer(answer: string): string {
  const cut = /^(<=|>) (-?[\d.e+-]+)(.*)$/.exec(answer);
  if (cut) return `${cut[1] === "<=" ? "≤" : ">"} ${Number(Number(cut[2]).toPrecision(3))}${cut[3]}`;
  const levels = answer.split(", ");
  return levels.length > 2 ? `${levels[0]} and ${levels.length - 1} more` : answer;
}

export const CLAIM =
  "How far an estimate may be trusted. Exploratory: found and estimated on the same rows. " +
  "Honest estimate: on rows that did not choose it. Confirmed: on a later round.";

/** Cells that every plan has; the others are called as people called them. */
const LOOP_CELLS = new Set(["control", "explore", "optimized"]);

export function cellName(id: string): string {
  return LOOP_CELLS.has(id) ? capitalised(id) : id;
}

/** Names of segments by id, where they have one. */
export type Names = Readonly<Record<string, string>>;

/** Something about a segment, with the segment's name; empty where it has none. */
export type Named<Segment> = Segment & { name: string };

export function named<Segment extends { id: string }>(segments: readonly Segment[], names: Names): Named<Segment>[] {
  return segments.map((segment) => ({ ...segment, name: names[segment.id] ?? "" }));
}

/** What a segment is called: its name, "Everyone", or its id. */
export function segmentName(of: { id: string; name: string; rule: string }): string {
  return of.name || (of.rule === "everyone" ? "Everyone" : of.id);
}
