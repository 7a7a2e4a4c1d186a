// The part of the anywidget protocol that the widgets use.

/** One synced model. `Traits` are its values as Python declares them in widgets.schema. */
export interface Model<Traits> {
  get<K extends keyof Traits>(key: K): Traits[K];
  set<K extends keyof Traits>(key: K, value: Traits[K]): void;
  save_changes(): void;
  send(content: unknown): void;
  /** `msg:custom` hands over its content; changes hand over nothing that is used. */
  on(event: string, callback: (content?: unknown) => void): void;
  off(event: string, callback: (content?: unknown) => void): void;
}

export interface RenderProps<Traits> {
  model: Model<Traits>;
  el: HTMLElement;
  /** Given by anywidget 0.11 and later; older hosts call the returned function instead. */
  signal?: AbortSignal;
}

/** What is undone when a view goes away, by the signal or by the returned function. */
export class Cleanup {
  readonly #undo: (() => void)[] = [];

  constructor(signal?: AbortSignal) {
    signal?.addEventListener("abort", () => this.run(), { once: true });
  }

  add(undo: () => void): void {
    this.#undo.push(undo);
  }

  /** Listen to a trait until the view goes away. */
  onChange<Traits>(model: Model<Traits>, key: keyof Traits & string, callback: () => void): void {
    const event = `change:${key}`;
    model.on(event, callback);
    this.add(() => model.off(event, callback));
  }

  /** Listen to messages from Python until the view goes away. */
  onMessage<Traits>(model: Model<Traits>, callback: (content: unknown) => void): void {
    model.on("msg:custom", callback);
    this.add(() => model.off("msg:custom", callback));
  }

  run(): void {
    for (const undo of this.#undo.splice(0)) undo();
  }
}
