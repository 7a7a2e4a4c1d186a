import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeModel } from "../shared/fake_model";
import type { FitProgressTraits, LiftView, Progress, StageName } from "../shared/schema/fit_progress";
import widget from "./index";
import { tracesFrom } from "./panels";
import { headline, percentDone } from "./words";

const ORDER: StageName[] = ["read", "compile", "warm up", "sample", "segments", "plan"];
const EVIL = "<img src=x onerror=alert(1)>";

function progress(stage: StageName, changes: Partial<Progress> = {}): Progress {
  const now = ORDER.indexOf(stage);
  return {
    beat: 1,
    state: "running",
    stage,
    stages: ORDER.map((name, i) => ({
      name,
      status: i < now ? "done" : i === now ? "current" : "todo",
      seconds: i <= now ? 4 : null,
    })),
    iteration: 0,
    total_iterations: 600,
    warm_up_iterations: 100,
    elapsed_seconds: 20,
    eta_seconds: null,
    n_visitors: 150000,
    n_arms: 3,
    n_chains: 2,
    lifts: [],
    trace_lengths: [],
    message: "",
    unconverged: false,
    stopping: false,
    memory_bytes: null,
    memory_total: null,
    ...changes,
  };
}

function lift(name: string, mean: number, rHat: number | null = 1.004): LiftView {
  return { arm: { name, slot: 1 }, lift: { mean, low: mean - 0.1, high: mean + 0.1 }, r_hat: rHat, ess: rHat === null ? null : 400 };
}

function mount(first: Progress, signal?: AbortSignal) {
  const model = new FakeModel<FitProgressTraits>({
    setup: { title: "Fitting round 2", currency: "$", r_hat_limit: 1.01, untouched: "Round 1 is as it was." },
    progress: first,
    traces: new DataView(new ArrayBuffer(0)),
  });
  const el = document.createElement("div");
  document.body.append(el);
  const stop = widget.render(signal ? { model, el, signal } : { model, el });
  const find = (id: string) => el.querySelector<HTMLElement>(`[data-testid="${id}"]`)!;
  return { model, el, stop, find };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

describe("fit progress", () => {
  it("shows a striped bar and a time while compiling, never a percentage", () => {
    const { el, find } = mount(progress("compile"));
    expect(el.textContent).toContain("Compiling for 150,000 visitors");
    expect(el.textContent).not.toMatch(/\d%/);
    expect(find("bar").hasAttribute("aria-valuenow")).toBe(false);
    expect(el.querySelector(".indet .t")?.textContent).toBe("4 s so far");
    expect(find("pause").ariaDisabled).toBe("true");
    expect(find("cancel").ariaDisabled).toBeNull();
  });

  it("counts fits where the work is many of them", () => {
    const many = progress("fits", {
      stages: [{ name: "fits", status: "current", seconds: 4 }],
      iteration: 30,
      total_iterations: 200,
      warm_up_iterations: 0,
      n_chains: 0,
      eta_seconds: 600,
    });
    const { el, find, model } = mount(many);
    expect(find("bar").getAttribute("aria-valuenow")).toBe("15");
    expect(el.textContent).toContain("30 of 200 fits");
    expect(el.textContent).toContain("finished fits stay in its folder");
    expect(el.textContent).not.toContain("draws");
    model.arrive({ progress: { ...many, beat: 2, state: "paused" } });
    expect(el.textContent).toContain("nothing new is started until you resume");
  });

  it("moves the bar, and keeps the buttons that hold the focus", () => {
    const { model, el, find } = mount(progress("sample", { iteration: 200, eta_seconds: 72, lifts: [lift("low_promo", 0.27)] }));
    const cancel = find("cancel");
    cancel.focus();
    const before = Number(find("bar").getAttribute("aria-valuenow"));
    model.arrive({ progress: progress("sample", { iteration: 400, eta_seconds: 41, lifts: [lift("low_promo", 0.25)] }) });
    expect(Number(find("bar").getAttribute("aria-valuenow"))).toBeGreaterThan(before);
    expect(find("headline").textContent).toBe("45 s");
    expect(el.textContent).toContain("+$0.25");
    expect(document.activeElement).toBe(cancel);
  });

  it("sends Cancel as a message once and says so at the click", () => {
    const { model, el, find } = mount(progress("sample", { iteration: 200 }));
    find("cancel").click();
    find("cancel").click();
    expect(model.sent).toEqual([{ kind: "cancel" }]);
    expect(find("fit-progress").dataset["state"]).toBe("cancelling");
    model.arrive({ progress: progress("sample", { iteration: 210 }) });
    expect(find("cancel").textContent).toBe("Cancelling");
    model.arrive({ progress: progress("sample", { state: "cancelled" }) });
    expect(find("fit-progress").dataset["state"]).toBe("cancelled");
    expect(el.textContent).toContain("Round 1 is as it was. No draws were kept.");
  });

  it("stops and keeps once there are draws, and says what that means", () => {
    const { model, el, find } = mount(progress("warm up", { iteration: 50 }));
    expect(find("stop").hidden).toBe(true);
    model.arrive({
      progress: progress("sample", {
        iteration: 200,
        lifts: [lift("low_promo", 0.27)],
        memory_bytes: 3 * 2 ** 30,
        memory_total: 12 * 2 ** 30,
      }),
    });
    expect(el.textContent).toContain("Memory 3.0 of 12 GiB");
    find("stop").click();
    expect(model.sent).toEqual([{ kind: "stop" }]);
    expect(find("stop").textContent).toBe("Stopping");
    expect(find("stop").ariaDisabled).toBe("true");
    model.arrive({ progress: progress("segments", { iteration: 200, stopping: true }) });
    expect(el.textContent).toContain("Sampling ends here.");
    model.arrive({ progress: progress("plan", { iteration: 200, stopping: true, state: "done", unconverged: true }) });
    expect(el.textContent).toContain("You stopped it at 100 draws a chain");
    expect(el.textContent).toContain("Ship is not offered");
  });

  it("pauses and resumes by message; Python alone changes the state", () => {
    const { model, find } = mount(progress("sample", { iteration: 270, eta_seconds: 60 }));
    find("pause").focus();
    find("pause").click();
    expect(find("fit-progress").dataset["state"]).toBe("running");
    model.arrive({ progress: progress("sample", { iteration: 270, state: "paused", eta_seconds: 60 }) });
    expect(find("pause").hidden).toBe(true);
    expect(document.activeElement).toBe(find("resume"));
    expect(find("fit-progress").textContent).toContain("170 of 500 draws a chain are kept in memory");
    find("resume").click();
    expect(model.sent).toEqual([{ kind: "pause" }, { kind: "resume" }]);
  });

  it("shows why a fit failed and what is untouched", () => {
    const { el, find } = mount(progress("sample", { state: "failed", message: `Arm ${EVIL} is empty.` }));
    expect(el.querySelector(".pt-note.bad")?.textContent).toContain(`Arm ${EVIL} is empty. Round 1 is as it was.`);
    expect(find("cancel").hidden).toBe(true);
  });

  it("says at the end that a fit has not converged", () => {
    const ended = { state: "done", lifts: [lift("low_promo", 0.2, 1.2)] } as const;
    const { el } = mount(progress("plan", { ...ended, unconverged: true, lifts: [...ended.lifts] }));
    expect(el.querySelector(".pt-chip.bad")?.textContent).toBe("Done, unconverged");
    expect(el.querySelector(".pt-note.bad")?.textContent).toContain("The chains do not agree yet.");
    expect(el.querySelector('[role="status"]')?.textContent).toBe("Fitting round 2: done, unconverged.");
    expect(mount(progress("plan", { ...ended, lifts: [...ended.lifts] })).el.textContent).not.toContain("nconverged");
  });

  it("shows names that people typed as text", () => {
    const { el } = mount(progress("sample", { iteration: 200, lifts: [lift(EVIL, 0.1)] }));
    expect(el.querySelector("img")).toBeNull();
    expect(el.textContent).toContain(EVIL);
  });

  it("shows what is not known yet as a dash", () => {
    const { el } = mount(progress("sample", { iteration: 110, lifts: [lift("low_promo", 0.1, null)] }));
    const cells = [...el.querySelectorAll(".rh tbody td")].map((td) => td.textContent);
    expect(cells[2]).toBe("–not known yet");
    expect(cells[3]).toBe("–");
  });

  it("says when the kernel falls silent, takes the buttons away, and recovers", () => {
    const { model, el, find } = mount(progress("sample", { iteration: 200 }));
    vi.advanceTimersByTime(5_000);
    expect(el.textContent).not.toContain("Kernel gone");
    vi.advanceTimersByTime(3_000);
    expect(el.textContent).toContain("Kernel gone");
    expect(find("cancel").hidden).toBe(true);
    model.arrive({ progress: progress("sample", { iteration: 201, beat: 2 }) });
    expect(el.textContent).not.toContain("Kernel gone");
    expect(find("cancel").hidden).toBe(false);
  });

  it("does not miss the kernel once the fit is over", () => {
    const { el } = mount(progress("plan", { state: "done" }));
    vi.advanceTimersByTime(60_000);
    expect(el.textContent).not.toContain("Kernel gone");
  });

  it("speaks at most once a second", () => {
    const { model, el } = mount(progress("sample", { iteration: 110 }));
    const live = el.querySelector('[role="status"]')!;
    const first = live.textContent;
    model.arrive({ progress: progress("sample", { iteration: 590 }) });
    expect(live.textContent).toBe(first);
    vi.advanceTimersByTime(1_000);
    expect(live.textContent).not.toBe(first);
  });

  it("leaves nothing behind, by the signal or by the returned function", () => {
    const abort = new AbortController();
    const byAbort = mount(progress("sample"), abort.signal);
    abort.abort();
    const byHand = mount(progress("sample"));
    byHand.stop();
    for (const { model, el } of [byAbort, byHand]) {
      expect(model.listeners).toBe(0);
      expect(el.childElementCount).toBe(0);
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  it("keeps its keys from JupyterLab, and is a table in a narrow place too", () => {
    const { el, find } = mount(progress("sample", { iteration: 200, lifts: [lift("low_promo", 0.1)] }));
    const heard = vi.fn();
    el.addEventListener("keydown", heard);
    find("cancel").dispatchEvent(new KeyboardEvent("keydown", { key: "b", bubbles: true }));
    expect(heard).not.toHaveBeenCalled();
    expect(find("fit-progress").classList.contains("pt-card")).toBe(true);
    expect(el.querySelector('table[role="table"] tr[role="row"] td[role="cell"]')).not.toBeNull();
  });
});

describe("what a snapshot says", () => {
  it("fills the bar from stage to stage without going back", () => {
    const filled = [
      progress("warm up", { iteration: 0 }),
      progress("warm up", { iteration: 100 }),
      progress("sample", { iteration: 100 }),
      progress("sample", { iteration: 600 }),
      progress("segments", { iteration: 600 }),
      progress("plan", { iteration: 600 }),
      progress("plan", { iteration: 600, state: "done" }),
    ].map(percentDone) as number[];
    expect(filled).toEqual([...filled].sort((a, b) => a - b));
    expect(filled.at(-1)).toBe(100);
  });

  it("never counts up in silence", () => {
    const at = (eta: number, shown: number | null) => headline(progress("sample", { iteration: 200, eta_seconds: eta }), "running", shown);
    expect(at(72, null).big).toBe("1 min 20 s");
    expect(at(84, 80).big).toBe("1 min 20 s");
    expect(at(200, 80).rest).toContain("more than it looked");
  });

  it("reads float32 traces from any offset", () => {
    const bytes = new Uint8Array(13);
    new DataView(bytes.buffer).setFloat32(1, 0.5, true);
    new DataView(bytes.buffer).setFloat32(5, -2, true);
    new DataView(bytes.buffer).setFloat32(9, 4, true);
    expect(tracesFrom(new DataView(bytes.buffer, 1, 12), [2, 1])).toEqual([[0.5, -2], [4]]);
    expect(tracesFrom(undefined, [])).toEqual([]);
  });
});
