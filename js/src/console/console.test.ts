// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeModel } from "../shared/fake_model";
import type { Host } from "../shared/host";
import type { AnalysisView, ConsoleTraits, ExperimentDetail, ExperimentSummary, PageView } from "../shared/schema/console";
import console_ from "./index";
import { checkWeights, scaled } from "./weights";

const HOSTILE = "<img src=x onerror=alert(1)>";

interface Asked {
  id: number;
  method: string;
  path: string;
  query: Record<string, string>;
  body: any;
}

function summary(changes: Partial<ExperimentSummary> = {}): ExperimentSummary {
  return {
    id: "a".repeat(32),
    project_id: "default",
    name: "Badge copy",
    hypothesis: "A badge helps.",
    status: "running",
    type: "fixed",
    bandit_enabled: false,
    n_variants: 2,
    n_rounds: 0,
    split_alarm: false,
    winner: null,
    created_at: "2026-11-22T12:00:00+00:00",
    ...changes,
  };
}

function pageOf(...experiments: ExperimentSummary[]): PageView {
  const count = (status: string) => experiments.filter((e) => e.status === status).length;
  return {
    experiments,
    n_found: experiments.length,
    limit: 20,
    offset: 0,
    totals: {
      total: experiments.length,
      draft: count("draft"),
      running: count("running"),
      stopped: count("stopped"),
      winners: experiments.filter((e) => e.winner !== null).length,
      attention: experiments.filter((e) => e.split_alarm).length,
    },
  };
}

const ANALYSIS: AnalysisView = {
  id: 1,
  made_at: "2026-11-22T13:00:00+00:00",
  made_by: "ann",
  result: {
    split: { p_value: 1e-6, alarm: true, observed: [0.6, 0.4], expected: [0.5, 0.5], worst: "badge" },
    variants: [
      { name: "control", exposures: 6000, conversions: 300, mean: 0.05, low: 0.046, high: 0.054 },
      { name: "badge", exposures: 4000, conversions: 240, mean: 0.06, low: 0.055, high: 0.065 },
    ],
    comparisons: [
      {
        name: "badge",
        enough: true,
        lift: 0.2,
        lift_low: -0.05,
        lift_high: 0.45,
        log_lr: 1.25,
        p_always: 0.29,
        p_always_holm: 0.29,
        p_classical: 0.03,
        p_classical_holm: 0.03,
        variance_reduction: null,
        visitors_needed: 2000,
      },
    ],
    log_lr_limit: 2.9957,
    tau: 0.005,
    cuped: "Not applied: no pre-period values were sent.",
    verdict: { kind: "split", headline: "Don't decide yet. Fix assignment first.", reason: "badge gets fewer.", winner: null },
  },
};

function detailOf(one: ExperimentSummary, changes: Partial<ExperimentDetail> = {}): ExperimentDetail {
  return {
    ...one,
    metric: "conversion",
    alpha: 0.05,
    expected_lift: 0.1,
    planned_visitors: 20000,
    floor: 0.05,
    update_seconds: 0,
    created_by: "ann",
    launched_at: one.status === "draft" ? null : one.created_at,
    stopped_at: null,
    variants: ["control", "badge"].map((name, i) => ({
      id: String(i),
      name,
      note: "",
      traffic_weight: 0.5,
      is_control: i === 0,
      is_winner: false,
      exposures: 100,
      conversions: 9,
      alpha: 10,
      beta: 92,
    })),
    analysis: null,
    rounds: [],
    ...changes,
  };
}

class Registry {
  readonly model: FakeModel<ConsoleTraits>;
  readonly el = document.createElement("div");
  readonly answers = new Map<string, [status: number, content: unknown]>();
  readonly #abort = new AbortController();
  #read = 0;

  constructor(page: PageView, projectId: string | null = null, host?: Host) {
    this.model = new FakeModel<ConsoleTraits>({ page, project_id: projectId });
    this.answers.set("GET /experiments", [200, page]);
    document.body.append(this.el);
    console_.render({ model: this.model, el: this.el, signal: this.#abort.signal, ...(host ? { host } : {}) });
  }

  get asked(): Asked[] {
    return this.model.sent as Asked[];
  }

  /** Answer what was asked since the last time, until nothing more is asked. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i += 1) {
      while (this.#read < this.asked.length) {
        const { id, method, path } = this.asked[this.#read]!;
        const [status, content] = this.answers.get(`${method} ${path}`) ?? [404, { message: "There is nothing.", reason: null }];
        this.#read += 1;
        this.model.receive({ id, status, content });
      }
      await Promise.resolve();
    }
  }

  test(id: string): HTMLElement {
    const node = this.el.querySelector<HTMLElement>(`[data-testid="${id}"]`);
    if (node === null) throw new Error(`no ${id}`);
    return node;
  }

  button(words: string): HTMLButtonElement {
    const found = [...this.el.querySelectorAll("button")].find((b) => b.textContent?.trim() === words || b.getAttribute("aria-label") === words);
    if (found === undefined) throw new Error(`no button ${words}`);
    return found;
  }

  close(): void {
    this.#abort.abort();
  }
}

function type(field: HTMLInputElement, text: string): void {
  field.value = text;
  field.dispatchEvent(new Event("input"));
}

let opened: Registry[] = [];
function open(page: PageView, projectId: string | null = null, host?: Host): Registry {
  const registry = new Registry(page, projectId, host);
  opened.push(registry);
  return registry;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("CSS", { escape: (text: string) => text });
});

afterEach(() => {
  for (const one of opened) one.close();
  opened = [];
  document.body.replaceChildren();
  vi.useRealTimers();
});

describe("weights", () => {
  it("says what is missing", () => {
    expect(checkWeights([50, 30, 15])).toEqual({ total: 95, missing: 5, complete: false });
    expect(checkWeights([33.3, 33.3, 33.4]).complete).toBe(true);
    expect(checkWeights([60, 50]).missing).toBe(-10);
    expect(checkWeights([100, 0]).complete).toBe(false);
  });

  it("scales to 100 exactly", () => {
    expect(scaled([50, 30, 15])).toEqual([52.6, 31.6, 15.8]);
    expect(scaled([1, 1, 1]).reduce((a, b) => a + b)).toBeCloseTo(100, 9);
    expect(scaled([0, 0])).toEqual([50, 50]);
  });
});

describe("the list", () => {
  it("shows totals and the document's columns", async () => {
    const c = open(pageOf(summary({ split_alarm: true }), summary({ id: "b", name: "Nudge", status: "draft", type: "bandit", bandit_enabled: true }), summary({ id: "c", status: "stopped", winner: "2 hours" })));
    await c.settle();
    expect(c.test("total-total").textContent).toContain("1 draft, 1 running, 1 stopped");
    expect(c.test("total-winners").textContent).toContain("1");
    const heads = [...c.el.querySelectorAll("th")].map((th) => th.textContent);
    expect(heads).toEqual(["Name", "Hypothesis", "Status", "Variants", "Bandit mode", "Created", "Actions"]);
    const text = c.el.textContent!;
    for (const words of ["Traffic split is off", "Winner: 2 hours", "Thompson sampling", "22 Nov 2026"]) expect(text).toContain(words);
  });

  it("keeps names as text", async () => {
    const one = summary({ name: HOSTILE, hypothesis: HOSTILE, winner: HOSTILE });
    const c = open(pageOf(one));
    c.answers.set(`GET /experiments/${one.id}`, [200, detailOf(one, { analysis: ANALYSIS })]);
    await c.settle();
    c.button(HOSTILE).click();
    await c.settle();
    expect(c.el.querySelector("img")).toBeNull();
    expect(c.test("drawer").textContent).toContain(HOSTILE);
  });

  it("launches, and says where what was refused", async () => {
    const one = summary({ status: "draft" });
    const c = open(pageOf(one));
    await c.settle();
    c.answers.set(`POST /experiments/${one.id}/launch`, [422, { message: "The weights add up to 95%.", reason: "invalid" }]);
    c.button("Launch").click();
    await c.settle();
    expect(c.el.querySelector(".pt-note.bad")!.textContent).toContain("The weights add up to 95%.");
    c.answers.set(`POST /experiments/${one.id}/launch`, [200, detailOf(one)]);
    c.button("Launch").click();
    await c.settle();
    expect(c.el.querySelector(".pt-note.bad")).toBeNull();
  });

  it("searches, turns pages and stays in its project", async () => {
    const c = open({ ...pageOf(summary()), n_found: 45 }, "shop");
    await c.settle();
    type(c.el.querySelector<HTMLInputElement>('[data-key="search"]')!, "bad");
    vi.advanceTimersByTime(300);
    await c.settle();
    expect(c.asked.at(-1)!.query).toEqual({ limit: "20", offset: "0", search: "bad", project_id: "shop" });
    c.button("Next").click();
    await c.settle();
    expect(c.asked.at(-1)!.query["offset"]).toBe("20");
  });

  it("opens an adaptive experiment in its cockpit, and leads back", async () => {
    const host: Host = { getWidget: (reference) => Promise.resolve({ render: ({ el }) => el.append(`[${reference}]`) }) };
    const one = summary({ type: "adaptive", name: HOSTILE });
    const c = open(pageOf(one), null, host);
    await c.settle();
    c.answers.set(`OPEN /experiments/${one.id}`, [200, { reference: "anywidget:c" }]);
    c.button("Open").click();
    await c.settle();
    expect(c.el.textContent).toContain("[anywidget:c]");
    c.button("All experiments").click();
    await c.settle();
    expect(c.el.textContent).not.toContain("[anywidget:c]");
    c.answers.set(`OPEN /experiments/${one.id}`, [409, { message: "Its rounds were not kept.", reason: "cannot_open" }]);
    c.button("Open").click();
    await c.settle();
    expect(c.el.textContent).toContain("Its rounds were not kept.");
  });

  it("says in the form what the test can find", async () => {
    const c = open(pageOf());
    await c.settle();
    c.button("New experiment").click();
    expect(c.test("finds").textContent).toContain("With planned visitors");
    c.answers.set("GET /detectable", [200, { rise: 0.009, relative: 0.18, power: 0.8 }]);
    type(c.test("baseline") as HTMLInputElement, "5");
    type(c.el.querySelector<HTMLInputElement>('[placeholder="no planned end"]')!, "20,000");
    vi.advanceTimersByTime(300);
    await c.settle();
    expect(c.asked.at(-1)!.query).toEqual({ baseline: "0.05", visitors: "20000", weights: "50,50" });
    expect(c.test("finds").textContent).toBe("Finds a lift of 18.0% or more (5.00% to 5.90%) with probability 80%.");
  });

  it("offers the tutorial where there is nothing yet", async () => {
    const c = open(pageOf());
    await c.settle();
    expect(c.test("tutorial").textContent).toContain("%pytyche lab tutorial");
  });

  it("says what an empty registry is for", async () => {
    const c = open(pageOf());
    await c.settle();
    expect(c.test("empty").textContent).toContain("No experiments yet");
  });

  it("is fresh without being asked, and stops asking when it goes", async () => {
    const c = open(pageOf(summary()));
    await c.settle();
    const before = c.asked.length;
    c.answers.set("GET /experiments", [200, pageOf(summary({ split_alarm: true }))]);
    vi.advanceTimersByTime(5100);
    await c.settle();
    expect(c.asked.length).toBe(before + 1);
    expect(c.el.textContent).toContain("Traffic split is off");
    c.close();
    vi.advanceTimersByTime(20000);
    expect(c.asked.length).toBe(before + 1);
    expect(c.model.listeners).toBe(0);
  });
});

describe("the drawer", () => {
  it("shows everything the document lists", async () => {
    const one = summary({ type: "bandit", bandit_enabled: true });
    const c = open(pageOf(one));
    c.answers.set(`GET /experiments/${one.id}`, [200, detailOf(one)]);
    await c.settle();
    c.button("View").click();
    await c.settle();
    expect(c.test("drawer").textContent).toContain("Not analysed yet");
    c.answers.set(`POST /experiments/${one.id}/analyze`, [200, ANALYSIS]);
    c.answers.set(`GET /experiments/${one.id}`, [200, detailOf(one, { analysis: ANALYSIS })]);
    c.button("Analyze").click();
    await c.settle();
    expect(c.test("srm").textContent).toContain("Seen 60.0 / 40.0 against a planned 50.0 / 50.0");
    const text = c.test("drawer").textContent!;
    for (const words of ["Thompson sampling", "No winner yet", "50.0%", "1092", "240of 4,000", "6.00%[5.50, 6.50]", "+20.0%", "[−5.0, +45.0]", "1.25", "p = 0.29", "decide at 3.0", "Don't decide yet", "CUPED: Not applied"]) {
      expect(text).toContain(words);
    }
    expect([...c.test("drawer").querySelectorAll("tr")].some((r) => r.textContent === "control50.0%1092")).toBe(true);
  });

  it("labels the classical p as valid at the planned end alone", async () => {
    const one = summary();
    const c = open(pageOf(one));
    c.answers.set(`GET /experiments/${one.id}`, [200, detailOf(one, { analysis: ANALYSIS })]);
    await c.settle();
    c.button("View").click();
    await c.settle();
    expect(c.test("drawer").textContent).toContain("valid only at the planned end, 20,000 visitors");
  });

  it("gives focus back when it is closed", async () => {
    const one = summary();
    const c = open(pageOf(one));
    c.answers.set(`GET /experiments/${one.id}`, [200, detailOf(one)]);
    await c.settle();
    c.button("Badge copy").click();
    await c.settle();
    c.test("drawer").dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    expect(c.el.querySelector('[data-testid="drawer"]')).toBeNull();
    expect(document.activeElement?.textContent).toBe("Badge copy");
  });

  it("says how to go on with an adaptive experiment", async () => {
    const one = summary({ type: "adaptive", name: 'the "promo"', n_rounds: 1 });
    const round = { number: 1, n_visitors: 2000, verdict: "CONTINUE", treatment: "promo", lift: 0.2, lift_low: -0.1, lift_high: 0.5, label: "uncalibrated", finished_at: one.created_at };
    const c = open(pageOf(one));
    c.answers.set(`GET /experiments/${one.id}`, [200, detailOf(one, { rounds: [round] })]);
    await c.settle();
    c.button("Open").click();
    await c.settle();
    expect(c.test("open-code").textContent).toBe('exp = pt.open("the \\"promo\\"")');
    expect(c.test("drawer").textContent).toContain("CONTINUE promo");
    expect(() => c.button("Analyze")).toThrow();
  });
});

describe("the form", () => {
  async function newForm(): Promise<Registry> {
    const c = open(pageOf(summary()), "shop");
    await c.settle();
    c.button("New experiment").click();
    type(c.test("name") as HTMLInputElement, "Badge");
    type(c.el.querySelectorAll<HTMLInputElement>('[aria-label="Variant name"]')[1]!, "badge");
    return c;
  }

  it("checks weights while they are typed", async () => {
    const c = await newForm();
    expect(c.test("weight-message").textContent).toContain("Every visitor has a variant.");
    expect(c.button("Launch").disabled).toBe(false);
    type(c.el.querySelectorAll<HTMLInputElement>("input[data-weight]")[1]!, "45");
    expect(c.test("weight-total").textContent).toBe("95%");
    expect(c.test("weight-message").textContent).toContain("5% of visitors have no variant.");
    expect(c.button("Launch").disabled).toBe(true);
    expect(c.button("Save draft").disabled).toBe(false);
    c.button("Give 5% to badge").click();
    expect(c.test("weight-total").textContent).toBe("100%");
    expect(c.button("Launch").disabled).toBe(false);
  });

  it("reads what it shows, and whole numbers with groups, where the decimal mark is a comma", async () => {
    const language = vi.spyOn(navigator, "language", "get").mockReturnValue("de-DE");
    const c = await newForm();
    const weights = () => [...c.el.querySelectorAll<HTMLInputElement>("input[data-weight]")].map((field) => field.value);
    type(c.el.querySelectorAll<HTMLInputElement>("input[data-weight]")[0]!, "33,3");
    type(c.el.querySelectorAll<HTMLInputElement>("input[data-weight]")[1]!, "33,3");
    c.button("Scale all to 100\u00a0%").click();
    expect(weights()).toEqual(["50", "50"]);
    type(c.el.querySelectorAll<HTMLInputElement>("input[data-weight]")[1]!, "16,5");
    c.button("Give 33,5\u00a0% to badge").click();
    expect(weights()).toEqual(["50", "50"]);
    type(c.el.querySelectorAll<HTMLInputElement>("input[data-weight]")[0]!, "49,5");
    c.button("Give 0,5\u00a0% to badge").click();
    expect(weights()).toEqual(["49,5", "50,5"]);
    expect(c.test("weight-total").textContent).toBe("100\u00a0%");
    type(c.el.querySelector<HTMLInputElement>('[placeholder="no planned end"]')!, "1.5");
    expect(c.button("Launch").disabled).toBe(true);
    type(c.el.querySelector<HTMLInputElement>('[placeholder="no planned end"]')!, "10.000");
    expect(c.button("Launch").disabled).toBe(false);
    const made = detailOf(summary({ id: "new", status: "draft" }));
    c.answers.set("POST /experiments", [201, made]);
    c.button("Save draft").click();
    await c.settle();
    expect(c.asked.find((a) => a.method === "POST")).toMatchObject({ body: { planned_visitors: 10_000 } });
    language.mockRestore();
  });

  it("saves and launches in one go", async () => {
    const c = await newForm();
    const made = detailOf(summary({ id: "new", status: "draft" }));
    c.answers.set("POST /experiments", [201, made]);
    c.answers.set("POST /experiments/new/launch", [200, { ...made, status: "running" }]);
    c.test("bandit").click();
    c.button("Launch").click();
    await c.settle();
    const [create] = c.asked.filter((a) => a.method === "POST");
    expect(create!.body).toMatchObject({
      name: "Badge",
      project_id: "shop",
      bandit_enabled: true,
      variants: [
        { name: "control", traffic_weight: 0.5 },
        { name: "badge", traffic_weight: 0.5 },
      ],
    });
    expect(c.test("drawer").textContent).toContain("Running");
  });

  it("keeps what was typed when it is refused", async () => {
    const c = await newForm();
    c.answers.set("POST /experiments", [422, { message: "Not like this.", reason: "invalid" }]);
    c.button("Save draft").click();
    await c.settle();
    expect(c.test("form").textContent).toContain("Not like this.");
    expect((c.test("name") as HTMLInputElement).value).toBe("Badge");
    expect(c.button("Save draft").disabled).toBe(false);
  });
});
