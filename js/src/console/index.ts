// The console: totals, list, form and drawer over one registry.

import { type Child, h, keepKeys } from "../shared/dom";
import { icon, note } from "../shared/icons";
import { Cleanup, type RenderProps } from "../shared/model";
import { type Host, place } from "../shared/host";
import type { ConsoleTraits, DetectableView, ExperimentDetail, PageView, WeightHistoryView } from "../shared/schema/console";
import { type Ask, askKernel, type Query } from "./api";
import { button } from "./button";
import { drawer } from "./drawer";
import { type Draft, form } from "./form";
import { empty, experimentTable, type ListActions, pager, shortTable, totals } from "./list";
import { SILENCE, SILENCE_MS } from "./words";

const ROWS = 20;
const REFRESH_MS = 5000;
const SEARCH_MS = 250;

/** Opens an adaptive experiment's cockpit, and gives the element that it is in. */
export type OpenCockpit = (id: string) => Promise<HTMLElement>;

/**
 * Draw the console into an element and keep it fresh until cleanup.
 *
 * Without a kernel there is no cockpit: an adaptive experiment then opens as a summary.
 */
export function mount(
  el: HTMLElement,
  ask: Ask,
  first: PageView | null,
  projectId: string | null,
  cleanup: Cleanup,
  openCockpit?: OpenCockpit,
): void {
  let page = first;
  let detail: ExperimentDetail | null = null;
  let cockpit: HTMLElement | null = null;
  let history: WeightHistoryView | null = null;
  let editing: { start: ExperimentDetail | null } | null = null;
  let message = "";
  let busy = false;
  let search = "";
  let offset = 0;
  let drawnAs = "";
  let silence: ReturnType<typeof setTimeout> | undefined;

  const root = h("article", { class: "pt pt-card pt-console", "aria-label": "Experiments", "data-testid": "console" });
  const live = h("p", { class: "vh", role: "status", "aria-live": "polite" });
  const found = h("input", {
    class: "pt-in",
    type: "search",
    placeholder: "Find by name",
    "aria-label": "Find by name",
    "data-key": "search",
  });
  const content = h("div", {});
  const header = h(
    "header",
    { class: "pt-head ch" },
    h(
      "div",
      { class: "pt-row" },
      h("h2", { class: "pt-title" }, "Experiments"),
      h("span", { class: "pt-push" }),
      h("span", { class: "srch" }, icon("search"), found),
      button([icon("plus"), "New experiment"], "primary", "new", () => edit(null)),
    ),
  );
  keepKeys(root);
  root.append(header, content, live);

  const inProject = (query: Query = {}): Query => (projectId === null ? query : { ...query, project_id: projectId });
  const load = async () => {
    page = await ask<PageView>(
      "GET",
      "/experiments",
      inProject({ limit: String(ROWS), offset: String(offset), ...(search ? { search } : {}) }),
    );
  };
  const path = (id: string) => `/experiments/${id}`;

  /** Do something that may fail; what went wrong stands where it was asked for. */
  async function attempt(work: () => Promise<void>, said = ""): Promise<void> {
    message = "";
    busy = true;
    draw();
    clearTimeout(silence);
    silence = setTimeout(() => {
      message = live.textContent = SILENCE;
      draw();
    }, SILENCE_MS);
    try {
      await work();
      message = "";
      live.textContent = said;
    } catch (error) {
      message = error instanceof Error ? error.message : String(error);
      live.textContent = message;
    }
    clearTimeout(silence);
    busy = false;
    draw();
  }

  const change = (id: string, action: string, said: string) =>
    attempt(async () => {
      const next = await ask<ExperimentDetail>("POST", `${path(id)}/${action}`);
      if (detail?.id === id) detail = next;
      await load();
    }, said);

  const open = (id: string) =>
    attempt(async () => {
      if (openCockpit && page?.experiments.find((one) => one.id === id)?.type === "adaptive") {
        cockpit = await openCockpit(id);
        drawnAs = "";
        return;
      }
      detail = await ask<ExperimentDetail>("GET", path(id));
      history = null;
    });

  const actions: ListActions = {
    open: (id) => void open(id),
    launch: (id) => void change(id, "launch", "Launched."),
    stop: (id) => void change(id, "stop", "Stopped."),
    turn: (to) => {
      offset = to;
      void attempt(load);
    },
    create: () => edit(null),
  };

  function edit(start: ExperimentDetail | null): void {
    editing = { start };
    message = "";
    draw(true);
    content.querySelector<HTMLInputElement>("input")?.focus();
  }

  async function save(draft: Draft, launch: boolean): Promise<void> {
    const start = editing?.start ?? null;
    let kept = start
      ? await ask<ExperimentDetail>("PATCH", path(start.id), {}, draft)
      : await ask<ExperimentDetail>("POST", "/experiments", {}, { ...draft, project_id: projectId ?? "default" });
    // A launch that is refused leaves the draft, which is then the one that is edited.
    editing = { start: kept };
    if (launch) kept = await ask<ExperimentDetail>("POST", `${path(kept.id)}/launch`);
    editing = null;
    detail = kept;
    history = null;
    offset = 0;
    await load();
    live.textContent = launch ? "Launched." : "Saved as a draft.";
    draw(true);
  }

  function close(): void {
    const from = detail?.id;
    detail = history = null;
    message = "";
    draw();
    root.querySelector<HTMLElement>(`[data-key="name-${from}"]`)?.focus();
  }

  function cockpitView(of: HTMLElement): Child[] {
    const back = button(["All experiments"], "", "back", () => {
      cockpit = null;
      draw(true);
      void attempt(load);
    });
    return [h("div", { class: "pt-foot ckb" }, back), of];
  }

  function listView(of: PageView): Child[] {
    if (of.totals.total === 0 && search === "") return [empty(actions)];
    const problem = message === "" ? null : note("bad", message, "");
    return [totals(of), problem, experimentTable(of, actions), pager(of, actions)];
  }

  function drawerView(of: PageView, one: ExperimentDetail): Child[] {
    const drawn = drawer(one, history, message, busy, {
      close,
      launch: () => void change(one.id, "launch", "Launched."),
      stop: () => void change(one.id, "stop", "Stopped."),
      analyze: () =>
        void attempt(async () => {
          await ask("POST", `${path(one.id)}/analyze`);
          detail = await ask<ExperimentDetail>("GET", path(one.id));
          await load();
        }, "Analysed."),
      edit: () => edit(one),
      remove: () =>
        void attempt(async () => {
          await ask("DELETE", path(one.id));
          detail = null;
          await load();
        }, "Deleted."),
      history: () =>
        void attempt(async () => {
          history = history === null ? await ask<WeightHistoryView>("GET", `${path(one.id)}/weights`) : null;
        }),
    });
    return [h("div", { class: "dw" }, h("div", { class: "lst" }, shortTable(of, one.id, actions), pager(of, actions)), drawn)];
  }

  /** Draw what changed; focus stays on what has the same key. */
  function draw(anew = false): void {
    if (editing !== null && !anew) return; // the form keeps itself
    const state = JSON.stringify([page, detail, history, message, busy]);
    if (!anew && state === drawnAs) return;
    drawnAs = state;
    header.hidden = editing !== null || cockpit !== null;
    const key = root.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset["key"] : undefined;
    let nodes: Child[] = [];
    if (editing !== null)
      nodes = [
        form(editing.start, {
          save,
          detectable: (query) => ask<DetectableView>("GET", "/detectable", query),
          discard: () => {
            editing = null;
            draw(true);
          },
        }),
      ];
    else if (cockpit !== null) nodes = cockpitView(cockpit);
    else if (page !== null) nodes = detail === null ? listView(page) : drawerView(page, detail);
    else if (message !== "") nodes = [note("bad", "The registry does not answer.", message)];
    content.replaceChildren(...nodes.filter((node): node is Node => node instanceof Node));
    if (key !== undefined && key !== "search") root.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }

  let typing: ReturnType<typeof setTimeout> | undefined;
  found.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      search = found.value.trim();
      offset = 0;
      void attempt(load);
    }, SEARCH_MS);
  });
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && detail !== null && editing === null) close();
  });

  let asking = false;
  const refresh = async () => {
    if (asking || busy || editing !== null || cockpit !== null || document.hidden) return;
    asking = true;
    try {
      await load();
      const id = detail?.id;
      if (id !== undefined) {
        const next = await ask<ExperimentDetail>("GET", path(id));
        if (detail !== null && (detail as ExperimentDetail).id === id) detail = next;
      }
      if (!busy) draw();
    } catch {
      // The next one may succeed; what a person asks for says what is wrong.
    } finally {
      asking = false;
    }
  };
  const timer = setInterval(() => void refresh(), REFRESH_MS);
  cleanup.add(() => clearInterval(timer));
  cleanup.add(() => clearTimeout(typing));
  cleanup.add(() => clearTimeout(silence));
  el.append(root);
  cleanup.add(() => root.remove());
  draw(true);
  void attempt(load);
}

function render({ model, el, signal, host }: RenderProps<ConsoleTraits> & { host?: Host }): () => void {
  const cleanup = new Cleanup(signal);
  const gone = new AbortController();
  cleanup.add(() => gone.abort());
  const ask = askKernel(model, cleanup);
  const openCockpit: OpenCockpit = async (id) => {
    const { reference } = await ask<{ reference: string }>("OPEN", `/experiments/${id}`);
    const box = h("div");
    await place(host!, reference, box, gone.signal);
    return box;
  };
  mount(el, ask, model.get("page"), model.get("project_id"), cleanup, host && openCockpit);
  return () => cleanup.run();
}

export default { render };
