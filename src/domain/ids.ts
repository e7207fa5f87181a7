// Identifiers are UUIDv7, branded by what they name, so that one kind cannot be passed for another.

declare const brand: unique symbol;
type Id<Kind extends string> = string & { readonly [brand]: Kind };

export type UserId = Id<"user">;
export type WebhookId = Id<"webhook">;
export type SubscriberId = Id<"subscriber">;
export type EventId = Id<"event">;
export type DeliveryId = Id<"delivery">;
export type AttemptId = Id<"attempt">;

/** In either case; a regular expression's source. */
export const UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";

const uuid = new RegExp(UUID_PATTERN);

export function isUuid(text: string): boolean {
  return uuid.test(text);
}

/** A new UUIDv7 (RFC 9562). Those of deliveries are made in SQL, by `delivery_id_of`. */
export function newId<Kind extends Id<string>>(): Kind {
  return Bun.randomUUIDv7() as Kind;
}
