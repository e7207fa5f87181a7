import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Json,
  jsonText,
  memberCount,
  RawJson,
  rawJsonElements,
  rawJsonMember,
  rawTokens,
} from "../../src/lib/json.ts";

describe("rawJsonMember", () => {
  test("keeps what JSON.parse would lose", () => {
    const data = `{"b": 12345678901234567890, "2":1.0, "1":-0e5}`;
    expect(rawJsonMember(`{"type":"a","data":${data}}`, "data")?.text).toBe(data);
  });

  test.each([
    [`{"a":1}`, "1"],
    [` {\n"x" : [1,{"a":2}] , "a" :\t"b\\"]}" }`, `"b\\"]}"`],
    [`{"\\u0061":null}`, "null"],
    [`{"a":1,"a":[ 2 ]}`, "[ 2 ]"],
    [`{"a":"\\\\"}`, `"\\\\"`],
    [`{"b":"a","a":{"a":{}}}`, `{"a":{}}`],
  ])("finds the member a of %s", (text, member) => expect(rawJsonMember(text, "a")?.text).toBe(member));

  test.each([`{}`, `[{"a":1}]`, `"a"`, `{"b":{"a":1}}`, ``])("finds none in %p", (text) =>
    expect(rawJsonMember(text, "a")).toBeUndefined(),
  );

  test("agrees with JSON.parse", () => {
    const anyJson = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true });
    fc.assert(
      fc.property(anyJson, fc.constantFrom(undefined, 2), (object, indent) => {
        const text = JSON.stringify(object, undefined, indent);
        for (const [key, value] of Object.entries(JSON.parse(text))) {
          expect(JSON.parse(rawJsonMember(text, key)?.text ?? "nothing")).toEqual(value);
        }
      }),
    );
  });
});

describe("rawJsonElements", () => {
  test("keeps what JSON.parse would lose", () => {
    const texts = ["12345678901234567890", '{"2":1.0, "1":[1 , 2]}', '"],\\""'];
    expect(rawJsonElements(` [ ${texts.join(" ,\n")} ] `).map(({ text }) => text)).toEqual(texts);
  });

  test.each(["[]", " [ ] ", "{}", "1", ""])("finds none in %p", (text) => expect(rawJsonElements(text)).toEqual([]));

  test("agrees with JSON.parse", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.constantFrom(undefined, 2), (list, indent) => {
        const text = JSON.stringify(list, undefined, indent);
        expect(rawJsonElements(text).map((element) => JSON.parse(element.text) as unknown)).toEqual(JSON.parse(text));
      }),
    );
  });
});

describe("jsonText", () => {
  test("is JSON.stringify, for everything that JSON can say", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => expect(jsonText(value as Json)).toBe(JSON.stringify(value))));
  });

  test("writes raw JSON as it is, instants as RFC 3339, and leaves out what is undefined", () => {
    const value = { raw: new RawJson("[1, 2]"), at: new Date(0), none: undefined, list: [new RawJson("1e2")] };
    expect(jsonText(value)).toBe(`{"raw":[1, 2],"at":"1970-01-01T00:00:00.000Z","list":[1e2]}`);
  });
});

describe("memberCount and rawTokens", () => {
  const names = (value: unknown): number =>
    typeof value !== "object" || value === null
      ? 0
      : Object.values(value).reduce<number>((sum, item) => sum + names(item), 0) +
        (Array.isArray(value) ? 0 : Object.keys(value).length);
  const scalars = (value: unknown): unknown[] => {
    if (typeof value === "number" || typeof value === "string") return [value];
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(value).flatMap(([name, item]) => [...(Array.isArray(value) ? [] : [name]), ...scalars(item)]);
  };

  test("see what JSON.parse sees, in any valid text", () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(undefined, 2), (json, indent) => {
        const value: unknown = JSON.parse(json);
        const text = JSON.stringify(value, null, indent);
        expect(memberCount(text)).toBe(names(value));
        const seen = [...rawTokens(text)].map((token) => token.value).filter((token) => token !== undefined);
        expect<unknown[]>(seen).toEqual(scalars(JSON.parse(text)));
      }),
    );
  });

  test("see what JSON.parse hides", () => {
    const text = `{"a":{"b":"\\u0000"}, "a" : [[1e999]],"a":"\\":"}`;
    expect(memberCount(text)).toBe(4);
    expect([...rawTokens(text)]).toEqual([
      { value: undefined, depth: 1 },
      { value: "a", depth: 1 },
      { value: undefined, depth: 2 },
      { value: "b", depth: 2 },
      { value: "\u0000", depth: 2 },
      { value: "a", depth: 1 },
      { value: undefined, depth: 2 },
      { value: undefined, depth: 3 },
      { value: Number.POSITIVE_INFINITY, depth: 3 },
      { value: "a", depth: 1 },
      { value: `":`, depth: 1 },
    ]);
  });
});
