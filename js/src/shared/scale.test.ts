import { describe, expect, it } from "vitest";
import { liftTick, scaleOver } from "./scale";

describe("a scale", () => {
  it("holds every value inside its width, in order", () => {
    const scale = scaleOver([-0.193, 0, 0.38]);
    const places = [-0.193, 0, 0.38].map(scale.at);
    expect(places[0]).toBeGreaterThan(0);
    expect(places[2]).toBeLessThan(100);
    expect(places[0]).toBeLessThan(places[1]!);
  });

  it("has round ticks, zero among them", () => {
    const scale = scaleOver([-0.38, 0.42]);
    expect(scale.ticks.map((tick) => liftTick(scale, tick))).toEqual(["−0.4", "−0.2", "0", "+0.2", "+0.4"]);
  });

  it("survives values that are all the same, or none", () => {
    expect(scaleOver([2, 2]).at(2)).toBeCloseTo(50);
    expect(scaleOver([]).ticks.length).toBeGreaterThan(1);
    expect(scaleOver([0]).at(0)).toBeCloseTo(50);
  });

  it("keeps ticks apart for tiny and for huge amounts", () => {
    for (const unit of [1e-6, 1, 1e6]) {
      const scale = scaleOver([-unit, 3 * unit]);
      const words = scale.ticks.map((tick) => liftTick(scale, tick));
      expect(new Set(words).size).toBe(words.length);
    }
  });
});
