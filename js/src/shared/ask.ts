// Asks Python to do something and waits for its answer.

import type { Cleanup, Model } from "./model";

/** Asks one model. Several views of a model see all answers, so every question has its own number. */
export class Asker<Traits> {
  readonly #model: Model<Traits>;
  readonly #waiting = new Map<string, (error: string | null) => void>();
  readonly #prefix = Math.random().toString(36).slice(2);
  #asked = 0;

  constructor(model: Model<Traits>, cleanup: Cleanup) {
    this.#model = model;
    cleanup.onMessage(model, (content) => {
      if (!isAnswer(content)) return;
      this.#waiting.get(content.answer)?.(content.error);
      this.#waiting.delete(content.answer);
    });
  }

  /** What was wrong, in words for people, or null if it was done. */
  ask(content: { kind: string } & Record<string, unknown>): Promise<string | null> {
    this.#asked += 1;
    const ask = `${this.#prefix}-${this.#asked}`;
    return new Promise((resolve) => {
      this.#waiting.set(ask, resolve);
      this.#model.send({ ...content, ask });
    });
  }
}

function isAnswer(content: unknown): content is { answer: string; error: string | null } {
  return typeof content === "object" && content !== null && "answer" in content;
}
