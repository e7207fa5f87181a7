// Building blocks of the requests' schemas. Values of a query are texts to the validator, and what the documentation
// says of them stands under `x-docs` (api/openapi.ts puts it in their place).

import { type TProperties, Type } from "@sinclair/typebox";
import { EVENT_TYPE_LENGTH_MAX, EVENT_TYPE_PATTERN } from "../domain/event-type.ts";
import { invalid } from "../domain/error.ts";
import { UUID_PATTERN } from "../domain/ids.ts";

/** What no address holds outside of quotes; after the @ it is a separator as well. */
const NOT_IN_EMAIL = '\\s@<>(),;:\\\\"\\u0000-\\u001f\\u007f';
/**
 * One @, and words joined by dots behind it: what an SMTP server would at least consider. There is one way only in which a
 * text can match: a pattern is tried on texts of any length, whatever else is asked of them.
 */
const EMAIL_PATTERN = `^[^${NOT_IN_EMAIL}]+@[^.${NOT_IN_EMAIL}]+(\\.[^.${NOT_IN_EMAIL}]+)+$`;
/** RFC 5321: 254 characters in all. */
const EMAIL_LENGTH_MAX = 254;

/** Unknown members are ignored. */
export function fields<Properties extends TProperties>(properties: Properties, options: { example?: unknown } = {}) {
  return Type.Object(properties, { additionalProperties: true, ...options });
}

export function oneOf<const Values extends readonly string[]>(values: Values, description?: string) {
  return Type.Unsafe<Values[number]>(
    Type.String({
      pattern: `^(${values.join("|")})$`,
      "x-message": `One of: ${values.join(", ")}`,
      "x-docs": { type: "string", enum: [...values], ...(description === undefined ? {} : { description }) },
    }),
  );
}

/** One character, as OpenAPI counts lengths: one code point, which may be two units of a JavaScript string. */
const CHARACTER = "(?:[\\ud800-\\udbff][\\udc00-\\udfff]|[^\\ud800-\\udfff])";

export function text(lengthMin: number, lengthMax: number) {
  return Type.String({
    pattern: `^${CHARACTER}{${lengthMin},${lengthMax}}$`,
    "x-message": `${lengthMin} to ${lengthMax} characters`,
    "x-docs": { type: "string", ...(lengthMin > 0 ? { minLength: lengthMin } : {}), maxLength: lengthMax },
  });
}

export function textOrNull(lengthMax: number) {
  return Type.Union([text(0, lengthMax), Type.Null()], {
    "x-message": `A string of up to ${lengthMax} characters, or null`,
  });
}

export const uuid = (description: string) =>
  Type.String({
    pattern: UUID_PATTERN,
    "x-message": "Not a UUID",
    "x-docs": { type: "string", format: "uuid", description },
  });

export const idParams = (what: string) => fields({ id: uuid(`The id of the ${what}.`) });

/** The id in the path, written as we write it. */
export function idOf<Id extends string>({ id }: { id: string }): Id {
  return id.toLowerCase() as Id;
}

export const email = () =>
  Type.String({ pattern: EMAIL_PATTERN, maxLength: EMAIL_LENGTH_MAX, "x-message": "Not an e-mail address" });

export const eventType = (description: string) =>
  Type.String({
    pattern: EVENT_TYPE_PATTERN,
    maxLength: EVENT_TYPE_LENGTH_MAX,
    description,
    "x-message": "Not an event type: lower-case words joined by dots, such as order.paid",
  });

const QUERY_TEXT_LENGTH_MAX = 200;

/** Text in a query: percent-encoding can bring in a NUL, which Postgres refuses. */
export const queryText = (description: string) =>
  Type.String({
    pattern: `^(?![\\s\\S]*\\u0000)${CHARACTER}{0,${QUERY_TEXT_LENGTH_MAX}}$`,
    "x-message": `Up to ${QUERY_TEXT_LENGTH_MAX} characters, no U+0000`,
    "x-docs": { type: "string", maxLength: QUERY_TEXT_LENGTH_MAX, description },
  });

export const queryFlag = (description: string) =>
  Type.Unsafe<"true" | "false">(
    Type.String({
      pattern: "^(true|false)$",
      "x-message": "true or false",
      "x-docs": { type: "boolean", description, default: false },
    }),
  );

export const queryInteger = (docs: { minimum: number; maximum: number; default: number; description: string }) =>
  Type.String({
    pattern: "^[0-9]{1,10}$",
    "x-message": `A whole number from ${docs.minimum} to ${docs.maximum}`,
    "x-docs": { type: "integer", ...docs },
  });

const INSTANT_PATTERN = "^\\d{4}-\\d\\d-\\d\\d[Tt ]\\d\\d:\\d\\d(:\\d\\d(\\.\\d{1,9})?)?([Zz]|[+-]\\d\\d:\\d\\d)$";

export const queryInstant = (description: string) =>
  Type.String({
    pattern: INSTANT_PATTERN,
    "x-message": "Not an RFC 3339 instant, such as 2025-01-31T12:00:00Z",
    "x-docs": { type: "string", format: "date-time", description },
  });

/** The instant in `text`. The pattern lets days and hours pass that no calendar has; RFC 3339 ends with 9999. */
export function instantOf(path: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const instant = new Date(text.replace(" ", "T").toUpperCase());
  const year = instant.getUTCFullYear();
  if (Number.isNaN(year) || year < 1 || year > 9_999 || rollsOver(text)) {
    throw invalid(path, "Not an instant");
  }
  return instant;
}

/** JavaScript takes the 31st of February for the 3rd of March, and 24:00 for the next day. */
function rollsOver(text: string): boolean {
  const [day, hour] = [text.slice(0, 10), text.slice(11, 13)];
  return hour === "24" || new Date(`${day}T00:00:00Z`).toISOString().slice(0, 10) !== day;
}
