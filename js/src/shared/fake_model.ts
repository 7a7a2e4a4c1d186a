// A synced model without a kernel, for tests.

import type { Model } from "./model";

export class FakeModel<Traits extends object> implements Model<Traits> {
  readonly sent: unknown[] = [];
  saves = 0;
  readonly #values: Traits;
  readonly #listeners = new Map<string, Set<(content?: unknown) => void>>();

  constructor(values: Traits) {
    this.#values = { ...values };
  }

  get<K extends keyof Traits>(key: K): Traits[K] {
    return this.#values[key];
  }

  set<K extends keyof Traits>(key: K, value: Traits[K]): void {
    this.#values[key] = value;
  }

  save_changes(): void {
    this.saves += 1;
  }

  send(content: unknown): void {
    this.sent.push(content);
  }

  on(event: string, callback: (content?: unknown) => void): void {
    const known = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, known.add(callback));
  }

  off(event: string, callback: (content?: unknown) => void): void {
    this.#listeners.get(event)?.delete(callback);
  }

  /** Python sets traits: all of them first, then the events, as one message does. */
  arrive(values: Partial<Traits>): void {
    Object.assign(this.#values, values);
    for (const key of Object.keys(values)) {
      for (const callback of this.#listeners.get(`change:${key}`) ?? []) callback();
    }
  }

  /** Python sends a message. */
  receive(content: unknown): void {
    for (const callback of this.#listeners.get("msg:custom") ?? []) callback(content);
  }

  get listeners(): number {
    return [...this.#listeners.values()].reduce((sum, known) => sum + known.size, 0);
  }
}
