// What the receiver notes of a request, 24 bytes each, so that 20,000 a second cost neither process much.

/** What a record says has happened; several at once where they happened together. */
export const ARRIVED = 1;
/** The receiver answered 2xx: for the sender the delivery is done. */
export const ANSWERED = 2;
/** It arrived while another request to the same webhook was under way. */
export const OVERLAPPED = 4;
export const SIGNATURE_CHECKED = 8;
export const SIGNATURE_WRONG = 16;

/** The number of a request that carries none of ours. */
export const NO_EVENT = 0xffff_ffff;

export type ArrivalRecord = {
  /** The first byte's, or for one without ARRIVED the note's; milliseconds on the wall clock. */
  at: number;
  event: number;
  webhook: number;
  /** The last 32 bits of the header webhook-id. */
  idTail: number;
  flags: number;
};

const RECORD_BYTES = 24;

/** Grows as needed; `take` empties it. */
export class RecordWriter {
  #view = new DataView(new ArrayBuffer(4_096 * RECORD_BYTES));
  #length = 0;

  add(at: number, event: number, webhook: number, idTail: number, flags: number): void {
    const offset = this.#length * RECORD_BYTES;
    if (offset === this.#view.byteLength) this.#grow();
    const view = this.#view;
    view.setFloat64(offset, at, true);
    view.setUint32(offset + 8, event, true);
    view.setUint32(offset + 12, webhook, true);
    view.setUint32(offset + 16, idTail, true);
    view.setUint32(offset + 20, flags, true);
    this.#length += 1;
  }

  /** A copy of what was added since the last time. */
  take(): Uint8Array {
    const bytes = new Uint8Array(this.#view.buffer, 0, this.#length * RECORD_BYTES).slice();
    this.#length = 0;
    return bytes;
  }

  #grow(): void {
    const larger = new Uint8Array(this.#view.byteLength * 2);
    larger.set(new Uint8Array(this.#view.buffer));
    this.#view = new DataView(larger.buffer);
  }
}

/** Calls `each` with every record in turn; the object is the same one each time. */
export function forEachRecord(bytes: Uint8Array, each: (record: ArrivalRecord) => void): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const record: ArrivalRecord = { at: 0, event: 0, webhook: 0, idTail: 0, flags: 0 };
  for (let offset = 0; offset + RECORD_BYTES <= bytes.byteLength; offset += RECORD_BYTES) {
    record.at = view.getFloat64(offset, true);
    record.event = view.getUint32(offset + 8, true);
    record.webhook = view.getUint32(offset + 12, true);
    record.idTail = view.getUint32(offset + 16, true);
    record.flags = view.getUint32(offset + 20, true);
    each(record);
  }
}
