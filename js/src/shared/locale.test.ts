import { afterEach, describe, expect, it, vi } from "vitest";
import * as f from "./format";
import { locale } from "./locale";

const NBSP = "\u00a0";

function reading(language: string): void {
  vi.spyOn(navigator, "language", "get").mockReturnValue(language);
}

afterEach(() => {
  vi.restoreAllMocks();
  document.documentElement.lang = "";
});

describe("the reader's locale", () => {
  it("is the browser's, else the page's, else en-US", () => {
    reading("de-DE");
    expect(locale()).toBe("de-DE");
    reading("en-US@posix");
    expect(locale()).toBe("en-US");
    document.documentElement.lang = "fr";
    expect(locale()).toBe("fr");
  });

  it.each([
    [
      "en-US",
      {
        money: "−$1,234.50",
        lift: "+$0.268",
        share: "5.0%",
        count: "150,000",
        range: "[+0.158, +0.380]",
        p: "0.96",
        few: "< 0.01",
        risk: "< $0.001",
        word: "EUR\u20092.50",
      },
    ],
    [
      "de-DE",
      {
        money: `−1.234,50${NBSP}$`,
        lift: `+0,268${NBSP}$`,
        share: `5,0${NBSP}%`,
        count: "150.000",
        range: "[+0,158; +0,380]",
        p: "0,96",
        few: "< 0,01",
        risk: `< 0,001${NBSP}$`,
        word: `2,50${NBSP}EUR`,
      },
    ],
  ])("writes numbers as %s does, with the declared currency", (language, said) => {
    reading(language);
    expect({
      money: f.money(-1234.5, "$", 2),
      lift: f.signedMoney(0.268, "$", 3),
      share: f.share(0.05, 1),
      count: f.count(150_000),
      range: f.signedRange({ mean: 0.268, low: 0.158, high: 0.38 }, 3),
      p: f.probability(0.961),
      few: f.probability(0),
      risk: f.risk(0.0002, "$", 3),
      word: f.money(2.5, "EUR", 2),
    }).toEqual(said);
  });

  it("puts a currency where the locale does, whatever it is called", () => {
    reading("nl-NL");
    expect(f.signedMoney(-2.5, "€", 2)).toBe(`−€${NBSP}2,50`);
    reading("de-DE");
    expect(f.money(2.5, "$&", 2)).toBe(`2,50${NBSP}$&`);
    expect(f.money(0.05, "", 2)).toBe("0,05");
  });

  it("shows in fields what Python reads: no groups, figures of Latin script", () => {
    reading("de-DE");
    expect(f.typed(12345.6789, 2)).toBe("12345,68");
    expect(f.typed(50, 1)).toBe("50");
    reading("en-US");
    expect(f.typed(12345.6789, 2)).toBe("12345.68");
    for (const language of ["ar-EG", "fa-IR", "hi-IN", "de-CH", "fr-FR", "sv-SE"]) {
      reading(language);
      expect(f.typed(-1234.5, 1), language).toMatch(/^-1234[.,]5$/);
    }
  });
});
