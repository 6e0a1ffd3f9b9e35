import * as z from "zod";
import { type Endpoint, type EndpointContext, openAnswerScope } from "./endpoint.js";
import { modelField, textsField } from "./fields.js";
import type { ServingLimits } from "./limits.js";
import { only, readBody } from "./read-body.js";

/** The body of `POST /v1/embeddings`. */
function embeddingsBody(limits: ServingLimits) {
  const schema = z.object({
    model: modelField,
    input: textsField(limits.embeddings, "embeddings"),
    encoding_format: z.enum(["float", "base64"], { error: 'expected "float" or "base64"' }).nullish(),
  });
  return {
    schema,
    unsupported: {
      // A shorter vector would be another one; ours have one width.
      dimensions: only(),
      normalize: only(true),
      truncate_prompt_tokens: only(),
    },
    renamed: { experts: "model", inputs: "input", messages: "input", prompt: "input" },
  };
}

/** `POST /v1/embeddings`: the vectors that routing compares; they are the same under every model's name. */
export function createEmbeddings({ cadre, models, limits }: EndpointContext): Endpoint {
  const format = embeddingsBody(limits);
  return async (request) => {
    const body = await readBody(request, format, limits);
    using scope = openAnswerScope(request, limits);
    const model = await scope.run(models.find(body.model));
    const { vectors, inputTokens, inputTokensCut } = await scope.run(
      models.ask(model.id, () => cadre.embed(body.input, { signal: scope.signalOfOne() })),
    );
    return Response.json({
      object: "list",
      model: model.id,
      data: vectors.map((vector, index) => ({
        object: "embedding",
        index,
        embedding: body.encoding_format === "base64" ? base64(vector) : Array.from(vector),
        input_tokens_cut: inputTokensCut?.[index] ?? 0,
      })),
      usage: { prompt_tokens: inputTokens, total_tokens: inputTokens },
    });
  };
}

/** A vector's float32 values, little-endian. */
function base64(vector: Float32Array): string {
  const view = new DataView(new ArrayBuffer(vector.length * Float32Array.BYTES_PER_ELEMENT));
  vector.forEach((value, index) => {
    view.setFloat32(index * Float32Array.BYTES_PER_ELEMENT, value, true);
  });
  return btoa(Array.from(new Uint8Array(view.buffer), (byte) => String.fromCharCode(byte)).join(""));
}
