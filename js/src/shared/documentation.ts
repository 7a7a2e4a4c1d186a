// Where the documentation is: Jupyter's server serves the copy that came with the package and
// names its address to the page. A saved page and other editors know none.

/** Parts of the documentation that words of the widgets lead to. */
const PARTS = {
  calibration: "concepts/calibration.html",
  cells: "guides/your_cells.html#what-the-preview-says",
  claim: "concepts/honesty.html#who-chose-it-and-who-estimated-it",
  estimates: "concepts/honesty.html#estimates-that-need-no-model",
  floors: "concepts/allocation.html#why-floors",
  loss: "concepts/decisions.html#expected-loss",
  reported: "concepts/model.html#what-is-reported",
  sampling: "concepts/model.html#sampling",
  thresholds: "concepts/decisions.html#thresholds",
  truth: "concepts/honesty.html#truth-is-kept-out-of-reach",
} as const;

export type Part = keyof typeof PARTS;

/** The address of a part, or nothing where no server has it. */
export function documentation(part: Part): string | null {
  const given = document.getElementById("jupyter-config-data")?.textContent;
  if (!given) return null;
  const root: unknown = JSON.parse(given).pytycheLabDocs;
  if (typeof root !== "string") return null;
  const url = new URL(`${root}/${PARTS[part]}`, document.baseURI);
  return url.origin === location.origin ? url.href : null;
}
