// Tables that stay tables for screen readers when they become stacked rows in a narrow place.

import { type Child, h } from "./dom";

export interface Column {
  head: Child;
  class?: string;
  /** Ticks over a column of glyphs. */
  axis?: SVGElement;
}

export interface Row {
  cells: Child[][];
  class?: string | undefined;
  /** The segment that it is about, if it can be selected. */
  segment?: string | undefined;
  /** The round that it opens. */
  round?: number | undefined;
}

export function table(name: string, caption: string, columns: readonly Column[], rows: readonly (Row | string)[]): HTMLTableElement {
  return h(
    "table",
    { class: `pt-table ${name}`, role: "table" },
    h("caption", { class: "vh" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...columns.map(head))),
    h("tbody", { role: "rowgroup" }, ...rows.map((row) => rowNode(row, columns))),
  );
}

function head(column: Column): HTMLElement {
  const attributes = { scope: "col", role: "columnheader", class: column.class };
  if (!column.axis) return h("th", attributes, column.head);
  return h("th", attributes, h("span", { class: "t" }, column.head), column.axis);
}

/** A row, or a line of words across all columns. */
export function rowNode(row: Row | string, columns: readonly Column[]): HTMLElement {
  if (typeof row === "string") {
    return h("tr", { class: "pt-group", role: "row" }, h("td", { colspan: columns.length, role: "cell" }, row));
  }
  return h(
    "tr",
    { class: row.class, role: "row", "data-segment": row.segment, "data-round": row.round },
    ...row.cells.map((cell, i) => {
      const kind = (columns[i]?.class ?? "").split(" ").filter((c) => c === "num" || c === "g");
      return h("td", { role: "cell", class: kind.join(" ") || undefined }, ...cell);
    }),
  );
}

/** A main figure with a smaller line under it. */
export function stacked(main: Child, sub: Child, strong = true): Child[] {
  return [h("span", { class: strong ? "main" : "" }, main), h("span", { class: "sub" }, sub)];
}

/** A section of a card: heading, what it is about, content. */
export function section(title: string, meta: string, ...content: Child[]): HTMLElement {
  return h(
    "section",
    { class: "pt-sec flush", "aria-label": title },
    h("div", { class: "pt-sec-head" }, h("h3", { class: "pt-h" }, title), h("span", { class: "pt-meta" }, meta)),
    ...content,
  );
}

/** Mark the rows of the selected segment without drawing anything anew, so that focus stays where it is. */
export function markSegment(root: HTMLElement, selected: string | null): void {
  for (const row of root.querySelectorAll<HTMLElement>("tr[data-segment]")) {
    const chosen = row.dataset["segment"] === selected;
    row.classList.toggle("sel", chosen);
    row.querySelector("button")?.setAttribute("aria-pressed", String(chosen));
  }
}
