import { afterEach, describe, expect, it, vi } from "vitest";
import { copyButton } from "./copy";

function clipboard(writeText: ((text: string) => Promise<void>) | null): void {
  vi.stubGlobal("navigator", { clipboard: writeText && { writeText } });
}

async function pressed(): Promise<HTMLButtonElement> {
  const button = copyButton(() => "SELECT 1", { "data-testid": "copy" });
  button.click();
  await vi.advanceTimersByTimeAsync(0);
  return button;
}

describe("a button that copies", () => {
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("says that it did, for a while", async () => {
    vi.useFakeTimers();
    const writeText = vi.fn(() => Promise.resolve());
    clipboard(writeText);
    const button = await pressed();
    expect(writeText).toHaveBeenCalledWith("SELECT 1");
    expect(button.textContent).toBe("Copied");
    await vi.advanceTimersByTimeAsync(3_000);
    expect(button.textContent).toBe("Copy");
  });

  it("says how else, without permission and where there is no clipboard", async () => {
    vi.useFakeTimers();
    clipboard(() => Promise.reject(new Error("denied")));
    expect((await pressed()).textContent).toBe("Select the text to copy it");
    clipboard(null);
    expect((await pressed()).textContent).toBe("Select the text to copy it");
  });
});
