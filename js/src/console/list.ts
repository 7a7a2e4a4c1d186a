// Totals, the table of experiments, and the shorter list beside a drawer.

import { copyButton } from "../shared/copy";
import { breakable, type Child, h } from "../shared/dom";
import * as f from "../shared/format";
import { icon, statusIcon } from "../shared/icons";
import type { ExperimentSummary, PageView } from "../shared/schema/console";
import { table } from "../shared/table";
import { button } from "./button";
import { day, modeWords, statusChip } from "./words";

export interface ListActions {
  open(id: string): void;
  launch(id: string): void;
  stop(id: string): void;
  turn(offset: number): void;
  create(): void;
}

export function totals(page: PageView): HTMLElement {
  const t = page.totals;
  const card = (name: string, value: number, rest: string) =>
    h(
      "div",
      { "data-testid": `total-${name.split(" ")[0]?.toLowerCase()}` },
      h("p", { class: "pt-meta" }, name),
      h("p", { class: "pt-big" }, f.count(value)),
      h("p", { class: "pt-meta" }, rest),
    );
  const drafts = t.draft === 1 ? "1 draft" : `${f.count(t.draft)} drafts`;
  return h(
    "div",
    { class: "cards" },
    card("Total", t.total, `${drafts}, ${f.count(t.running)} running, ${f.count(t.stopped)} stopped`),
    card(
      "Running",
      t.running,
      t.attention === 0 ? "none needs attention" : `${f.count(t.attention)} ${t.attention === 1 ? "needs" : "need"} attention`,
    ),
    card("Winners found", t.winners, `of ${f.count(t.running + t.stopped)} launched`),
  );
}

function nameCell(one: ExperimentSummary, actions: ListActions): Child[] {
  const name = h("button", { type: "button", class: "pt-name nm", "data-key": `name-${one.id}` }, ...breakable(one.name));
  name.addEventListener("click", () => actions.open(one.id));
  if (one.split_alarm) {
    return [name, h("span", { class: "sub fl bad" }, statusIcon("bad", 12), "Traffic split is off")];
  }
  return one.winner === null ? [name] : [name, h("span", { class: "sub fl ok" }, statusIcon("ok", 12), `Winner: ${one.winner}`)];
}

function rowActions(one: ExperimentSummary, actions: ListActions): Child[] {
  const open = () => actions.open(one.id);
  if (one.type === "adaptive") return [button(["Open"], "sm", `open-${one.id}`, open)];
  const view = button(["View"], "sm", `view-${one.id}`, open);
  if (one.status === "draft") return [button(["Launch"], "sm", `launch-${one.id}`, () => actions.launch(one.id)), view];
  if (one.status === "running") return [button(["Stop"], "sm danger", `stop-${one.id}`, () => actions.stop(one.id)), view];
  return [view];
}

export function experimentTable(page: PageView, actions: ListActions): HTMLElement {
  return table(
    "ct",
    "Experiments",
    [
      { head: "Name", class: "k1" },
      { head: "Hypothesis", class: "k2" },
      { head: "Status", class: "k3" },
      { head: "Variants", class: "num k4" },
      { head: "Bandit mode", class: "k5" },
      { head: "Created", class: "num k6" },
      { head: h("span", { class: "vh" }, "Actions"), class: "k7" },
    ],
    page.experiments.map((one) => {
      const mode = modeWords(one);
      return {
        class: "pick",
        cells: [
          nameCell(one, actions),
          [h("span", { class: "hy" }, one.hypothesis)],
          [statusChip(one.status)],
          [f.count(one.n_variants)],
          [mode === null ? h("span", { class: "soft" }, "off") : h("span", { class: "pt-chip" }, mode)],
          [h("span", { class: "dt" }, day(one.created_at))],
          [h("span", { class: "act" }, ...rowActions(one, actions))],
        ],
      };
    }),
  );
}

export function shortTable(page: PageView, selected: string, actions: ListActions): HTMLElement {
  return table(
    "st",
    "Experiments",
    [{ head: "Name" }, { head: "Status", class: "k3" }],
    page.experiments.map((one) => ({
      class: one.id === selected ? "pick sel" : "pick",
      cells: [nameCell(one, actions), [statusChip(one.status)]],
    })),
  );
}

export function pager(page: PageView, actions: ListActions): HTMLElement {
  const { offset, limit, n_found: found } = page;
  const shown = page.experiments.length;
  const words = shown === 0 ? "None found" : `${f.count(offset + 1)} to ${f.count(offset + shown)} of ${f.count(found)}`;
  return h(
    "footer",
    { class: "pt-foot pgr soft" },
    h("span", { "data-testid": "range" }, words),
    h("span", { class: "pt-push" }),
    button(["Previous"], "sm", "previous", () => actions.turn(Math.max(0, offset - limit)), offset === 0),
    button(["Next"], "sm", "next", () => actions.turn(offset + limit), offset + shown >= found),
  );
}

const TUTORIAL = `%load_ext pytyche_lab
%pytyche new tutorial --treatments control low_promo free_ship --initial 2000 --rounds 3
%pytyche lab tutorial`;

/** A simulated experiment to learn from: its lines run in any notebook. */
function tutorial(): HTMLElement {
  const code = h("pre", { class: "pt-code", "data-testid": "tutorial" }, TUTORIAL);
  const copy = copyButton(() => TUTORIAL, { "data-key": "copy-tutorial" }, "sm");
  return h(
    "details",
    { class: "tut" },
    h("summary", { class: "pt-btn" }, "Run the tutorial"),
    h("p", {}, "A simulated shop with three arms. Run these lines in a notebook cell: they make the experiment and open its cockpit."),
    code,
    copy,
  );
}

export function empty(actions: ListActions): HTMLElement {
  return h(
    "div",
    { class: "pt-empty", "data-testid": "empty" },
    h("h3", { class: "pt-h" }, "No experiments yet"),
    h(
      "p",
      {},
      "Describe what you expect to see and why, name the variants, and set their weights. Experiments made in a notebook with a name appear here too.",
    ),
    h("div", { class: "pt-row" }, button([icon("plus"), "New experiment"], "primary", "first", actions.create), tutorial()),
  );
}
