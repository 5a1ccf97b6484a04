// Builds the page into src/outgrow/dashboard/static, or into the folder that is named.
// The same input gives the same bytes: no dates, no hashes of paths.
import { build } from "esbuild";
import { copyFile, mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const into = process.argv[2] ?? join(here, "../src/outgrow/dashboard/static");
const SCRIPT_BYTES_MAX = 200_000;
const LAYOUT_BYTES_MAX = 60_000;

await mkdir(into, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { page: "src/main.tsx", layout: "src/layout.ts", style: "src/style.css" },
  outdir: into,
  bundle: true,
  external: ["/static/*"],
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
for (const [name, most] of [["page.js", SCRIPT_BYTES_MAX], ["layout.js", LAYOUT_BYTES_MAX]]) {
  const { size } = await stat(join(into, name));
  if (size > most) {
    console.error(`${name} has ${size} bytes, more than ${most}: leave something out`);
    process.exit(1);
  }
}
