// A tile in JupyterLab's launcher that opens the console's page in a tab of JupyterLab.

import { type App, init, type Launcher, type LuminoWidget, packageOf, type Palette, type Plugin } from "./lab";

const COMMAND = "pytyche-lab:console";
const TILE =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="24" height="24"><g class="jp-icon3" fill="none" stroke="#616161" stroke-width="1.8" stroke-linecap="round"><path d="M4 4v16h16"/><path d="M7 9h7M7 14h11"/></g><g class="jp-icon3" fill="#616161"><circle cx="11" cy="9" r="2.4"/><path d="M14 11.4l2.6 2.6-2.6 2.6-2.6-2.6z"/></g></svg>';

/** The page in a frame. It follows JupyterLab's theme: the page itself only knows the system's. */
function frame(address: string): { box: HTMLElement; watch: MutationObserver } {
  const page = document.createElement("iframe");
  page.src = address;
  page.title = "Experiments console";
  page.style.cssText = "width:100%;height:100%;border:0";
  const follow = () => {
    const inside = page.contentDocument?.documentElement;
    inside?.setAttribute("data-theme", document.body.dataset["jpThemeLight"] === "false" ? "dark" : "light");
  };
  page.addEventListener("load", follow);
  const watch = new MutationObserver(follow);
  watch.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  const box = document.createElement("div");
  box.append(page);
  return { box, watch };
}

async function plugin(): Promise<Plugin> {
  const [{ ILauncher }, { ICommandPalette }, { PageConfig }, { LabIcon }, { Widget }] = await Promise.all([
    packageOf("@jupyterlab/launcher"),
    packageOf("@jupyterlab/apputils"),
    packageOf("@jupyterlab/coreutils"),
    packageOf("@jupyterlab/ui-components"),
    packageOf("@lumino/widgets"),
  ]);
  const icon = new LabIcon({ name: COMMAND, svgstr: TILE });
  return {
    id: "pytyche-lab:launcher",
    description: "A tile in the launcher that opens the experiments console.",
    autoStart: true,
    optional: [ILauncher, ICommandPalette],
    activate(app: App, launcher: Launcher | null, palette: Palette | null): void {
      let shown: LuminoWidget | null = null;
      const open = () => {
        if (shown === null || shown.isDisposed) {
          const { box, watch } = frame(`${PageConfig.getBaseUrl()}pytyche-lab/console`);
          shown = new Widget({ node: box });
          shown.disposed.connect(() => watch.disconnect());
          shown.id = COMMAND.replace(":", "-");
          Object.assign(shown.title, { label: "Experiments", caption: "Experiments console", closable: true, icon });
        }
        if (!shown.isAttached) app.shell.add(shown, "main");
        app.shell.activateById(shown.id);
      };
      app.commands.addCommand(COMMAND, { label: "Experiments", caption: "Open the console of all experiments", icon, execute: open });
      launcher?.add({ command: COMMAND, category: "Other", rank: 1 });
      palette?.addItem({ command: COMMAND, category: "pytyche-lab" });
    },
  };
}

/** What JupyterLab asks of an extension that was built elsewhere. */
async function get(module: string): Promise<() => { __esModule: true; default: Plugin }> {
  if (module !== "./extension") throw new Error(`pytyche-lab has no ${module}.`);
  // JupyterLab takes the default export of nothing but an ES module.
  const made = { __esModule: true as const, default: await plugin() };
  return () => made;
}

declare global {
  interface Window {
    _JUPYTERLAB?: Record<string, unknown>;
  }
}

window._JUPYTERLAB = { ...window._JUPYTERLAB, "pytyche-lab": { init, get } };

export { get, init };
