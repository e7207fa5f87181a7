// Names what ends a connection, in words for the webhook's owner: no addresses of ours, no secrets, no stack.

import { closeSync, openSync } from "node:fs";
import type { FailureStage } from "../domain/outcome.ts";

export type Failure = { stage: FailureStage; error: string };

/** Codes of errors that came before a byte of the request was sent, so that another address may be tried. */
const NEVER_CONNECTED = new Map([
  ["ECONNREFUSED", "the connection was refused"],
  ["EHOSTUNREACH", "there is no route to the address"],
  ["ENETUNREACH", "there is no route to the address"],
  ["EADDRNOTAVAIL", "there is no route to the address"],
]);

const BROKEN = new Map([
  ["ECONNRESET", "the connection was closed before an answer came"],
  ["EPIPE", "the connection was closed before an answer came"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "the TLS handshake failed: does this port speak TLS?"],
  ["ERR_SSL_HTTP_REQUEST", "the TLS handshake failed: does this port speak TLS?"],
]);

const CERTIFICATE = new Map([
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "it is self-signed"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "its chain ends in a self-signed one"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "it is for another host name"],
  ["CERT_HAS_EXPIRED", "it has expired"],
  ["CERT_NOT_YET_VALID", "it is not valid yet"],
  ["CERT_REVOKED", "it has been revoked"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "its chain is incomplete"],
  ["UNABLE_TO_GET_ISSUER_CERT", "its issuer is unknown"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "its issuer is unknown"],
]);

export function hasNeverConnected(error: unknown): boolean {
  return NEVER_CONNECTED.has(codeOf(error));
}

/** The process may open nothing more. The runtime calls it ECONNREFUSED then, as if the receiver had said so. */
export function isOutOfDescriptors(): boolean {
  try {
    closeSync(openSync("/dev/null", "r"));
    return false;
  } catch (error) {
    return ["EMFILE", "ENFILE"].includes(codeOf(error));
  }
}

export function failureOf(error: unknown): Failure {
  const code = codeOf(error);
  const certificate = CERTIFICATE.get(code);
  if (certificate !== undefined) return connect(`the TLS certificate was refused: ${certificate} (${code})`);
  // An alert is the receiver's word, which may ask for a certificate of ours.
  if (code.includes("CERT") && !code.includes("_ALERT_")) return connect(`the TLS certificate was refused (${code})`);
  if (code === "ETIMEDOUT") return { stage: "timeout", error: "the connection timed out" };
  const known = NEVER_CONNECTED.get(code) ?? BROKEN.get(code);
  if (known !== undefined) return connect(known);
  if (code.includes("_SSL_")) return connect(`the TLS handshake failed (${code})`);
  return connect(code === "" ? "the request failed" : `the request failed (${code})`);
}

/** 15000 as "15 s". */
export function seconds(ms: number): string {
  return `${ms / 1_000} s`;
}

function connect(error: string): Failure {
  return { stage: "connect", error };
}

/** The system's and OpenSSL's codes are single words; anything else is not shown. */
function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^\w{1,60}$/.test(code) ? code : "";
}
