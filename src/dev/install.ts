// Installs the packages when they are missing, so that a fresh clone starts with one command.
// Whoever is run before that imports nothing but this, its neighbours without packages, and what Bun brings along.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "./project.ts";

type PackageFile = { dependencies: Record<string, string>; devDependencies: Record<string, string> };

/** Runs `bun install` with the Bun that runs us, unless every package is there in the version that package.json names. */
export async function installWhatIsMissing(kind: "run" | "develop" = "run"): Promise<void> {
  const { dependencies, devDependencies } = (await readJson("package.json")) as PackageFile;
  const wanted = Object.entries(kind === "run" ? dependencies : { ...dependencies, ...devDependencies });
  const isThere = await Promise.all(wanted.map(([name, version]) => isInstalled(name, version)));
  if (isThere.every(Boolean)) return;
  process.stderr.write("fairpost: installing packages\n");
  const install = Bun.spawn([process.execPath, "install", "--frozen-lockfile"], {
    cwd: projectRoot,
    stdio: ["ignore", 2, 2],
  });
  const exitCode = await install.exited;
  if (exitCode !== 0) throw new Error(`bun install ended with exit code ${exitCode}`);
}

async function isInstalled(name: string, version: string): Promise<boolean> {
  const file = join("node_modules", name, "package.json");
  if (!existsSync(join(projectRoot, file))) return false;
  return ((await readJson(file)) as { version: string }).version === version;
}

function readJson(file: string): Promise<unknown> {
  return Bun.file(join(projectRoot, file)).json();
}
