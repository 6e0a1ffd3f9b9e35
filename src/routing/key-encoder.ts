import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";
import { type TextFormat, textFormatSchema } from "./text-format.js";

/** What decides the numbers that an encoder makes of a text; equal identities encode alike. */
export interface EncoderIdentity {
  /** Architecture, pooling and longest text in tokens, e.g. `t5/mean/256`. */
  readonly id: string;
  /** Numbers of a vector. */
  readonly width: number;
  /** SHA-256 over the hashes of model and tokenizer, 64 hexadecimal digits. */
  readonly hash: string;
}

/** What a library records of how its keys were made. */
export interface KeyEncoderRecord extends EncoderIdentity {
  /** How texts were written before they were encoded. */
  readonly format: TextFormat;
}

const recordSchema = z.looseObject({
  id: z.string(),
  width: z.int().positive(),
  hash: z.string(),
  format: textFormatSchema,
});

/** What a library is to record of keys that an encoder makes of texts in a format. */
export function describeKeyEncoder({ id, width, hash }: EncoderIdentity, format: TextFormat): KeyEncoderRecord {
  return { id, width, hash, format };
}

/** Reads a library's record. @throws CadreError `invalid-file` naming the fields that are wrong. */
export function parseKeyEncoder(record: unknown): KeyEncoderRecord {
  return parseConfig(recordSchema, record, {
    where: "keyEncoder: expected the record of an encoder",
    code: "invalid-file",
  });
}

/**
 * Demands that queries are encoded as the keys were: vectors of two encoders have nothing to do with each other, and a search would still
 * return something.
 * @throws CadreError `mismatch` naming what differs.
 */
export function expectSameEncoder(recorded: EncoderIdentity, present: EncoderIdentity): void {
  const different = (["id", "width", "hash"] as const).filter((name) => recorded[name] !== present[name]);
  if (different.length > 0) {
    const list = different.map((name) => `${name} ${recorded[name]}, found ${present[name]}`).join("; ");
    throw new CadreError(
      "mismatch",
      `routing: the library's keys were made by another encoder: expected ${list}; open the encoder that the library records, or embed its keys anew`,
      { details: { recorded, present } },
    );
  }
}
