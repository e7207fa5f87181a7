// What the generator and its receiver's process say to each other.

export type FromReceiver =
  | { kind: "ready"; port: number }
  | {
      kind: "records";
      /** As records.ts writes them. */
      bytes: Uint8Array;
      inFlight: number;
    };

/** What the process is started with, as JSON in its first argument. */
export type ReceiverArguments = { runKey: string; seed: number };
