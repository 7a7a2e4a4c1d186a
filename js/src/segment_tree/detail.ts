// What there is to know of the selected segment, and what can be done with it.

import { copyButton } from "../shared/copy";
import { h } from "../shared/dom";
import * as f from "../shared/format";
import { armClass, armName, axis, glyph } from "../shared/glyph";
import { chip, definition, icon, statusIcon } from "../shared/icons";
import { CLAIM, clauseText, type Named, segmentName } from "../shared/rules";
import { liftTick, scaleOver } from "../shared/scale";
import type { SegmentDetailView, TreeSegmentView, TreeView } from "../shared/schema/segment_tree";
import type { LampStatus } from "../shared/schema/shared";
import { stacked, table } from "../shared/table";

const HELD_OUT = "AIPW estimate of the same lift from visitors who did not choose this segment, with its 80% interval.";
const CLAIM_LOOK: Record<string, LampStatus> = { confirmed: "ok", "honest estimate": "ok", exploratory: "warn" };

export type Asked = "rename" | "register" | "retire";

export interface DetailState {
  /** What is being typed a name for. */
  naming: "rename" | "register" | null;
  problem: string;
  sql: boolean;
}

export interface DetailActions {
  start(naming: DetailState["naming"]): void;
  submit(kind: Asked, name: string): void;
  toggleSql(): void;
}

export function detail(
  tree: TreeView,
  segment: Named<TreeSegmentView>,
  more: SegmentDetailView | null,
  state: DetailState,
  actions: DetailActions,
): HTMLElement {
  const { currency } = tree;
  const name = segmentName(segment);
  const digits = f.digitsFor([segment.gate.low, segment.gate.high]);
  const rename = h(
    "button",
    { type: "button", class: "pt-btn quiet icon", "aria-label": `Rename ${name}`, title: "Rename (F2)" },
    icon("pen"),
  );
  rename.addEventListener("click", () => actions.start("rename"));
  const head =
    state.naming === "rename"
      ? form("rename", segment.name, state, actions)
      : h(
          "div",
          { class: "pt-row" },
          h("h3", { class: "pt-title clip" }, name),
          tree.editable && segment.rule !== "everyone" && rename,
          h("span", { class: "pt-push soft" }, name === segment.id ? "" : segment.id),
        );
  return h(
    "aside",
    { class: "det", "aria-label": name },
    h(
      "div",
      { class: "dh" },
      head,
      h("ul", { class: "conds" }, ...(more?.clauses ?? [segment.rule]).map((clause) => h("li", {}, clauseText(clause)))),
      h(
        "div",
        { class: "pt-row" },
        h("span", { class: "claim" }, chip(f.capitalised(segment.claim), CLAIM_LOOK[segment.claim] ?? "")),
        more && chip(more.stability === null ? "stability not known" : `stability ${f.plain(more.stability, 2)}`, ""),
        !tree.converged && chip("Unconverged", "bad"),
      ),
      more && more.claim_reason && h("p", { class: "pt-help why" }, more.claim_reason),
    ),
    h(
      "div",
      { class: "dm" },
      h(
        "div",
        {},
        h(
          "p",
          { class: "pt-meta" },
          f.labelled(`GATE, ${segment.arm.name} against ${tree.arms[0]?.name ?? "control"}, ${f.share(tree.level)}`, tree),
        ),
        h(
          "p",
          { class: "pt-big" },
          f.signedMoney(segment.gate.mean, currency, digits),
          " ",
          h("span", { class: "bi" }, f.signedRange(segment.gate, digits)),
        ),
      ),
      h(
        "dl",
        { class: "pt-dl" },
        h("dt", {}, "Share of visitors"),
        h("dd", {}, f.share(segment.share), " ", h("small", {}, f.count(segment.n_visitors))),
        ...(more ? [h("dt", {}, "Converted"), h("dd", {}, f.count(more.n_converted))] : []),
        ...(more?.held_out
          ? [
              h("dt", {}, definition("Held-out AIPW", HELD_OUT, "estimates")),
              h("dd", {}, f.signedMoney(more.held_out.mean, currency, digits), " ", h("small", {}, f.signedRange(more.held_out, digits))),
            ]
          : []),
        h("dt", {}, definition("Claim", CLAIM, "claim")),
        h("dd", {}, f.capitalised(segment.claim)),
      ),
    ),
    ...(more ? [best(tree, more), history(tree, segment, more)] : []),
    state.sql && more ? sql(tree, segment, more) : null,
    tree.editable || more ? foot(tree, segment, state, actions) : null,
  );
}

function best(tree: TreeView, more: SegmentDetailView): HTMLElement {
  const rows = tree.arms.map((arm, i) => ({ arm, p: more.best[i] ?? 0 })).sort((a, b) => b.p - a.p);
  return h(
    "div",
    { class: "dm" },
    h("h4", { class: "pt-h" }, "Probability of being best"),
    ...rows.map(({ arm, p }) =>
      h(
        "div",
        { class: "pbr" },
        armName(arm, h("span", { class: "clip" }, arm.name)),
        h("div", { class: "pt-bar thin" }, h("span", { class: armClass(arm), style: `width:${(100 * p).toFixed(1)}%` })),
        h("span", { class: "num" }, f.probability(p)),
      ),
    ),
  );
}

function history(tree: TreeView, segment: Named<TreeSegmentView>, more: SegmentDetailView): HTMLElement {
  const ends = more.rounds.flatMap(({ gate }) => [gate.low, gate.high]);
  const scale = scaleOver([0, ...ends], 2);
  const digits = f.digitsFor(ends);
  const rows = more.rounds.map((was) => {
    const [mean, bounds] = f.liftFigures(was.gate, tree.currency, digits);
    const about = [
      was.number === tree.number ? "this one" : was.same_rule ? "same rule" : "another rule",
      was.arm.name === segment.arm.name ? "" : was.arm.name,
    ]
      .filter(Boolean)
      .join(", ");
    return {
      class: was.number === tree.number ? "sel" : undefined,
      cells: [
        [`Round ${was.number}`, h("span", { class: "sub" }, about)],
        [
          glyph({
            arm: was.arm,
            scale,
            zero: true,
            interval: was.gate,
            calibrated: was.is_calibrated,
            label: f.labelled(`Round ${was.number}: ${was.arm.name} GATE ${mean} ${bounds}, ${was.claim}`, was),
          }),
        ],
        stacked(mean, bounds),
      ],
    };
  });
  return h(
    "div",
    { class: "dm nob" },
    h("h4", { class: "pt-h" }, "Over the rounds"),
    table(
      "hist3",
      `${segmentName(segment)} over the rounds`,
      [
        { head: "Round" },
        { head: h("span", { class: "vh" }, "Drawn interval"), class: "g", axis: axis(scale, liftTick) },
        { head: `GATE, ${tree.currency}`, class: "num" },
      ],
      rows,
    ),
  );
}

export function statement(tree: TreeView, segment: Named<TreeSegmentView>, more: SegmentDetailView): string {
  const called = segment.name ? ` "${segment.name}"` : "";
  const where = more.sql.split(" AND ").join("\n  AND  ");
  const id = segment.id.replaceAll("'", "''");
  return `-- ${tree.title}, round ${tree.number}, segment ${segment.id}${called}\nSELECT *, '${id}' AS segment\nFROM   visitors\nWHERE  ${where};`;
}

function sql(tree: TreeView, segment: Named<TreeSegmentView>, more: SegmentDetailView): HTMLElement {
  const text = statement(tree, segment, more);
  const copy = copyButton(() => text, { "data-testid": "copy-sql" });
  return h(
    "div",
    { class: "dm" },
    h("div", { class: "pt-row" }, h("h4", { class: "pt-h" }, "Rule as SQL"), h("span", { class: "pt-push" }), copy),
    h("pre", { class: "pt-code", tabindex: 0, "data-testid": "sql" }, text),
  );
}

function form(kind: "rename" | "register", value: string, state: DetailState, actions: DetailActions): HTMLElement {
  const input = h("input", {
    class: `pt-in${state.problem ? " bad" : ""}`,
    value,
    maxlength: 60,
    "aria-label": kind === "rename" ? "New name" : "Name of the registered segment",
    "aria-invalid": state.problem ? "true" : undefined,
    "data-testid": "segment-name",
  });
  const go = h("button", { type: "submit", class: "pt-btn primary" }, kind === "rename" ? "Rename" : "Register");
  const stop = h("button", { type: "button", class: "pt-btn quiet" }, "Cancel");
  stop.addEventListener("click", () => actions.start(null));
  const made = h(
    "form",
    { class: "name-form" },
    h("div", { class: "pt-row" }, input, go, stop),
    state.problem ? h("p", { class: "pt-msg", role: "alert" }, statusIcon("bad"), h("span", {}, state.problem)) : null,
  );
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    actions.submit(kind, input.value);
  });
  made.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    actions.start(null);
  });
  return made;
}

function foot(tree: TreeView, segment: Named<TreeSegmentView>, state: DetailState, actions: DetailActions): HTMLElement {
  const act = (word: string, look: string, testid: string, run: () => void) => {
    const made = h("button", { type: "button", class: `pt-btn ${look}`.trim(), "data-testid": testid }, word);
    made.addEventListener("click", run);
    return made;
  };
  const everyone = segment.rule === "everyone";
  const lines: (HTMLElement | null)[] = [];
  if (tree.editable && !everyone && state.naming === "register") lines.push(form("register", segment.name, state, actions));
  if (state.problem && state.naming === null)
    lines.push(h("p", { class: "pt-msg", role: "alert" }, statusIcon("bad"), h("span", {}, state.problem)));
  lines.push(
    h(
      "div",
      { class: "pt-row" },
      tree.editable &&
        !everyone &&
        !segment.registered &&
        state.naming !== "register" &&
        act("Register segment", "", "register", () => actions.start("register")),
      tree.editable && segment.registered && act("Retire", "", "retire", () => actions.submit("retire", "")),
      act(state.sql ? "Hide SQL" : "Rule as SQL", "quiet", "show-sql", actions.toggleSql),
    ),
  );
  return h("div", { class: "df" }, ...lines);
}
