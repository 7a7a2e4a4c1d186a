// The table of cells: weight on the left, what is expected of the plan on the right.

import { type Child, h } from "../shared/dom";
import * as f from "../shared/format";
import { axis, glyph } from "../shared/glyph";
import { definition, icon } from "../shared/icons";
import { cellName } from "../shared/rules";
import { amountTick, scaleOver } from "../shared/scale";
import type { PlanCellView, PlanView } from "../shared/schema/cell_plan";
import { menuButton } from "./menu";
import { mixes } from "./mix";
import { ruleBuilder } from "./rule_builder";
import { slider } from "./slider";
import { percentField, refusal, type View } from "./view";

const COLUMNS = 8;

/** Decimals of amounts, and the scale that all intervals are drawn on. */
function figures(plan: PlanView) {
  const drawn = plan.cells.flatMap((c) => (c.rpv ? [c.rpv.low, c.rpv.high] : []));
  const apart = drawn.length ? Math.max(...drawn) - Math.min(...drawn) : 0;
  return {
    scale: scaleOver(drawn, 2),
    digits: drawn.length ? Math.min(6, Math.max(f.digitsFor(drawn), f.digitsFor([apart]))) : 2,
  };
}

export function planTable(view: View): HTMLElement {
  const { setup } = view;
  const soft = h("span", { class: "soft" });
  const ticks = h("th", { scope: "col", class: "g pv c5", role: "columnheader" });
  view.bind((plan) => {
    soft.textContent = plan.refused.length
      ? "of the last valid plan"
      : `${f.share(setup.level)} intervals${setup.converged ? "" : ", unconverged"}`;
    ticks.replaceChildren(h("span", { class: "vh" }, "Drawn interval"), ...(plan.rpv ? [axis(figures(plan).scale, amountTick)] : []));
  });
  const column = (head: Child, looks: string) => h("th", { scope: "col", class: looks, role: "columnheader" }, head);
  const power = "80% power at the 5% level, two-sided";
  return h(
    "table",
    { class: "pt-table plan", role: "table" },
    h("caption", { class: "vh" }, setup.title),
    h("colgroup", {}, ...["w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8"].map((name) => h("col", { class: name }))),
    h(
      "thead",
      { role: "rowgroup" },
      h(
        "tr",
        { class: "grp", role: "row" },
        h("td", { colspan: 3, role: "cell" }),
        h("th", { colspan: 5, class: "pv", role: "columnheader" }, "Preview ", soft),
      ),
      h(
        "tr",
        { role: "row" },
        column("Cell", "c1"),
        column("Weight", "c2"),
        column(h("span", { class: "vh" }, "Weight in percent"), "c3 num"),
        column("Visitors", "num pv c4"),
        ticks,
        column("Expected RPV", "num pv c6"),
        column(
          definition(
            "Regret",
            "What a cell is expected to cost per visitor against the recommended plan, and in all. Below zero it gains.",
            "cells",
          ),
          "num pv c7",
        ),
        column(
          definition(
            "Detectable",
            `The smallest lift that this round would find, with ${power}. A hypothesis cell is compared on the visitors that its rule matches.`,
            "cells",
          ),
          "num pv c8",
        ),
      ),
    ),
    h("tbody", { role: "rowgroup" }, ...view.plan.cells.flatMap((cell) => cellRows(view, cell)), total(view)),
  );
}

function cellRows(view: View, cell: PlanCellView): HTMLElement[] {
  const { id } = cell;
  const weight = `weight/${id}`;
  const now = () => view.cell(id)?.weight ?? 0;
  const value = () => f.plain(100 * now(), 1);
  const [refusedWeight, describedBy] = refusal(view, weight, id, () => `Put ${f.shortShare(now())} back`);
  const [refusedName] = refusal(view, `name/${id}`, id, () => "Leave the name");
  const [box, input] = percentField(view, {
    name: weight,
    label: `${cellName(cell.id)} weight, percent`,
    cell: id,
    key: weight,
    value,
    describedBy,
    class: "stop-here",
    send: (text) => view.send({ kind: "weight", field: weight, cell: id, text }),
  });
  const edit = () => {
    input.focus();
    input.select();
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") row.querySelector<HTMLElement>(".pt-slider")?.focus();
  });
  const [visitors, drawn, rpv, regret, detectable] = [td("num pv"), td("g pv"), td("num pv"), td("num pv"), td("num pv")];
  const row = h(
    "tr",
    { role: "row", class: "cell", "data-cell": id },
    h("td", { role: "cell" }, name(view, cell)),
    h("td", { role: "cell" }, slider(view, id, edit)),
    h("td", { role: "cell" }, box),
    visitors,
    drawn,
    rpv,
    regret,
    detectable,
  );
  const message = h(
    "tr",
    { class: "msg", role: "row" },
    h("td", { role: "cell" }),
    h("td", { colspan: COLUMNS - 1, role: "cell" }, refusedWeight, refusedName),
  );
  view.bindCell(id, (now, plan) => {
    const { scale, digits } = figures(plan);
    const { currency, is_calibrated: calibrated } = view.setup;
    const told = now.rpv ? `${f.money(now.rpv.mean, currency, digits)} ${f.range(now.rpv, digits)}` : "";
    visitors.textContent = now.n_visitors === null ? f.UNKNOWN : f.count(now.n_visitors);
    drawn.replaceChildren(
      ...(now.rpv ? [glyph({ arm: now.arm, scale, interval: now.rpv, calibrated, label: `Expected RPV ${told}` })] : []),
    );
    rpv.replaceChildren(
      ...(now.rpv
        ? [h("span", { class: "main" }, f.money(now.rpv.mean, currency, digits)), h("span", { class: "sub" }, f.range(now.rpv, digits))]
        : [unknown()]),
    );
    regret.replaceChildren(...money(now.regret, now.regret_in_all, currency, digits + 1));
    detectable.replaceChildren(
      ...(now.detectable === null
        ? [h("span", { class: "soft" }, now.detectable_between === "baseline" ? "baseline" : f.UNKNOWN)]
        : [
            h("span", {}, f.money(now.detectable, currency, Math.max(0, Math.min(2, digits)))),
            h("span", { class: "sub" }, now.detectable_between),
          ]),
    );
    const refused = plan.refused.some((one) => one.field === weight || one.field === `name/${id}`);
    message.hidden = !refused;
    row.classList.toggle("err", refused);
  });
  row.classList.toggle("open", view.open.has(id));
  const rows = [row, message];
  if (view.open.has(id) && hasDetails(cell)) {
    const inside = cell.hypothesis ? ruleBuilder(view, id) : mixes(view, id);
    rows.push(h("tr", { class: "detail", role: "row" }, h("td", { colspan: COLUMNS, role: "cell" }, inside)));
  }
  return rows;
}

function td(looks: string): HTMLTableCellElement {
  return h("td", { class: looks, role: "cell" });
}

function unknown(): HTMLElement {
  return h("span", { class: "soft" }, f.UNKNOWN);
}

/** Regret per visitor and in all. Its interval is on hover, and said to who cannot see. */
function money(regret: PlanCellView["regret"], inAll: number | null, currency: string, digits: number): HTMLElement[] {
  if (!regret) return [unknown()];
  const interval = `interval ${f.range(regret, digits)}`;
  return [
    h("span", { title: interval }, f.money(regret.mean, currency, digits), h("span", { class: "vh" }, `, ${interval}`)),
    h("span", { class: "sub" }, inAll === null ? "" : sum(inAll, currency)),
  ];
}

/** A sum of money: whole units, or cents where it is small. */
export function sum(value: number, currency: string): string {
  return f.money(value, currency, Math.abs(value) >= 100 || Math.abs(value) < 0.005 ? 0 : 2);
}

export function hasDetails(cell: PlanCellView): boolean {
  return cell.hypothesis !== null || cell.routes.length > 0;
}

function name(view: View, cell: PlanCellView): HTMLElement {
  const { id } = cell;
  const label = cellName(cell.id);
  const open = view.open.has(id);
  const disclose = h(
    "button",
    { class: "disc stop-here", type: "button", "aria-expanded": String(open), "aria-label": `${label} details`, "data-key": `open/${id}` },
    icon(open ? "down" : "right"),
  );
  disclose.addEventListener("click", () => {
    if (!view.open.delete(id)) view.open.add(id);
    view.rebuild();
  });
  const own = cell.role === "hypothesis";
  const items = () => [
    ...(own ? [{ words: "Rename", run: () => rename(view, id) }] : []),
    { words: "Duplicate", run: () => view.send({ kind: "duplicate", cell: id }) },
    ...(own ? [{ words: "Remove", run: () => view.send({ kind: "remove", cell: id }) }] : []),
  ];
  const more = menuButton(
    `More for ${label}: ${own ? "rename, duplicate, remove" : "duplicate"}`,
    `more/${id}`,
    icon("more"),
    "pt-btn quiet icon mn stop-here",
    items,
  );
  const words = view.renaming === id ? nameField(view, id) : h("span", { class: "pt-name" }, label);
  const policy = h("span", { class: "sub" });
  view.bindCell(id, (now) => {
    policy.textContent = now.policy;
  });
  return h(
    "div",
    { class: "cn" },
    hasDetails(cell) ? disclose : h("span", { class: "disc" }),
    h("div", { class: "nm" }, words, policy),
    more,
  );
}

export function rename(view: View, id: string): void {
  view.renaming = id;
  view.typedName = view.refused(`name/${id}`)?.text ?? id;
  view.rebuild();
}

function nameField(view: View, id: string): HTMLElement {
  const input = h("input", { class: "pt-in", "aria-label": `New name for ${id}`, "data-key": `name/${id}`, autocomplete: "off" });
  input.value = view.typedName;
  input.addEventListener("input", () => {
    view.typedName = input.value;
  });
  let done = false;
  const end = (send: boolean) => {
    if (done) return;
    done = true;
    view.renaming = "";
    const text = input.value.trim();
    if (send && text !== id) view.send({ kind: "rename", field: `name/${id}`, cell: id, text });
    if (view.open.has(id)) view.open.add(text);
    view.rebuild();
  };
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.stopPropagation();
    // What has the focus next would be pressed by the same key.
    event.preventDefault();
    end(event.key === "Enter");
    view.focus(`slider/${id}`);
  });
  input.addEventListener("blur", () => {
    if (!view.building) end(true);
  });
  queueMicrotask(() => {
    input.focus();
    input.select();
  });
  return input;
}

function total(view: View): HTMLElement {
  const { setup } = view;
  const add = h(
    "button",
    { class: "pt-btn quiet add", type: "button", "data-key": "add", "data-testid": "add" },
    icon("plus"),
    "Add a cell",
  );
  add.addEventListener("click", () => view.send({ kind: "add" }));
  const [rpv, regret] = [td("num pv"), td("num pv")];
  view.bind((plan) => {
    const { digits } = figures(plan);
    rpv.replaceChildren(plan.rpv ? h("b", {}, f.money(plan.rpv.mean, setup.currency, digits)) : unknown());
    const [each, inAll] = money(plan.regret, plan.regret_in_all, setup.currency, digits + 1);
    regret.replaceChildren(h("b", {}, each ?? null), inAll ?? "");
  });
  return h(
    "tr",
    { class: "total", role: "row" },
    h("td", { role: "cell" }, add),
    h("td", { role: "cell", class: "soft rule" }, setup.rule),
    h("td", { role: "cell", class: "num" }, h("b", {}, f.share(1, 1))),
    h("td", { role: "cell", class: "num pv" }, setup.n_visitors === null ? f.UNKNOWN : f.count(setup.n_visitors)),
    h("td", { role: "cell", class: "pv" }),
    rpv,
    regret,
    h("td", { role: "cell", class: "pv" }),
  );
}
