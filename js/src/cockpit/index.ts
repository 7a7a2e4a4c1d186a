// Everything about an experiment in one place. The tabs are widgets of their own; Python has the state.

import { Asker } from "../shared/ask";
import { type Child, h, keepKeys, onPress, setText, setWaiting } from "../shared/dom";
import * as f from "../shared/format";
import { type Host, place } from "../shared/host";
import { chip, note, statusIcon } from "../shared/icons";
import { Cleanup, type Model, type RenderProps } from "../shared/model";
import type { CockpitTraits, CockpitView, Tab } from "../shared/schema/cockpit";
import { calibration } from "./calibration";
import { history } from "./history";

/** A kernel that lives answers in milliseconds, and does so while a cell blocks. */
const SILENCE_MS = 8_000;
const TABS: readonly Tab[] = ["round", "plan", "segments", "calibration", "history"];
const CHILD: Partial<Record<Tab, "round" | "plan" | "segments">> = { round: "round", plan: "plan", segments: "segments" };

class CockpitWidget {
  readonly #model: Model<CockpitTraits>;
  readonly #host: Host | undefined;
  readonly #signal: AbortSignal;
  readonly #asker: Asker<CockpitTraits>;
  /** What is mounted where, so that a widget is mounted once a view. */
  readonly #mounted = new Map<string, string>();
  #problem = "";
  #lostAt: Date | null = null;

  readonly #head = h("header", { class: "pt-head kh" });
  readonly #notes = h("div");
  readonly #fit = h("div", { class: "kfit" });
  readonly #tabs = h("div", { class: "pt-tabs", role: "tablist", "aria-label": "Cockpit" });
  readonly #panels = new Map<Tab, HTMLElement>(
    TABS.map((tab) => [tab, h("div", { class: "panel", role: "tabpanel", tabindex: -1, "data-testid": `panel-${tab}` })]),
  );
  readonly #live = h("div", { class: "vh", role: "status", "aria-live": "polite" });
  readonly root = h(
    "article",
    { class: "pt pt-card pt-cockpit", "data-testid": "cockpit" },
    this.#head,
    this.#tabs,
    this.#notes,
    this.#fit,
    ...this.#panels.values(),
    this.#live,
  );
  readonly #id = `pt-cockpit-${Math.random().toString(36).slice(2)}`;

  constructor(model: Model<CockpitTraits>, host: Host | undefined, signal: AbortSignal, cleanup: Cleanup) {
    this.#model = model;
    this.#host = host;
    this.#signal = signal;
    this.#asker = new Asker(model, cleanup);
    keepKeys(this.root);
    for (const [tab, panel] of this.#panels) {
      panel.id = `${this.#id}-${tab}-panel`;
      panel.setAttribute("aria-labelledby", `${this.#id}-${tab}`);
    }
    this.#tabs.addEventListener("keydown", (event) => this.#key(event));
    this.#panels.get("history")!.addEventListener("click", (event) => {
      const row = event.target instanceof Element ? event.target.closest<HTMLElement>("tr[data-round]") : null;
      if (row) this.#show(Number(row.dataset["round"]));
    });
    this.draw();
  }

  draw(): void {
    const state = this.#model.get("state");
    this.root.setAttribute("aria-label", state.title);
    this.#drawHead(state);
    this.#drawTabs(state);
    this.#drawNotes(state);
    void this.#mount("fit", this.#model.get("fit"), this.#fit);
    this.#drawPanels(state);
  }

  #drawHead(state: CockpitView): void {
    const of = state.n_rounds === null ? "" : ` of ${state.n_rounds}`;
    const chips: Child[] = [];
    if (state.fitting || state.busy) chips.push(chip(state.busy || `Fitting round ${state.finished + 1}`, "on", "play"));
    if (state.finished > 0) chips.push(chip(`Round ${state.finished}${of}`, "on"), chip("Observed", "ok"));
    else chips.push(chip(`No round of ${state.n_rounds ?? "many"} yet`, ""));
    const held = this.root.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset["testid"] : undefined;
    this.#head.replaceChildren(
      h(
        "div",
        { class: "pt-row" },
        h("h2", { class: "pt-title" }, state.title),
        ...chips,
        h("span", { class: "pt-push" }),
        !state.converged && chip("Unconverged", "bad"),
        chip(state.is_calibrated ? "Recalibrated" : "Uncalibrated", state.is_calibrated ? "ok" : "warn"),
        this.#lostAt !== null && chip("Kernel gone", "bad"),
        ...(this.#lostAt === null ? this.#actions(state) : []),
      ),
    );
    if (held) this.#head.querySelector<HTMLElement>(`[data-testid="${held}"]`)?.focus();
  }

  #actions(state: CockpitView): HTMLElement[] {
    if (state.next_visitors === null) return [h("span", { class: "pt-meta" }, "Every round is done")];
    const act = (word: string, look: string, testid: string, run: () => void) => {
      const made = h("button", { type: "button", class: `pt-btn ${look}`.trim(), "data-testid": testid }, word);
      onPress(made, run);
      return made;
    };
    const waits = state.fitting || state.busy !== "";
    const next = state.finished + 1;
    const actions: HTMLElement[] = [];
    if (this.#model.get("tab") !== "plan")
      actions.push(act(state.finished > 0 ? "Review the plan" : "See the plan", "", "review", () => this.#choose("plan")));
    if (state.frames === null) {
      const run = act(`Run round ${next}`, "primary", "run", () => this.#ask({ kind: "run" }));
      setWaiting(run, waits);
      actions.push(run);
    } else {
      const choice = h(
        "select",
        { class: "pt-in frames", "aria-label": `Data frame with the visitors of round ${next}`, "data-testid": "frame" },
        ...state.frames.map((name) => h("option", { value: name }, name)),
        state.frames.length === 0 && h("option", { value: "", disabled: true, selected: true }, "no data frame yet"),
      );
      // New frames are made in cells all the time: the list is as of this moment.
      choice.addEventListener("focus", () => this.#model.send({ kind: "look" }), { once: true });
      const observe = act(`Observe round ${next}`, "primary", "observe", () => this.#ask({ kind: "observe", frame: choice.value }));
      setWaiting(observe, waits || state.frames.length === 0);
      actions.push(choice, observe);
    }
    return actions;
  }

  #drawTabs(state: CockpitView): void {
    const word: Record<Tab, Child[]> = {
      round: [state.shown === null ? "Round" : `Round ${state.shown}`],
      plan: [
        "Plan",
        state.next_visitors !== null && h("span", { class: "at" }, ` for round ${state.finished + 1}`),
        state.own_plan && h("span", { class: "dot", role: "img", "aria-label": "your own plan" }),
      ],
      segments: ["Segments", state.finished > 0 && h("span", { class: "pt-count" }, state.n_segments)],
      calibration: ["Calibration", !state.is_calibrated && statusIcon("warn", 13)],
      history: ["History", h("span", { class: "pt-count" }, state.finished)],
    };
    const now = this.#model.get("tab");
    const held = this.#tabs.contains(document.activeElement);
    this.#tabs.replaceChildren(
      ...TABS.map((tab) => {
        const made = h(
          "button",
          {
            type: "button",
            class: "pt-tab",
            role: "tab",
            id: `${this.#id}-${tab}`,
            "aria-selected": String(tab === now),
            "aria-controls": `${this.#id}-${tab}-panel`,
            tabindex: tab === now ? 0 : -1,
            "data-tab": tab,
            "data-testid": `tab-${tab}`,
          },
          ...word[tab],
        );
        made.addEventListener("click", () => this.#choose(tab));
        return made;
      }),
    );
    if (held) this.#tabs.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
  }

  #drawNotes(state: CockpitView): void {
    const notes: HTMLElement[] = [];
    if (this.#lostAt !== null) {
      const at = this.#lostAt.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      const lost = note(
        "bad",
        "This view has lost its kernel.",
        `What you see was true at ${at}. Saved rounds are in the experiment's folder. Open the experiment in a kernel and run this line.`,
      );
      lost.append(h("code", { class: "pt-code" }, state.call));
      notes.push(lost);
    }
    const problem = this.#problem || state.problem;
    if (problem) notes.push(note("bad", problem, "The experiment is as it was."));
    if (state.shown !== null && state.shown < state.finished && this.#model.get("tab") === "round") {
      const back = h("button", { type: "button", class: "pt-btn", "data-testid": "latest" }, `Back to round ${state.finished}`);
      back.addEventListener("click", () => this.#show(state.finished));
      const past = note("none", `This is round ${state.shown}.`, "Later rounds know more.");
      past.append(back);
      notes.push(past);
    }
    this.#notes.replaceChildren(...notes);
  }

  #drawPanels(state: CockpitView): void {
    const now = this.#model.get("tab");
    for (const [tab, panel] of this.#panels) {
      panel.hidden = tab !== now;
      if (tab !== now) continue;
      const child = CHILD[tab];
      const reference = child ? this.#model.get(child) : null;
      if (child && reference !== null) {
        void this.#mount(tab, reference, panel);
        continue;
      }
      this.#mounted.delete(tab);
      if (tab === "calibration") panel.replaceChildren(calibration(state));
      else if (tab === "plan")
        panel.replaceChildren(
          h(
            "div",
            { class: "pt-empty" },
            h("h3", { class: "pt-h" }, "Working out the preview"),
            h("p", {}, "What each cell is expected to do is read off the latest round."),
          ),
        );
      else if (tab === "segments" && state.finished > 0) panel.replaceChildren();
      else if (tab === "history") panel.replaceChildren(history(state));
      else panel.replaceChildren(this.#empty(state));
    }
  }

  #empty(state: CockpitView): HTMLElement {
    if (state.fitting || state.busy) {
      return h(
        "div",
        { class: "pt-empty" },
        h("h3", { class: "pt-h" }, "The first round is on its way"),
        h("p", {}, "What it finds will stand here: the decision, the cells, arms and segments."),
      );
    }
    const size = state.next_visitors === null ? "" : ` of ${f.count(state.next_visitors)} visitors`;
    const how =
      state.frames === null
        ? "Run it from here, or with next(exp)."
        : "Hand out the plan, bring the visitors back as a data frame, and observe it from here.";
    return h(
      "div",
      { class: "pt-empty" },
      h("h3", { class: "pt-h" }, "No round has run yet"),
      h("p", {}, `Round 1${size} splits them between Control and Explore. ${how}`),
    );
  }

  /** Place a widget once; another reference takes its place. */
  async #mount(where: string, reference: string | null, el: HTMLElement): Promise<void> {
    if ((this.#mounted.get(where) ?? null) === reference) return;
    if (reference === null) {
      this.#mounted.delete(where);
      el.replaceChildren();
      return;
    }
    this.#mounted.set(where, reference);
    const box = h("div");
    if (!this.#host) {
      el.replaceChildren(
        note(
          "warn",
          "This notebook cannot place widgets in one another.",
          "Use exp.dashboard(), exp.tree() and next(exp) in cells of their own.",
        ),
      );
      return;
    }
    el.replaceChildren(box);
    try {
      await place(this.#host, reference, box, this.#signal);
    } catch (error) {
      this.#mounted.delete(where);
      box.replaceChildren(note("bad", "This part could not be shown.", error instanceof Error ? error.message : ""));
    }
  }

  #choose(tab: Tab): void {
    this.#model.set("tab", tab);
    this.#model.save_changes();
    this.draw();
  }

  #show(number: number): void {
    this.#choose("round");
    this.#ask({ kind: "show", number });
  }

  #ask(content: { kind: string } & Record<string, unknown>): void {
    const silence = setTimeout(() => {
      this.#lostAt = new Date();
      this.draw();
      setText(this.#live, "No word from the kernel.");
    }, SILENCE_MS);
    void this.#asker.ask(content).then((problem) => {
      clearTimeout(silence);
      this.#lostAt = null;
      this.#problem = problem ?? "";
      if (problem) setText(this.#live, problem);
      this.draw();
    });
    this.#signal.addEventListener("abort", () => clearTimeout(silence), { once: true });
  }

  #key(event: KeyboardEvent): void {
    const at = TABS.indexOf(this.#model.get("tab"));
    const moves: Record<string, number> = {
      ArrowRight: (at + 1) % TABS.length,
      ArrowLeft: (at + TABS.length - 1) % TABS.length,
      Home: 0,
      End: TABS.length - 1,
    };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#choose(TABS[to]!);
  }
}

function render({ model, el, signal, host }: RenderProps<CockpitTraits> & { host?: Host }): () => void {
  const cleanup = new Cleanup(signal);
  const gone = new AbortController();
  cleanup.add(() => gone.abort());
  const view = new CockpitWidget(model, host, gone.signal, cleanup);
  for (const key of ["state", "tab", "fit", "round", "plan", "segments"] as const) cleanup.onChange(model, key, () => view.draw());
  el.append(view.root);
  cleanup.add(() => view.root.remove());
  return () => cleanup.run();
}

export default { render };
