import { afterEach, describe, expect, it, vi } from "vitest";
import { FakeModel } from "../shared/fake_model";
import type { HistoryView, RoundDashboardTraits, RoundView } from "../shared/schema/round_dashboard";
import type { ArmRef } from "../shared/schema/shared";
import { EVIL, CONTROL, PROMO, around, segment, round, HISTORY } from "./fake_round";
import widget from "./index";

function mount(shown: RoundView, signal?: AbortSignal, past: HistoryView[] = HISTORY) {
  const model = new FakeModel<RoundDashboardTraits>({ round: shown, names: {}, history: past, classic: null, selected_segment: null });
  const el = document.createElement("div");
  document.body.append(el);
  const stop = widget.render(signal ? { model, el, signal } : { model, el });
  const text = (selector: string) => el.querySelector(selector)?.textContent ?? "";
  const rows = (table: string) => [...el.querySelectorAll(`.${table} tbody tr`)].map((tr) => [...tr.children].map((td) => td.textContent));
  return { model, el, stop, text, rows };
}

afterEach(() => document.body.replaceChildren());

describe("the round dashboard", () => {
  it("puts the answer first, with its risk in money", () => {
    const { text } = mount(round());
    expect(text('[data-testid="verdict"]')).toBe("Ship low_promo");
    expect(text(".why")).toContain("+$0.268 per visitor [+0.158, +0.378]");
    expect(text(".why")).toContain("not settled");
    expect(text(".side")).toContain("Value of one more round$0.004 per visitor");
    expect(text(".side")).toContain("over 200,000 visitors$800");
  });

  it("names what is observed and what is modelled apart, and says what lies outside", () => {
    const [control, explore, empty] = mount(round()).rows("cells");
    expect(control).toEqual([
      "ControlAlways control",
      "4,9625.0%",
      "$2.466\u00a0",
      "Control: RPV $2.466 [2.396, 2.536], observed $2.466",
      "$2.466[2.396, 2.536]",
      "baseline",
    ]);
    expect(explore?.[1]).toBe("about 4,9935.0%");
    expect(explore?.[2]).toContain("above interval");
    expect(empty?.slice(2)).toEqual(["–\u00a0", "", "–", "no visitors"]);
  });

  it("calls an operator's cell as the operator called it", () => {
    const { cells } = round();
    const [control, mine] = mount(round({ cells: [cells[0]!, { ...cells[1]!, id: "iPhone users" }] })).rows("cells");
    expect(control?.[0]).toMatch(/^Control/);
    expect(mine?.[0]).toMatch(/^iPhone users/);
  });

  it("keeps routing apart from the options: it is measured against the best arm", () => {
    const options = mount(round()).rows("opts");
    expect(options.map((cells) => cells[0])).toEqual([
      "Ship low_promo to everyoneRecommended, best single arm",
      "Keep controlNo change",
      "Ship free_ship to everyoneBelow control with probability 0.71",
      "Against low_promo for everyone, same scale",
      "Route by segment2 segments, each its own arm",
    ]);
    expect(options[0]?.[2]).toBe("+$53,600[+31,600, +75,600]");
    expect(options[2]?.[3]).toBe("–");
    expect(mount(round({ routing: { ...round().routing, n_segments: 1 } })).rows("opts")).toHaveLength(3);
  });

  it("draws dashes without calibration and solid lines with it", () => {
    expect(mount(round()).el.querySelectorAll(".eff .pt-iv:not(.raw)")).toHaveLength(0);
    const { el } = mount(round({ is_calibrated: true }));
    expect(el.querySelectorAll(".eff .pt-iv.raw")).toHaveLength(0);
    expect(el.textContent).not.toContain("Uncalibrated");
  });

  it("draws every interval where its numbers are", () => {
    const { el } = mount(round());
    for (const svg of el.querySelectorAll(".eff tr:not(.classic) .pt-g:not(.pt-axis)")) {
      const line = svg.querySelector(".pt-iv")!;
      const mean = Number.parseFloat(svg.querySelector(".pt-m")!.getAttribute("cx") ?? svg.querySelector(".pt-m")!.getAttribute("x")!);
      expect(Number.parseFloat(line.getAttribute("x1")!)).toBeLessThan(mean);
      expect(Number.parseFloat(line.getAttribute("x2")!)).toBeGreaterThan(mean);
      expect(svg.getAttribute("aria-label")).toMatch(/\[.+, .+\]/);
    }
  });

  it("prints the claim, the calibration and an unconverged fit", () => {
    const { el, text } = mount(round({ converged: false }));
    expect(text(".pt-head")).toContain("UnconvergedUncalibrated");
    expect(text(".pt-note.bad")).toContain("The chains do not agree yet.");
    expect(el.textContent).toContain("Exploratorystability 0.94");
  });

  it("says unconverged over every section of an unconverged fit, and nowhere else", () => {
    const truth = {
      cate_rmse: 0.11,
      cate_rmse_no_effect: 0.41,
      cate_rmse_constant: 0.37,
      policy_accuracy: 0.713,
      oracle_gap: 0.02,
      best_arm_gap: 0.06,
    };
    const doubtful = HISTORY.map((was) => ({ ...was, converged: was.number === 1 }));
    const { el } = mount(round({ converged: false, truth }), undefined, doubtful);
    const sections = [...el.querySelectorAll("section.pt-sec")];
    expect(sections.map((s) => s.getAttribute("aria-label"))).toEqual([
      "Decision",
      "Cells",
      "Arms and segments",
      "Verdicts",
      "Where the lift comes from",
      "Over the rounds",
      "Against the planted truth",
    ]);
    for (const section of sections) expect(section.textContent).toContain("Unconverged");
    // Of the rounds, only the one whose own fit it is.
    expect([...el.querySelectorAll(".hist li:not(.plan)")].map((li) => li.textContent?.includes("Unconverged"))).toEqual([false, true]);
    expect(el.querySelectorAll('.hist [aria-label$="Unconverged"]')).toHaveLength(1);
    expect(mount(round({ truth })).el.textContent).not.toContain("nconverged");
  });

  it("adds the parts up and leaves unknown figures as dashes", () => {
    const [promo] = mount(round()).rows("parts");
    expect(promo?.[2]).toContain("+$0.201");
    expect(promo?.[3]).toContain("+$0.067");
    expect(promo?.[5]).toBe("–\u00a0");
  });

  it("shows the truth only where there is one", () => {
    expect(mount(round()).el.querySelector('[data-testid="truth"]')).toBeNull();
    const truth = {
      cate_rmse: 0.11,
      cate_rmse_no_effect: 0.41,
      cate_rmse_constant: 0.37,
      policy_accuracy: 0.713,
      oracle_gap: 0.02,
      best_arm_gap: 0.06,
    };
    expect(mount(round({ truth })).text('[data-testid="truth"]')).toContain("no effect $0.4100");
  });

  it("calls a segment by its name, and one for everyone Everyone", () => {
    const { el, model } = mount(
      round({ segments: [segment("S2", "browse_depth > 1.14", around(0.4, 0.1)), segment("S0", "everyone", around(0.1, 0.2))] }),
    );
    model.arrive({ names: { S2: "Deep <b>browsers</b>" } });
    const buttons = [...el.querySelectorAll(".eff button.pick-name")].map((b) => b.textContent);
    expect(buttons).toEqual(["Deep <b>browsers</b>", "Everyone"]);
    expect(el.querySelector('[data-segment="S2"] .sid')?.textContent).toContain("S2, ");
    expect(el.querySelector('[data-segment="S0"] .pt-rule')).toBeNull();
  });

  it("ends with the schedule", () => {
    const { el, text } = mount(round({ next_visitors: null }));
    expect(el.querySelector(".hist .plan")).toBeNull();
    expect(text(".side")).not.toContain("Value of one more round");
    expect(text(".opts thead")).toContain("Gain over 100,000 visitors");
  });

  it("selects a segment by click and by key, and clears it with Esc", () => {
    const { model, el } = mount(round());
    const button = el.querySelector<HTMLButtonElement>('[data-segment="S1"] button')!;
    button.focus();
    button.click();
    expect(model.get("selected_segment")).toBe("S1");
    expect(el.querySelector("tr.sel")?.getAttribute("data-segment")).toBe("S1");
    expect(document.activeElement).toBe(button);
    button.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    expect(model.get("selected_segment")).toBeNull();
    expect(el.querySelector("tr.sel")).toBeNull();
    expect(model.saves).toBe(2);
  });

  it("follows the model", () => {
    const { model, el, text } = mount(round());
    model.arrive({ selected_segment: "S2" });
    expect(el.querySelector("tr.sel")?.getAttribute("data-segment")).toBe("S2");
    model.arrive({ round: round({ title: "Another", number: 3, n_rounds: null }) });
    expect(text(".pt-head")).toContain("AnotherRound 3");
  });

  it("opens a definition again after Esc closed it", () => {
    const { el } = mount(round());
    const word = el.querySelector<HTMLElement>(".pt-defined")!;
    word.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    expect(word.classList.contains("closed")).toBe(true);
    word.dispatchEvent(new FocusEvent("focusin"));
    expect(word.classList.contains("closed")).toBe(false);
  });

  it("shows names that people typed as text, everywhere", () => {
    const arm: ArmRef = { name: EVIL, slot: 7 };
    const base = round();
    const { el } = mount(
      round({
        title: EVIL,
        metric: EVIL,
        arms: [CONTROL, arm],
        health: [{ name: EVIL, status: "bad", reading: EVIL }],
        notices: [EVIL],
        decision: { ...base.decision, arm, reason: EVIL },
        routing: { ...base.routing, best_arm: arm },
        options: base.options.map((o) => ({ ...o, arm })),
        cells: base.cells.map((c) => ({ ...c, id: EVIL, policy: EVIL })),
        comparisons: base.comparisons.map((c) => ({ ...c, arm, control: EVIL, claim: EVIL })),
        segments: base.segments.map((s) => ({ ...s, id: EVIL, rule: EVIL, arm, leader: arm, claim: EVIL })),
      }),
    );
    expect(el.querySelector("img")).toBeNull();
    expect(el.querySelectorAll("script")).toHaveLength(0);
    expect(el.querySelectorAll(".hist li")).toHaveLength(3);
  });

  it("stacks as tables: every row and cell keeps its role, and the card is the container", () => {
    const { el } = mount(round());
    for (const table of el.querySelectorAll("table")) {
      expect(table.getAttribute("role")).toBe("table");
      expect(table.querySelectorAll("tr:not([role=row]), td:not([role=cell]), th:not([role=columnheader])")).toHaveLength(0);
    }
    expect(el.querySelector("article")?.className).toBe("pt pt-card pt-round");
  });

  it("leaves nothing behind, by the signal or by the returned function", () => {
    const abort = new AbortController();
    const byAbort = mount(round(), abort.signal);
    abort.abort();
    const byHand = mount(round());
    byHand.stop();
    for (const { model, el } of [byAbort, byHand]) {
      expect(model.listeners).toBe(0);
      expect(el.childElementCount).toBe(0);
    }
  });
});

describe("verdicts", () => {
  it("has one a treatment and segment, with the engine's reason as text", () => {
    const { el } = mount(round());
    const rows = [...el.querySelectorAll<HTMLElement>(".verd tbody tr")];
    expect(rows.map((row) => row.querySelector(".pt-chip")!.textContent)).toEqual(["Ship", "Stop"]);
    expect(rows[0]!.textContent).toContain("<b>It lifts RPV.</b>");
    expect(rows[0]!.textContent).toContain("+$53,600");
  });

  it("selects its segment, but not when its reason is opened", () => {
    const { el, model } = mount(round());
    el.querySelectorAll<HTMLElement>(".verd summary")[1]!.click();
    expect(model.get("selected_segment")).toBeNull();
    el.querySelectorAll<HTMLElement>(".verd .pt-name")[1]!.click();
    expect(model.get("selected_segment")).toBe("S1");
    expect(el.querySelectorAll("tr.sel")).toHaveLength(2);
    expect(el.querySelector('.verd button[aria-pressed="true"]')?.textContent).toBe("S1");
  });

  it("of everyone selects nothing: there is no such segment", () => {
    const { el, model } = mount(round());
    const everyone = el.querySelectorAll<HTMLElement>(".verd .pt-name")[0]!;
    everyone.click();
    expect(everyone.tagName).toBe("SPAN");
    expect(model.get("selected_segment")).toBeNull();
    expect(model.saves).toBe(0);
  });

  it("shows a new name in its rows, and leaves all others as they are", () => {
    const { el, model } = mount(round());
    const rows = [...el.querySelectorAll(".eff tr[data-segment]")];
    const inside = rows.map((row) => row.firstElementChild);
    model.arrive({ names: { S1: EVIL } });
    expect(rows.map((row) => row.querySelector(".pt-name")!.textContent)).toEqual(
      rows.map((row) => (row.getAttribute("data-segment") === "S1" ? EVIL : row.getAttribute("data-segment"))),
    );
    expect(rows.map((row, i) => row.firstElementChild === inside[i])).toEqual(rows.map((row) => row.getAttribute("data-segment") !== "S1"));
    expect(el.querySelectorAll<HTMLElement>(".verd .pt-name")[1]!.textContent).toBe(EVIL);
    expect(el.querySelector("img")).toBeNull();
  });

  it("sets registered segments apart", () => {
    const shown = round();
    const { el } = mount({ ...shown, segments: [...shown.segments, { ...shown.segments[0]!, id: "R1", registered: true }] });
    const groups = [...el.querySelectorAll(".eff .pt-group")].map((row) => row.textContent);
    expect(groups[0]).toContain("2 segments");
    expect(groups[1]).toContain("Registered");
  });

  it("asks for the classical tests after the first paint, keeps their place, and shows them beside the model", async () => {
    const { model, el } = mount(round());
    expect(model.sent).toEqual([]);
    const height = el.querySelectorAll(".eff tbody tr").length;
    await vi.waitFor(() => expect(model.sent).toContainEqual({ kind: "classic" }));
    const lift = { arm: PROMO, lift: around(0.31, 0.4), p_value: 0.1234, p_adjusted: 0.2468, n_control: 500, n_treatment: 1200 };
    model.arrive({ classic: { level: 0.95, lifts: [lift], problem: "" } });
    const rows = [...el.querySelectorAll(".eff tr.classic")];
    expect(rows[0]!.textContent).toContain("p 0.123");
    expect(rows[0]!.textContent).toContain("Holm 0.247");
    expect(rows[0]!.textContent).toContain("95%, 1,200 vs 500");
    expect(rows[0]!.textContent).toContain("[\u22120.090, +0.710]");
    expect(el.querySelectorAll(".eff tbody tr").length).toBe(height);
  });

  it("draws an interval that is wider than the model's scale as far as the scale goes, with an arrow", () => {
    const { model, el } = mount(round());
    const lift = {
      arm: PROMO,
      lift: { mean: 0.31, low: 0.2, high: 50 },
      p_value: 0.01,
      p_adjusted: 0.02,
      n_control: 500,
      n_treatment: 1200,
    };
    model.arrive({ classic: { level: 0.95, lifts: [lift], problem: "" } });
    const drawn = el.querySelector(".eff tr.classic .pt-g")!;
    expect(drawn.querySelector(".pt-iv")!.getAttribute("x2")).toBe("100.00%");
    expect(drawn.querySelectorAll(".pt-cap")).toHaveLength(1);
    expect(drawn.querySelectorAll(".pt-beyond")).toHaveLength(1);
    expect(drawn.querySelectorAll(".pt-m")).toHaveLength(1);
  });
});
