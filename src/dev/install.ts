// Installs the packages when they are missing, so that a fresh clone starts with one command.
// Whoever is run before that imports nothing but this, its neighbours without packages, and what Bun brings along.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "./project.ts";

type Versions = Record<string, string>;
type PackageFile = { dependencies: Versions; devDependencies: Versions; patchedDependencies: Record<string, string> };

/** Bun leaves it in a package that it has patched. */
const PATCH_MARK = ".bun-tag-";

/** Runs `bun install` with the Bun that runs us, unless every package is there as package.json has it: version, and patch. */
export async function installWhatIsMissing(kind: "run" | "develop" = "run"): Promise<void> {
  const { dependencies, devDependencies, patchedDependencies } = (await readJson("package.json")) as PackageFile;
  const wanted = Object.entries(kind === "run" ? dependencies : { ...dependencies, ...devDependencies });
  const isThere = await Promise.all(
    wanted.map(([name, version]) => isInstalled(name, version, `${name}@${version}` in patchedDependencies)),
  );
  if (isThere.every(Boolean)) return;
  process.stderr.write("fairpost: installing packages\n");
  const install = Bun.spawn([process.execPath, "install", "--frozen-lockfile"], {
    cwd: projectRoot,
    stdio: ["ignore", 2, 2],
  });
  const exitCode = await install.exited;
  if (exitCode !== 0) throw new Error(`bun install ended with exit code ${exitCode}`);
}

async function isInstalled(name: string, version: string, isPatched: boolean): Promise<boolean> {
  const folder = join("node_modules", name);
  const file = join(folder, "package.json");
  if (!existsSync(join(projectRoot, file))) return false;
  if (((await readJson(file)) as { version: string }).version !== version) return false;
  return !isPatched || readdirSync(join(projectRoot, folder)).some((entry) => entry.startsWith(PATCH_MARK));
}

function readJson(file: string): Promise<unknown> {
  return Bun.file(join(projectRoot, file)).json();
}
