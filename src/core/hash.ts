/**
 * SHA-256 of bytes as 64 lower-case hexadecimal digits, by WebCrypto. All bytes must be in memory; for files see
 * `node/hash-file.ts`.
 */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
