// What was changed and what it costs, and the ways to end: accept, reset, copy as code.

import { copyButton } from "../shared/copy";
import { h, setWaiting } from "../shared/dom";
import * as f from "../shared/format";
import { icon, note, statusIcon } from "../shared/icons";
import { cellName } from "../shared/rules";
import type { PlanView } from "../shared/schema/cell_plan";
import { sum } from "./rows";
import type { View } from "./view";

export function footer(view: View, showCode: () => void): HTMLElement {
  const accepted = view.plan.accepted_at !== "";
  const button = (words: string, looks: string, key: string, run: () => void) => {
    const made = h("button", { class: `pt-btn ${looks}`.trim(), type: "button", "data-key": key, "data-testid": key }, words);
    made.addEventListener("click", run);
    return made;
  };
  const copy = button("Copy as code", accepted ? "" : "quiet", "code", showCode);
  copy.prepend(icon("copy"));
  const push = h("span", { class: "pt-push" });
  if (!view.plan.current) {
    const renew = button("Show the next plan", "primary", "refresh", () => view.send({ kind: "refresh" }));
    return h(
      "footer",
      { class: "acc" },
      h("div", {}, h("b", {}, "This plan has had its round"), h("p", { class: "soft" }, "What is edited here can no longer be accepted.")),
      push,
      copy,
      renew,
    );
  }
  if (accepted) {
    const at = new Date(view.plan.accepted_at);
    const when = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    const words = `${view.setup.title.replace("Plan for round", "Round")} will use these cells. Accepted ${when}.`;
    return h(
      "footer",
      { class: "acc ok", "data-testid": "accepted" },
      statusIcon("ok"),
      h("div", {}, h("b", {}, `Accepted as revision ${view.plan.revision}`), h("p", { class: "soft" }, words)),
      push,
      copy,
      button("Reopen", "", "reopen", () => view.send({ kind: "reopen" })),
    );
  }
  const changes = h("b");
  const why = h("p", { class: "why" });
  const cost = h("p", { class: "soft" });
  const accept = button("Accept plan", "primary", "accept", () => {
    const [first] = view.plan.refused;
    if (!first) {
      view.send({ kind: "accept" });
      return;
    }
    const hidden = !first.field.startsWith("weight/") && !view.open.has(first.cell);
    if (hidden) {
      view.open.add(first.cell);
      view.rebuild();
    }
    view.focus(first.field);
  });
  const reset = button("Reset to recommended", "", "reset", () => view.send({ kind: "reset" }));
  view.bind((plan) => {
    changes.textContent = plan.changes;
    const n = plan.refused.length;
    const cells = [...new Set(plan.refused.map((one) => cellName(one.cell)))];
    why.hidden = n === 0;
    why.replaceChildren(statusIcon("bad", 12), `${n} ${n === 1 ? "thing" : "things"} to fix: ${cells.join(", ")}`);
    cost.hidden = n > 0;
    cost.replaceChildren(...costs(plan, view.setup.currency));
    setWaiting(accept, n > 0);
  });
  return h("footer", { class: "acc" }, h("div", {}, changes, why, cost), push, copy, reset, accept);
}

function costs(plan: PlanView, currency: string): (Node | string)[] {
  if (!plan.regret) return [];
  const digits = f.digitsFor([plan.rpv?.mean ?? 0]) + 1;
  const small = Math.abs(plan.regret.mean) < 0.5 * 10 ** -digits;
  if (small) return ["Costs nothing against the recommendation."];
  const gains = plan.regret.mean < 0;
  const amount = f.money(Math.abs(plan.regret.mean), currency, digits);
  const all = plan.regret_in_all === null ? "" : `, ${sum(Math.abs(plan.regret_in_all), currency)} in all`;
  return [gains ? "Gains " : "Costs ", h("b", {}, amount), ` per visitor against the recommendation${all}.`];
}

/** Why the experiment did not take the plan, and what is easily overlooked in it. */
export function notes(view: View): HTMLElement {
  const box = h("div", { role: "status" });
  view.bind((plan) => {
    const [strong, ...rest] = plan.message.split(/(?<=\.) /);
    box.replaceChildren(
      ...(plan.message ? [note("bad", strong ?? "", rest.join(" "))] : []),
      ...plan.notices.map((text) => note("none", "", text)),
    );
  });
  return box;
}

export function codePanel(view: View): HTMLElement {
  const code = h("pre", { class: "pt-code", tabindex: 0, "data-testid": "code-text" });
  const copy = copyButton(() => view.plan.code, { "data-key": "copy" });
  view.bind((plan) => {
    const [comment = "", ...rest] = plan.code.split("\n");
    code.replaceChildren(h("span", { class: "c" }, comment), `\n${rest.join("\n")}`);
  });
  return h(
    "section",
    { class: "pop", "aria-label": "The Python that makes this plan" },
    h("div", { class: "pt-row" }, h("h3", { class: "pt-h" }, "The Python that makes this plan"), h("span", { class: "pt-push" }), copy),
    code,
  );
}
