// The cell plan editor. Python holds the plan and does the statistics; an edit is a message to it.

import { type Child, h, keepKeys, onPress, setWaiting } from "../shared/dom";
import * as f from "../shared/format";
import { chip, icon } from "../shared/icons";
import { Cleanup, type RenderProps } from "../shared/model";
import { cellName } from "../shared/rules";
import type { CellPlanTraits, PlanView } from "../shared/schema/cell_plan";
import { markSegment } from "../shared/table";
import { codePanel, footer, notes } from "./footer";
import { cellClass } from "./mix";
import { hasDetails, planTable, rename } from "./rows";
import { View } from "./view";

/** Screen readers are told of changes at most this often. */
const SPEAK_MS = 1000;

/** Where the focus goes from a control that its own use takes away. */
const NEXT: Record<string, string> = { accept: "reopen", reopen: "accept", refresh: "accept" };

function header(view: View): HTMLElement {
  const { setup } = view;
  const state = h("span");
  const button = (words: string, look: "undo" | "redo", title: string) => {
    const made = h("button", { class: "pt-btn quiet", type: "button", title, "data-key": look, "data-testid": look }, icon(look), words);
    onPress(made, () => view.send({ kind: look }));
    return made;
  };
  const undo = button("Undo", "undo", "Ctrl Z");
  const redo = button("Redo", "redo", "Ctrl Shift Z");
  view.bind((plan) => {
    const accepted = plan.accepted_at !== "";
    state.replaceChildren(
      accepted ? chip(`Accepted, revision ${plan.revision}`, "ok") : chip(`Draft, revision ${plan.revision}`, "on", "pen"),
    );
    setWaiting(undo, !plan.can_undo);
    setWaiting(redo, !plan.can_redo);
  });
  const fact = (...content: Child[]) => h("span", {}, ...content);
  return h(
    "header",
    { class: "pt-head" },
    h(
      "div",
      { class: "pt-row" },
      h("h2", { class: "pt-title" }, setup.title),
      state,
      !setup.converged && chip("Unconverged", "bad"),
      h("span", { class: "pt-push nowrap" }, undo, redo),
    ),
    h(
      "div",
      { class: "pt-facts" },
      setup.n_visitors === null ? fact("The schedule has no further round") : fact(h("b", {}, f.count(setup.n_visitors)), " visitors"),
      fact("Control floor ", h("b", {}, f.shortShare(setup.control_floor))),
      fact("Explore floor ", h("b", {}, f.shortShare(setup.explore_floor))),
      setup.based_on ? fact("Based on ", h("b", {}, setup.based_on)) : fact("Before the first round: nothing is known yet"),
    ),
  );
}

/** All cells side by side, as wide as they are heavy. */
function strip(view: View): HTMLElement {
  const bar = h("div", { class: "cbar", role: "img" });
  const legend = h("div", { class: "pt-legend cl" });
  view.bind((plan) => {
    const percent = f.shortShare;
    bar.setAttribute("aria-label", plan.cells.map((c) => `${cellName(c.id)} ${percent(c.weight)}`).join(", "));
    bar.replaceChildren(
      ...plan.cells.filter((c) => c.weight > 0).map((c) => h("span", { class: cellClass(c), style: `flex: ${c.weight} 1 0` })),
    );
    legend.replaceChildren(
      ...plan.cells.map((c) =>
        h(
          "span",
          {},
          h("i", { class: `sw ${cellClass(c)}` }),
          h("span", { class: "lg" }, cellName(c.id), " ", h("b", {}, percent(c.weight))),
        ),
      ),
      h("span", { class: "pt-push" }, h("i", { class: "hzone" }), "floor or cap"),
      h("span", {}, h("i", { class: "wasl" }), "recommended"),
    );
  });
  return h("div", { class: "comp" }, bar, legend);
}

/** What makes another page necessary; everything else is brought up to date in place. */
function shape(view: View): string {
  const { plan } = view;
  const cells = plan.cells.map((c) => [
    c.id,
    c.role,
    view.open.has(c.id),
    c.hypothesis?.clauses.map((clause) => [clause.feature, clause.kind, clause.side, clause.levels, clause.includes_missing]),
    c.routes.map((route) => [route.segment, route.name]),
  ]);
  return JSON.stringify([cells, plan.accepted_at, plan.current, view.renaming]);
}

function spoken(plan: PlanView): string {
  const refused = plan.refused.map((one) => `${one.strong} ${one.rest}`);
  return [...refused, plan.message, plan.changes].filter(Boolean).join(" ");
}

function render({ model, el, signal }: RenderProps<CellPlanTraits>): () => void {
  const cleanup = new Cleanup(signal);
  const root = h("article", { class: "pt pt-card pt-plan", "data-testid": "cell-plan" });
  const live = h("p", { class: "vh", role: "status", "aria-live": "polite" });
  const page = h("div");
  root.append(page, live);
  keepKeys(root);

  let drawn = "";
  let code = false;
  let known = new Set(model.get("plan").cells.map((cell) => cell.id));
  const rebuild = () => {
    const held = document.activeElement instanceof HTMLElement && root.contains(document.activeElement) ? document.activeElement : null;
    const key = held?.dataset["key"];
    const place = rows().findIndex((row) => row.contains(held));
    view.unbind();
    root.setAttribute("aria-label", view.setup.title);
    view.building = true;
    page.replaceChildren(header(view), strip(view), h("div", { class: "planwrap" }, planTable(view)), notes(view), footer(view, showCode));
    view.building = false;
    if (code) page.append(codePanel(view));
    drawn = shape(view);
    rove();
    mark();
    if (key !== undefined && !view.focus(key)) instead(key, place);
  };
  const view = new View(model, rebuild, root);
  const rows = () => [...root.querySelectorAll<HTMLElement>("tr.cell")];
  /** The control that had the focus is gone: the same one of the cell that is in its place now, which may be the same by another name. */
  const instead = (key: string, place: number) => {
    const cell = rows()[place]?.dataset["cell"];
    if (cell !== undefined && view.focus(`${key.split("/")[0]}/${cell}`)) return;
    view.focus(NEXT[key] ?? "add");
  };
  const showCode = () => {
    code = !code;
    rebuild();
  };

  /** One row's controls are in the tab order: that of the cell in which focus was last. */
  const rove = () => {
    const all = rows();
    if (!all.some((row) => row.dataset["cell"] === view.active)) view.active = all[0]?.dataset["cell"] ?? "";
    for (const row of all) {
      const tabIndex = row.dataset["cell"] === view.active ? 0 : -1;
      for (const control of row.querySelectorAll<HTMLElement>(".stop-here")) control.tabIndex = tabIndex;
    }
  };
  const selected = () => model.get("selected_segment") || null;
  const mark = () => markSegment(root, selected());
  const select = (segment: string | null) => {
    model.set("selected_segment", segment);
    model.save_changes();
    mark();
  };
  /** Somebody selected a segment elsewhere: open the cell that routes by it and scroll there. */
  const follow = () => {
    const cell = model.get("plan").cells.find((c) => c.routes.some((route) => route.segment === selected()));
    if (cell && !view.open.has(cell.id)) {
      view.open.add(cell.id);
      rebuild();
    }
    mark();
    root.querySelector("tr[data-segment].sel")?.scrollIntoView?.({ block: "nearest" });
  };

  let speaking = 0;
  const speak = () => {
    if (speaking) return;
    speaking = window.setTimeout(() => {
      speaking = 0;
      live.textContent = spoken(view.plan);
    }, SPEAK_MS);
  };

  cleanup.onChange(model, "plan", () => {
    const added = view.plan.cells.filter((cell) => !known.has(cell.id) && cell.role === "hypothesis");
    known = new Set(view.plan.cells.map((cell) => cell.id));
    for (const cell of added) if (hasDetails(cell)) view.open.add(cell.id);
    if (shape(view) === drawn) view.update();
    else rebuild();
    view.echoed();
    speak();
  });
  cleanup.onChange(model, "setup", rebuild);
  cleanup.onChange(model, "selected_segment", follow);

  root.addEventListener("focusin", (event) => {
    const row = event.target instanceof Element ? event.target.closest<HTMLElement>("tr.cell") : null;
    if (!row || row.dataset["cell"] === view.active) return;
    view.active = row.dataset["cell"] ?? "";
    rove();
  });
  root.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || event.target.closest("input")) return;
    const id = event.target.closest<HTMLElement>("tr[data-segment]")?.dataset["segment"];
    if (id !== undefined) select(id === selected() ? null : id);
  });
  root.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
      event.preventDefault();
      view.send({ kind: event.shiftKey ? "redo" : "undo" });
      return;
    }
    if (event.key === "Escape" && selected()) select(null);
    const onSlider = event.target instanceof Element && event.target.classList.contains("pt-slider");
    const cell = view.cell(view.active);
    if (!onSlider || !cell) return;
    const sliders = [...root.querySelectorAll<HTMLElement>("tr.cell .pt-slider")];
    const at = sliders.indexOf(event.target as HTMLElement);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      sliders[at + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
    } else if (event.key === "F2" && cell.role === "hypothesis") {
      rename(view, cell.id);
    } else if (event.key === " " && hasDetails(cell)) {
      event.preventDefault();
      if (!view.open.delete(cell.id)) view.open.add(cell.id);
      rebuild();
    }
  });

  rebuild();
  el.append(root);
  cleanup.add(() => {
    window.clearTimeout(speaking);
    view.stop();
    root.remove();
  });
  return () => cleanup.run();
}

export default { render };
