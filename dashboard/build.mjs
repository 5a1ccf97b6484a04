// Builds the page into src/outgrow/dashboard/static, or into the folder that is named.
// The same input gives the same bytes: no dates, no hashes of paths.
import { build } from "esbuild";
import { copyFile, mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const into = process.argv[2] ?? join(here, "../src/outgrow/dashboard/static");
const SCRIPT_BYTES_MAX = 200_000;

await mkdir(into, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { page: "src/main.tsx", style: "src/style.css" },
  outdir: into,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
});
for (const name of ["index.html", "mark.svg"]) {
  await copyFile(join(here, "src", name), join(into, name));
}
const { size } = await stat(join(into, "page.js"));
if (size > SCRIPT_BYTES_MAX) {
  console.error(`page.js has ${size} bytes, more than ${SCRIPT_BYTES_MAX}: leave something out`);
  process.exit(1);
}
