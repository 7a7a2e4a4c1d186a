// A finished round: decision, cells, arms and segments, history. Python did the statistics.

import { type Child, h, keepKeys, s } from "../shared/dom";
import * as f from "../shared/format";
import { armName } from "../shared/glyph";
import { chip, note, statusIcon } from "../shared/icons";
import { Cleanup, type Model, type RenderProps } from "../shared/model";
import type { LampView, RoundDashboardTraits, RoundView, TruthView } from "../shared/schema/round_dashboard";
import type { LampStatus } from "../shared/schema/shared";
import { markSegment } from "../shared/table";
import { cells } from "./cells";
import { decision } from "./decision";
import { Effects, parts } from "./effects";
import { history } from "./history";
import { type Verdicts, verdicts } from "./verdicts";

const STATUS_WORD: Record<LampStatus, string> = { ok: "ok", warn: "look at it", bad: "alarm", none: "not checked" };

function header(round: RoundView): HTMLElement {
  const of = round.n_rounds === null ? "" : ` of ${round.n_rounds}`;
  const fact = (...content: Child[]) => h("span", {}, ...content);
  return h(
    "header",
    { class: "pt-head" },
    h(
      "div",
      { class: "pt-row" },
      h("h2", { class: "pt-title" }, round.title),
      chip(`Round ${round.number}${of}`, "on"),
      chip("Observed", "ok"),
      h("span", { class: "pt-push" }),
      !round.converged && chip("Unconverged", "bad"),
      !round.is_calibrated && chip("Uncalibrated", "warn"),
    ),
    h(
      "div",
      { class: "pt-facts" },
      fact(h("b", {}, f.count(round.n_visitors)), " visitors this round"),
      fact(h("b", {}, f.count(round.n_cumulative)), " in all"),
      fact("Metric ", h("b", {}, `${round.metric.replaceAll("_", " ")}, ${round.currency}`)),
      fact("Intervals ", h("b", {}, f.share(round.level))),
      fact("Fitted in ", h("b", {}, f.duration(round.fit_seconds))),
    ),
  );
}

function lamps(health: readonly LampView[]): HTMLElement {
  return h(
    "div",
    { class: "pt-lamps", role: "group", "aria-label": "Health" },
    ...health.map((lamp) =>
      h(
        "div",
        { class: "pt-lamp" },
        statusIcon(lamp.status),
        h("span", { class: "n" }, lamp.name, h("span", { class: "vh" }, `: ${STATUS_WORD[lamp.status]}`)),
        h("span", { class: "v" }, lamp.reading),
      ),
    ),
  );
}

function notes(round: RoundView): HTMLElement[] {
  const found: HTMLElement[] = [];
  if (!round.converged) {
    found.push(
      note(
        "bad",
        "The chains do not agree yet.",
        "Every number here carries the word unconverged. Fit again with more iterations before you act on it.",
      ),
    );
  }
  if (!round.is_calibrated) {
    found.push(
      note(
        "warn",
        "Interval coverage was not checked at this size.",
        "Uncalibrated intervals tend to be too narrow on large rounds. They are drawn dashed here.",
      ),
    );
  }
  if (round.notices.length > 0) {
    const words = round.notices.length === 1 ? "1 notice about the data" : `${round.notices.length} notices about the data`;
    found.push(
      h(
        "div",
        { class: "pt-note" },
        statusIcon("none"),
        h("details", {}, h("summary", {}, words), h("ul", {}, ...round.notices.map((text) => h("li", {}, text)))),
      ),
    );
  }
  return found;
}

/** Only a simulated source knows the truth. */
function truth(t: TruthView, round: RoundView): HTMLElement {
  const { currency } = round;
  const amount = (value: number) => f.money(value, currency, 4);
  const figure = (name: string, value: string, beside: string) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value, h("small", {}, ` ${beside}`)));
  return h(
    "section",
    { class: "pt-sec", "aria-label": "Against the planted truth" },
    h(
      "div",
      { class: "pt-sec-head" },
      h("h3", { class: "pt-h" }, "Against the planted truth"),
      h("span", { class: "pt-meta" }, f.labelled("Known in a simulation only; no estimate above has seen it", round)),
    ),
    h(
      "dl",
      { class: "truth", "data-testid": "truth" },
      figure(
        "CATE RMSE",
        amount(t.cate_rmse),
        `no effect ${amount(t.cate_rmse_no_effect)}, constant effect ${amount(t.cate_rmse_constant)}`,
      ),
      figure("Policy accuracy", f.share(t.policy_accuracy, 1), "of visitors get their best arm"),
      figure("Gap to the oracle", amount(t.oracle_gap), `per visitor; best single arm ${amount(t.best_arm_gap)}`),
    ),
  );
}

function legend(round: RoundView): HTMLElement {
  const raw = round.is_calibrated ? "" : " raw";
  const words = round.is_calibrated ? "recalibrated" : "dashed: uncalibrated";
  const line = s(
    "svg",
    { width: 34, height: 12, class: "a1", "aria-hidden": "true" },
    s("line", { class: `pt-iv${raw}`, x1: 1, x2: 33, y1: 6, y2: 6 }),
    s("rect", { class: "pt-cap", x: 1, y: 6 }),
    s("rect", { class: "pt-cap", x: 33, y: 6 }),
    s("circle", { class: "pt-m", cx: 17, cy: 6, r: 4.5 }),
  );
  const ring = s("svg", { width: 14, height: 14, "aria-hidden": "true" }, s("circle", { class: "pt-obs", cx: 7, cy: 7, r: 6 }));
  const mix = s(
    "svg",
    { width: 5, height: 13, class: "ax", "aria-hidden": "true" },
    s("rect", { class: "pt-m", x: 0, y: 0, width: 5, height: 13, rx: 2 }),
  );
  return h(
    "footer",
    { class: "pt-foot pt-legend" },
    h("span", {}, line, `model mean and ${f.share(round.level)} interval, ${words}`),
    h("span", {}, ring, "observed mean"),
    h("span", {}, mix, "a mix of arms"),
    ...round.arms.map((arm) => armName(arm, arm.name)),
  );
}

/** Draws the parts of which something has changed; the others stay, and what is laid out with them. */
class Dashboard {
  readonly #root: HTMLElement;
  readonly #model: Model<RoundDashboardTraits>;
  readonly #effects: Effects;
  #verdicts: Verdicts | null = null;
  /** By part: what it was drawn from, its nodes, and the mark that they stand before. */
  readonly #drawn: { key: string; nodes: HTMLElement[]; end: Comment }[] = [];

  constructor(root: HTMLElement, model: Model<RoundDashboardTraits>) {
    this.#root = root;
    this.#model = model;
    this.#effects = new Effects(() => model.get("selected_segment"));
  }

  /** Only names have changed. */
  rename(): void {
    const names = this.#model.get("names");
    this.#effects.show(this.#model.get("round"), names, this.#model.get("classic"));
    this.#verdicts?.rename(names);
  }

  draw(): void {
    const round = this.#model.get("round");
    const names = this.#model.get("names");
    const past = this.#model.get("history");
    const { segments, verdicts: said, ...rest } = round;
    void segments; // the table compares its own
    const whole = JSON.stringify(rest);
    this.#root.setAttribute("aria-label", `${round.title}, round ${round.number}`);
    this.#effects.show(round, names, this.#model.get("classic"));
    const all: [key: string, build: () => (HTMLElement | null)[]][] = [
      [whole, () => [header(round), lamps(round.health), ...notes(round), decision(round), cells(round)]],
      ["", () => [this.#effects.el]],
      [
        JSON.stringify([said, round.level, round.converged]),
        () => {
          this.#verdicts = verdicts(round, names, () => this.#model.get("selected_segment"));
          return [this.#verdicts?.el ?? null];
        },
      ],
      [JSON.stringify([rest, past]), () => [parts(round), history(round, past), round.truth && truth(round.truth, round), legend(round)]],
    ];
    all.forEach(([key, build], i) => {
      let part = this.#drawn[i];
      if (!part) {
        part = { key: "not drawn", nodes: [], end: document.createComment("") };
        this.#drawn[i] = part;
        this.#root.append(part.end);
      }
      if (part.key === key) return;
      for (const node of part.nodes) node.remove();
      part.key = key;
      part.nodes = build().filter((node) => node !== null);
      part.end.before(...part.nodes);
    });
  }
}

function render({ model, el, signal }: RenderProps<RoundDashboardTraits>): () => void {
  const cleanup = new Cleanup(signal);
  const root = h("article", {
    class: "pt pt-card pt-round",
    "data-testid": "round-dashboard",
  });
  keepKeys(root);
  const view = new Dashboard(root, model);
  // Python starts the classical tests when the rest is painted.
  const ask = () => {
    if (model.get("classic") === null) requestAnimationFrame(() => setTimeout(() => model.send({ kind: "classic" })));
  };
  const redraw = () => {
    view.draw();
    ask();
  };
  const select = (id: string | null) => {
    model.set("selected_segment", id);
    model.save_changes();
    markSegment(root, id);
  };
  redraw();
  root.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || event.target.closest("summary, details p")) return;
    const row = event.target.closest<HTMLElement>("tr[data-segment]");
    const id = row?.dataset["segment"];
    if (id !== undefined) select(id === model.get("selected_segment") ? null : id);
  });
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && model.get("selected_segment")) select(null);
  });
  cleanup.onChange(model, "round", redraw);
  cleanup.onChange(model, "names", () => view.rename());
  cleanup.onChange(model, "history", redraw);
  cleanup.onChange(model, "classic", redraw);
  cleanup.onChange(model, "selected_segment", () => markSegment(root, model.get("selected_segment")));
  el.append(root);
  cleanup.add(() => root.remove());
  return () => cleanup.run();
}

export default { render };
