import { CadreError } from "../core/errors.js";
import { truncateExample } from "../mixtures/encoded-example.js";
import type { Decoding } from "../models/decoding.js";
import type { Model } from "../models/model.js";
import type { AnsweredRow, GenerateOptions, TokenGeneratorOptions } from "./generation.js";

/** What packing lays out as the target of a row whose answer is not known. */
export const NO_TARGET = Int32Array.of(0);

/** How the model makes text. @throws CadreError `unsupported` for one that only scores. */
export function decodingOf({ kind, decoding }: Model): Decoding {
  if (decoding === undefined) {
    throw new CadreError("unsupported", `generate: expected a model that makes text, ${kind} only scores`);
  }
  return decoding;
}

/** @throws CadreError `invalid-argument` for tensors without a delta, or the other way round. */
export function checkDelta({ delta }: TokenGeneratorOptions, { deltaTensors }: GenerateOptions): void {
  if (delta !== undefined && deltaTensors === undefined) {
    throw new CadreError("invalid-argument", `generate: expected the tensors of the ${delta.kind} delta, got none`);
  }
  if (delta === undefined && deltaTensors !== undefined) {
    throw new CadreError(
      "invalid-argument",
      "generate: expected no delta tensors, as the generator has no delta; give it to createTokenGenerator",
    );
  }
}

/** Cuts the input of a row; refuses ids that the model has no embedding for. */
export function limited(
  { input }: AnsweredRow,
  { model, inputLength, index }: { readonly model: Model; readonly inputLength: number; readonly index: number },
): { readonly input: Int32Array } {
  const foreign = input.find((id) => id < 0 || id >= model.vocabularySize);
  if (input.length === 0 || foreign !== undefined) {
    throw new CadreError(
      "invalid-argument",
      `generate: row ${index}: expected at least one id from 0 to ${model.vocabularySize - 1}, got ${foreign ?? "none"}`,
    );
  }
  return truncateExample({ input, targets: [NO_TARGET], correct: 0 }, { inputLength, targetLength: 1 }).example;
}
