import { afterEach, describe, expect, it } from "vitest";
import { documentation } from "./documentation";
import { definition } from "./icons";

function page(config: string): void {
  const script = document.createElement("script");
  script.id = "jupyter-config-data";
  script.type = "application/json";
  script.textContent = config;
  document.body.append(script);
}

describe("documentation", () => {
  afterEach(() => document.body.replaceChildren());

  it("is where the server says", () => {
    page('{"pytycheLabDocs": "/user/ann/static/pytyche_lab/docs"}');
    const word = definition("Claim", "What supports it.", "claim").querySelector("a")!;
    expect(word.href).toBe(`${location.origin}/user/ann/static/pytyche_lab/docs/concepts/honesty.html#who-chose-it-and-who-estimated-it`);
    expect(word.rel).toBe("noopener");
  });

  it("is nowhere in a saved page, and where the server has none", () => {
    expect(documentation("claim")).toBeNull();
    expect(definition("Claim", "What supports it.", "claim").querySelector("a")).toBeNull();
    page("{}");
    expect(documentation("claim")).toBeNull();
  });

  it.each(["https://elsewhere.example/docs", "//elsewhere.example/docs", "javascript:alert(1)//"])(
    "is never at another place: %s",
    (address) => {
      page(JSON.stringify({ pytycheLabDocs: address }));
      expect(documentation("claim")).toBeNull();
    },
  );
});
