// A console over a registry that answers what a test gives it.

import { FakeModel } from "../shared/fake_model";
import type { Host } from "../shared/host";
import type { AnalysisView, ConsoleTraits, ExperimentDetail, ExperimentSummary, PageView } from "../shared/schema/console";
import widget from "./index";

export const EVIL = "<img src=x onerror=alert(1)>";

interface Asked {
  id: number;
  method: string;
  path: string;
  query: Record<string, string>;
  body: any;
}

export function summary(changes: Partial<ExperimentSummary> = {}): ExperimentSummary {
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

export function pageOf(...experiments: ExperimentSummary[]): PageView {
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

export const ANALYSIS: AnalysisView = {
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

export function detailOf(one: ExperimentSummary, changes: Partial<ExperimentDetail> = {}): ExperimentDetail {
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

export class FakeRegistry {
  readonly model: FakeModel<ConsoleTraits>;
  readonly el = document.createElement("div");
  readonly answers = new Map<string, [status: number, content: unknown]>();
  readonly #abort = new AbortController();
  #read = 0;

  constructor(page: PageView, projectId: string | null = null, host?: Host) {
    this.model = new FakeModel<ConsoleTraits>({ page, project_id: projectId });
    this.answers.set("GET /experiments", [200, page]);
    document.body.append(this.el);
    widget.render({ model: this.model, el: this.el, signal: this.#abort.signal, ...(host ? { host } : {}) });
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
    const found = [...this.el.querySelectorAll("button")].find(
      (b) => b.textContent?.trim() === words || b.getAttribute("aria-label") === words,
    );
    if (found === undefined) throw new Error(`no button ${words}`);
    return found;
  }

  close(): void {
    this.#abort.abort();
  }
}
