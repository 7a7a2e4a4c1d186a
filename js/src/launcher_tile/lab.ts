// The part of JupyterLab that the tile uses. JupyterLab hands its own packages to extensions at run
// time, through what webpack calls a share scope, so nothing of them is built into the bundle.

/** A package of JupyterLab's: by version, what gives its module. */
type ShareScope = Record<string, Record<string, { get(): Promise<() => unknown> | (() => unknown) }>>;

export interface Command {
  label: string;
  caption: string;
  icon?: unknown;
  execute(): void;
}

export interface App {
  commands: { addCommand(id: string, command: Command): unknown };
  shell: { add(widget: LuminoWidget, area: "main"): void; activateById(id: string): void };
}

export interface LuminoWidget {
  id: string;
  readonly isDisposed: boolean;
  readonly disposed: { connect(then: () => void): unknown };
  readonly isAttached: boolean;
  title: { label: string; caption: string; closable: boolean; icon: unknown };
}

export interface Launcher {
  add(item: { command: string; category: string; rank: number }): unknown;
}

export interface Palette {
  addItem(item: { command: string; category: string }): unknown;
}

export interface Packages {
  "@jupyterlab/launcher": { ILauncher: unknown };
  "@jupyterlab/apputils": { ICommandPalette: unknown };
  "@jupyterlab/coreutils": { PageConfig: { getBaseUrl(): string } };
  "@jupyterlab/ui-components": { LabIcon: new (options: { name: string; svgstr: string }) => unknown };
  "@lumino/widgets": { Widget: new (options: { node: HTMLElement }) => LuminoWidget };
}

export interface Plugin {
  id: string;
  description: string;
  autoStart: true;
  optional: unknown[];
  activate(app: App, launcher: Launcher | null, palette: Palette | null): void;
}

let scope: ShareScope = {};

/** Called by JupyterLab before anything is asked for. */
export function init(shared: ShareScope): void {
  scope = shared;
}

/** JupyterLab's own copy of a package. */
export async function packageOf<Name extends keyof Packages>(name: Name): Promise<Packages[Name]> {
  const [version] = Object.values(scope[name] ?? {});
  if (!version) throw new Error(`This JupyterLab does not share ${name}.`);
  const factory = await version.get();
  return factory() as Packages[Name];
}
