// Builds each widget into one self-contained ES module and one style sheet.
// JupyterLab loads a widget from a Blob URL, where imports of other files do not resolve.
import { build } from "esbuild";
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const WIDGETS = [
  "cell_plan",
  "cockpit",
  "console",
  "console_page",
  "fit_progress",
  "round_dashboard",
  "segment_tree",
];
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
