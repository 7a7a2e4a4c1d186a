import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Host } from "../shared/host";
import type { PageView } from "../shared/schema/console";
import { EVIL, summary, pageOf, ANALYSIS, detailOf, FakeRegistry } from "./fake_registry";
import { checkWeights, scaled } from "./weights";

function type(field: HTMLInputElement, text: string): void {
  field.value = text;
  field.dispatchEvent(new Event("input"));
}

let opened: FakeRegistry[] = [];
function open(page: PageView, projectId: string | null = null, host?: Host): FakeRegistry {
  const registry = new FakeRegistry(page, projectId, host);
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
    const c = open(
      pageOf(
        summary({ split_alarm: true }),
        summary({ id: "b", name: "Nudge", status: "draft", type: "bandit", bandit_enabled: true }),
        summary({ id: "c", status: "stopped", winner: "2 hours" }),
      ),
    );
    await c.settle();
    expect(c.test("total-total").textContent).toContain("1 draft, 1 running, 1 stopped");
    expect(c.test("total-winners").textContent).toContain("1");
    const heads = [...c.el.querySelectorAll("th")].map((th) => th.textContent);
    expect(heads).toEqual(["Name", "Hypothesis", "Status", "Variants", "Bandit mode", "Created", "Actions"]);
    const text = c.el.textContent!;
    for (const words of ["Traffic split is off", "Winner: 2 hours", "Thompson sampling", "Nov 22, 2026"]) expect(text).toContain(words);
  });

  it("keeps names as text", async () => {
    const one = summary({ name: EVIL, hypothesis: EVIL, winner: EVIL });
    const c = open(pageOf(one));
    c.answers.set(`GET /experiments/${one.id}`, [200, detailOf(one, { analysis: ANALYSIS })]);
    await c.settle();
    c.button(EVIL).click();
    await c.settle();
    expect(c.el.querySelector("img")).toBeNull();
    expect(c.test("drawer").textContent).toContain(EVIL);
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

  it("says when no answer comes, and takes it back when one does", async () => {
    const c = open(pageOf(summary({ status: "draft" })));
    await c.settle();
    c.answers.set(`POST /experiments/${"a".repeat(32)}/launch`, [200, detailOf(summary())]);
    c.button("Launch").click();
    await vi.advanceTimersByTimeAsync(8_000);
    expect(c.el.textContent).toContain("No answer yet.");
    await c.settle();
    expect(c.el.textContent).not.toContain("No answer yet.");
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
    const one = summary({ type: "adaptive", name: EVIL });
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
    for (const words of [
      "Thompson sampling",
      "No winner yet",
      "50.0%",
      "1092",
      "240of 4,000",
      "6.00%[5.50, 6.50]",
      "+20.0%",
      "[−5.0, +45.0]",
      "1.25",
      "p = 0.29",
      "decide at 3.0",
      "Don't decide yet",
      "CUPED: Not applied",
    ]) {
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
    const round = {
      number: 1,
      n_visitors: 2000,
      verdict: "CONTINUE",
      treatment: "promo",
      lift: 0.2,
      lift_low: -0.1,
      lift_high: 0.5,
      label: "uncalibrated",
      finished_at: one.created_at,
    };
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
  async function newForm(): Promise<FakeRegistry> {
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

  it("says when no answer comes", async () => {
    const c = await newForm();
    c.answers.set("POST /experiments", [201, detailOf(summary({ id: "new", status: "draft" }))]);
    c.button("Save draft").click();
    await vi.advanceTimersByTimeAsync(8_000);
    expect(c.test("form").textContent).toContain("No answer yet.");
    await c.settle();
    expect(c.el.textContent).not.toContain("No answer yet.");
  });
});
