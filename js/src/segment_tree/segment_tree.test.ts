import { beforeEach, describe, expect, it } from "vitest";
import { FakeModel } from "../shared/fake_model";
import type { SegmentDetailView, SegmentTreeTraits, TreeNodeView, TreeSegmentView, TreeView } from "../shared/schema/segment_tree";
import widget from "./index";
import { layout } from "./layout";

const ARMS = [
  { name: "control", slot: 0 },
  { name: "<img src=x onerror=alert(1)>", slot: 1 },
];

function segment(id: string, rule: string, changes: Partial<TreeSegmentView> = {}): TreeSegmentView {
  return {
    id,
    rule,
    share: 0.25,
    n_visitors: 500,
    arm: ARMS[1]!,
    gate: { mean: 0.3, low: 0.1, high: 0.5 },
    leader: ARMS[1]!,
    p_best: 0.9,
    claim: "honest estimate",
    registered: false,
    ...changes,
  };
}

function node(id: string, parent: string | null, answer: string, changes: Partial<TreeNodeView>): TreeNodeView {
  return { id, parent, answer, feature: "", share: 0.25, n_visitors: 500, shares: [0.2, 0.8], segment: null, ...changes };
}

/** depth > 1: (channel: S1 | S2), depth <= 1: S3. */
function tree(changes: Partial<TreeView> = {}): TreeView {
  return {
    title: "promo",
    currency: "$",
    number: 2,
    next_number: 3,
    n_visitors: 2000,
    level: 0.8,
    is_calibrated: false,
    converged: true,
    arms: ARMS,
    nodes: [
      node("n0", null, "", { feature: "depth", share: 1, n_visitors: 2000 }),
      node("n1", "n0", "> 1.13612", { feature: "channel", share: 0.75 }),
      node("n2", "n1", "email, direct, social", { segment: "S1", share: 0.5 }),
      node("n3", "n1", "paid", { segment: "S2" }),
      node("n4", "n0", "<= 1.13612", { segment: "S3" }),
    ],
    segments: [
      segment("S1", "depth > 1.13612 AND channel in {email, direct, social}"),
      segment("S2", "depth > 1.13612 AND channel == paid"),
      segment("S3", "depth <= 1.13612"),
    ],
    followed: [],
    best_arm: ARMS[1]!,
    value: { mean: 0.01, low: -0.01, high: 0.03 },
    pays: false,
    reason: "",
    editable: true,
    ...changes,
  };
}

const DETAIL: SegmentDetailView = {
  id: "S1",
  clauses: ["depth > 1.13612", "channel in {email, direct, social}"],
  sql: "\"depth\" > 1.13612 AND \"channel\" IN ('email', 'direct', 'social')",
  claim_reason: "",
  stability: 0.9,
  n_converted: 40,
  held_out: null,
  held_out_rows: 0,
  best: [0.1, 0.9],
  rounds: [
    {
      number: 2,
      arm: ARMS[1]!,
      gate: { mean: 0.3, low: 0.1, high: 0.5 },
      share: 0.5,
      claim: "honest estimate",
      same_rule: true,
      is_calibrated: false,
      converged: true,
    },
  ],
};

let el: HTMLElement;
let gone: AbortController;
beforeEach(() => {
  document.body.replaceChildren();
  el = document.createElement("div");
  document.body.append(el);
  gone = new AbortController();
});

function shown(changes: Partial<SegmentTreeTraits> = {}): FakeModel<SegmentTreeTraits> {
  const model = new FakeModel<SegmentTreeTraits>({ tree: tree(), names: { S1: "Core" }, detail: null, selected_segment: null, ...changes });
  widget.render({ model, el, signal: gone.signal });
  return model;
}

const all = (selector: string) => [...el.querySelectorAll<HTMLElement>(selector)];
const press = (key: string, on: Element = document.activeElement!) =>
  on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const button = (testid: string) => el.querySelector<HTMLElement>(`[data-testid=${testid}]`)!;

describe("the layout", () => {
  it("gives leaves even places, and the parts of a node add up to it", () => {
    const plan = layout(tree(), new Set());
    const cards = plan.placed
      .filter((p) => p.card)
      .map((p) => p.y)
      .sort((a, b) => a - b);
    expect(new Set(cards.map((y, i) => (i ? Math.round(y - cards[i - 1]!) : null)).slice(1)).size).toBe(1);
    const heights = Object.fromEntries(plan.placed.map((p) => [p.node.id, p.height]));
    expect(heights["n2"]! + heights["n3"]!).toBeCloseTo(heights["n1"]!, 5);
    expect(heights["n1"]! + heights["n4"]!).toBeCloseTo(heights["n0"]!, 5);
  });

  it("folds a node into one card with all its segments", () => {
    const plan = layout(tree(), new Set(["n1"]));
    expect(plan.placed.find((p) => p.node.id === "n1")).toMatchObject({ card: true, segments: ["S1", "S2"] });
    expect(plan.placed.map((p) => p.node.id)).not.toContain("n2");
  });

  it("draws many leaves as lines", () => {
    const nodes = [
      node("n0", null, "", { feature: "x", share: 1 }),
      ...Array.from({ length: 200 }, (_, i) => node(`n${i + 1}`, "n0", `x${i}`, { segment: `S${i}`, share: 0.005 })),
    ];
    const plan = layout(tree({ nodes }), new Set());
    expect(plan.dense).toBe(true);
    expect(plan.placed).toHaveLength(201);
  });
});

describe("selection", () => {
  it("is one trait: a click writes it, Python's value shows, Esc clears it", () => {
    const model = shown();
    all(".leaf[data-segment=S1]")[0]!.click();
    expect(model.get("selected_segment")).toBe("S1");
    expect(model.saves).toBe(1);
    model.arrive({ selected_segment: "S3" });
    expect(all("[aria-selected=true]").map((n) => n.dataset["segment"])).toEqual(["S3"]);
    press("Escape", el.querySelector(".leaf")!);
    expect(model.get("selected_segment")).toBeNull();
  });

  it("shows the detail when it has come", () => {
    const model = shown({ selected_segment: "S1" });
    expect(el.textContent).not.toContain("Over the rounds");
    model.arrive({ detail: DETAIL });
    expect(el.textContent).toContain("Over the rounds");
    expect(el.textContent).toContain("channel is one of email, direct, social");
  });

  it("unfolds what hides the selected segment", () => {
    const model = shown();
    button("fold").click();
    expect(all(".leaf[data-segment=S1]")).toHaveLength(0);
    model.arrive({ selected_segment: "S1" });
    expect(all(".leaf[data-segment=S1]")).toHaveLength(1);
  });
});

describe("the keyboard", () => {
  it("walks, folds and unfolds with one tab stop", () => {
    shown();
    expect(all("[role=treeitem][tabindex='0']")).toHaveLength(1);
    all("[role=treeitem][tabindex='0']")[0]!.focus();
    const at = () => (document.activeElement as HTMLElement).dataset["node"];
    expect(at()).toBe("n2");
    press("ArrowDown");
    expect(at()).toBe("n3");
    press("End");
    expect(at()).toBe("n4");
    press("Home");
    press("ArrowLeft");
    expect(at()).toBe("n1");
    expect(document.activeElement!.getAttribute("aria-expanded")).toBe("false");
    press("ArrowRight");
    expect(at()).toBe("n2");
    expect(all("[role=treeitem][tabindex='0']")).toHaveLength(1);
  });

  it("selects with Enter and renames with F2", () => {
    const model = shown();
    all("[role=treeitem][tabindex='0']")[0]!.focus();
    press("Enter");
    expect(model.get("selected_segment")).toBe("S1");
    press("F2", el.querySelector(".leaf")!);
    expect(el.querySelector<HTMLInputElement>("[data-testid=segment-name]")!.value).toBe("Core");
  });

  it("finds by name and rule", () => {
    shown();
    const search = el.querySelector<HTMLInputElement>("[data-testid=search]")!;
    press("/", el.querySelector(".leaf")!);
    expect(document.activeElement).toBe(search);
    search.value = "paid";
    search.dispatchEvent(new Event("input"));
    expect(all(".leaf:not(.lost)").map((n) => n.dataset["segment"])).toEqual(["S2"]);
    press("Enter", search);
    expect((document.activeElement as HTMLElement).dataset["segment"]).toBe("S2");
  });
});

describe("asking Python", () => {
  it("shows a refusal beside the field and keeps what was typed away", async () => {
    const model = shown({ selected_segment: "S1", detail: DETAIL });
    button("register").click();
    const input = el.querySelector<HTMLInputElement>("[data-testid=segment-name]")!;
    input.value = "Core";
    input.form!.dispatchEvent(new Event("submit", { cancelable: true }));
    const sent = model.sent[0] as { ask: string };
    expect(sent).toMatchObject({ kind: "register", segment: "S1", name: "Core" });
    model.receive({ answer: sent.ask, error: "Another segment is called 'Core' already." });
    await Promise.resolve();
    await Promise.resolve();
    expect(el.querySelector("[role=alert]")!.textContent).toContain("already");
  });

  it("offers nothing to do where there is no experiment", () => {
    shown({ tree: tree({ editable: false }), selected_segment: "S1", detail: DETAIL });
    expect(button("register")).toBeNull();
    expect(el.querySelector("[aria-label^=Rename]")).toBeNull();
  });
});

describe("names", () => {
  const names = () => all(".leaf .pt-name").map((n) => n.textContent);

  it("shows a new one in its card and beside the tree, and leaves other cards as they are", () => {
    const model = shown({ selected_segment: "S3", detail: { ...DETAIL, id: "S3" } });
    const before = all(".leaf[data-segment=S2] .pt-name")[0];
    expect(names()).toEqual(["Core", "S2", "S3"]);
    model.arrive({ names: { S1: "Core", S3: "Rest" } });
    expect(names()).toEqual(["Core", "S2", "Rest"]);
    expect(el.querySelector(".det .pt-title")!.textContent).toBe("Rest");
    expect(all(".leaf[data-segment=S2] .pt-name")[0]).toBe(before);
  });

  it("leaves the form that is being typed in, until it is answered", async () => {
    const model = shown({ selected_segment: "S3", detail: { ...DETAIL, id: "S3" } });
    el.querySelector<HTMLElement>("[aria-label^=Rename]")!.click();
    const input = el.querySelector<HTMLInputElement>("[data-testid=segment-name]")!;
    input.value = "Rest";
    model.arrive({ names: { S1: "Other" } });
    expect(el.querySelector("[data-testid=segment-name]")).toBe(input);
    input.form!.dispatchEvent(new Event("submit", { cancelable: true }));
    model.arrive({ names: { S1: "Other", S3: "Rest" } });
    model.receive({ answer: (model.sent[0] as { ask: string }).ask, error: null });
    await Promise.resolve();
    await Promise.resolve();
    expect(el.querySelector(".det .pt-title")!.textContent).toBe("Rest");
    expect(names()).toEqual(["Other", "S2", "Rest"]);
  });

  it("shows one that comes with another tree", () => {
    const model = shown();
    model.arrive({ tree: tree({ followed: [{ id: "R1", rule: "depth > 1" }] }), names: { S2: "Paid", R1: "Mine" } });
    expect(names()).toEqual(["S1", "Paid", "S3"]);
    expect(el.querySelector(".followed")!.textContent).toContain("Mine");
  });

  it("finds by a new one", () => {
    const model = shown();
    const search = el.querySelector<HTMLInputElement>("[data-testid=search]")!;
    search.value = "rest";
    search.dispatchEvent(new Event("input"));
    expect(all(".leaf:not(.lost)")).toHaveLength(0);
    model.arrive({ names: { S3: "Rest" } });
    expect(all(".leaf:not(.lost)").map((n) => n.dataset["segment"])).toEqual(["S3"]);
  });
});

describe("what is shown", () => {
  it("writes the rule as SQL", () => {
    shown({ selected_segment: "S1", detail: DETAIL });
    button("show-sql").click();
    expect(button("sql").textContent).toContain('WHERE  "depth" > 1.13612\n  AND  "channel" IN');
  });

  it("shows names as text", () => {
    shown({ selected_segment: "S1", detail: DETAIL });
    expect(el.querySelector("img")).toBeNull();
    expect(el.textContent).toContain("<img src=x onerror=alert(1)>");
  });

  it("says that one segment is a result", () => {
    shown({
      tree: tree({ nodes: [node("n0", null, "", { segment: "S1", share: 1 })], segments: [segment("S1", "everyone", { share: 1 })] }),
    });
    expect(el.textContent).toContain("One segment: everyone");
  });

  it("says what to do before the first round", () => {
    shown({ tree: null });
    expect(el.textContent).toContain("No round has run yet");
  });

  it("closes its menu when somebody goes on elsewhere", () => {
    shown();
    const menu = button("export").closest("details")!;
    menu.open = true;
    all(".leaf")[0]!.click();
    expect(menu.open).toBe(false);
    menu.open = true;
    button("export-svg").dispatchEvent(new FocusEvent("focusout", { bubbles: true, relatedTarget: button("export") }));
    expect(menu.open).toBe(true);
    button("export-svg").dispatchEvent(new FocusEvent("focusout", { bubbles: true, relatedTarget: button("search") }));
    expect(menu.open).toBe(false);
  });

  it("lets go of the model", () => {
    const model = shown();
    gone.abort();
    expect(model.listeners).toBe(0);
    expect(el.childElementCount).toBe(0);
  });
});
