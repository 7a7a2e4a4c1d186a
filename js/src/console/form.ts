// New experiment, and a draft's changes: fields, and a live check of the weights.

import { type Child, h } from "../shared/dom";
import * as f from "../shared/format";
import { armClass, armKey } from "../shared/glyph";
import { chip, icon, statusIcon } from "../shared/icons";
import type { DetectableView, ExperimentDetail } from "../shared/schema/console";
import { button } from "./button";
import { checkWeights, scaled } from "./weights";
import { armRef, SILENCE, SILENCE_MS } from "./words";

export interface Draft {
  name: string;
  hypothesis: string;
  metric: string;
  bandit_enabled: boolean;
  planned_visitors: number | null;
  variants: { name: string; traffic_weight: number; note: string }[];
}

export interface FormActions {
  save(draft: Draft, launch: boolean): Promise<void>;
  discard(): void;
  /** What so many visitors can find; it asks Python. */
  detectable(query: Record<string, string>): Promise<DetectableView>;
}

interface VariantFields {
  name: string;
  note: string;
  weight: string;
}

function withLabel(label: string, field: HTMLElement, help?: string): HTMLElement {
  return h(
    "label",
    { class: "pt-field" },
    h("span", { class: "pt-label" }, label),
    field,
    ...(help ? [h("span", { class: "pt-help" }, help)] : []),
  );
}

function input(value: string, attributes: Record<string, string | number> = {}): HTMLInputElement {
  const node = h("input", { class: "pt-in", type: "text", ...attributes });
  node.value = value;
  return node;
}

/** "12.5" as a number; null where it is none. */
function percent(text: string): number | null {
  const value = Number(text.trim().replace(",", "."));
  return text.trim() !== "" && Number.isFinite(value) && value >= 0 && value <= 100 ? value : null;
}

/** "10,000", "10.000" or "10 000" as a whole number above zero; null where it is none. */
function whole(text: string): number | null {
  const digits = text.trim().replace(/^\d{1,3}([.,'\u2019\s]\d{3})+$/, (grouped) => grouped.replace(/\D/g, ""));
  return /^[1-9][0-9]{0,14}$/.test(digits) ? Number(digits) : null;
}

/** Per cent without needless decimals. */
const short = (value: number) => f.percent(value, value % 1 ? 1 : 0);
const ADD_UP = `Weights have to add up to ${f.percent(100, 0)}.`;

export function form(start: ExperimentDetail | null, actions: FormActions): HTMLElement {
  const name = input(start?.name ?? "", { maxlength: 200, "data-testid": "name" });
  const hypothesis = h("textarea", { class: "pt-in", rows: 2, maxlength: 10000, "data-testid": "hypothesis" });
  hypothesis.value = start?.hypothesis ?? "";
  const metric = h(
    "select",
    { class: "pt-in" },
    h("option", { value: "conversion" }, "Conversion"),
    h("option", { value: "revenue" }, "Revenue per visitor"),
  );
  metric.value = start?.metric ?? "conversion";
  const planned = input(start?.planned_visitors?.toString() ?? "", { inputmode: "numeric", placeholder: "no planned end" });
  const baseline = input("", { inputmode: "decimal", placeholder: "for example 5", "data-testid": "baseline" });
  const finds = h("p", { class: "pt-help ph", role: "status", "data-testid": "finds" });
  let bandit = start?.bandit_enabled ?? false;
  const toggle = h("button", { type: "button", class: "sw", role: "switch", "aria-label": "Bandit mode", "data-testid": "bandit" }, h("i"));
  const banditHelp = h("span", { class: "pt-help" });
  let variants: VariantFields[] = start?.variants.length
    ? start.variants.map((v) => ({ name: v.name, note: v.note, weight: f.typed(100 * v.traffic_weight, 1) }))
    : [
        { name: "control", note: "", weight: "50" },
        { name: "", note: "", weight: "50" },
      ];
  const rows = h("div", {});
  const check = h("aside", { class: "fr1", "aria-label": "Weight check" });
  const message = h("div", { role: "alert" });
  const save = button(["Save draft"], "", "save", () => submit(false));
  const launch = button(["Launch"], "primary", "launch", () => submit(true));

  const weights = () => variants.map((v) => percent(v.weight) ?? 0);

  function problem(): string | null {
    if (name.value.trim() === "") return "Give it a name.";
    const names = variants.map((v) => v.name.trim());
    if (names.includes("")) return "Name every variant.";
    if (new Set(names).size < names.length) return "Two variants have the same name.";
    const unread = variants.find((v) => percent(v.weight) === null);
    if (unread) return `The weight of ${unread.name || "a variant"} is no number from 0 to 100.`;
    if (planned.value.trim() !== "" && whole(planned.value) === null) return "Planned visitors are a whole number, or nothing.";
    return null;
  }

  function drawBandit(): void {
    toggle.setAttribute("aria-checked", String(bandit));
    banditHelp.textContent = bandit
      ? `Weights move towards better variants. Control and every other one keep ${f.share(start?.floor ?? 0.05)}.`
      : "Weights stay as they are.";
  }

  function drawCheck(): void {
    drawFinds();
    const parts = weights();
    const { total, missing, complete } = checkWeights(parts);
    const last = variants[variants.length - 1];
    const bar = parts.map((share, i) => h("span", { class: armClass(armRef("", i)), style: `width:${share}%` }));
    if (missing > 0) bar.push(h("span", { class: "miss", style: `width:${missing}%` }));
    const words = (strong: string, rest: string) =>
      h(
        "p",
        { class: "pt-msg", "data-testid": "weight-message" },
        statusIcon(complete ? "ok" : "bad"),
        h("span", {}, h("b", {}, strong), ` ${rest}`),
      );
    const few = variants.length < 2;
    const said = complete
      ? few
        ? words("One variant is nothing to compare.", "Add another one.")
        : words("Every visitor has a variant.", `The weights add up to ${f.percent(100, 0)}.`)
      : missing > 0
        ? words(`${short(missing)} of visitors have no variant.`, ADD_UP)
        : missing < 0
          ? words(`${short(-missing)} too much.`, ADD_UP)
          : words("A variant has no visitors.", "Give it a weight, or remove it.");
    const mend: Child[] = [];
    if (missing > 0 && last) {
      const given = short(missing);
      mend.push(
        button([h("span", { class: "clip" }, `Give ${given} to ${last.name || "the last one"}`)], "", "give", () =>
          setWeights(parts.map((p, i) => (i === parts.length - 1 ? Math.round(10 * (p + missing)) / 10 : p))),
        ),
      );
    }
    if (missing !== 0) mend.push(button([`Scale all to ${f.percent(100, 0)}`], "", "scale", () => setWeights(scaled(parts))));
    check.replaceChildren(
      h("h3", { class: "pt-h" }, "Weight check"),
      h("div", { class: "pt-bar tall wb", role: "img", "aria-label": parts.map(short).join(", ") }, ...bar),
      h(
        "p",
        { class: "pt-row bt" },
        h("b", { "data-testid": "weight-total" }, short(total)),
        h("span", { class: "soft" }, `of ${f.percent(100, 0)}`),
      ),
      said,
      ...(mend.length ? [h("div", { class: "stk" }, ...mend)] : []),
    );
    const wrong = problem();
    save.disabled = wrong !== null;
    launch.disabled = wrong !== null || !complete || few;
    save.title = launch.title = wrong ?? "";
    for (const [i, field] of rows.querySelectorAll<HTMLInputElement>("input[data-weight]").entries()) {
      field.classList.toggle("bad", percent(variants[i]?.weight ?? "") === null || (missing !== 0 && i === variants.length - 1));
    }
  }

  /** Asked again when a hand rests; an answer that comes too late is dropped. */
  let asking = 0;
  function drawFinds(): void {
    asking += 1;
    const mine = asking;
    const rate = percent(baseline.value);
    const visitors = whole(planned.value);
    if (metric.value !== "conversion") finds.textContent = "What a test of revenue finds depends on its spread: pt.plan_means says it.";
    else if (rate === null || rate <= 0 || rate >= 100 || visitors === null || weights().some((w) => w <= 0)) {
      finds.textContent = "With planned visitors, control's rate and weights, this says how small a lift the test finds.";
    } else {
      setTimeout(() => {
        if (mine !== asking || !finds.isConnected) return;
        actions.detectable({ baseline: String(rate / 100), visitors: String(visitors), weights: weights().join(",") }).then(
          (found) => {
            if (mine !== asking) return;
            finds.textContent =
              found.rise === null || found.relative === null
                ? "So few visitors would find no lift at all."
                : `Finds a lift of ${f.share(found.relative, 1)} or more (${f.percent(rate, 2)} to ${f.percent(rate + 100 * found.rise, 2)}) with probability ${f.share(found.power)}.`;
          },
          (error: unknown) => {
            if (mine === asking) finds.textContent = error instanceof Error ? error.message : String(error);
          },
        );
      }, 250);
    }
  }

  function setWeights(next: readonly number[]): void {
    variants = variants.map((v, i) => ({ ...v, weight: f.typed(next[i] ?? 0, 1) }));
    drawRows();
  }

  function drawRows(): void {
    const shown = variants.map((v, i) => {
      const field = (key: "name" | "note" | "weight", attributes: Record<string, string>) => {
        const node = input(v[key], attributes);
        node.addEventListener("input", () => {
          variants[i]![key] = node.value;
          drawCheck();
        });
        return node;
      };
      const called = v.name || `variant ${i + 1}`;
      const remove = button(
        [icon("cross")],
        "quiet icon",
        `remove-${i}`,
        () => {
          variants.splice(i, 1);
          drawRows();
        },
        variants.length <= 2,
      );
      remove.setAttribute("aria-label", `Remove ${called}`);
      return h(
        "div",
        { class: "vr" },
        armKey(armRef(v.name, i)),
        field("name", { "aria-label": "Variant name", maxlength: "200", placeholder: i === 0 ? "control" : `variant ${i}` }),
        field("note", { "aria-label": `Note of ${called}`, placeholder: "what it shows" }),
        h(
          "span",
          { class: "pt-unit" },
          field("weight", { "aria-label": `${called} weight, percent`, inputmode: "decimal", "data-weight": String(i) }),
          h("span", {}, "%"),
        ),
        remove,
      );
    });
    const head = h(
      "div",
      { class: "vr vh2", "aria-hidden": "true" },
      h("span"),
      h("span", {}, "Name, control first"),
      h("span", {}, "Note"),
      h("span", { class: "num" }, "Weight"),
      h("span"),
    );
    rows.replaceChildren(head, ...shown);
    drawCheck();
  }

  async function submit(andLaunch: boolean): Promise<void> {
    const say = (words: string) => message.replaceChildren(h("p", { class: "pt-msg er" }, statusIcon("bad"), h("span", {}, words)));
    message.replaceChildren();
    save.disabled = launch.disabled = true;
    const silence = setTimeout(() => say(SILENCE), SILENCE_MS);
    try {
      await actions.save(
        {
          name: name.value.trim(),
          hypothesis: hypothesis.value.trim(),
          metric: metric.value,
          bandit_enabled: bandit,
          planned_visitors: whole(planned.value),
          variants: variants.map((v, i) => ({ name: v.name.trim(), note: v.note.trim(), traffic_weight: weights()[i]! / 100 })),
        },
        andLaunch,
      );
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
      drawCheck();
    } finally {
      clearTimeout(silence);
    }
  }

  toggle.addEventListener("click", () => {
    bandit = !bandit;
    drawBandit();
  });
  for (const field of [name, planned]) field.addEventListener("input", drawCheck);
  baseline.addEventListener("input", drawFinds);
  metric.addEventListener("change", drawFinds);
  const add = button([icon("plus"), "Add a variant"], "quiet", "add", () => {
    variants.push({ name: "", note: "", weight: "0" });
    drawRows();
    rows.querySelector<HTMLInputElement>(".vr:last-child input")?.focus();
  });
  drawBandit();
  drawRows();
  return h(
    "section",
    { "aria-label": start ? "Draft" : "New experiment", "data-testid": "form" },
    h(
      "header",
      { class: "pt-head nh" },
      h("div", { class: "pt-row" }, h("h2", { class: "pt-title" }, start ? start.name : "New experiment"), chip("Draft", "", "pen")),
    ),
    h(
      "div",
      { class: "frm" },
      h(
        "div",
        { class: "fl1" },
        withLabel("Name", name),
        withLabel("Hypothesis", hypothesis, "What you expect to see, and why."),
        h(
          "div",
          { class: "two2" },
          withLabel("Metric", metric),
          h(
            "div",
            { class: "pt-field" },
            h("span", { class: "pt-label" }, "Bandit mode"),
            h("div", { class: "pt-row sr" }, toggle, banditHelp),
          ),
        ),
        h(
          "div",
          { class: "two2" },
          withLabel("Planned visitors", planned),
          h("p", { class: "pt-help ph" }, "The classical p-value is valid at this end, and only there. The sequential test needs none."),
        ),
        h("div", { class: "two2" }, withLabel("Control's rate now, %", baseline), finds),
        h("fieldset", { class: "pt-field" }, h("legend", { class: "pt-label" }, "Variants"), rows, h("div", {}, add)),
      ),
      check,
    ),
    message,
    h(
      "footer",
      { class: "pt-foot pt-row" },
      h("span", { class: "soft fs" }, "Saved as a draft. Nothing runs before Launch."),
      h("span", { class: "pt-push" }),
      button(["Discard"], "quiet", "discard", actions.discard),
      save,
      launch,
    ),
  );
}
