import * as z from "zod";
import type { Classification } from "../cadre/cadre.js";
import { answeredJson } from "./answer-json.js";
import { type Endpoint, type EndpointContext, openAnswerScope } from "./endpoint.js";
import { modelField, present, textList, textsField } from "./fields.js";
import type { ServingLimits } from "./limits.js";
import { type BodyFormat, only, readBody } from "./read-body.js";

/** The body of `POST /v1/classify`. */
function classifyBody(limits: ServingLimits) {
  const schema = z.object({
    model: modelField,
    input: textsField(limits.inputs, "inputs"),
    choices: textList({
      most: limits.choices,
      tooMany: `expected at most ${limits.choices} choices (the limit choices)`,
    })
      .min(2, "expected two or more choices")
      .nullish(),
  });
  return { schema, unsupported: UNSUPPORTED, renamed: RENAMED };
}

/** What a drawn text would depend on: labels are compared, nothing is drawn. */
const UNSUPPORTED: BodyFormat<z.ZodObject>["unsupported"] = {
  beams: only(1),
  best_of: only(1),
  frequency_penalty: only(0),
  hypothesis_template: only(),
  logit_bias: only({}),
  logprobs: only(0, false),
  max_tokens: only(),
  min_p: only(0),
  multi_label: only(false),
  n: only(1),
  num_beams: only(1),
  presence_penalty: only(0),
  repetition_penalty: only(1),
  samples: only(1),
  stop: only("", []),
  stop_sequences: only([]),
  stream: only(false),
  temperature: only(0, 1),
  top_k: only(0, -1),
  top_p: only(1),
  typical: only(1),
  typical_p: only(1),
};

const RENAMED: BodyFormat<z.ZodObject>["renamed"] = {
  candidate_labels: "choices",
  expert: "model",
  experts: "model",
  inputs: "input",
  labels: "choices",
  messages: "input",
  prompt: "input",
  text: "input",
};

/** `POST /v1/classify`: the likeliest of some labels, for each of the inputs. */
export function createClassify({ cadre, models, limits }: EndpointContext): Endpoint {
  const format = classifyBody(limits);
  return async (request) => {
    const body = await readBody(request, format, limits);
    using scope = openAnswerScope(request, limits);
    const model = await scope.run(models.find(body.model));
    const choices = present({ choices: body.choices });
    const classify = (input: string): Promise<Classification> =>
      models.ask(model.id, ({ experts }) =>
        cadre.classify(input, { experts, ...choices, signal: scope.signalOfOne() }),
      );
    const answers = await scope.run(Promise.all(body.input.map(classify)));
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
