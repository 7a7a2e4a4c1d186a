import { afterEach, describe, expect, it, vi } from "vitest";
import { FakeModel } from "../shared/fake_model";
import type { CellPlanTraits, PlanSetup, PlanView } from "../shared/schema/cell_plan";
import { EVIL, SETUP, cell, MINE, OPTIMIZED, plan, UNDER_FLOOR } from "./fake_plan";
import widget from "./index";
import { coverageWords } from "./rule_builder";

function shown(changes: Partial<PlanView> = {}, setup: Partial<PlanSetup> = {}) {
  const model = new FakeModel<CellPlanTraits>({ setup: { ...SETUP, ...setup }, plan: plan(changes), selected_segment: null });
  const el = document.createElement("div");
  document.body.append(el);
  const controller = new AbortController();
  widget.render({ model, el, signal: controller.signal });
  const at = <T extends HTMLElement>(key: string): T => {
    const found = [...el.querySelectorAll<T>("[data-key]")].find((node) => node.dataset["key"] === key);
    if (!found) throw new Error(`nothing has the key ${key}`);
    return found;
  };
  const key = (target: Element, name: string, more: KeyboardEventInit = {}) =>
    target.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...more }));
  const type = (target: HTMLInputElement, text: string) => {
    target.focus();
    target.value = text;
    target.dispatchEvent(new Event("input", { bubbles: true }));
    key(target, "Enter");
  };
  return { model, el, at, key, type, controller };
}

afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

describe("weights", () => {
  it("shows floor, cap, recommendation and value of each cell", () => {
    const { at } = shown();
    const slider = at("slider/explore");
    expect(slider.getAttribute("aria-valuemin")).toBe("5.0");
    expect(slider.getAttribute("aria-valuemax")).toBe("90.0");
    expect(slider.getAttribute("aria-valuenow")).toBe("5.0");
    expect(slider.querySelector<HTMLElement>(".zone")?.style.width).toBe("5%");
    expect(at("slider/optimized").querySelector<HTMLElement>(".was")?.style.left).toBe("90%");
    expect(at(`slider/${EVIL}`).querySelector<HTMLElement>(".was")?.hidden).toBe(true);
    expect(at<HTMLInputElement>("weight/optimized").value).toBe("84.0");
  });

  it("shows in a field what Python reads, where the decimal mark is a comma too", () => {
    vi.spyOn(navigator, "language", "get").mockReturnValue("de-DE");
    const { at, type, model } = shown();
    expect(at<HTMLInputElement>("weight/optimized").value).toBe("84,0");
    expect(at("slider/explore").getAttribute("aria-valuenow")).toBe("5.0");
    expect(at("slider/explore").getAttribute("aria-valuetext")).toBe("5,0\u00a0%");
    type(at<HTMLInputElement>("weight/explore"), "7,5");
    expect(model.sent).toEqual([{ kind: "weight", field: "weight/explore", cell: "explore", text: "7,5" }]);
    vi.restoreAllMocks();
  });

  it("moves by half a point, by five with Shift, and to the ends", () => {
    const { at, key, model } = shown();
    const slider = at(`slider/${EVIL}`);
    key(slider, "ArrowRight");
    expect(model.sent).toEqual([{ kind: "weight", field: `weight/${EVIL}`, cell: EVIL, text: "6.5", gesture: expect.any(String) }]);
    model.arrive({ plan: plan() });
    key(slider, "ArrowLeft", { shiftKey: true });
    expect(model.sent.at(-1)).toMatchObject({ text: "1" });
    model.arrive({ plan: plan() });
    key(slider, "End");
    expect(model.sent.at(-1)).toMatchObject({ text: "90" });
  });

  it("stops at the floor without a word to Python", () => {
    const { at, key, model } = shown();
    key(at("slider/explore"), "ArrowLeft");
    key(at("slider/explore"), "Home");
    expect(model.sent).toEqual([]);
  });

  it("sends the newest value of a drag, not each, and one gesture", () => {
    const { at, key, model } = shown();
    const slider = at(`slider/${EVIL}`);
    for (let i = 0; i < 5; i += 1) key(slider, "ArrowRight");
    expect(model.sent).toHaveLength(1);
    expect(slider.getAttribute("aria-valuenow")).toBe("8.5");
    model.arrive({ plan: plan() });
    expect(model.sent).toHaveLength(2);
    expect(model.sent[1]).toMatchObject({ text: "8.5" });
    const gestures = new Set(model.sent.map((message) => (message as { gesture: string }).gesture));
    expect(gestures.size).toBe(1);
  });

  it("keeps the slider under the hand when an answer arrives", () => {
    const { at, key, model } = shown();
    const slider = at("slider/optimized");
    slider.focus();
    key(slider, "ArrowLeft");
    model.arrive({ plan: plan({ cells: [...plan().cells.slice(0, 3), { ...OPTIMIZED, weight: 0.835 }] }) });
    expect(at("slider/optimized")).toBe(slider);
    expect(document.activeElement).toBe(slider);
    expect(slider.getAttribute("aria-valuenow")).toBe("83.5");
  });

  it("edits the number on Enter and takes it back on Escape", () => {
    const { at, key, type, model } = shown();
    key(at("slider/explore"), "Enter");
    const input = at<HTMLInputElement>("weight/explore");
    expect(document.activeElement).toBe(input);
    type(input, "7");
    expect(model.sent).toEqual([{ kind: "weight", field: "weight/explore", cell: "explore", text: "7" }]);
    input.value = "99";
    input.dispatchEvent(new Event("input"));
    key(input, "Escape");
    expect(input.value).toBe("5.0");
    expect(document.activeElement).toBe(at("slider/explore"));
    expect(model.sent).toHaveLength(1);
  });

  it("walks the cells with Up and Down, and one row at a time is in the tab order", () => {
    const { at, key, el } = shown();
    const stops = () => [...el.querySelectorAll<HTMLElement>("tr.cell .pt-slider")].map((slider) => slider.tabIndex);
    expect(stops()).toEqual([0, -1, -1, -1]);
    at("slider/control").focus();
    key(at("slider/control"), "ArrowDown");
    expect(document.activeElement).toBe(at("slider/explore"));
    expect(stops()).toEqual([-1, 0, -1, -1]);
  });
});

describe("what is refused", () => {
  it("stays visible beside its field, and Accept names it", () => {
    const { at, el, model } = shown();
    model.arrive({ plan: plan({ refused: [UNDER_FLOOR] }) });
    const input = at<HTMLInputElement>("weight/explore");
    expect(input.value).toBe("3");
    expect(input.getAttribute("aria-invalid")).toBe("true");
    const message = document.getElementById(input.getAttribute("aria-describedby") ?? "");
    expect(message?.textContent).toContain("Explore has a floor of 5%. 3% was not applied");
    expect(message?.closest("tr")?.hidden).toBe(false);
    expect(at("accept").getAttribute("aria-disabled")).toBe("true");
    expect(el.textContent).toContain("1 thing to fix: Explore");
    expect(el.textContent).toContain("of the last valid plan");
    at("accept").click();
    expect(model.sent).toEqual([]);
    expect(document.activeElement).toBe(input);
    message?.querySelector("button")?.click();
    expect(model.sent).toEqual([{ kind: "dismiss", field: "weight/explore", cell: "explore" }]);
    model.arrive({ plan: plan() });
    expect(input.value).toBe("5.0");
    expect(message?.hidden).toBe(true);
  });

  it("is found from Accept, though its cell is closed", () => {
    const refused = { ...UNDER_FLOOR, field: `rule/${EVIL}/1`, cell: EVIL, text: "abc" };
    const { at } = shown({ refused: [refused] });
    at("accept").click();
    const input = at<HTMLInputElement>(`rule/${EVIL}/1/cut`);
    expect(input.value).toBe("abc");
    expect(input.getAttribute("aria-invalid")).toBe("true");
    expect(document.activeElement).toBe(input);
  });

  it("does not take away what is being typed", () => {
    const { at, model } = shown();
    const input = at<HTMLInputElement>("weight/explore");
    input.focus();
    input.value = "12";
    input.dispatchEvent(new Event("input"));
    model.arrive({ plan: plan({ revision: 5 }) });
    expect(input.value).toBe("12");
  });
});

describe("cells", () => {
  it("opens a cell that was just added", () => {
    const { at, model, el } = shown({ cells: [cell("control", "control", 0.1), OPTIMIZED] });
    at("add").click();
    expect(model.sent).toEqual([{ kind: "add" }]);
    model.arrive({ plan: plan() });
    expect(el.querySelector(".bld")).not.toBeNull();
  });

  it("has rename, duplicate and remove in a menu for one's own cells, and duplicate for the others", () => {
    const { at, model, el } = shown();
    const items = (id: string) => {
      at(`more/${id}`).click();
      return [...el.querySelectorAll<HTMLElement>(".pt-menu .item")];
    };
    expect(items("explore").map((item) => item.textContent)).toEqual(["Duplicate"]);
    at("more/explore").click();
    const own = items(EVIL);
    expect(own.map((item) => item.textContent)).toEqual(["Rename", "Duplicate", "Remove"]);
    own[2]?.click();
    expect(model.sent).toEqual([{ kind: "remove", cell: EVIL }]);
    expect(el.querySelector(".pt-menu")).toBeNull();
  });

  it("renames in place", async () => {
    const { at, key, model } = shown();
    at(`slider/${EVIL}`).focus();
    key(at(`slider/${EVIL}`), "F2");
    await Promise.resolve();
    const input = at<HTMLInputElement>(`name/${EVIL}`);
    expect(document.activeElement).toBe(input);
    input.value = "Social";
    key(input, "Enter");
    expect(model.sent).toEqual([{ kind: "rename", field: `name/${EVIL}`, cell: EVIL, text: "Social" }]);
    expect(document.activeElement).toBe(at(`slider/${EVIL}`));
    model.arrive({ plan: plan({ cells: plan().cells.map((one) => (one.id === EVIL ? { ...one, id: "Social" } : one)) }) });
    expect(document.activeElement).toBe(at("slider/Social"));
  });

  it("shows names as text", () => {
    const { at, el } = shown();
    at(`open/${EVIL}`).click();
    at("open/optimized").click();
    expect(el.querySelector("img")).toBeNull();
    expect(el.textContent).toContain(EVIL);
  });
});

describe("the rule builder", () => {
  const opened = () => {
    const view = shown();
    view.at(`open/${EVIL}`).click();
    return view;
  };
  const clauses = (model: FakeModel<CellPlanTraits>) => (model.sent.at(-1) as { clauses: Record<string, unknown>[] }).clauses;

  it("shows whom it matches and what that makes of the cell", () => {
    const { el } = opened();
    expect(el.querySelector(".br .pt-h")?.textContent).toBe("Matches 10.0% of visitors");
    expect(el.textContent).toContain("15,020 of 150,000 of the last round.");
    expect(el.textContent).toContain("of its 12,000, about 1,200 match and get these arms; the others get control.");
    expect(el.textContent).toContain("Covers all of Social and nobody in the other segment. Visitors without a value do not match.");
  });

  it("offers the levels and features there are", () => {
    const { at, el, model } = opened();
    const features = [...at<HTMLSelectElement>(`rule/${EVIL}/0/feature`).options].map((option) => option.value);
    expect(features).toEqual(["channel", "depth"]);
    at(`rule/${EVIL}/0/add`).click();
    const items = [...el.querySelectorAll<HTMLElement>(".pt-menu .item")];
    expect(items.map((item) => item.textContent)).toEqual(["email", EVIL]);
    items[0]?.click();
    expect(clauses(model)[0]).toMatchObject({ levels: ["social", "email"] });
  });

  it("sends a threshold as it was typed", () => {
    const { at, type, model } = opened();
    type(at<HTMLInputElement>(`rule/${EVIL}/1/cut`), "2,5");
    expect(clauses(model)[1]).toMatchObject({ feature: "depth", cut: "2,5" });
    expect(model.sent.at(-1)).toMatchObject({ field: `rule/${EVIL}/1`, text: "2,5" });
  });

  it.each([
    ["en-US", "1,234", "."],
    ["de-DE", "1.234", ","],
  ])("tells Python by which mark a reader of %s typed %s", (language, text, decimal) => {
    vi.spyOn(navigator, "language", "get").mockReturnValue(language);
    const { at, type, model } = opened();
    type(at<HTMLInputElement>(`rule/${EVIL}/1/cut`), text);
    expect(model.sent.at(-1)).toMatchObject({ text, decimal });
    vi.restoreAllMocks();
  });

  it("starts a condition on another feature from its middle", () => {
    const { at, model } = opened();
    const which = at<HTMLSelectElement>(`rule/${EVIL}/0/feature`);
    which.value = "depth";
    which.dispatchEvent(new Event("change"));
    expect(clauses(model)[0]).toEqual({ feature: "depth", kind: "threshold", side: ">", cut: 1.23, levels: [], includes_missing: false });
  });

  it("asks about visitors without a value where there are any", () => {
    const { at, el, model } = opened();
    expect(el.querySelectorAll(".miss")).toHaveLength(1);
    const box = at<HTMLInputElement>(`rule/${EVIL}/0/missing`);
    box.checked = true;
    box.dispatchEvent(new Event("change"));
    expect(clauses(model)[0]).toMatchObject({ feature: "channel", includes_missing: true });
  });

  it("adds and removes conditions", () => {
    const { at, el, model } = opened();
    at(`condition/${EVIL}`).click();
    expect(clauses(model)).toHaveLength(3);
    el.querySelector<HTMLElement>('[aria-label="Remove the condition on channel"]')?.click();
    expect(clauses(model)).toMatchObject([{ feature: "depth" }]);
  });

  it("says which segments a rule covers", () => {
    const { hypothesis } = MINE;
    const words = (...shares: number[]) =>
      coverageWords({ ...hypothesis!, overlaps: shares.map((share, i) => ({ segment: `S${i}`, name: `S${i}`, share })) });
    expect(words(1)).toBe("");
    expect(words(1, 1)).toBe("Covers all of S0 and S1.");
    expect(words(0.25, 0, 0)).toBe("Covers 25% of S0 and nobody in the other 2 segments.");
    expect(words(0.001, 1, 0)).toBe("Covers all of S1, < 1% of S0 and nobody in the other segment.");
    expect(words(0, 0)).toBe("Covers nobody.");
  });
});

describe("mixes and selection", () => {
  it("sends a share with its segment", () => {
    const { at, type, model } = shown();
    at("open/optimized").click();
    type(at<HTMLInputElement>("share/optimized/S2/1"), "40");
    expect(model.sent).toEqual([
      { kind: "share", field: "share/optimized/S2/1", cell: "optimized", segment: "S2", arm: "low_promo", text: "40" },
    ]);
  });

  it("selects a segment on click and again to clear, and Escape clears", () => {
    const { at, el, key, model } = shown();
    at("open/optimized").click();
    const button = () => el.querySelectorAll<HTMLElement>(".pick-name")[0]!;
    button().click();
    expect(model.get("selected_segment")).toBe("S1");
    expect(button().getAttribute("aria-pressed")).toBe("true");
    key(button(), "Escape");
    expect(model.get("selected_segment")).toBeNull();
    expect(el.querySelector("tr.sel")).toBeNull();
  });

  it("opens and marks a segment that was selected elsewhere", () => {
    const { el, model } = shown();
    model.arrive({ selected_segment: "S2" });
    expect(el.querySelector("tr.sel")?.textContent).toContain(EVIL);
  });
});

describe("ends", () => {
  it("undoes and redoes by key and button", () => {
    const { at, key, model } = shown();
    key(at("slider/control"), "z", { ctrlKey: true });
    key(at("slider/control"), "Z", { ctrlKey: true, shiftKey: true });
    at("undo").click();
    expect(model.sent).toEqual([{ kind: "undo" }, { kind: "redo" }, { kind: "undo" }]);
    expect(at("redo").getAttribute("aria-disabled")).toBe("true");
  });

  it("accepts, resets and shows the code", () => {
    const { at, el, model } = shown();
    expect(el.textContent).toContain("Costs $0.004 per visitor against the recommendation, $730 in all.");
    at("accept").click();
    at("reset").click();
    expect(model.sent).toEqual([{ kind: "accept" }, { kind: "reset" }]);
    at("code").click();
    expect(el.querySelector(".pt-code")?.textContent).toBe("# the plan\nexp.accept([])");
  });

  it("says that it was accepted, and reopens", () => {
    const { at, el, model } = shown({ accepted_at: "2026-11-22T14:22:00+00:00", revision: 5 });
    expect(el.textContent).toContain("Accepted as revision 5");
    expect(el.textContent).toContain("Round 3 will use these cells.");
    at("reopen").click();
    expect(model.sent).toEqual([{ kind: "reopen" }]);
  });

  it("keeps the focus in the plan when a control is gone after its use", () => {
    const { at, model } = shown();
    at("accept").focus();
    model.arrive({ plan: plan({ accepted_at: "2026-11-22T14:22:00+00:00" }) });
    expect(document.activeElement).toBe(at("reopen"));
    model.arrive({ plan: plan() });
    expect(document.activeElement).toBe(at("accept"));
    at(`more/${EVIL}`).focus();
    model.arrive({ plan: plan({ cells: plan().cells.filter((one) => one.id !== EVIL) }) });
    expect(document.activeElement).toBe(at("more/optimized"));
  });

  it("says why the experiment did not take it, and that a round is over", () => {
    const { at, el, model } = shown({ message: "Round 3 of 'promo' is being fitted. Wait for it.", current: false });
    expect(el.querySelector(".pt-note.bad")?.textContent).toContain("is being fitted.");
    at("refresh").click();
    expect(model.sent).toEqual([{ kind: "refresh" }]);
  });

  it("shows what is not known before the first round as such", () => {
    const bare = plan()
      .cells.slice(0, 2)
      .map((c) => ({ ...c, rpv: null, regret: null, regret_in_all: null, detectable: null }));
    const { el } = shown({ cells: bare, rpv: null, regret: null, regret_in_all: null }, { features: [], based_on: "", n_seen: 0 });
    expect(el.textContent).toContain("Before the first round");
    expect(el.textContent).not.toContain("NaN");
    expect(el.querySelector(".pt-iv")).toBeNull();
  });

  it("leaves nothing behind", () => {
    const { model, el, controller } = shown();
    expect(model.listeners).toBe(3);
    controller.abort();
    expect(model.listeners).toBe(0);
    expect(el.childElementCount).toBe(0);
  });
});
