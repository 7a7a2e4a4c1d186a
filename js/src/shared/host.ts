// Places one widget in another.

/** The part of anywidget's host that does it (0.11 and later). */
export interface Host {
  getWidget(reference: string): Promise<{ render(view: { el: HTMLElement; signal: AbortSignal }): Promise<unknown> | unknown }>;
}

/** Draw a widget in an element; it lives until the signal. */
export async function place(host: Host, reference: string, el: HTMLElement, signal: AbortSignal): Promise<void> {
  const widget = await host.getWidget(reference);
  await widget.render({ el, signal });
}
