import { beforeEach, describe, expect, it } from "vitest";
import { FakeModel } from "../shared/fake_model";
import type { SegmentChartTraits } from "../shared/schema/segment_chart";
import widget from "./index";
import { picture } from "./picture";

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="300" height="90" viewBox="0 0 300 90" onload="hacked()">
  <script>hacked()</script><style>* { fill: red }</style>
  <g transform="translate(10,10)" style="fill:red">
    <path aria-label="S1" role="graphics-symbol" aria-roledescription="segment" d="M0,0h80v20h-80Z" onclick="hacked()"/>
    <path aria-label="S2" role="graphics-symbol" aria-roledescription="segment" d="M0,24h80v20h-80Z"/>
    <path aria-label="S1" role="graphics-symbol" aria-roledescription="segment" d="M0,48h80v20h-80Z"/>
    <a href="javascript:hacked()"><text>link</text></a><image href="x"/><foreignObject><b>html</b></foreignObject>
    <text fill="var(--pt-text)" aria-label="x">&lt;img src=x onerror=hacked()&gt;</text>
  </g></svg>`;

let el: HTMLElement;
let model: FakeModel<SegmentChartTraits>;

beforeEach(() => {
  el = document.createElement("div");
  document.body.replaceChildren(el);
  model = new FakeModel<SegmentChartTraits>({
    svg: SVG,
    heading: "Effect by segment",
    segments: { S1: "S1 (depth > 1): +0.40", S2: "S2 (depth <= 1): -0.10" },
    selected_segment: null,
  });
});

const strips = () => [...el.querySelectorAll<SVGElement>(".strip")];
const pressed = () => strips().map((strip) => strip.getAttribute("aria-pressed"));
const press = (key: string) =>
  document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));

describe("what comes in", () => {
  it("is shapes and text: no script, style, link, image or HTML", () => {
    const made = picture(SVG)!.root;
    const tags = new Set([...made.querySelectorAll("*")].map((node) => node.localName));
    expect(tags).toEqual(new Set(["g", "path", "text"]));
    for (const node of [made, ...made.querySelectorAll("*")]) {
      for (const { name } of node.attributes) expect(name).not.toMatch(/^on|style|href|^aria|role/);
    }
    expect(made.textContent).toContain("<img src=x onerror=hacked()>");
  });

  it("that is no picture is said in words", () => {
    model.set("svg", "<p>no</p>");
    widget.render({ model, el });
    expect(el.textContent).toContain("could not be drawn");
  });
});

describe("selection", () => {
  beforeEach(() => void widget.render({ model, el }));

  it("goes to Python by a click, and back by a second", () => {
    strips()[1]!.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    expect(model.get("selected_segment")).toBe("S2");
    expect(pressed()).toEqual(["false", "true", "false"]);
    strips()[1]!.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    expect(model.get("selected_segment")).toBeNull();
    expect(model.saves).toBe(2);
  });

  it("comes from other views, in every panel that has the segment", () => {
    model.arrive({ selected_segment: "S1" });
    expect(pressed()).toEqual(["true", "false", "true"]);
    expect(strips()[0]!.classList.contains("sel")).toBe(true);
    model.arrive({ selected_segment: "S9" });
    expect(pressed()).toEqual(["false", "false", "false"]);
    expect(model.saves).toBe(0);
  });

  it("is made by keys: one stop for Tab, arrows within, Enter and Escape", () => {
    expect(strips().map((strip) => strip.tabIndex)).toEqual([0, -1, -1]);
    strips()[0]!.focus();
    press("ArrowDown");
    expect(document.activeElement).toBe(strips()[1]);
    expect(strips().map((strip) => strip.tabIndex)).toEqual([-1, 0, -1]);
    press("Enter");
    expect(model.get("selected_segment")).toBe("S2");
    expect(el.querySelector("[role=status]")!.textContent).toBe("S2 selected.");
    press("Escape");
    expect(model.get("selected_segment")).toBeNull();
  });

  it("tells screen readers and pointers what the row says", () => {
    expect(strips()[1]!.getAttribute("aria-label")).toBe("S2 (depth <= 1): -0.10");
    expect(strips()[1]!.querySelector("title")!.textContent).toBe("S2 (depth <= 1): -0.10");
  });
});

it("listens no more once it is gone", () => {
  const gone = widget.render({ model, el });
  gone();
  expect(model.listeners).toBe(0);
  expect(el.children.length).toBe(0);
});
