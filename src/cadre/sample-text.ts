import { at } from "../core/at.js";
import type { GeneratedPart, TopTokens } from "../generation/generation.js";
import { createTextAssembler } from "../generation/text-assembler.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import type { AnswerToken, FinishReason, GeneratedText, TextPart } from "./cadre.js";
import type { TextRequest } from "./text-request.js";

/** Makes one sample's text of its tokens. */
export interface SampleText {
  /** Takes tokens. What comes after a stop text does not count. @returns what a stream says of them, and `finish` where the sample has ended */
  push(part: Pick<GeneratedPart, "ids" | "logProbabilities" | "top" | "finish">): Omit<TextPart, "sample" | "answered">;
  /** All that was taken. */
  result(): GeneratedText;
}

/** A sample without tokens. */
export function createSampleText(
  { stop, logProbabilities }: Pick<TextRequest, "stop" | "logProbabilities">,
  tokenizer: Pick<Tokenizer, "decode">,
): SampleText {
  const assembler = createTextAssembler({ decode: (ids) => tokenizer.decode(ids), stop });
  const ids: number[] = [];
  const listed: AnswerToken[] = [];
  let text = "";
  let finish: FinishReason | undefined;
  let sum = 0;

  /** What a token adds to those before it: alone, a piece would lose the space before it. */
  const textAfter = (before: readonly number[], id: number): string => {
    const start = tokenizer.decode(before);
    const whole = tokenizer.decode([...before, id]);
    return whole.startsWith(start) ? whole.slice(start.length) : tokenizer.decode([id]);
  };
  const topOf = (before: readonly number[], top: TopTokens | undefined): AnswerToken["top"] =>
    Array.from(top?.ids ?? [], (id, place) => ({
      text: textAfter(before, id),
      logProbability: at(top?.logProbabilities ?? [], place),
    }));

  return {
    push(part) {
      const { text: certain, taken, stopped } = assembler.push(part.ids);
      const tokens = Array.from({ length: taken }, (_, index): AnswerToken => {
        const id = at(part.ids, index);
        const logProbability = at(part.logProbabilities, index);
        sum += logProbability;
        const token =
          logProbabilities === undefined
            ? { text: "", logProbability, top: [] }
            : { text: textAfter(ids, id), logProbability, top: topOf(ids, part.top?.[index]) };
        ids.push(id);
        return token;
      });
      finish = stopped ? "stop" : part.finish;
      const piece = finish === undefined ? certain : certain + assembler.finish();
      text += piece;
      if (logProbabilities !== undefined) listed.push(...tokens);
      return {
        text: piece,
        tokenCount: ids.length,
        ...(logProbabilities === undefined ? {} : { tokens }),
        ...(finish === undefined ? {} : { finish }),
      };
    },
    result: () => ({
      text,
      finish: finish ?? "length",
      tokenCount: ids.length,
      logProbability: sum,
      ...(logProbabilities === undefined ? {} : { tokens: listed }),
    }),
  };
}
