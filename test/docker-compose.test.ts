// There is no container engine where the tests run: this holds what can be held without one.

import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SETTINGS } from "../src/config.ts";
import { ATTEMPT_TIMEOUT_MS_MAX } from "../src/domain/limits.ts";
import { projectRoot } from "../src/dev/project.ts";

type Compose = {
  services: Record<
    string,
    {
      build?: string;
      environment?: Record<string, unknown>;
      volumes?: string[];
      command?: string[];
      healthcheck?: { test: unknown[] };
      stop_grace_period?: string;
    }
  >;
  volumes: Record<string, unknown>;
};

const text = (file: string) => readFileSync(join(projectRoot, file), "utf8");
const compose = Bun.YAML.parse(text("docker-compose.yml")) as Compose;
const services = Object.entries(compose.services);
const ours = services.filter(([, service]) => service.build !== undefined);
const settingNames = new Set(Object.values(SETTINGS).map(({ name }) => name));

describe("docker-compose.yml", () => {
  test("runs every role, and each can be scaled", () => {
    expect(ours.map(([name]) => name)).toEqual(["migrate", "api", "worker"]);
    for (const [name, service] of ours) expect(service.command).toEqual([name]);
    expect(text("docker-compose.yml")).not.toContain("container_name");
  });

  test("gives each role the time of its longest attempt to stop", () => {
    for (const [, { stop_grace_period = "10s" }] of ours) {
      expect(Number.parseInt(stop_grace_period, 10) * 1_000).toBeGreaterThan(ATTEMPT_TIMEOUT_MS_MAX + 2_500);
    }
  });

  test("mounts only files that exist and volumes that are declared", () => {
    for (const [, service] of services) {
      for (const volume of service.volumes ?? []) {
        const [source = ""] = volume.split(":");
        if (source.startsWith(".")) expect(existsSync(join(projectRoot, source))).toBe(true);
        else expect(Object.keys(compose.volumes)).toContain(source);
      }
    }
  });

  test("sets nothing that Fairpost does not know", () => {
    for (const [, service] of ours) {
      for (const name of Object.keys(service.environment ?? {})) expect(settingNames).toContain(name);
    }
  });

  test("asks for every secret by its name", () => {
    const variables = [...text("docker-compose.yml").matchAll(/\$\{(\w+)(:[?-])?/g)];
    for (const [, name = "", kind] of variables) {
      expect([...settingNames, "POSTGRES_PASSWORD"]).toContain(name);
      if (["JWT_SECRET", "SECRETS_KEY", "POSTGRES_PASSWORD"].includes(name)) expect(kind).toBe(":?");
    }
  });

  test("watches the servers' health", () => {
    for (const name of ["postgres", "nats", "api"]) {
      const command = compose.services[name]?.healthcheck?.test ?? [];
      expect(command[0]).toBe("CMD");
      expect(command.every((word) => typeof word === "string")).toBe(true);
    }
  });
});

describe("Dockerfile", () => {
  test("copies only what exists and what .dockerignore lets through", () => {
    const copied = [...text("Dockerfile").matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, names = ""]) => names.split(" "));
    expect(copied).toContain("src");
    const allowed = text(".dockerignore").split("\n");
    for (const name of copied) {
      expect(existsSync(join(projectRoot, name))).toBe(true);
      expect(allowed).toContain(`!${name.split("/")[0]}`);
    }
  });

  test("has every patch of a package there when the packages are installed", () => {
    const { patchedDependencies } = JSON.parse(text("package.json")) as { patchedDependencies: Record<string, string> };
    const [before = ""] = text("Dockerfile").split("RUN bun install");
    for (const patch of Object.values(patchedDependencies))
      expect(before).toContain(`COPY ${patch} ./${dirname(patch)}/`);
  });

  test("has the allocator give memory back as late as the scripts do", () => {
    const { scripts } = JSON.parse(text("package.json")) as { scripts: Record<string, string> };
    const [delay = "none"] = /MIMALLOC_PURGE_DELAY=\d+/.exec(text("Dockerfile")) ?? [];
    for (const role of ["start", "api", "worker", "load"]) expect(scripts[role]).toStartWith(`${delay} bun `);
  });
});
