// How the reader's browser writes numbers: marks, groups, and where a currency or "%" stands.

/** What stands before and after a number. */
export interface Affix {
  before: string;
  after: string;
}

/** The browser's language; a few builds report one that is no language at all ("en-US@posix"). */
export function locale(): string {
  for (const named of [navigator.language, document.documentElement.lang]) {
    try {
      if (named) return new Intl.Locale(named).toString();
    } catch {
      // The next one may be usable.
    }
  }
  return "en-US";
}

// Figures are those of Latin script everywhere: what a field shows, Python has to read.
const FIGURES = { numberingSystem: "latn" } as const;

/** Formats are costly to make, and tables ask for thousands of numbers. */
function once<Made>(make: (locale: string, key: string) => Made): (key: string) => Made {
  const known = new Map<string, Made>();
  return (key) => {
    const at = locale();
    const name = `${at}/${key}`;
    let found = known.get(name);
    if (found === undefined) {
      found = make(at, key);
      known.set(name, found);
    }
    return found;
  };
}

const fixedFormat = once(
  (at, digits) => new Intl.NumberFormat(at, { ...FIGURES, minimumFractionDigits: Number(digits), maximumFractionDigits: Number(digits) }),
);
const shortFormat = once((at, most) => new Intl.NumberFormat(at, { ...FIGURES, useGrouping: false, maximumFractionDigits: Number(most) }));
const affix = once((at, style): Affix => {
  const options = style === "percent" ? { style } : { style: "currency", currency: "EUR" };
  const parts = new Intl.NumberFormat(at, { ...FIGURES, ...options, maximumFractionDigits: 0 } as Intl.NumberFormatOptions).formatToParts(
    1,
  );
  const number = parts.findIndex((part) => part.type === "integer");
  // The mark itself stands for whatever currency the experiment declares.
  const text = (some: typeof parts) => some.map((part) => (part.type === "currency" ? "\u00a4" : part.value)).join("");
  return { before: text(parts.slice(0, number)), after: text(parts.slice(number + 1)) };
});
const decimalMark = once(
  (at) => new Intl.NumberFormat(at, FIGURES).formatToParts(0.5).find((part) => part.type === "decimal")?.value ?? ".",
);

/** A number of so many decimals, without its sign. */
export function digitsOf(value: number, digits: number): string {
  return fixedFormat(String(digits)).format(Math.abs(value));
}

/** The same without groups and needless decimals. */
export function shortDigitsOf(value: number, most: number): string {
  return shortFormat(String(most)).format(Math.abs(value));
}

/** Where "%" stands. */
export function percentAffix(): Affix {
  return affix("percent");
}

/** Where a currency stands; "¤" is its place. */
export function currencyAffix(): Affix {
  return affix("currency");
}

/** The decimal mark. Python reads what is typed by it. */
export function decimal(): "." | "," {
  return decimalMark("") === "," ? "," : ".";
}

/** What separates two numbers: a comma would be taken for a decimal mark where that is one. */
export function separator(): string {
  return decimal() === "," ? "; " : ", ";
}
