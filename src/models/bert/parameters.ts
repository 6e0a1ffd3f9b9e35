import type { ParameterSpec } from "../parameter.js";
import type { BertConfig } from "./config.js";

/** Standard deviation of BERT's own initialisation. */
const STANDARD_DEVIATION = 0.02;

/** Path of a layer in parameter names. */
export function layerPath(layer: number): string {
  return `encoder.layer.${layer}`;
}

/** The parameters of the states of a text, with the names of transformers' `BertModel`; the pooler of its first token is not among them. */
export function bertParameters(config: BertConfig): ParameterSpec[] {
  const { width, feedForwardWidth } = config;
  const parameters: ParameterSpec[] = [];
  const table = (name: string, rows: number): void => {
    const initializer = { kind: "normal", standardDeviation: STANDARD_DEVIATION } as const;
    parameters.push({ name, shape: [rows, width], initializer });
  };
  const linear = (path: string, outputs: number, inputs: number): void => {
    parameters.push(
      {
        name: `${path}.weight`,
        shape: [outputs, inputs],
        initializer: { kind: "normal", standardDeviation: STANDARD_DEVIATION },
      },
      { name: `${path}.bias`, shape: [outputs], initializer: { kind: "zeros" } },
    );
  };
  const norm = (path: string): void => {
    parameters.push(
      { name: `${path}.weight`, shape: [width], initializer: { kind: "ones" } },
      { name: `${path}.bias`, shape: [width], initializer: { kind: "zeros" } },
    );
  };
  table("embeddings.word_embeddings.weight", config.vocabularySize);
  table("embeddings.position_embeddings.weight", config.positions);
  table("embeddings.token_type_embeddings.weight", config.types);
  norm("embeddings.LayerNorm");
  for (let layer = 0; layer < config.layers; layer++) {
    const path = layerPath(layer);
    for (const name of ["query", "key", "value"]) {
      linear(`${path}.attention.self.${name}`, width, width);
    }
    linear(`${path}.attention.output.dense`, width, width);
    norm(`${path}.attention.output.LayerNorm`);
    linear(`${path}.intermediate.dense`, feedForwardWidth, width);
    linear(`${path}.output.dense`, width, feedForwardWidth);
    norm(`${path}.output.LayerNorm`);
  }
  return parameters;
}
