import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";

const encoder = new TextEncoder();

/**
 * Byte-normalised scores: each choice's sum of log-probabilities divided by the length of its text in UTF-8 bytes, in nats a byte. Comparable
 * between tokenizers, and long choices are not at a disadvantage for being long (`acc_norm` of lm-evaluation-harness). A function of sums and
 * texts: the scorer sees tokens only.
 * @param sums Scores with `normalization: "none"`.
 * @param texts The choices, in their order.
 * @throws CadreError `invalid-argument` for a choice without text, or not as many texts as scores.
 */
export function scoresPerByte(sums: ArrayLike<number>, texts: readonly string[]): Float64Array {
  if (texts.length !== sums.length) {
    throw new CadreError(
      "invalid-argument",
      `scoresPerByte: expected the text of each of ${sums.length} choices, got ${texts.length}`,
    );
  }
  return Float64Array.from(texts, (text, choice) => {
    const bytes = encoder.encode(text).length;
    if (bytes === 0) {
      throw new CadreError(
        "invalid-argument",
        `scoresPerByte: expected choices of at least one byte, got an empty choice ${choice}; score it by sums or leave it out`,
        { details: { choice } },
      );
    }
    return at(sums, choice) / bytes;
  });
}
