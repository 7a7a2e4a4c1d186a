// A button that copies a text and says what became of it.

import { h, setText } from "./dom";
import { icon } from "./icons";

/** How long the button says it. */
const SAID_MS = 3_000;

/** A page that is not secure, as JupyterLab at another machine over plain HTTP, has no clipboard: then the text is there to be selected by hand. */
export function copyButton(text: () => string, attributes: Record<string, string>, look = ""): HTMLButtonElement {
  const word = h("span", {}, "Copy");
  const button = h("button", { class: `pt-btn ${look}`.trim(), type: "button", "aria-live": "polite", ...attributes }, icon("copy"), word);
  button.addEventListener("click", async () => {
    const copied = await written(text());
    setText(word, copied ? "Copied" : "Select the text to copy it");
    setTimeout(() => setText(word, "Copy"), SAID_MS);
  });
  return button;
}

async function written(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // no clipboard, or no permission
  }
}
