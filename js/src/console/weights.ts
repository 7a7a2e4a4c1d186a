// The live check of weights: arithmetic in tenths of a per cent, so that thirds add up.

export interface WeightCheck {
  /** Sum in per cent, rounded to a tenth. */
  total: number;
  /** What is missing, or too much where negative, in per cent. */
  missing: number;
  complete: boolean;
}

const tenths = (percent: number) => Math.round(10 * percent);

export function checkWeights(percents: readonly number[]): WeightCheck {
  const sum = percents.reduce((all, one) => all + tenths(one), 0);
  const complete = sum === 1000 && percents.every((one) => one > 0);
  return { total: sum / 10, missing: (1000 - sum) / 10, complete };
}

/** Weights in proportion to those given, that add up to 100; what rounding leaves goes to the first. */
export function scaled(percents: readonly number[]): number[] {
  const sum = percents.reduce((all, one) => all + Math.max(one, 0), 0);
  const even = percents.map(() => tenths(100 / percents.length));
  const found = sum > 0 ? percents.map((one) => tenths((100 * Math.max(one, 0)) / sum)) : even;
  const left = 1000 - found.reduce((all, one) => all + one, 0);
  return found.map((one, i) => (one + (i === 0 ? left : 0)) / 10);
}
