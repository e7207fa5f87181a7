import { expect, test } from "bun:test";
import { DomainError } from "../../src/domain/error.ts";
import { describeError } from "../../src/observe/log.ts";

const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
const ofDrizzle = new Error("Failed query: select $1\nparams: ada@example.com", { cause: refused });

test("an error is described by the last of its causes, however many there are", () => {
  const ofDatabase = Object.assign(new DomainError("unavailable", "The database does not answer"), {
    cause: ofDrizzle,
  });
  for (const error of [refused, ofDrizzle, ofDatabase]) {
    expect(describeError(error)).toBe("connect ECONNREFUSED (ECONNREFUSED)");
  }
  expect(describeError("no error at all")).toBe("no error at all");
});

test("a statement's parameters are never in it", () => {
  const bare = new Error(ofDrizzle.message);
  expect(describeError(bare)).toBe("Failed query: select $1");
  bare.cause = bare;
  expect(describeError(bare)).toBe("Failed query: select $1");
});
