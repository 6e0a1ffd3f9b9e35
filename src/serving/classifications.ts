import * as z from "zod";
import type { Classification } from "../cadre/cadre.js";
import { answeredJson } from "./answer-json.js";
import { type Endpoint, type EndpointContext, openAnswerScope } from "./endpoint.js";
import { modelField, present, textList, textsField } from "./fields.js";
import type { ServingLimits } from "./limits.js";
import { readBody } from "./read-body.js";

/** The body of `POST /v1/classify`. */
function classifyBody(limits: ServingLimits) {
  const schema = z.object({
    model: modelField,
    input: textsField(limits.inputs),
    choices: textList(limits.choices, `expected at most ${limits.choices} choices (the limit choices)`)
      .min(2, "expected two or more choices")
      .nullish(),
  });
  return { schema, unsupported: {} };
}

/** `POST /v1/classify`: the likeliest of some labels, for each of the inputs. */
export function createClassify({ cadre, models, limits }: EndpointContext): Endpoint {
  const format = classifyBody(limits);
  return async (request) => {
    const body = await readBody(request, format, limits);
    using scope = openAnswerScope(request, limits);
    const model = await scope.run(models.find(body.model));
    const options = { experts: model.experts, ...present({ choices: body.choices }) };
    const answers = await scope.run(
      Promise.all(body.input.map((input) => cadre.classify(input, { ...options, signal: scope.signalOfOne() }))),
    );
    const tokens = answers.reduce((sum, { inputTokens }) => sum + inputTokens, 0);
    return Response.json({
      object: "list",
      model: model.id,
      data: answers.map(classificationJson),
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    });
  };
}

function classificationJson(answer: Classification, index: number) {
  return {
    object: "classification",
    index,
    choice: answer.choice,
    scores: answer.scores.map(({ choice, probability, logProbability }) => ({
      choice,
      probability,
      logprob: logProbability,
    })),
    ...answeredJson(answer),
  };
}
