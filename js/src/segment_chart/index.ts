// A chart whose segments can be selected, here and in every view of the experiment.

import { h, keepKeys, s, setText } from "../shared/dom";
import { Cleanup, type Model, type RenderProps } from "../shared/model";
import type { SegmentChartTraits } from "../shared/schema/segment_chart";
import { type Strip, picture } from "./picture";

/** The smallest size, as a part of the one that it was drawn in. */
const LEAST = 0.8;

class ChartWidget {
  readonly #model: Model<SegmentChartTraits>;
  readonly #scroll = h("div", { class: "scroll" });
  readonly #live = h("div", { class: "vh", role: "status", "aria-live": "polite" });
  readonly root = h("figure", { class: "pt pt-card pt-chart", "data-testid": "segment-chart" }, this.#scroll, this.#live);
  #strips: Strip[] = [];

  constructor(model: Model<SegmentChartTraits>) {
    this.#model = model;
    keepKeys(this.root);
    this.root.addEventListener("click", (event) => {
      const strip = this.#at(event.target);
      if (!strip) return;
      this.#stopAt(strip);
      this.#choose(strip.segment === model.get("selected_segment") ? null : strip.segment);
    });
    this.root.addEventListener("keydown", (event) => this.#key(event));
    this.draw();
  }

  draw(): void {
    const heading = this.#model.get("heading");
    const made = picture(this.#model.get("svg"));
    this.root.setAttribute("aria-label", heading);
    this.#strips = made?.strips ?? [];
    if (!made) {
      this.#scroll.replaceChildren(h("p", { class: "pt-empty" }, "The chart could not be drawn. Run its cell again."));
      return;
    }
    const said = this.#model.get("segments");
    for (const { segment, node } of this.#strips) {
      const words = said[segment] ?? segment;
      node.classList.add("strip");
      node.setAttribute("role", "button");
      node.setAttribute("aria-label", words);
      node.dataset["segment"] = segment;
      node.append(s("title", {}, words));
    }
    made.root.setAttribute("role", "group");
    made.root.setAttribute("aria-label", `${heading}, segments`);
    // A narrow place makes it smaller while its letters can be read; from there on it scrolls.
    made.root.style.minWidth = `${LEAST * Number(made.root.getAttribute("width"))}px`;
    this.#scroll.replaceChildren(made.root);
    this.select();
    const selected = this.#model.get("selected_segment");
    const stop = this.#strips.find(({ segment }) => segment === selected) ?? this.#strips[0];
    for (const { node } of this.#strips) node.tabIndex = node === stop?.node ? 0 : -1;
  }

  /** Another segment is selected, here or in another view. */
  select(): void {
    const selected = this.#model.get("selected_segment");
    for (const { segment, node } of this.#strips) {
      node.classList.toggle("sel", segment === selected);
      node.setAttribute("aria-pressed", String(segment === selected));
    }
  }

  #choose(segment: string | null): void {
    this.#model.set("selected_segment", segment);
    this.#model.save_changes();
    this.select();
    setText(this.#live, segment === null ? "No segment selected." : `${segment} selected.`);
  }

  #at(target: EventTarget | null): Strip | undefined {
    return this.#strips.find(({ node }) => target instanceof Node && node.contains(target));
  }

  /** Tab stops at one strip; the arrow keys go to the others. */
  #stopAt(strip: Strip | undefined): void {
    if (!strip) return;
    for (const { node } of this.#strips) node.tabIndex = node === strip.node ? 0 : -1;
    strip.node.focus();
  }

  #key(event: KeyboardEvent): void {
    const here = this.#at(event.target);
    const selected = this.#model.get("selected_segment");
    if (event.key === "Escape" && selected !== null) return this.#choose(null);
    if (!here) return;
    const at = this.#strips.indexOf(here);
    const toggle = () => this.#choose(here.segment === selected ? null : here.segment);
    const moves: Record<string, () => void> = {
      ArrowDown: () => this.#stopAt(this.#strips[at + 1]),
      ArrowUp: () => this.#stopAt(this.#strips[at - 1]),
      Home: () => this.#stopAt(this.#strips[0]),
      End: () => this.#stopAt(this.#strips.at(-1)),
      Enter: toggle,
      " ": toggle,
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  }
}

function render({ model, el, signal }: RenderProps<SegmentChartTraits>): () => void {
  const cleanup = new Cleanup(signal);
  const view = new ChartWidget(model);
  cleanup.onChange(model, "svg", () => view.draw());
  cleanup.onChange(model, "selected_segment", () => view.select());
  el.append(view.root);
  cleanup.add(() => view.root.remove());
  return () => cleanup.run();
}

export default { render };
