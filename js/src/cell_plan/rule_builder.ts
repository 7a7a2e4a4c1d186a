// Whom a hypothesis cell is for: conditions over the features that visitors really have.

import { type Child, h } from "../shared/dom";
import * as f from "../shared/format";
import { icon } from "../shared/icons";
import { decimal } from "../shared/locale";
import type { ClauseView, FeatureView, HypothesisView } from "../shared/schema/cell_plan";
import { menuButton } from "./menu";
import { histogram, mix } from "./mix";
import { type ClauseDraft, field, refusal, type View } from "./view";

export function ruleBuilder(view: View, id: string): HTMLElement {
  const { features } = view.setup;
  const clauses = view.cell(id)?.hypothesis?.clauses ?? [];
  return h(
    "div",
    { class: "bld", "data-testid": `rule-${id}` },
    h(
      "div",
      { class: "bl" },
      h("h3", { class: "pt-h" }, "Who is in this cell"),
      ...clauses.map((_, i) => condition(view, id, i)),
      clauses.length === 0 &&
        h(
          "p",
          { class: "pt-help everyone" },
          features.length ? "Everyone, until you add a condition." : "Everyone. Features are known once a round has been observed.",
        ),
      features.length > 0 && addCondition(view, id),
      coverage(view, id),
    ),
    h("div", { class: "br" }, matches(view, id), h("h3", { class: "pt-h mixh" }, "Arms in this cell"), mix(view, id)),
  );
}

function clausesOf(view: View, id: string): ClauseView[] {
  return view.cell(id)?.hypothesis?.clauses ?? [];
}

function send(view: View, id: string, name: string, clauses: ClauseDraft[], text = ""): void {
  view.send({ kind: "rule", field: name, cell: id, text, decimal: decimal(), clauses });
}

/** A first condition on a feature, for the hand to change. */
function start(feature: FeatureView): ClauseDraft {
  const numeric = feature.kind === "numeric";
  return {
    feature: feature.name,
    kind: numeric ? "threshold" : "levels",
    side: ">",
    cut: numeric ? Number(feature.middle.toPrecision(3)) : 0,
    levels: numeric ? [] : feature.levels.slice(0, 1),
    includes_missing: false,
  };
}

function condition(view: View, id: string, i: number): HTMLElement {
  const { features } = view.setup;
  const name = `rule/${id}/${i}`;
  const now = (): ClauseView | undefined => clausesOf(view, id)[i];
  const clause = now();
  if (!clause) return h("div");
  const known = features.find((feature) => feature.name === clause.feature);
  const change = (changed: Partial<ClauseDraft>, text = "") => {
    const all = clausesOf(view, id).map((old, j): ClauseDraft => (j === i ? { ...old, ...changed } : old));
    send(view, id, name, all, text);
  };

  const which = h("select", { class: "pt-in", "aria-label": "Feature", "data-key": `${name}/feature` });
  const names = known ? features.map((feature) => feature.name) : [clause.feature, ...features.map((feature) => feature.name)];
  which.append(...names.map((one) => h("option", { value: one, selected: one === clause.feature }, one)));
  which.addEventListener("change", () => {
    const feature = features.find((one) => one.name === which.value);
    if (feature) change(start(feature));
  });

  const how = h("select", { class: "pt-in", "aria-label": "Comparison", "data-key": `${name}/side` });
  if (clause.kind === "threshold") {
    how.append(h("option", { value: ">" }, "is above"), h("option", { value: "<=" }, "is at most"));
    how.value = clause.side;
    how.addEventListener("change", () => change({ side: how.value === "<=" ? "<=" : ">" }));
  } else {
    how.append(h("option", {}, "is any of"));
  }

  const [message, describedBy] = refusal(view, name, id, () => "Leave it as it was");
  const value =
    clause.kind === "threshold" ? threshold(view, id, name, now, known, describedBy, change) : levels(name, clause, known, change);
  const gone = h(
    "button",
    { class: "pt-btn quiet icon", type: "button", "aria-label": `Remove the condition on ${clause.feature}` },
    icon("cross"),
  );
  gone.addEventListener("click", () =>
    send(
      view,
      id,
      name,
      clausesOf(view, id).filter((_, j) => j !== i),
    ),
  );
  return h(
    "div",
    { class: "cond" },
    h("span", { class: "cj" }, i === 0 ? "Where" : "and"),
    which,
    how,
    h("span", { class: "val" }, value, orMissing(clause, known, name, change)),
    gone,
    message,
  );
}

function threshold(
  view: View,
  id: string,
  name: string,
  now: () => ClauseView | undefined,
  known: FeatureView | undefined,
  describedBy: string,
  change: (changed: Partial<ClauseDraft>, text?: string) => void,
): HTMLElement {
  const input = field(view, {
    name,
    label: `${now()?.feature ?? ""} threshold`,
    cell: id,
    key: `${name}/cut`,
    value: () => f.typed(Number((now()?.cut ?? 0).toPrecision(6)), 20),
    describedBy,
    send: (text) => change({ cut: text }, text),
  });
  const drawn = h("span", { class: "hist" });
  if (known?.counts.length) {
    view.bindCell(id, () => {
      const clause = now();
      if (clause) drawn.replaceChildren(histogram(known, clause.side, clause.cut));
    });
  }
  return h("span", { class: "thr" }, input, drawn);
}

function levels(
  name: string,
  clause: ClauseView,
  known: FeatureView | undefined,
  change: (changed: Partial<ClauseDraft>) => void,
): HTMLElement {
  const chips = clause.levels.map((level) => {
    const remove = h("button", { type: "button", "aria-label": `Remove ${level}` }, icon("cross"));
    remove.addEventListener("click", () => change({ levels: clause.levels.filter((one) => one !== level) }));
    return h("span", { class: "pt-chip" }, h("span", { class: "clip" }, level), remove);
  });
  const others = (known?.levels ?? []).filter((level) => !clause.levels.includes(level));
  const add = others.length
    ? menuButton("Add a level", `${name}/add`, icon("plus"), "addlv", () =>
        others.map((level) => ({ words: level, run: () => change({ levels: [...clause.levels, level] }) })),
      )
    : null;
  return h("span", { class: "tok pt-in", role: "group", "aria-label": `Levels of ${clause.feature}` }, ...chips, add);
}

/** Visitors without a value belong only if the rule says so. */
function orMissing(
  clause: ClauseView,
  known: FeatureView | undefined,
  name: string,
  change: (changed: Partial<ClauseDraft>) => void,
): Child {
  if (!clause.includes_missing && !known?.had_missing) return null;
  const box = h("input", { type: "checkbox", checked: clause.includes_missing, "data-key": `${name}/missing` });
  box.addEventListener("change", () => change({ includes_missing: box.checked }));
  return h("label", { class: "pt-help miss" }, box, " or without a value");
}

function addCondition(view: View, id: string): HTMLElement {
  const button = h(
    "button",
    { class: "pt-btn quiet addc", type: "button", "data-key": `condition/${id}` },
    icon("plus"),
    "Add a condition",
  );
  button.addEventListener("click", () => {
    const clauses = clausesOf(view, id);
    const used = new Set(clauses.map((clause) => clause.feature));
    const next = view.setup.features.find((feature) => !used.has(feature.name)) ?? view.setup.features[0];
    if (next) send(view, id, `rule/${id}/${clauses.length}`, [...clauses, start(next)]);
  });
  return button;
}

/** Which segments the rule covers, in a sentence. */
export function coverageWords(hypothesis: HypothesisView): string {
  const { overlaps } = hypothesis;
  if (overlaps.length < 2) return "";
  const whole = overlaps.filter((o) => o.share > 0.9995);
  const part = overlaps.filter((o) => o.share > 0 && o.share <= 0.9995);
  const none = overlaps.length - whole.length - part.length;
  const list = (words: string[]) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);
  const said = [
    ...(whole.length ? [`all of ${list(whole.map((o) => o.name))}`] : []),
    ...part.map((o) => `${o.share < 0.005 ? `< ${f.share(0.01)}` : f.share(o.share)} of ${o.name}`),
    ...(none ? [whole.length + part.length ? `nobody in the other ${none === 1 ? "segment" : `${none} segments`}` : "nobody"] : []),
  ];
  return `Covers ${list(said)}.`;
}

function coverage(view: View, id: string): HTMLElement {
  const words = h("p", { class: "pt-help ov" });
  view.bindCell(id, (cell) => {
    if (!cell.hypothesis) return;
    const text = coverageWords(cell.hypothesis);
    const missing = cell.hypothesis.clauses.some(
      (clause) => view.setup.features.find((one) => one.name === clause.feature)?.had_missing && !clause.includes_missing,
    );
    words.textContent = `${text}${text && missing ? " " : ""}${missing ? "Visitors without a value do not match." : ""}`;
  });
  return words;
}

/** How many visitors the rule holds for, and what that makes of the cell. */
function matches(view: View, id: string): HTMLElement {
  const head = h("h3", { class: "pt-h", "data-testid": `matches-${id}` });
  const drawn = h("div", { class: "pt-bar thin mt", "aria-hidden": "true" });
  const help = h("p", { class: "pt-help" });
  view.bindCell(id, (cell) => {
    const { hypothesis: now } = cell;
    if (!now) return;
    const share = now.matching ?? 1;
    drawn.replaceChildren(h("span", { class: "ax", style: `width:${100 * share}%` }));
    if (now.matching === null || now.n_matching === null) {
      head.textContent = now.clauses.length ? "Not known yet whom it matches" : "Matches everyone";
      help.textContent = "Everyone in the cell gets these arms.";
      return;
    }
    head.textContent = `Matches ${f.share(share, 1)} of visitors`;
    const seen = `${f.count(now.n_matching)} of ${f.count(view.setup.n_seen)} of the last round.`;
    const drawnFrom = "A cell is drawn from all visitors:";
    const n = cell.n_visitors;
    help.textContent =
      n === null
        ? `${seen} ${drawnFrom} the others in it get ${now.otherwise}.`
        : `${seen} ${drawnFrom} of its ${f.count(n)}, about ${f.count(n * share)} match and get these arms; the others get ${now.otherwise}.`;
  });
  return h("div", {}, head, drawn, help);
}
