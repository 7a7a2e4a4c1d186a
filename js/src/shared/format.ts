// Numbers as text, in the reader's locale: true minus sign, tabular digits, no probability of 0 or 1.
// Examples are those of en-US.

import { type Affix, currencyAffix, digitsOf, percentAffix, separator, shortDigitsOf } from "./locale";
import type { Interval } from "./schema/shared";

export const MINUS = "\u2212";
export const UNKNOWN = "–";
const NARROW = "\u2009";

/** Whether it is anything but zero once rounded: a rounded zero has no sign. */
function visible(value: number, digits: number): boolean {
  return Math.abs(value) >= 0.5 * 10 ** -digits;
}

/** "2.406", "−0.059". */
export function plain(value: number, digits: number): string {
  return (value < 0 && visible(value, digits) ? MINUS : "") + digitsOf(value, digits);
}

/** "+0.268", "−0.059", "0.000". */
export function signed(value: number, digits: number): string {
  return (visible(value, digits) ? (value < 0 ? MINUS : "+") : "") + digitsOf(value, digits);
}

function signOf(value: number, digits: number, plus: string): string {
  if (!visible(value, digits)) return "";
  return value < 0 ? MINUS : plus;
}

/** A number with something around it, the sign outside of that. */
function within({ before, after }: Affix, sign: string, number: string): string {
  return sign + before + number + after;
}

/** The declared currency where the locale has one; a word does not touch the number. */
function around(currency: string): Affix {
  const { before, after } = currencyAffix();
  const apart = before === "\u00a4" && /\p{L}$/u.test(currency) ? NARROW : "";
  const put = (text: string) => (currency === "" ? "" : text.replace("\u00a4", () => currency));
  return { before: put(before) + apart, after: put(after) };
}

/** "$2.466", "−$0.059". */
export function money(value: number, currency: string, digits: number): string {
  return within(around(currency), signOf(value, digits, ""), digitsOf(value, digits));
}

/** "+$0.268". */
export function signedMoney(value: number, currency: string, digits: number): string {
  return within(around(currency), signOf(value, digits, "+"), digitsOf(value, digits));
}

/** A small amount that is at risk: "< $0.001" instead of a rounded zero. */
export function risk(value: number, currency: string, digits: number): string {
  const least = 10 ** -digits;
  return value < least / 2 ? `< ${money(least, currency, digits)}` : money(value, currency, digits);
}

/** Two ends as an interval: "[+1%, +3%]". */
export function pair(low: string, high: string): string {
  return `[${low}${separator()}${high}]`;
}

/** "[+0.158, +0.380]". */
export function signedRange(interval: Interval, digits: number): string {
  return pair(signed(interval.low, digits), signed(interval.high, digits));
}

/** "[2.395, 2.536]". */
export function range(interval: Interval, digits: number): string {
  return pair(plain(interval.low, digits), plain(interval.high, digits));
}

/** "100,000". */
export function count(value: number): string {
  return digitsOf(Math.round(value), 0);
}

/** A number that is per cent already: "63%", "5.0%". */
export function percent(value: number, digits: number): string {
  return within(percentAffix(), signOf(value, digits, ""), digitsOf(value, digits));
}

/** The same with its sign: "+6.1%". */
export function signedPercent(value: number, digits: number): string {
  return within(percentAffix(), signOf(value, digits, "+"), digitsOf(value, digits));
}

/** A share without needless decimals: "5%", "7.5%". */
export function shortShare(value: number): string {
  return percent(100 * value, Number((100 * value).toFixed(1)) % 1 ? 1 : 0);
}

/** A number as a text field shows it, which Python reads, its minus sign too: "7.5", "-1234". */
export function typed(value: number, most: number): string {
  return (value < 0 ? "-" : "") + shortDigitsOf(value, most);
}

/** "63%", "5.0%". */
export function share(value: number, digits = 0): string {
  return percent(100 * value, digits);
}

/** "+6.1%". */
export function signedShare(value: number, digits = 1): string {
  return signedPercent(100 * value, digits);
}

/** A probability that never claims certainty. */
export function probability(p: number): string {
  if (p > 0.995) return `> ${plain(0.99, 2)}`;
  if (p < 0.005) return `< ${plain(0.01, 2)}`;
  return plain(p, 2);
}

/** The same within a sentence: "0.63", "above 0.99". */
export function probabilityWords(p: number): string {
  return probability(p).replace("> ", "above ").replace("< ", "below ");
}

/** A p-value: "0.031", "< 0.001". */
export function pValue(p: number | null): string {
  if (p === null) return UNKNOWN;
  if (p < 0.001) return `< ${plain(0.001, 3)}`;
  return p > 0.999 ? `> ${plain(0.999, 3)}` : plain(p, 3);
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

/** "exploratory" as "Exploratory". */
export function capitalised(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Words over numbers. Of a fit whose chains do not agree, no number stands without this word. */
export function labelled(words: string, of: { converged: boolean }): string {
  return of.converged ? words : `${words}. Unconverged`;
}
