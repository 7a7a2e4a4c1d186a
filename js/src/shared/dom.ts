// Builds nodes one by one. Text goes in as text: names that people typed are never markup.

export type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, string | number | boolean | undefined>;

const SVG = "http://www.w3.org/2000/svg";

function fill(node: Element, attributes: Attributes, children: Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    node.append(typeof child === "number" ? String(child) : child);
  }
}

/** An HTML element. Attributes are set as attributes; children are nodes or text. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  fill(node, attributes, children);
  return node;
}

/** An SVG element. */
export function s(tag: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  const node = document.createElementNS(SVG, tag);
  fill(node, attributes, children);
  return node;
}

/** A name that may break after its marks: between the words of "long_arm_name", not within one. */
export function breakable(name: string): Child[] {
  return name.split(/(?<=[_./-])(?=\p{L})/u).flatMap((part, i) => (i === 0 ? [part] : [h("wbr"), part]));
}

/** Set a node's text only if it changed, so that a selection in it survives an update. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Keep the keys of a focused button to the widget: in command mode JupyterLab would take a "b" as
 * "insert a cell". Its attribute data-lm-suppress-shortcuts is not enough on a widget's root, since
 * a shortcut for `:focus` matches the focused button before its parents are looked at.
 */
export function keepKeys(root: HTMLElement): void {
  root.addEventListener("keydown", (event) => event.stopPropagation());
}

/** Whether a button waits. It stays where it is: one with the attribute "disabled" drops the focus of whoever has just pressed it. */
export function setWaiting(button: HTMLElement, waits: boolean): void {
  button.ariaDisabled = waits ? "true" : null;
}

/** Run something when a button is pressed, unless it waits. */
export function onPress(button: HTMLElement, run: () => void): void {
  button.addEventListener("click", () => button.ariaDisabled !== "true" && run());
}
