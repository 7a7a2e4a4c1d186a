// A weight as a slider. The hatched zones are the floor and the cap; it stops there.

import { h } from "../shared/dom";
import { share } from "../shared/format";
import { cellName } from "../shared/rules";
import type { PlanCellView } from "../shared/schema/cell_plan";
import type { View } from "./view";

const STEP = 0.005;
const LARGE_STEP = 0.05;
/** A pause between two keys that begins another step of undo. */
const PAUSE_MS = 1000;

let gestures = 0;

export function slider(view: View, id: string, edit: () => void): HTMLElement {
  const part = (name: string) => h("span", { class: name });
  const [floorZone, capZone, floorStop, capStop] = [part("zone"), part("zone"), part("stop"), part("stop")];
  const [fill, was, thumb] = [part("fill"), part("was"), part("thumb")];
  const root = h(
    "div",
    { class: "pt-slider stop-here", role: "slider", tabindex: -1, "data-key": `slider/${id}`, "data-testid": `slider-${id}` },
    part("track"),
    floorZone,
    capZone,
    floorStop,
    capStop,
    fill,
    was,
    thumb,
  );
  // What the hand is at while Python has not answered yet.
  let held: number | null = null;
  let dragging = false;
  let gesture = "";
  let pause = 0;

  const draw = (cell: PlanCellView) => {
    const at = held ?? cell.weight;
    const x = (part: number) => `${(100 * part).toFixed(3)}%`;
    floorZone.style.cssText = `left:0;width:${x(cell.floor)}`;
    floorStop.style.left = x(cell.floor);
    floorZone.hidden = floorStop.hidden = cell.floor <= 0;
    capZone.style.cssText = `left:${x(cell.high)};right:0`;
    capStop.style.left = x(cell.high);
    capZone.hidden = capStop.hidden = cell.high >= 0.9995;
    fill.style.cssText = `left:${x(cell.floor)};width:${x(Math.max(0, at - cell.floor))}`;
    was.hidden = cell.recommended === null;
    was.style.left = x(cell.recommended ?? 0);
    thumb.style.left = x(at);
    root.classList.toggle("on", cell.role === "hypothesis" || document.activeElement === root);
    root.setAttribute("aria-label", `${cellName(cell.id)} weight`);
    root.setAttribute("aria-valuemin", (100 * cell.low).toFixed(1));
    root.setAttribute("aria-valuemax", (100 * cell.high).toFixed(1));
    root.setAttribute("aria-valuenow", (100 * at).toFixed(1));
    root.setAttribute("aria-valuetext", share(at, 1));
  };
  view.bindCell(id, (cell) => {
    if (!dragging) held = null;
    draw(cell);
  });

  for (const event of ["focus", "blur"]) {
    root.addEventListener(event, () => {
      const cell = view.cell(id);
      if (cell) draw(cell);
    });
  }

  const move = (to: number) => {
    const cell = view.cell(id);
    if (!cell) return;
    const weight = Math.min(Math.max(to, cell.low), cell.high);
    if (weight === (held ?? cell.weight)) return;
    held = weight;
    draw(cell);
    // Six decimals of a percentage: the ends are not always round.
    const text = String(Number((100 * weight).toFixed(6)));
    view.sendNewest({ kind: "weight", field: `weight/${id}`, cell: id, text, gesture });
  };
  const newGesture = () => {
    gestures += 1;
    gesture = `${Date.now()}-${gestures}`;
  };

  root.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    root.focus();
    root.setPointerCapture?.(event.pointerId);
    dragging = true;
    newGesture();
    to(event);
  });
  root.addEventListener("pointermove", (event) => {
    if (dragging) to(event);
  });
  const release = () => {
    dragging = false;
    window.clearTimeout(pause);
    pause = 0;
  };
  root.addEventListener("pointerup", release);
  root.addEventListener("pointercancel", release);
  function to(event: PointerEvent): void {
    const box = root.getBoundingClientRect();
    if (box.width <= 0) return;
    const at = (event.clientX - box.left) / box.width;
    move(Math.round(at / STEP) * STEP);
  }

  root.addEventListener("keydown", (event) => {
    const cell = view.cell(id);
    if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = held ?? cell.weight;
    const step = event.shiftKey ? LARGE_STEP : STEP;
    const target = { ArrowRight: at + step, ArrowLeft: at - step, Home: cell.low, End: cell.high }[event.key];
    if (target !== undefined) {
      event.preventDefault();
      if (!pause) newGesture();
      window.clearTimeout(pause);
      pause = window.setTimeout(() => {
        pause = 0;
      }, PAUSE_MS);
      move(target);
    } else if (event.key === "Enter") {
      event.preventDefault();
      edit();
    }
  });
  return root;
}
