// One view of the editor: what it knows beside the plan, and how its parts stay up to date.

import { h } from "../shared/dom";
import { statusIcon } from "../shared/icons";
import type { Model } from "../shared/model";
import type { CellPlanTraits, ClauseView, PlanCellView, PlanSetup, PlanView, RouteView } from "../shared/schema/cell_plan";

/** What the browser asks of Python. `field` is where a refusal is to be shown, `text` what was typed, `decimal` the reader's mark. */
export type Message =
  | { kind: "weight"; field: string; cell: string; text: string; gesture?: string }
  | { kind: "share"; field: string; cell: string; segment: string | null; arm: string; text: string }
  | { kind: "rule"; field: string; cell: string; text: string; decimal: "." | ","; clauses: ClauseDraft[] }
  | { kind: "rename"; field: string; cell: string; text: string }
  | { kind: "duplicate" | "remove"; cell: string }
  | { kind: "dismiss"; field: string; cell: string }
  | { kind: "add" | "undo" | "redo" | "reset" | "accept" | "reopen" | "refresh" };

/** A condition as it is sent: the cut is what was typed. */
export type ClauseDraft = Omit<ClauseView, "cut"> & { cut: string | number };

/** Longest wait for the echo of an edit before the next one of the same gesture is sent. */
const PATIENCE_MS = 150;

export class View {
  readonly model: Model<CellPlanTraits>;
  /** Cells whose details are shown, in this view. */
  readonly open = new Set<string>();
  /** The cell whose controls are in the tab order. */
  active = "";
  /** The cell whose name is being typed, and what was typed so far. */
  renaming = "";
  typedName = "";
  /** Parts that are taken away while the page is built anew lose the focus, but nobody left them. */
  building = false;
  #bound: ((plan: PlanView) => void)[] = [];
  #routesOf: PlanView | null = null;
  readonly #routes = new Map<string, RouteView>();
  #waiting: Message | null = null;
  #timer = 0;
  readonly #rebuild: () => void;
  readonly #root: HTMLElement;

  constructor(model: Model<CellPlanTraits>, rebuild: () => void, root: HTMLElement) {
    this.model = model;
    this.#rebuild = rebuild;
    this.#root = root;
  }

  get setup(): PlanSetup {
    return this.model.get("setup");
  }

  get plan(): PlanView {
    return this.model.get("plan");
  }

  cell(id: string): PlanCellView | undefined {
    return this.plan.cells.find((cell) => cell.id === id);
  }

  /** A segment's part in a cell with a policy tree. */
  route(id: string, segment: string): RouteView | undefined {
    if (this.#routesOf !== this.plan) {
      this.#routesOf = this.plan;
      this.#routes.clear();
      for (const cell of this.plan.cells) {
        for (const route of cell.routes) this.#routes.set(JSON.stringify([cell.id, route.segment]), route);
      }
    }
    return this.#routes.get(JSON.stringify([id, segment]));
  }

  /** Keep a part of the page up to date: called now and with every later plan. */
  bind(update: (plan: PlanView) => void): void {
    this.#bound.push(update);
    update(this.plan);
  }

  /** The same for a part about one cell, for as long as there is one. */
  bindCell(id: string, update: (cell: PlanCellView, plan: PlanView) => void): void {
    this.bind((plan) => {
      const cell = plan.cells.find((c) => c.id === id);
      if (cell) update(cell, plan);
    });
  }

  /** Forget the parts of a page that is built anew. */
  unbind(): void {
    this.#bound = [];
  }

  update(): void {
    for (const update of this.#bound) update(this.plan);
  }

  rebuild(): void {
    this.#rebuild();
  }

  /** Put the focus on the control of this key, or in the group whose keys begin with it: on what was refused there, or else on the first. False if there is none. */
  focus(key: string): boolean {
    const controls = [...this.#root.querySelectorAll<HTMLElement>("[data-key]")];
    const within = controls.filter((one) => one.dataset["key"]?.startsWith(`${key}/`));
    const found = controls.find((one) => one.dataset["key"] === key) ?? within.find((one) => one.ariaInvalid === "true") ?? within[0];
    found?.focus();
    return found !== undefined;
  }

  send(message: Message): void {
    this.#flush();
    this.model.send(message);
  }

  /** Send the newest value of a gesture, not each: the next one goes when the last one is echoed. */
  sendNewest(message: Message): void {
    if (this.#timer) {
      this.#waiting = message;
      return;
    }
    this.model.send(message);
    this.#timer = window.setTimeout(() => this.echoed(), PATIENCE_MS);
  }

  echoed(): void {
    window.clearTimeout(this.#timer);
    this.#timer = 0;
    const next = this.#waiting;
    this.#waiting = null;
    if (next) this.sendNewest(next);
  }

  #flush(): void {
    window.clearTimeout(this.#timer);
    this.#timer = 0;
    if (this.#waiting) this.model.send(this.#waiting);
    this.#waiting = null;
  }

  stop(): void {
    window.clearTimeout(this.#timer);
  }

  /** What was refused in a field, or in one of those whose names begin with this and a slash. */
  refused(field: string): PlanView["refused"][number] | undefined {
    return this.plan.refused.find((one) => one.field === field || (field.endsWith("/") && one.field.startsWith(field)));
  }
}

let ids = 0;

/**
 * What was refused in a field, beside it; hidden while nothing was. Returns it and its id.
 * Many fields of a table share one: then `field` is what their names begin with.
 */
export function refusal(view: View, field: string, cell: string, back: () => string): [HTMLElement, string] {
  ids += 1;
  const id = `pt-msg-${ids}`;
  const strong = h("b");
  const rest = h("span");
  const undo = h("button", { class: "link", type: "button" });
  undo.addEventListener("click", () => {
    const refused = view.refused(field);
    if (refused) view.send({ kind: "dismiss", field: refused.field, cell });
  });
  const box = h("p", { class: "pt-msg", id, hidden: true }, statusIcon("bad", 14), h("span", {}, strong, " ", rest, " ", undo));
  view.bind(() => {
    const refused = view.refused(field);
    if (box.hidden !== (refused === undefined)) box.hidden = refused === undefined;
    if (!refused) return;
    strong.textContent = refused.strong;
    rest.textContent = refused.rest;
    undo.textContent = back();
  });
  return [box, id];
}

/** A text field that sends what was typed on Enter or when it is left, and takes it back on Escape. */
export function field(
  view: View,
  options: {
    name: string;
    label: string;
    cell: string;
    key: string;
    value: () => string;
    send: (text: string) => void;
    describedBy?: string;
    class?: string;
    decimal?: boolean;
  },
): HTMLInputElement {
  const input = h("input", {
    class: `pt-in ${options.class ?? ""}`.trim(),
    "aria-label": options.label,
    "data-key": options.key,
    inputmode: options.decimal === false ? undefined : "decimal",
    autocomplete: "off",
    spellcheck: "false",
  });
  let dirty = false;
  let shown: string | null = null;
  const show = () => {
    const refused = view.refused(options.name);
    const text = refused?.text ?? options.value();
    // Hundreds of fields hear of every edit, and most have nothing to change.
    const state = `${refused !== undefined}/${text}`;
    if (state === shown || dirty) return;
    shown = state;
    input.value = text;
    input.classList.toggle("bad", refused !== undefined);
    if (refused) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    if (options.describedBy) {
      if (refused) input.setAttribute("aria-describedby", options.describedBy);
      else input.removeAttribute("aria-describedby");
    }
  };
  input.addEventListener("input", () => {
    dirty = true;
  });
  const commit = () => {
    if (!dirty) return;
    dirty = false;
    shown = null;
    options.send(input.value);
  };
  input.addEventListener("change", commit);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") commit();
    if (event.key !== "Escape") return;
    event.stopPropagation();
    dirty = false;
    shown = null;
    if (view.refused(options.name)) view.send({ kind: "dismiss", field: options.name, cell: options.cell });
    input.value = options.value();
  });
  view.bind(show);
  return input;
}

/** A number field with a percent sign. */
export function percentField(view: View, options: Parameters<typeof field>[1]): [HTMLElement, HTMLInputElement] {
  const input = field(view, options);
  return [h("span", { class: "pt-unit" }, input, h("span", { "aria-hidden": "true" }, "%")), input];
}
