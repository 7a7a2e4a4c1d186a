// Numbers as text: true minus sign, tabular digits, no probability of 0 or 1.

import type { Interval } from "./schema/shared";

export const MINUS = "\u2212";
export const UNKNOWN = "–";
const NARROW = "\u2009";

function fixed(value: number, digits: number): string {
  return Math.abs(value).toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** Whether it is anything but zero once rounded: a rounded zero has no sign. */
function visible(value: number, digits: number): boolean {
  return Math.abs(value) >= 0.5 * 10 ** -digits;
}

/** "2.406", "−0.059". */
export function plain(value: number, digits: number): string {
  return (value < 0 && visible(value, digits) ? MINUS : "") + fixed(value, digits);
}

/** "+0.268", "−0.059", "0.000". */
export function signed(value: number, digits: number): string {
  return (visible(value, digits) ? (value < 0 ? MINUS : "+") : "") + fixed(value, digits);
}

/** The currency as a prefix: a symbol touches the number, a word does not. */
function prefix(currency: string): string {
  return /\p{L}$/u.test(currency) ? currency + NARROW : currency;
}

/** "$2.466", "−$0.059". */
export function money(value: number, currency: string, digits: number): string {
  return (value < 0 && visible(value, digits) ? MINUS : "") + prefix(currency) + fixed(value, digits);
}

/** "+$0.268". */
export function signedMoney(value: number, currency: string, digits: number): string {
  const sign = visible(value, digits) ? (value < 0 ? MINUS : "+") : "";
  return sign + prefix(currency) + fixed(value, digits);
}

/** A small amount that is at risk: "< $0.001" instead of a rounded zero. */
export function risk(value: number, currency: string, digits: number): string {
  const least = 10 ** -digits;
  return value < least / 2 ? `< ${prefix(currency)}${least.toFixed(digits)}` : money(value, currency, digits);
}

/** "[+0.158, +0.380]". */
export function signedRange(interval: Interval, digits: number): string {
  return `[${signed(interval.low, digits)}, ${signed(interval.high, digits)}]`;
}

/** "[2.395, 2.536]". */
export function range(interval: Interval, digits: number): string {
  return `[${plain(interval.low, digits)}, ${plain(interval.high, digits)}]`;
}

/** "100,000". */
export function count(value: number): string {
  return fixed(Math.round(value), 0);
}

/** "63%", "5.0%". */
export function share(value: number, digits = 0): string {
  return `${plain(100 * value, digits)}%`;
}

/** "+6.1%". */
export function signedShare(value: number, digits = 1): string {
  return `${signed(100 * value, digits)}%`;
}

/** A probability that never claims certainty. */
export function probability(p: number): string {
  if (p > 0.995) return "> 0.99";
  if (p < 0.005) return "< 0.01";
  return p.toFixed(2);
}

/** "p 0.031", "p < 0.001". */
export function pValue(p: number | null): string {
  if (p === null) return `p ${UNKNOWN}`;
  if (p < 0.001) return "p < 0.001";
  return p > 0.999 ? "p > 0.999" : `p ${p.toFixed(3)}`;
}

/** Decimals that show three figures of the largest of some values, and the same for all of them. */
export function digitsFor(values: readonly number[]): number {
  const largest = Math.max(0, ...values.map(Math.abs));
  if (largest === 0) return 2;
  return Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(largest))));
}

/** "58 s", "2 min 05 s", "1 h 12 min". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

/** A time left, rounded to what is known: 5 s steps under a minute, then 10 s, then minutes. */
export function roundedLeft(seconds: number): number {
  const step = seconds < 20 ? 1 : seconds < 60 ? 5 : seconds < 600 ? 10 : 60;
  return Math.max(1, Math.ceil(seconds / step) * step);
}

/** A lift and its interval: "+$0.268" and "[+0.158, +0.380]". */
export function liftFigures(lift: Interval, currency: string, digits: number): [mean: string, bounds: string] {
  return [signedMoney(lift.mean, currency, digits), signedRange(lift, digits)];
}

/** Words over numbers. Of a fit whose chains do not agree, no number stands without this word. */
export function labelled(words: string, of: { converged: boolean }): string {
  return of.converged ? words : `${words}. Unconverged`;
}
