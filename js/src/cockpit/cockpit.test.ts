import { beforeEach, describe, expect, it, vi } from "vitest";
import { FakeModel } from "../shared/fake_model";
import type { CockpitTraits, CockpitView } from "../shared/schema/cockpit";
import type { Host } from "../shared/host";
import widget from "./index";

const EVIL = "<img src=x onerror=alert(1)>";
const ARM = { name: EVIL, slot: 1 };

function state(changes: Partial<CockpitView> = {}): CockpitView {
  return {
    title: EVIL,
    currency: "$",
    level: 0.8,
    label: "uncalibrated",
    is_calibrated: false,
    converged: true,
    finished: 2,
    shown: 2,
    n_rounds: 3,
    next_visitors: 4000,
    own_plan: false,
    fitting: false,
    busy: "",
    problem: "",
    frames: null,
    n_segments: 4,
    rounds: [1, 2].map((number) => ({
      number,
      n_visitors: 1000,
      n_cumulative: 1000 * number,
      cells: ["control 5%"],
      arm: ARM,
      lift: { mean: 0.2, low: 0.1, high: 0.3 },
      n_segments: 4,
      verdict: "SHIP" as const,
      verdict_arm: EVIL,
      is_calibrated: false,
      converged: true,
      policy_accuracy: 0.6,
      oracle_gap: 0.1,
    })),
    coverage: [],
    call: "exp.lab()",
    ...changes,
  };
}

let el: HTMLElement;
let gone: AbortController;
beforeEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
  el = document.createElement("div");
  document.body.append(el);
  gone = new AbortController();
});

const host: Host = { getWidget: (reference) => Promise.resolve({ render: ({ el: box }) => box.append(`[${reference}]`) }) };

function shown(changes: Partial<CockpitTraits> = {}, given: Host | null = host): FakeModel<CockpitTraits> {
  const model = new FakeModel<CockpitTraits>({
    state: state(),
    tab: "round",
    fit: null,
    round: "anywidget:r",
    plan: null,
    segments: "anywidget:s",
    ...changes,
  });
  widget.render({ model, el, signal: gone.signal, ...(given ? { host: given } : {}) });
  return model;
}

const find = (testid: string) => el.querySelector<HTMLElement>(`[data-testid="${testid}"]`)!;
const settled = () => new Promise((done) => setTimeout(done, 0));

describe("the cockpit", () => {
  it("mounts a tab's widget when the tab is first shown, once", async () => {
    const model = shown();
    await settled();
    expect(find("panel-round").textContent).toBe("[anywidget:r]");
    expect(find("panel-segments").textContent).toBe("");
    model.arrive({ tab: "segments" });
    model.arrive({ state: state({ problem: "x" }) });
    await settled();
    expect(find("panel-segments").textContent).toBe("[anywidget:s]");
    expect(find("panel-round").hidden).toBe(true);
  });

  it("walks its tabs by keyboard with one tab stop, and writes the trait", () => {
    const model = shown();
    find("tab-round").focus();
    find("tab-round").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }));
    expect(model.get("tab")).toBe("history");
    expect(document.activeElement).toBe(find("tab-history"));
    expect(el.querySelectorAll('[role="tab"][tabindex="0"]')).toHaveLength(1);
  });

  it("asks Python to run, and shows why it was not done", async () => {
    const model = shown();
    find("run").click();
    const sent = model.sent[0] as { ask: string };
    expect(sent).toMatchObject({ kind: "run" });
    model.receive({ answer: sent.ask, error: "The last request is still being worked on." });
    await settled();
    expect(el.querySelector(".pt-note.bad")!.textContent).toContain("still being worked on");
  });

  it("says that the kernel is gone when nothing answers, and takes the buttons away", () => {
    vi.useFakeTimers();
    shown();
    find("run").click();
    vi.advanceTimersByTime(9_000);
    expect(el.textContent).toContain("This view has lost its kernel.");
    expect(el.textContent).toContain("exp.lab()");
    expect(find("run")).toBeNull();
  });

  it("does not let two rounds run at once", () => {
    const model = shown({ state: state({ fitting: true }) });
    const run = find("run");
    expect(run.getAttribute("aria-disabled")).toBe("true");
    run.click();
    expect(model.sent).toEqual([]);
    model.arrive({ state: state({ next_visitors: null }) });
    expect(el.textContent).toContain("Every round is done");
  });

  it("offers data frames where there is no source", () => {
    const model = shown({ state: state({ frames: ["march"] }) });
    find("observe").click();
    expect(model.sent.at(-1)).toMatchObject({ kind: "observe", frame: "march" });
  });

  it("opens a round from the history and leads back to the latest", () => {
    const model = shown({ tab: "history" });
    find("open-1").click();
    expect(model.get("tab")).toBe("round");
    expect(model.sent.at(-1)).toMatchObject({ kind: "show", number: 1 });
    model.arrive({ state: state({ shown: 1 }) });
    find("latest").click();
    expect(model.sent.at(-1)).toMatchObject({ kind: "show", number: 2 });
  });

  it("shows the coverage of an artifact, and says so where there is none", () => {
    const model = shown({ tab: "calibration" });
    expect(el.textContent).toContain("Not calibrated");
    model.arrive({
      state: state({
        is_calibrated: true,
        coverage: [{ artifact: "shop", quantity: "segment lift", level: 0.8, n_intervals: 900, before: 0.71, after: 0.8, error: 0.01 }],
      }),
    });
    expect(find("panel-calibration").textContent).toContain("71.0%");
  });

  it("names what to do where widgets cannot be placed in one another", () => {
    shown({}, null);
    expect(el.textContent).toContain("exp.dashboard()");
  });

  it("shows names as text and lets go of the model", () => {
    const model = shown({ tab: "history" });
    expect(el.querySelector("img")).toBeNull();
    expect(el.textContent).toContain(EVIL);
    gone.abort();
    expect(model.listeners).toBe(0);
  });
});
