// Builds each widget into one self-contained ES module and one style sheet.
// JupyterLab loads a widget from a Blob URL, where imports of other files do not resolve.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const WIDGETS = ["cell_plan", "cockpit", "console", "console_page", "fit_progress", "round_dashboard", "segment_chart", "segment_tree"];
const OUT = "../pytyche_lab/static";
const LIMIT = 60_000; // bytes of gzip: the text travels with every widget instance

const { metafile } = await build({
  entryPoints: WIDGETS.flatMap((name) => [
    { in: `src/${name}/index.ts`, out: name },
    { in: `src/${name}/style.css`, out: name },
  ]),
  outdir: OUT,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  metafile: true,
  logLevel: "warning",
});

for (const [path, output] of Object.entries(metafile.outputs)) {
  if (output.imports.length > 0) {
    throw new Error(`${path} imports ${output.imports.map((i) => i.path).join(", ")}.`);
  }
  const size = gzipSync(await readFile(path)).length;
  console.log(`${path}: ${output.bytes} bytes, ${size} gzip`);
  if (size > LIMIT) throw new Error(`${path} is ${size} bytes of gzip; the limit is ${LIMIT}.`);
}

// The tile is an extension of JupyterLab: a folder with a package.json that names its script. The
// script's name changes with its content, since browsers keep what they have.
const TILE = "../pytyche_lab/labextension";
const { outputFiles } = await build({
  entryPoints: ["src/launcher_tile/index.ts"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  logLevel: "warning",
  write: false,
});
const script = outputFiles[0].text;
const file = `remoteEntry.${createHash("sha256").update(script).digest("hex").slice(0, 16)}.js`;
const { version, license } = JSON.parse(await readFile("package.json", "utf8"));
const about = {
  name: "pytyche-lab",
  version,
  license,
  description: "A tile in JupyterLab's launcher that opens the experiments console.",
  jupyterlab: { extension: true, _build: { load: `static/${file}`, extension: "./extension" } },
};
await rm(TILE, { recursive: true, force: true });
await mkdir(`${TILE}/static`, { recursive: true });
await writeFile(`${TILE}/static/${file}`, script);
await writeFile(`${TILE}/package.json`, `${JSON.stringify(about, null, 2)}\n`);
console.log(`${TILE}/static/${file}: ${script.length} bytes`);
