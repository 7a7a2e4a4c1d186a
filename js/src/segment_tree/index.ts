// The segments of a round as the tree that routes by them. Python did the statistics.

import { h, keepKeys, setText } from "../shared/dom";
import { Asker } from "../shared/ask";
import * as f from "../shared/format";
import { armName } from "../shared/glyph";
import { chip, icon } from "../shared/icons";
import { Cleanup, type Model, type RenderProps } from "../shared/model";
import { type Named, named, segmentName } from "../shared/rules";
import type { SegmentTreeTraits, TreeSegmentView, TreeView } from "../shared/schema/segment_tree";
import { followed, payoff } from "./beneath";
import { card, gateFigures, ribbons } from "./cards";
import { detail, type DetailState } from "./detail";
import { noRound, nothingSelected, oneSegment } from "./empty";
import { type Drawn, exportMenu } from "./export_menu";
import { layout, type Layout, type Placed } from "./layout";
import { picture } from "./picture";

class TreeWidget {
  readonly #model: Model<SegmentTreeTraits>;
  readonly #asker: Asker<SegmentTreeTraits>;
  readonly #collapsed = new Set<string>();
  #plan: Layout | null = null;
  #segments = new Map<string, Named<TreeSegmentView>>();
  /** The card that Tab stops at. */
  #stop: string | null = null;
  #query = "";
  /** What the pane was drawn from. */
  #shape = "";
  #detailState: DetailState = { naming: null, problem: "", sql: false };

  readonly #search = h("input", {
    class: "pt-in",
    type: "search",
    placeholder: "Find a segment or feature",
    "aria-label": "Find a segment or feature",
    "data-testid": "search",
  });
  readonly #fold = h("button", { type: "button", class: "pt-btn quiet", "data-testid": "fold" }, "Collapse all");
  readonly #menu = exportMenu(
    () => this.#picture(),
    () => setText(this.#live, "The picture could not be made."),
  );
  readonly #head = h("header", { class: "pt-head" });
  readonly #pane = h("div", { class: "tp" });
  readonly #side = h("div", { class: "ds" });
  readonly #rest = h("div");
  readonly #live = h("div", { class: "vh", role: "status", "aria-live": "polite" });
  readonly root = h(
    "article",
    { class: "pt pt-card pt-tree", "data-testid": "segment-tree" },
    this.#head,
    h("div", { class: "seg" }, this.#pane, this.#side),
    this.#rest,
    this.#live,
  );

  constructor(model: Model<SegmentTreeTraits>, cleanup: Cleanup) {
    this.#model = model;
    this.#asker = new Asker(model, cleanup);
    keepKeys(this.root);
    this.#search.addEventListener("input", () => {
      this.#query = this.#search.value.trim().toLowerCase();
      this.#drawPane();
      const found = this.#found().length;
      if (this.#query) setText(this.#live, `${found} of ${this.#cards().length} found.`);
    });
    this.#search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#focus(this.#found()[0]);
      if (event.key === "Escape" && this.#query) {
        event.stopPropagation();
        this.#search.value = "";
        this.#search.dispatchEvent(new Event("input"));
      }
    });
    this.#fold.addEventListener("click", () => this.#foldAll());
    this.root.addEventListener("click", (event) => {
      if (event.target instanceof Node && !this.#menu.contains(event.target)) this.#menu.open = false;
    });
    this.#pane.addEventListener("click", (event) => this.#clicked(event));
    this.#rest.addEventListener("click", (event) => this.#clicked(event));
    this.root.addEventListener("keydown", (event) => this.#key(event));
    this.draw();
  }

  /** Everything anew: another round, or other names. */
  draw(): void {
    const tree = this.#model.get("tree");
    const before = this.#name();
    this.root.setAttribute("aria-label", tree ? `${tree.title}, segments after round ${tree.number}` : "Segments");
    if (!tree) {
      this.#head.replaceChildren(h("h2", { class: "pt-title" }, "Segments"));
      this.#pane.replaceChildren(noRound());
      this.#side.replaceChildren();
      this.#rest.replaceChildren();
      return;
    }
    this.#drawHead(tree);
    const shape = JSON.stringify({ ...tree, followed: [] });
    if (shape !== this.#shape) this.#drawPane();
    else this.#renameCards(tree, before);
    this.#shape = shape;
    this.#drawSide();
    this.#drawRest(tree);
  }

  /** Take in the segments and their names; what they were before is returned. */
  #name(): ReadonlyMap<string, Named<TreeSegmentView>> {
    const before = this.#segments;
    this.#segments = new Map(
      named(this.#model.get("tree")?.segments ?? [], this.#model.get("names")).map((segment) => [segment.id, segment]),
    );
    return before;
  }

  /** Only names have changed. */
  rename(): void {
    const tree = this.#model.get("tree");
    const before = this.#name();
    if (!tree) return;
    this.#renameCards(tree, before);
    // A form that somebody types in stays; when it closes, all of this is drawn.
    if (this.#detailState.naming === null) this.#drawSide();
    if (tree.followed.length > 0 || tree.segments.some((segment) => segment.registered)) this.#drawRest(tree);
  }

  /** Hundreds of cards whose name is the same stay as they are, unless names decide which are found. */
  #renameCards(tree: TreeView, before: ReadonlyMap<string, Named<TreeSegmentView>>): void {
    if (this.#query) this.#drawPane();
    const plan = this.#plan;
    if (!plan || this.#query) return;
    const selected = this.#model.get("selected_segment");
    const figures = gateFigures(tree);
    for (const p of this.#cards()) {
      const id = p.node.segment;
      if (id === null || before.get(id)?.name === this.#segments.get(id)?.name) continue;
      const node = [...this.#pane.querySelectorAll<HTMLElement>(".leaf")].find((leaf) => leaf.dataset["node"] === p.node.id);
      node?.replaceChildren(
        ...card(tree, plan, p, this.#segments, figures, { selected: id === selected, found: true, stop: p.node.id === this.#stop })
          .childNodes,
      );
    }
  }

  /** Another segment is selected, here or in another view. */
  select(): void {
    const id = this.#model.get("selected_segment");
    this.#detailState = { naming: null, problem: "", sql: this.#detailState.sql };
    this.#unfoldTo(id);
    for (const node of this.root.querySelectorAll<HTMLElement>(".leaf[data-segment]")) {
      const chosen = node.dataset["segment"] === id;
      node.classList.toggle("sel", chosen);
      node.setAttribute("aria-selected", String(chosen));
    }
    this.#light(id);
    const tree = this.#model.get("tree");
    if (tree) this.#drawRest(tree);
    this.#drawSide();
  }

  detailArrived(): void {
    this.#drawSide();
  }

  #choose(id: string | null): void {
    this.#model.set("selected_segment", id);
    this.#model.save_changes();
    this.select();
    const segment = id === null ? undefined : this.#segments.get(id);
    setText(this.#live, segment ? `${segmentName(segment)} selected.` : "No segment selected.");
  }

  #drawHead(tree: TreeView): void {
    const leaves = tree.nodes.filter((node) => node.segment !== null).length;
    const next = tree.next_number === null ? "the proposed plan would send" : `round ${tree.next_number} will send`;
    const words = leaves === 1 ? "One segment." : `${leaves} segments. Width is share of visitors; bars are the arm shares that ${next}.`;
    this.#fold.hidden = this.#menu.hidden = leaves === 1;
    const search = h("span", { class: "srch" }, icon("search"), this.#search, h("span", { class: "pt-kbd", "aria-hidden": "true" }, "/"));
    search.hidden = leaves === 1;
    this.#head.replaceChildren(
      h(
        "div",
        { class: "pt-row" },
        h("h2", { class: "pt-title" }, "Segments"),
        chip(`Round ${tree.number}`, "on"),
        chip(tree.is_calibrated ? "Recalibrated" : "Uncalibrated", tree.is_calibrated ? "ok" : "warn"),
        !tree.converged && chip("Unconverged", "bad"),
        h("span", { class: "pt-push" }),
        search,
        this.#fold,
        this.#menu,
      ),
      h(
        "div",
        { class: "pt-row tl" },
        h("span", { class: "pt-meta" }, words),
        h("span", { class: "pt-push pt-legend" }, ...tree.arms.map((arm) => armName(arm, arm.name))),
      ),
    );
  }

  #drawPane(): void {
    const tree = this.#model.get("tree");
    if (!tree) return;
    const selected = this.#model.get("selected_segment");
    if (tree.nodes.length === 1) {
      this.#plan = null;
      this.#pane.replaceChildren(oneSegment(tree));
      return;
    }
    const plan = (this.#plan = layout(tree, this.#collapsed));
    const cards = this.#cards();
    const stop = cards.some((p) => p.node.id === this.#stop)
      ? this.#stop
      : (cards.find((p) => p.node.segment === selected) ?? cards[0])?.node.id;
    this.#stop = stop ?? null;
    const figures = gateFigures(tree);
    const found = new Set(this.#found());
    const undecided = tree.segments.some((segment) => !segment.registered && segment.p_best < 0.5);
    this.#pane.classList.toggle("dense", plan.dense);
    const box = h(
      "div",
      { class: "tw", style: `height:${plan.height}px;min-width:${plan.width + 236}px` },
      ribbons(tree, plan, this.#segments),
      h(
        "ul",
        { class: "leaves", role: "tree", "aria-label": "Policy tree, leaves" },
        ...cards.map((p) =>
          card(tree, plan, p, this.#segments, figures, {
            selected: selected !== null && p.node.segment === selected,
            found: found.has(p),
            stop: p.node.id === stop,
          }),
        ),
      ),
    );
    const legend = h(
      "p",
      { class: "tleg" },
      `Tint: the best arm of the leaf.${undecided ? " Dashed edge: no arm has P(best) above 0.5." : ""} Grey: a split, or control. Line: GATE and its ${f.share(tree.level)} interval.`,
    );
    const scroll = this.#pane.querySelector(".scroll")?.scrollTop ?? 0;
    const scroller = h("div", { class: "scroll" }, box);
    this.#pane.replaceChildren(scroller, legend);
    scroller.scrollTop = scroll;
    setText(this.#fold, this.#collapsed.size > 0 ? "Expand all" : "Collapse all");
    this.#light(selected);
  }

  /** The ribbon that leads to the selected segment. */
  #light(selected: string | null): void {
    const cards = new Map(this.#cards().map((p) => [p.node.id, p]));
    for (const ribbon of this.#pane.querySelectorAll<SVGElement>(".rib")) {
      const to = cards.get(ribbon.dataset["to"] ?? "");
      ribbon.classList.toggle("on", selected !== null && to !== undefined && to.segments.includes(selected));
    }
  }

  #drawSide(): void {
    const tree = this.#model.get("tree");
    const id = this.#model.get("selected_segment");
    const segment = id === null ? undefined : this.#segments.get(id);
    if (!tree || !segment) {
      this.#side.replaceChildren(...(tree ? [nothingSelected()] : []));
      return;
    }
    const more = this.#model.get("detail");
    const mine = more?.id === segment.id ? more : null;
    this.#side.replaceChildren(
      detail(tree, segment, mine, this.#detailState, {
        start: (naming) => {
          this.#detailState = { ...this.#detailState, naming, problem: "" };
          this.#drawSide();
          this.#side.querySelector<HTMLInputElement>(".name-form input")?.select();
        },
        submit: (kind, name) => {
          void this.#asker.ask({ kind, segment: segment.id, name }).then((problem) => {
            this.#detailState = problem === null ? { ...this.#detailState, naming: null, problem: "" } : { ...this.#detailState, problem };
            setText(this.#live, problem ?? "Done.");
            this.#drawSide();
          });
        },
        toggleSql: () => {
          this.#detailState = { ...this.#detailState, sql: !this.#detailState.sql };
          this.#drawSide();
        },
      }),
    );
  }

  #drawRest(tree: TreeView): void {
    const more = followed(tree, this.#model.get("names"), this.#model.get("selected_segment"), gateFigures(tree).digits);
    this.#rest.replaceChildren(...(tree.nodes.length > 1 ? [payoff(tree)] : []), ...(more ? [more] : []));
  }

  #picture(): Drawn | null {
    const tree = this.#model.get("tree");
    if (!tree || !this.#plan) return null;
    return { picture: picture(this.root, tree, this.#plan, this.#segments), name: `segments-round-${tree.number}` };
  }

  #cards(): Placed[] {
    return (this.#plan?.placed ?? []).filter((p) => p.card).sort((a, b) => a.y - b.y);
  }

  #matches(placed: Placed): boolean {
    if (!this.#query) return true;
    return placed.segments.some((id) => {
      const segment = this.#segments.get(id);
      return segment !== undefined && `${segment.id} ${segment.name} ${segment.rule}`.toLowerCase().includes(this.#query);
    });
  }

  #found(): Placed[] {
    return this.#cards().filter((p) => this.#matches(p));
  }

  #focus(placed: Placed | undefined): void {
    if (!placed) return;
    this.#stop = placed.node.id;
    for (const node of this.#pane.querySelectorAll<HTMLElement>(".leaf")) {
      const mine = node.dataset["node"] === placed.node.id;
      node.tabIndex = mine ? 0 : -1;
      if (mine) node.focus();
    }
  }

  #clicked(event: Event): void {
    if (!(event.target instanceof Element)) return;
    const bar = event.target.closest<SVGElement>("[data-fold]");
    if (bar?.dataset["fold"]) return this.#setFolded(bar.dataset["fold"], true);
    const item = event.target.closest<HTMLElement>(".leaf");
    const segment = (item ?? event.target.closest<HTMLElement>("[data-segment]"))?.dataset["segment"];
    if (segment) {
      if (item) this.#stop = item.dataset["node"] ?? null;
      this.#choose(segment === this.#model.get("selected_segment") ? null : segment);
      if (item) this.#focus(this.#cards().find((p) => p.node.id === this.#stop));
    } else if (item?.dataset["node"]) {
      this.#setFolded(item.dataset["node"], false);
    }
  }

  #key(event: KeyboardEvent): void {
    if (event.target instanceof HTMLInputElement) return;
    if (event.key === "/" && !this.#search.parentElement?.hidden) {
      event.preventDefault();
      this.#search.focus();
      return;
    }
    if (event.key === "Escape" && this.#model.get("selected_segment") !== null) return this.#choose(null);
    const item = event.target instanceof Element ? event.target.closest<HTMLElement>(".leaf") : null;
    if (!item) return;
    const cards = this.#cards();
    const at = cards.findIndex((p) => p.node.id === item.dataset["node"]);
    const here = cards[at];
    if (!here) return;
    const moves: Record<string, () => void> = {
      ArrowDown: () => this.#focus(cards[at + 1]),
      ArrowUp: () => this.#focus(cards[at - 1]),
      Home: () => this.#focus(cards[0]),
      End: () => this.#focus(cards.at(-1)),
      ArrowRight: () => here.node.segment === null && this.#setFolded(here.node.id, false),
      ArrowLeft: () => here.parent !== null && this.#setFolded(here.parent, true),
      Enter: () => (here.node.segment === null ? this.#setFolded(here.node.id, false) : this.#choose(here.node.segment)),
      " ": () => (here.node.segment === null ? this.#setFolded(here.node.id, false) : this.#choose(here.node.segment)),
      F2: () => {
        const tree = this.#model.get("tree");
        if (here.node.segment === null || !tree?.editable) return;
        this.#choose(here.node.segment);
        this.#side.querySelector<HTMLButtonElement>(".dh .icon")?.click();
      },
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  }

  #setFolded(id: string, folded: boolean): void {
    if (folded) this.#collapsed.add(id);
    else this.#collapsed.delete(id);
    this.#stop = folded ? id : null;
    this.#drawPane();
    const cards = this.#cards();
    this.#focus(cards.find((p) => p.node.id === id) ?? cards.find((p) => p.parent === id) ?? cards[0]);
    setText(this.#live, folded ? "Collapsed." : "Expanded.");
  }

  #foldAll(): void {
    const tree = this.#model.get("tree");
    if (!tree) return;
    const first = tree.nodes[0]?.id;
    if (this.#collapsed.size > 0) this.#collapsed.clear();
    // Below the first question, so that something is left to look at.
    else for (const node of tree.nodes) if (node.segment === null && node.parent === first) this.#collapsed.add(node.id);
    if (this.#collapsed.size === 0 && first !== undefined && !this.#plan?.placed.some((p) => p.node.id !== first && !p.card))
      this.#fold.blur();
    this.#drawPane();
  }

  /** A selected segment is never hidden in a fold. */
  #unfoldTo(id: string | null): void {
    const tree = this.#model.get("tree");
    if (!tree || id === null || this.#collapsed.size === 0) return;
    const parents = new Map(tree.nodes.map((node) => [node.id, node.parent]));
    let at = tree.nodes.find((node) => node.segment === id)?.id ?? null;
    let opened = false;
    while (at !== null) {
      opened = this.#collapsed.delete(at) || opened;
      at = parents.get(at) ?? null;
    }
    if (opened) this.#drawPane();
  }
}

function render({ model, el, signal }: RenderProps<SegmentTreeTraits>): () => void {
  const cleanup = new Cleanup(signal);
  const view = new TreeWidget(model, cleanup);
  cleanup.onChange(model, "tree", () => view.draw());
  cleanup.onChange(model, "names", () => view.rename());
  cleanup.onChange(model, "detail", () => view.detailArrived());
  cleanup.onChange(model, "selected_segment", () => view.select());
  el.append(view.root);
  cleanup.add(() => view.root.remove());
  return () => cleanup.run();
}

export default { render };
