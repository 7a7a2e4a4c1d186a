// Asks Python, by the routes of the REST API, over the widget's own channel.

import type { Cleanup, Model } from "../shared/model";
import type { ConsoleTraits, ErrorView } from "../shared/schema/console";

export type Query = Record<string, string>;

/** Whoever answers requests; the answer, or an error that says what is wrong. */
export type Ask = <T>(method: string, path: string, query?: Query, body?: unknown) => Promise<T>;

interface Reply {
  id: number;
  status: number;
  content: unknown;
}

/** Over an HTTP-like status: the content, or an error with its message. */
export function opened<T>(status: number, content: unknown): T {
  if (status < 400) return content as T;
  throw new Error((content as ErrorView | null)?.message ?? `The answer is ${status}.`);
}

export function askKernel(model: Model<ConsoleTraits>, cleanup: Cleanup): Ask {
  const waiting = new Map<number, (reply: Reply) => void>();
  let last = 0;
  cleanup.onMessage(model, (content) => {
    const reply = content as Reply;
    waiting.get(reply.id)?.(reply);
    waiting.delete(reply.id);
  });
  return (method, path, query = {}, body = null) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, (reply) => {
        try {
          resolve(opened(reply.status, reply.content));
        } catch (error) {
          reject(error);
        }
      });
      model.send({ id: last, method, path, query, body });
    });
}

/** The same routes at the server itself, with the page's own credentials. */
export function askServer(base: string, xsrf: string): Ask {
  return async (method, path, query = {}, body = null) => {
    const parameters = new URLSearchParams(query).toString();
    const answer = await fetch(`${base}v1/admin${path}${parameters ? `?${parameters}` : ""}`, {
      method,
      credentials: "same-origin",
      headers: { "X-XSRFToken": xsrf, ...(body === null ? {} : { "Content-Type": "application/json" }) },
      ...(body === null ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return opened(answer.status, text === "" ? null : JSON.parse(text));
  };
}
