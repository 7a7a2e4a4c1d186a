import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

it("has no rule about whatever follows something: browsers would style every row again when one changes", () => {
  const root = join(import.meta.dirname, "..");
  const sheets = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".css"));
  expect(sheets.length).toBeGreaterThan(6);
  for (const sheet of sheets) expect(readFileSync(join(root, sheet), "utf8"), sheet).not.toMatch(/[+~]\s*\*/);
});
