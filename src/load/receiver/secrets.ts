// The signing secrets of a run's webhooks: each has its own, and both processes can work it out.

/** `whsec_...`, the same for the same key and webhook. */
export function secretOf(runKey: string, webhook: number): string {
  return `whsec_${new Bun.CryptoHasher("sha256").update(`${runKey} ${webhook}`).digest("base64")}`;
}
