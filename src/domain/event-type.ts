// Types of events, and the patterns by which webhooks choose them.

/** Lower-case words with digits and underscores, joined by dots: `subscriber.created`. */
export const EVENT_TYPE_PATTERN = "^[a-z0-9_]+(\\.[a-z0-9_]+)*$";
/** As above, or `*`, or a prefix that ends in `.*`. */
export const EVENT_PATTERN_PATTERN = "^(\\*|[a-z0-9_]+(\\.[a-z0-9_]+)*(\\.\\*)?)$";
export const EVENT_TYPE_LENGTH_MAX = 128;

const eventType = new RegExp(EVENT_TYPE_PATTERN);
const eventPattern = new RegExp(EVENT_PATTERN_PATTERN);

export function isEventType(text: string): boolean {
  return text.length <= EVENT_TYPE_LENGTH_MAX && eventType.test(text);
}

export function isEventPattern(text: string): boolean {
  return text.length <= EVENT_TYPE_LENGTH_MAX && eventPattern.test(text);
}

/** Types under these prefixes are made by Fairpost alone. */
const RESERVED_PREFIXES = ["subscriber.", "webhook."];

export function isReserved(type: string): boolean {
  return RESERVED_PREFIXES.some((prefix) => type.startsWith(prefix));
}

/** Operational events are about the delivery itself: they match by exact type only. */
function isOperational(type: string): boolean {
  return type.startsWith("webhook.");
}

/**
 * Every pattern that chooses `type`: itself, `*`, and each of its prefixes with `.*`. A webhook matches when its list
 * holds one of them, which is one array overlap in SQL.
 */
export function patternsMatching(type: string): string[] {
  if (isOperational(type)) return [type];
  const words = type.split(".");
  const prefixes = words.slice(0, -1).map((_, index) => `${words.slice(0, index + 1).join(".")}.*`);
  return ["*", ...prefixes, type];
}
