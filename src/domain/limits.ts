// The bounds that users and operators can meet, and those that several parts share. What is one part's own stands with it.

/** Messages of one endpoint and priority in the stream (`max_msgs_per_subject`). The rest of a backlog waits in the table. */
export const STREAM_MESSAGES_PER_SUBJECT_MAX = 64;

/**
 * Slices of the endpoints: the unit of ownership between workers, and so the most workers that have work. Stored with every
 * webhook: another number is a migration. Each costs the NATS server CPU with every message (README, figure (h)).
 */
export const PARTITIONS = 8;

/** JetStream forgets message ids after this. Ids cost the server 300 bytes each; the row is the real guard. */
export const DUPLICATE_WINDOW_MS = 30_000;

/** JetStream redelivers what was neither acked nor reported as in progress for this long. Below the lease's TTL. */
export const ACK_WAIT_MS = 20_000;

/** Held messages are reported as in progress this often: twice within the ack wait. */
export const PROGRESS_INTERVAL_MS = 10_000;

/** How long refill leaves a fresh row to the API's own publish. */
export const PUBLISH_GRACE_MS = 2_000;

/** This long after its statement began the API begins no publish of it any more: refill will take the row over. */
export const PUBLISH_DEADLINE_MS = 1_500;

/** A first delivery older than this checks its row before it is sent: younger than any recovery could have begun. */
export const UNCHECKED_AGE_MS = 15_000;

/** A retry that is due within this stays in the stream (`nak` with a delay); a later one waits in the table. */
export const STREAM_RETRY_MAX_MS = 30_000;

/** A row that is in the stream and overdue by this is looked up there: ack wait + lease take-over, with room. */
export const RECONCILE_AFTER_MS = 40_000;
export const RECONCILE_INTERVAL_MS = 10_000;
export const RECONCILE_ROWS_MAX = 500;

/** How often the owner of a partition looks for rows that are due. */
export const SWEEP_INTERVAL_MS = 1_000;

/** Refill lets as much of a lane wait in a worker as its endpoint serves in this time: a few sweeps' worth. */
export const REFILL_AHEAD_MS = 4_000;

/** Rows that one transaction of a mass change (a cancellation, a recovery, the end of an epoch) touches: longer ones hold others up for seconds. */
export const MASS_CHANGE_ROWS_MAX = 1_000;

/** Results of attempts that may wait for Postgres in one worker; at this many no request starts. */
export const RESULTS_WAITING_MAX = 2_000;
export const RESULTS_BATCH_MAX = 500;

/** Messages and bytes that wait in one worker; above, the users with most hand the tails of their mailboxes back. */
export const HELD_MESSAGES_MAX = 20_000;
export const HELD_BYTES_MAX = 64 * 1024 * 1024;

/** Bytes of its requests under way, which cannot be handed back; and what each user may have of them in any case. */
export const IN_FLIGHT_BYTES_MAX = 64 * 1024 * 1024;
export const IN_FLIGHT_BYTES_OF_EACH = 512 * 1024;

/** Publishes without an answer yet, per process, and the bytes of their payloads. */
export const PUBLISHES_OUTSTANDING_MAX = 4_096;
export const PUBLISHES_OUTSTANDING_BYTES_MAX = 32 * 1024 * 1024;

/** Slots of one worker (WORKER_CONCURRENCY's default): requests in their first 250 ms. Older ones count elsewhere. */
export const WORKER_CONCURRENCY_DEFAULT = 256;

/** Client-side deadlines of statements. */
export const API_QUERY_TIMEOUT_MS = 3_000;
export const WORKER_QUERY_TIMEOUT_MS = 10_000;

/** An attempt in all: name, connection, headers and body. */
export const ATTEMPT_TIMEOUT_MS_DEFAULT = 15_000;
export const ATTEMPT_TIMEOUT_MS_MIN = 1_000;
export const ATTEMPT_TIMEOUT_MS_MAX = 30_000;

/** Looking a receiver's name up, within the attempt. */
export const RESOLVE_TIMEOUT_MS = 3_000;
export const RESOLVE_CACHE_MS = 30_000;
export const RESOLVES_IN_FLIGHT_PER_USER_MAX = 8;

/** Bytes of an answer that are read before the connection is dropped, and that are kept with the attempt. */
export const RESPONSE_READ_BYTES_MAX = 64 * 1024;
export const RESPONSE_KEPT_BYTES_MAX = 4 * 1024;

/** The longest that a receiver's Retry-After is believed. */
export const RETRY_AFTER_MAX_MS = 24 * 3_600_000;

/** What one caller may send, and a webhook hold. A message of the stream has room for the largest event (`max_payload`). */
export const REQUEST_BODY_BYTES_MAX = 1024 * 1024;
export const EVENT_DATA_BYTES_MAX = 256 * 1024;
export const PASSWORD_LENGTH_MIN = 8;
export const PASSWORD_LENGTH_MAX = 128;
/** One event of such an account makes so many deliveries in one statement. */
export const WEBHOOKS_PER_USER_MAX = 1_000;
export const WEBHOOK_EVENTS_MAX = 50;
export const WEBHOOK_HEADERS_MAX = 20;
/** Of `max_in_flight`: requests to one endpoint at once. */
export const MAX_IN_FLIGHT_MAX = 100;

/** Accounts with more subscribers than this travel in the lane `normal`. */
export const LARGE_ACCOUNT_SUBSCRIBERS = 10_000;

/** How long a worker believes a webhook's settings when no invalidation reaches it. */
export const WEBHOOK_CACHE_MS = 10_000;
/** Webhooks whose settings one worker remembers. */
export const WEBHOOK_CACHE_ENTRIES_MAX = 50_000;

/** An endpoint actor without work for this long is dropped from memory. */
export const ACTOR_IDLE_MS = 30_000;

/** A webhook without a success for this long, though attempts were made, is disabled. */
export const ENDPOINT_FAILING_MAX_MS = 5 * 86_400_000;

/** Events of accounts with more webhooks than this are accepted apart: one of them can make a thousand rows. */
export const WIDE_ACCOUNT_WEBHOOKS = 4;
