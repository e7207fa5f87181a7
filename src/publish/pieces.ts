// Payloads of due deliveries come into memory in pieces of a bounded size, however large a backlog's events are.

import type { DueRow } from "../db/waiting.ts";

/** Twenty lanes of 64 events of 256 KiB would be 320 MiB at once. */
export const PIECE_BYTES_MAX = 8 * 1024 * 1024;

/** The rows in their order, in pieces of at most so many bytes of payload; a larger one has a piece of its own. */
export function inPieces<Row extends Pick<DueRow, "payloadBytes">>(
  rows: readonly Row[],
  bytesMax = PIECE_BYTES_MAX,
): Row[][] {
  const pieces: Row[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    if (bytes + row.payloadBytes > bytesMax) {
      pieces.push([]);
      bytes = 0;
    }
    pieces.at(-1)?.push(row);
    bytes += row.payloadBytes;
  }
  return pieces;
}
