// One horizontal scale for all glyphs of a column, in per cent of its width.

import { plain, signed } from "./format";

export interface Scale {
  ticks: number[];
  /** Decimals that tell the ticks apart. */
  digits: number;
  /** A value as per cent of the width. */
  at(value: number): number;
}

const STEPS = [1, 2, 2.5, 5, 10];

/** A scale over some values, with a margin and about `most` round ticks. */
export function scaleOver(values: readonly number[], most = 5): Scale {
  const known = values.filter(Number.isFinite);
  let low = known.length ? Math.min(...known) : 0;
  let high = known.length ? Math.max(...known) : 1;
  if (high - low <= 1e-12 * Math.max(1, Math.abs(high))) {
    const half = Math.abs(high) * 0.1 || 1;
    low -= half;
    high += half;
  }
  const margin = 0.06 * (high - low);
  low -= margin;
  high += margin;
  const rough = (high - low) / (most + 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (STEPS.find((m) => m * power >= rough) ?? 10);
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step); i * step <= high; i += 1) ticks.push(i === 0 ? 0 : i * step);
  const digits = Math.max(0, ...ticks.map((tick) => decimals(tick)));
  return { ticks, digits, at: (value) => (100 * (value - low)) / (high - low) };
}

function decimals(value: number): number {
  for (let digits = 0; digits < 8; digits += 1) {
    if (Math.abs(value - Number(value.toFixed(digits))) < 1e-9 * Math.max(1, Math.abs(value))) {
      return digits;
    }
  }
  return 8;
}

/** A tick of a lift: "+0.2", "0". */
export function liftTick(scale: Scale, value: number): string {
  return value === 0 ? "0" : signed(value, scale.digits);
}

/** A tick of an amount: "2.40". */
export function amountTick(scale: Scale, value: number): string {
  return plain(value, scale.digits);
}
