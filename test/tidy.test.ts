// The rules of the house that a machine can hold: who may import whom, no cycles, no long files, no vague names, and
// README's tables of settings and metrics.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { SETTINGS } from "../src/config.ts";
import { projectRoot } from "../src/dev/project.ts";
import { METRICS } from "../src/observe/metrics.ts";

/** Folder → folders it may import, and the packages that it may know (`bun` and `node:` are the platform). */
const WALLS: Record<string, { folders: string[]; packages: RegExp }> = {
  lib: { folders: [], packages: /^$/ },
  domain: { folders: ["lib"], packages: /^$/ },
  observe: { folders: ["domain", "lib"], packages: /^pino$/ },
  db: { folders: ["domain", "lib"], packages: /^(drizzle-orm(\/.*)?|postgres)$/ },
  stream: { folders: ["domain", "lib"], packages: /^@nats-io\// },
  sender: { folders: ["domain", "lib"], packages: /^ipaddr\.js$/ },
  actor: { folders: ["lib"], packages: /^$/ },
  // The use cases between the table and the stream: they speak to both.
  publish: { folders: ["domain", "db", "stream", "observe", "lib"], packages: /^$/ },
  dispatch: { folders: ["domain", "actor", "observe", "lib"], packages: /^$/ },
  delivery: { folders: ["domain", "actor", "observe", "lib"], packages: /^$/ },
  api: {
    folders: ["domain", "publish", "db", "observe", "lib"],
    packages: /^(elysia|@elysiajs\/.*|@sinclair\/typebox(\/.*)?|swagger-ui-dist(\/.*)?)$/,
  },
};
/** Their own needs; nobody imports them, but that main.ts starts things by dev. */
const OUTSIDE = ["dev", "load"];
const LINES_MAX = 300;
const VAGUE_NAME = /^(utils?|helpers?|common|managers?|types|misc|shared|index)\.ts$/;

/** `imports` are all, `atOnce` those that are loaded with the file: not lazily, and not types alone. */
type File = { path: string; text: string; lines: number; imports: string[]; atOnce: string[] };

const files: File[] = [...new Bun.Glob("src/**/*.ts").scanSync(projectRoot)].toSorted().map((path) => {
  const text = readFileSync(join(projectRoot, path), "utf8");
  const code = text.replaceAll(/^\s*\/\/.*$/gm, "");
  const found = [
    ...code.matchAll(
      /(?:^|[\s;}])(?:import|export)\s(type\s)?(?:[^"'`;]*?\sfrom\s)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm,
    ),
  ];
  const imports = found.map(([, , from, lazily]) => from ?? lazily ?? "");
  const atOnce = found.flatMap(([, type, from]) => (from === undefined || type !== undefined ? [] : [from]));
  return { path, text, lines: text.split("\n").length - 1, imports, atOnce };
});
const folderOf = (path: string) => path.split("/")[1]?.replace(/\.ts$/, "") ?? "";
const targetOf = (file: File, specifier: string) =>
  specifier.startsWith(".") ? normalize(join(dirname(file.path), specifier)) : undefined;
const isPlatform = (specifier: string) => /^(node:|bun$|bun:)/.test(specifier);
const offences = (of: (file: File, specifier: string, target: string | undefined) => boolean) =>
  files.flatMap((file) =>
    file.imports
      .filter((specifier) => of(file, specifier, targetOf(file, specifier)))
      .map((specifier) => `${file.path} imports ${specifier}`),
  );

describe("walls", () => {
  test("the imports are really read", () => {
    expect(files.length).toBeGreaterThan(50);
    expect(files.find(({ path }) => path === "src/app.ts")?.imports).toContain("./db/database.ts");
    expect(files.find(({ path }) => path === "src/main.ts")?.imports).toContain("./app.ts");
  });

  test("a folder imports only the folders below it", () => {
    const found = offences((file, _, target) => {
      const wall = WALLS[folderOf(file.path)];
      if (wall === undefined || target === undefined) return false;
      const folder = folderOf(target);
      return folder !== folderOf(file.path) && !wall.folders.includes(folder);
    });
    expect(found).toEqual([]);
  });

  test("each package is known to one folder", () => {
    const found = offences((file, specifier, target) => {
      const wall = WALLS[folderOf(file.path)];
      if (wall === undefined || target !== undefined || isPlatform(specifier)) return false;
      return !wall.packages.test(specifier);
    });
    expect(found).toEqual([]);
  });

  test("nobody imports dev or load, but main.ts, which starts things by dev", () => {
    const found = offences((file, _, target) => {
      const folder = target === undefined ? "" : folderOf(target);
      if (!OUTSIDE.includes(folder) || folder === folderOf(file.path)) return false;
      return !(file.path === "src/main.ts" && folder === "dev");
    });
    expect(found).toEqual([]);
  });

  test("main.ts imports app and config, and the start of things; only main.ts imports app.ts", () => {
    const main = files.find(({ path }) => path === "src/main.ts");
    const known = new Set((main?.imports ?? []).map((specifier) => folderOf(normalize(join("src", specifier)))));
    for (const folder of known) expect(["app", "config", "db", "dev", "lib"]).toContain(folder);
    expect(offences((file, _, target) => target === "src/app.ts" && file.path !== "src/main.ts")).toEqual([]);
  });

  test.each(["src/main.ts", "src/dev/run-tests.ts"])("%s loads no package before it has installed them", (entry) => {
    const seen = new Set<string>([entry]);
    const packages: string[] = [];
    for (const path of seen) {
      const file = files.find((one) => one.path === path);
      for (const specifier of file?.atOnce ?? []) {
        const target = file === undefined ? undefined : targetOf(file, specifier);
        if (target !== undefined) seen.add(target);
        else if (!isPlatform(specifier)) packages.push(`${path} imports ${specifier}`);
      }
    }
    expect(seen.size).toBeGreaterThan(10);
    expect(packages).toEqual([]);
  });

  test("every folder has a wall", () => {
    const folders = new Set(files.filter(({ path }) => path.split("/").length > 2).map(({ path }) => folderOf(path)));
    expect([...folders].filter((folder) => WALLS[folder] === undefined && !OUTSIDE.includes(folder))).toEqual([]);
  });

  test("no imports in a circle", () => {
    const graph = new Map(files.map((file) => [file.path, file.imports.map((one) => targetOf(file, one))]));
    const done = new Set<string>();
    const circleFrom = (path: string, way: string[]): string[] | undefined => {
      if (way.includes(path)) return [...way.slice(way.indexOf(path)), path];
      if (done.has(path)) return undefined;
      for (const target of graph.get(path) ?? []) {
        const circle = target === undefined ? undefined : circleFrom(target, [...way, path]);
        if (circle !== undefined) return circle;
      }
      done.add(path);
      return undefined;
    };
    for (const path of graph.keys()) expect(circleFrom(path, [])).toBe(undefined);
  });
});

describe("files", () => {
  test(`have at most ${LINES_MAX} lines`, () => {
    // The composition root and the table of settings are lists by nature.
    const longer = files.filter(
      ({ path, lines }) => lines > LINES_MAX && !["src/app.ts", "src/config.ts"].includes(path),
    );
    expect(longer.map(({ path, lines }) => `${path}: ${lines}`)).toEqual([]);
  });

  test("are kebab-case, and named by what they are", () => {
    expect(
      files.map(({ path }) => basename(path)).filter((name) => !/^[a-z0-9-]+\.ts$/.test(name) || VAGUE_NAME.test(name)),
    ).toEqual([]);
  });

  test("open by saying what they are for", () => {
    const silent = files.filter(({ text }) => !/^(#!.*\n)?(\/\/|\/\*\*)/.test(text));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });
});

describe("README", () => {
  const readme = readFileSync(join(projectRoot, "README.md"), "utf8");
  /** The rows of tables whose first cell is one word in code font, as their cells without it. */
  const rowsOf = (name: RegExp) =>
    [...readme.matchAll(/^\|\s*`([^`|]+)`\s*\|(.*)\|$/gm)]
      .filter(([, word = ""]) => name.test(word))
      .map(([, word = "", cells = ""]) => [word, ...cells.split("|").map((cell) => cell.trim().replaceAll("`", ""))]);

  test("lists every setting once and no other, with its default and its description", () => {
    expect(rowsOf(/^[A-Z][A-Z_]+$/)).toEqual(
      Object.values(SETTINGS).map(({ name, default: preset, description }) => [name, preset ?? "", description]),
    );
  });

  test("lists every metric once and no other, with its type and its help", () => {
    expect(rowsOf(/^fairpost_/)).toEqual(Object.entries(METRICS).map(([name, { type, help }]) => [name, type, help]));
  });
});
