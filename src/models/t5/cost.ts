import type { ForwardCost } from "../model.js";
import type { BatchShape } from "../packed-batch.js";
import type { T5Config } from "./config.js";

/** Multiply-adds of a T5's forward pass at a batch shape, padding included. */
export function t5ForwardCost(config: T5Config, { rows, inputLength, targetLength }: BatchShape): ForwardCost {
  const inner = config.heads * config.headWidth;
  const projections = (config.gated ? 3 : 2) * config.width * config.feedForwardWidth;
  const square = config.width * inner;
  const inputs = rows * inputLength;
  const targets = rows * targetLength;
  const encoderBlock = inputs * (4 * square + projections);
  // Cross-attention: queries and outputs at the targets, keys and values at the inputs.
  const decoderBlock = targets * (4 * square + 2 * square + projections) + inputs * 2 * square;
  const head = targets * config.width * config.vocabularySize;
  const pairs =
    config.encoderLayers * inputs * inputLength + config.decoderLayers * targets * (targetLength + inputLength);
  return {
    weightMultiplyAdds: config.encoderLayers * encoderBlock + config.decoderLayers * decoderBlock + head,
    activationMultiplyAdds: 2 * inner * pairs,
  };
}
