import { describe, expect, it } from "vitest";
import * as f from "./format";

describe("numbers as text", () => {
  it("puts a true minus sign before the currency and none before a rounded zero", () => {
    expect(f.money(-0.059, "$", 3)).toBe("−$0.059");
    expect(f.signedMoney(0.268, "$", 3)).toBe("+$0.268");
    expect(f.signedMoney(-0.0001, "$", 3)).toBe("$0.000");
    expect(f.signed(-0.0004, 3)).toBe("0.000");
  });

  it("sets a currency that is a word apart", () => {
    expect(f.money(12.5, "EUR", 2)).toBe("EUR\u200912.50");
    expect(f.money(12.5, "€", 2)).toBe("€12.50");
  });

  it("never claims certainty", () => {
    expect(f.probability(1)).toBe("> 0.99");
    expect(f.probability(0)).toBe("< 0.01");
    expect(f.probability(0.961)).toBe("0.96");
  });

  it("says a small loss as less than the last decimal", () => {
    expect(f.risk(0.0002, "$", 3)).toBe("< $0.001");
    expect(f.risk(0.268, "$", 3)).toBe("$0.268");
  });

  it("chooses decimals by size, whatever the currency's unit", () => {
    expect(f.digitsFor([0.12, -0.38])).toBe(3);
    expect(f.digitsFor([12, -38])).toBe(1);
    expect(f.digitsFor([1200])).toBe(0);
    expect(f.digitsFor([0])).toBe(2);
  });

  it("writes times as people do, and rounds what is left upwards", () => {
    expect(f.duration(58.4)).toBe("58 s");
    expect(f.duration(125)).toBe("2 min 05 s");
    expect(f.duration(4320)).toBe("1 h 12 min");
    expect([3.2, 41, 72, 700].map(f.roundedLeft)).toEqual([4, 45, 80, 720]);
  });
});
