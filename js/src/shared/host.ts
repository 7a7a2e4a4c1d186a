// Places one widget in another.

import { h } from "./dom";

/** The part of anywidget's host that does it (0.11 and later). */
export interface Host {
  getWidget(reference: string): Promise<{ render(view: { el: HTMLElement; signal: AbortSignal }): Promise<unknown> | unknown }>;
}

/** The element that a widget was placed in; it lives until the signal. */
export async function placed(host: Host, reference: string, signal: AbortSignal): Promise<HTMLElement> {
  const box = h("div");
  const widget = await host.getWidget(reference);
  await widget.render({ el: box, signal });
  return box;
}
