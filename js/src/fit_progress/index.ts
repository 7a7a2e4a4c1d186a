// Live progress of a fit. Python is the only writer of the state; buttons send messages.

import { h, keepKeys, onPress, setText, setWaiting } from "../shared/dom";
import { count, duration, plain } from "../shared/format";
import { chip, icon, type IconName, note } from "../shared/icons";
import { Cleanup, type Model, type RenderProps } from "../shared/model";
import type { FitProgressTraits, Progress, State } from "../shared/schema/fit_progress";
import { chains, convergence, interim, remember, type Settling, stages, tracesFrom } from "./panels";
import { headline, isIndeterminate, isOver, kept, percentDone, size, spoken, stateChip, waiting } from "./words";

/** A kernel that lives sends a snapshot a second. */
const SILENCE_MS = 6_000;
const TICK_MS = 1_000;

const GIB = 2 ** 30;

function gib(bytes: number): string {
  return plain(bytes / GIB, bytes < 10 * GIB ? 1 : 0);
}

function button(name: string, word: string, look: string, mark: IconName): HTMLButtonElement {
  return h("button", { type: "button", class: `pt-btn ${look}`.trim(), "data-testid": name }, icon(mark), h("span", {}, word));
}

class FitView {
  readonly #model: Model<FitProgressTraits>;
  readonly #settling: Settling = new Map();
  #cancelClicked = false;
  #stopClicked = false;
  #shownLeft: number | null = null;
  #heardAt = Date.now();
  #stale = false;

  readonly #title = h("h2", { class: "pt-h ft" });
  readonly #chip = h("span", { class: "chips" });
  readonly #pause = button("pause", "Pause", "", "pause");
  readonly #resume = button("resume", "Resume", "primary", "play");
  readonly #stop = button("stop", "Stop and keep", "", "save");
  readonly #cancel = button("cancel", "Cancel", "danger", "cross");
  readonly #big = h("span", { class: "pt-big", "data-testid": "headline" });
  readonly #rest = h("span", { class: "soft" });
  readonly #size = h("span", { class: "pt-push soft" });
  readonly #bar = h("div", { class: "vh", role: "progressbar", "data-testid": "bar", "aria-valuemin": 0, "aria-valuemax": 100 });
  readonly #stages = h("ol", { class: "stages", "aria-label": "Stages" });
  readonly #notes = h("div");
  readonly #body = h("div");
  readonly #foot = h("footer", { class: "pt-foot ff" });
  readonly #live = h("div", { class: "vh", role: "status", "aria-live": "polite" });
  readonly #full = h(
    "div",
    {},
    h(
      "header",
      { class: "pt-head fh" },
      h(
        "div",
        { class: "pt-row" },
        this.#title,
        this.#chip,
        h("span", { class: "pt-push" }),
        this.#pause,
        this.#resume,
        this.#stop,
        this.#cancel,
      ),
      h("div", { class: "fsub" }, this.#big, this.#rest, this.#size),
    ),
    this.#bar,
    this.#stages,
    this.#notes,
    this.#body,
    this.#foot,
  );
  readonly #ended = h("div", { class: "pt-empty" });
  readonly root = h("article", { class: "pt pt-card pt-fit", "data-testid": "fit-progress" }, this.#full, this.#ended, this.#live);

  constructor(model: Model<FitProgressTraits>) {
    this.#model = model;
    keepKeys(this.root);
    onPress(this.#pause, () => model.send({ kind: "pause" }));
    onPress(this.#resume, () => model.send({ kind: "resume" }));
    onPress(this.#stop, () => {
      this.#stopClicked = true;
      model.send({ kind: "stop" });
      this.#draw();
    });
    onPress(this.#cancel, () => {
      this.#cancelClicked = true;
      model.send({ kind: "cancel" });
      this.#draw();
    });
    this.update();
    this.#speak();
  }

  /** A snapshot has come. */
  update(): void {
    this.#heardAt = Date.now();
    this.#stale = false;
    remember(this.#settling, this.#model.get("progress"));
    this.#draw();
  }

  /** Once a second: speak, and see whether the kernel is still there. */
  tick(): void {
    const { state } = this.#model.get("progress");
    const stale = !isOver(state) && Date.now() - this.#heardAt > SILENCE_MS;
    if (stale !== this.#stale) {
      this.#stale = stale;
      this.#draw();
    }
    this.#speak();
  }

  #state(p: Progress): State {
    return this.#cancelClicked && !isOver(p.state) ? "cancelling" : p.state;
  }

  #speak(): void {
    const p = this.#model.get("progress");
    const { title } = this.#model.get("setup");
    setText(this.#live, this.#stale ? `${title}: no word from the kernel.` : spoken(title, p, this.#state(p)));
  }

  #draw(): void {
    const p = this.#model.get("progress");
    const setup = this.#model.get("setup");
    const state = this.#state(p);
    this.root.dataset["state"] = state;
    this.root.dataset["stage"] = p.stage;
    this.root.setAttribute("aria-label", `${setup.title}, ${state}`);
    this.#full.hidden = state === "cancelled";
    this.#ended.hidden = state !== "cancelled";
    if (state === "cancelled") {
      this.#ended.replaceChildren(
        h("h3", { class: "pt-h" }, "Fit cancelled"),
        h("p", {}, `${setup.title} was cancelled after ${duration(p.elapsed_seconds)}. ${setup.untouched} No draws were kept.`),
      );
      return;
    }
    setText(this.#title, setup.title);
    this.#chip.replaceChildren(this.#stale ? chip("Kernel gone", "bad") : chip(...stateChip(p, state)));
    this.#drawButtons(p, state);
    const words = headline(p, state, this.#shownLeft);
    this.#shownLeft = words.left;
    setText(this.#big, words.big);
    setText(this.#rest, words.rest);
    setText(this.#size, size(p));
    this.#drawBar(p, state);
    this.#stages.replaceChildren(...stages(p, state));
    this.#notes.replaceChildren(...this.#noteFor(p, state));
    this.#drawBody(p, state);
    this.#drawFoot(p, state);
  }

  #drawButtons(p: Progress, state: State): void {
    const gone = isOver(state) || this.#stale;
    const buttons = [this.#resume, this.#pause, this.#stop, this.#cancel];
    const held = buttons.find((one) => one === document.activeElement);
    this.#pause.hidden = gone || state === "paused";
    this.#resume.hidden = gone || state !== "paused";
    this.#cancel.hidden = gone;
    // Only draws that were kept can be made do with.
    const stopping = p.stopping || this.#stopClicked;
    this.#stop.hidden = gone || (p.stage !== "sample" && !stopping);
    setWaiting(this.#stop, p.lifts.length === 0 || stopping || state === "cancelling");
    setText(this.#stop.lastElementChild ?? this.#stop, stopping ? "Stopping" : "Stop and keep");
    setWaiting(this.#pause, isIndeterminate(p) || state === "cancelling");
    setWaiting(this.#cancel, state === "cancelling");
    setText(this.#cancel.lastElementChild ?? this.#cancel, state === "cancelling" ? "Cancelling" : "Cancel");
    // Pause and Resume take turns: so does the focus.
    if (held?.hidden) buttons.find((one) => !one.hidden)?.focus();
  }

  #drawBar(p: Progress, state: State): void {
    const done = percentDone(p);
    this.#bar.setAttribute("aria-label", this.#model.get("setup").title);
    if (done === null) this.#bar.removeAttribute("aria-valuenow");
    else this.#bar.setAttribute("aria-valuenow", String(done));
    this.#bar.setAttribute("aria-valuetext", spoken(this.#model.get("setup").title, p, state));
  }

  #noteFor(p: Progress, state: State): HTMLElement[] {
    const { untouched } = this.#model.get("setup");
    if (this.#stale) {
      const at = new Date(this.#heardAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      return [note("bad", "This view has lost its kernel.", `What you see was true at ${at}.`)];
    }
    if (state === "failed") return [note("bad", p.message || "The fit failed.", untouched)];
    if (state === "done" && p.unconverged) {
      const [drawn] = kept(p);
      const stopped = p.stopping ? `You stopped it at ${count(drawn)} draws a chain. ` : "";
      return [
        note(
          "bad",
          "The chains do not agree yet.",
          `${stopped}Everything that shows this fit carries the word unconverged, and Ship is not offered.`,
        ),
      ];
    }
    if (p.stopping && state === "running") {
      return [note("none", "Sampling ends here.", "What was drawn is kept; segments and the next plan are worked out from it.")];
    }
    if (state === "paused") {
      const [drawn, planned] = kept(p);
      if (p.stage === "fits") {
        return [note("none", "Nothing is lost.", "Fits that had begun are finished; nothing new is started until you resume.")];
      }
      const draws = planned > 0 ? `${count(drawn)} of ${count(planned)} draws a chain are kept in memory. ` : "";
      return [note("none", "Nothing is lost.", `${draws}Resume goes on from there.`)];
    }
    return [];
  }

  #drawBody(p: Progress, state: State): void {
    const traces = tracesFrom(this.#model.get("traces"), p.trace_lengths);
    if (p.lifts.length > 0) {
      const left = traces.length > 0 ? [chains(p, traces)] : [];
      const setup = this.#model.get("setup");
      const split = h("div", { class: left.length ? "pt-split fb" : "fb" }, ...left, interim(p, setup, this.#settling));
      const table = convergence(p, setup.r_hat_limit);
      const shown = this.#body.querySelector(".conv tbody");
      const rows = table.querySelector("tbody");
      if (shown && rows) {
        // Only the rows are new: a definition that is open in the table's head stays open.
        shown.replaceWith(rows);
        this.#body.firstElementChild?.replaceWith(split);
      } else {
        this.#body.replaceChildren(split, table);
      }
    } else if (state === "running" || state === "cancelling") {
      const words = waiting(p);
      this.#body.replaceChildren(
        h("div", { class: "pt-sec" }, h("div", { class: "pt-empty tight" }, h("h3", { class: "pt-h" }, words.big), h("p", {}, words.rest))),
      );
    } else {
      this.#body.replaceChildren();
    }
  }

  #drawFoot(p: Progress, state: State): void {
    const drawing = p.stages.filter((stage) => stage.name === "warm up" || stage.name === "sample");
    const seconds = drawing.reduce((sum, stage) => sum + (stage.seconds ?? 0), 0);
    const figures = [h("span", {}, "Elapsed ", h("b", {}, duration(p.elapsed_seconds)))];
    if (p.iteration > 0 && seconds > 1) {
      figures.push(h("span", {}, "Speed ", h("b", {}, `${plain(p.iteration / seconds, 1)} draws a second`)));
    }
    if (p.memory_bytes !== null) {
      const of = p.memory_total === null ? "" : ` of ${gib(p.memory_total)}`;
      figures.push(h("span", {}, "Memory ", h("b", {}, `${gib(p.memory_bytes)}${of} GiB`)));
    }
    const cancellable = !isOver(state) && !this.#stale;
    this.#foot.replaceChildren(...figures, cancellable ? h("span", { class: "pt-push" }, cancelling(p)) : "");
  }
}

function cancelling(p: Progress): string {
  return p.stage === "fits" ? "Cancel ends it; finished fits stay in its folder" : "Cancel leaves the experiment as it was";
}

function render({ model, el, signal }: RenderProps<FitProgressTraits>): () => void {
  const cleanup = new Cleanup(signal);
  const view = new FitView(model);
  cleanup.onChange(model, "progress", () => view.update());
  const timer = setInterval(() => view.tick(), TICK_MS);
  cleanup.add(() => clearInterval(timer));
  el.append(view.root);
  cleanup.add(() => view.root.remove());
  return () => cleanup.run();
}

export default { render };
