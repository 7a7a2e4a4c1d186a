import { beforeEach, describe, expect, it } from "vitest";
import { get, init } from "./index";
import type { App, Command, LuminoWidget } from "./lab";

class Widget implements LuminoWidget {
  id = "";
  isDisposed = false;
  isAttached = false;
  readonly ends: (() => void)[] = [];
  disposed = { connect: (then: () => void) => this.ends.push(then) };
  title = { label: "", caption: "", closable: false, icon: null as unknown };
  readonly node: HTMLElement;

  constructor({ node }: { node: HTMLElement }) {
    this.node = node;
  }
}

function lab() {
  const commands = new Map<string, Command>();
  const added: Widget[] = [];
  const activated: string[] = [];
  const app: App = {
    commands: { addCommand: (id, command) => commands.set(id, command) },
    shell: {
      add(widget) {
        (widget as Widget).isAttached = true;
        added.push(widget as Widget);
      },
      activateById: (id) => activated.push(id),
    },
  };
  return { app, commands, added, activated };
}

const shared = (modules: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(modules).map(([name, module]) => [name, { "4.0.0": { get: () => Promise.resolve(() => module) } }]));
const ICON = class {};

beforeEach(() => {
  init(
    shared({
      "@jupyterlab/launcher": { ILauncher: "launcher" },
      "@jupyterlab/apputils": { ICommandPalette: "palette" },
      "@jupyterlab/coreutils": { PageConfig: { getBaseUrl: () => "http://here/base/" } },
      "@jupyterlab/ui-components": { LabIcon: ICON },
      "@lumino/widgets": { Widget },
    }),
  );
});

describe("the tile", () => {
  it("is what JupyterLab loads, and asks for its launcher and palette where there are any", async () => {
    expect(window._JUPYTERLAB).toHaveProperty("pytyche-lab");
    const { __esModule, default: plugin } = (await get("./extension"))();
    expect(__esModule, "without it JupyterLab takes the module for the plugin and does not start").toBe(true);
    expect(plugin.optional).toEqual(["launcher", "palette"]);
    plugin.activate(lab().app, null, null);
  });

  it("opens the console's page under the server's base address, once", async () => {
    const { default: plugin } = (await get("./extension"))();
    const { app, commands, added, activated } = lab();
    const tiles: unknown[] = [];
    plugin.activate(app, { add: (item) => tiles.push(item) }, null);
    expect(tiles).toEqual([{ command: "pytyche-lab:console", category: "Other", rank: 1 }]);
    const open = commands.get("pytyche-lab:console")!;
    open.execute();
    open.execute();
    expect(added).toHaveLength(1);
    expect(activated).toHaveLength(2);
    expect(added[0]!.node.querySelector("iframe")!.src).toBe("http://here/base/pytyche-lab/console");
    expect(added[0]!.ends).toHaveLength(1);
    added[0]!.isDisposed = true;
    open.execute();
    expect(added).toHaveLength(2);
  });

  it("says which package a JupyterLab does not share", async () => {
    init({});
    await expect(get("./extension")).rejects.toThrow("does not share @jupyterlab/launcher");
    await expect(get("./style")).rejects.toThrow("has no ./style");
  });
});
