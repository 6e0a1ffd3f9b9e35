import type { AnsweredInput } from "../cadre/cadre.js";

/** Who answered, as every answer says it; keys near the input stay in the process, as they tell of training texts. */
export function answeredJson({ routing, inputTokensCut }: AnsweredInput) {
  const { by, experts, ranking, inputTokensCut: routingTokensCut } = routing;
  const cut = routingTokensCut === undefined ? {} : { input_tokens_cut: routingTokensCut };
  return { routing: { by, experts, ranking, ...cut }, input_tokens_cut: inputTokensCut };
}

/** OpenAI's count of tokens. */
export function usageJson(promptTokens: number, completionTokens: number) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}
