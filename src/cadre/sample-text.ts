import { at } from "../core/at.js";
import type { GeneratedPart, TopTokens } from "../generation/generation.js";
import { CONTEXT_TOKENS, createTextAssembler } from "../generation/text-assembler.js";
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
  /** The last tokens. */
  let context: number[] = [];
  let count = 0;
  const listed: AnswerToken[] = [];
  let text = "";
  let finish: FinishReason | undefined;
  let sum = 0;

  /** A token of this step, and those that are listed beside it: what each adds to the tokens before. Alone, a piece would lose the space before it. */
  const listedToken = (
    id: number,
    { logProbability, top }: { readonly logProbability: number; readonly top: TopTokens | undefined },
  ): AnswerToken => {
    const before = tokenizer.decode(context);
    const textOf = (one: number): string => {
      const whole = tokenizer.decode([...context, one]);
      return whole.startsWith(before) ? whole.slice(before.length) : tokenizer.decode([one]);
    };
    const others = Array.from(top?.ids ?? [], (other, place) => ({
      text: textOf(other),
      logProbability: at(top?.logProbabilities ?? [], place),
    }));
    return { text: textOf(id), logProbability, top: others };
  };

  return {
    push(part) {
      const { text: certain, taken, stopped } = assembler.push(part.ids);
      const tokens: AnswerToken[] = [];
      for (let index = 0; index < taken; index++) {
        const logProbability = at(part.logProbabilities, index);
        sum += logProbability;
        if (logProbabilities === undefined) continue;
        const id = at(part.ids, index);
        tokens.push(listedToken(id, { logProbability, top: part.top?.[index] }));
        context = [...context, id].slice(-CONTEXT_TOKENS);
      }
      count += taken;
      finish = stopped ? "stop" : part.finish;
      const piece = finish === undefined ? certain : certain + assembler.finish();
      text += piece;
      listed.push(...tokens);
      return {
        text: piece,
        tokenCount: count,
        ...(logProbabilities === undefined ? {} : { tokens }),
        ...(finish === undefined ? {} : { finish }),
      };
    },
    result: () => ({
      text,
      finish: finish ?? "length",
      tokenCount: count,
      logProbability: sum,
      ...(logProbabilities === undefined ? {} : { tokens: listed }),
    }),
  };
}
