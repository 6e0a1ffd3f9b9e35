import { CadreError } from "../core/errors.js";
import { sha256 } from "../core/hash.js";
import { Refusal } from "./problem.js";

/** What a header can carry without being quoted. */
const KEY_PATTERN = /^[\x21-\x7e]{1,500}$/;

/** Refuses requests without the key. @throws Refusal 401. */
export type KeyCheck = (request: Request) => Promise<void>;

/** @throws CadreError `invalid-argument` for a key that no client could send. The message does not contain it. */
export function expectSendable(key: string): void {
  if (!KEY_PATTERN.test(key)) {
    throw new CadreError(
      "invalid-argument",
      "API key: expected 1 to 500 visible ASCII characters without spaces; `openssl rand -hex 24` makes one",
    );
  }
}

/** @throws CadreError as `expectSendable`. */
export function createKeyCheck(key: string): KeyCheck {
  expectSendable(key);
  const encoder = new TextEncoder();
  const expected = sha256(encoder.encode(key));
  return async (request) => {
    const [, given] = /^bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    if (given === undefined) {
      throw new Refusal({
        status: 401,
        message: "expected the server's API key in the header authorization: Bearer KEY",
        code: "missing_api_key",
      });
    }
    if (!isEqual(await sha256(encoder.encode(given)), await expected)) {
      throw new Refusal({ status: 401, message: "the API key is not this server's", code: "invalid_api_key" });
    }
  };
}

/** Takes the same time wherever two hashes differ. */
function isEqual(one: string, other: string): boolean {
  let difference = one.length ^ other.length;
  for (let index = 0; index < one.length; index += 1) {
    difference |= one.charCodeAt(index) ^ other.charCodeAt(index);
  }
  return difference === 0;
}
