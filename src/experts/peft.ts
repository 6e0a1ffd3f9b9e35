import type { DeltaConfig } from "./delta-config.js";
import { ia3ConfigSchema } from "./ia3.js";
import { loraConfigSchema } from "./lora.js";

/**
 * The content of PEFT's `adapter_config.json` for a delta on a T5, or undefined for a kind that PEFT does not know. PEFT fills what is left out
 * with its defaults.
 * @param base What PEFT loads the base from: a folder or a Hub id.
 */
export function peftConfig({ kind, config }: DeltaConfig, base: string): Record<string, unknown> | undefined {
  const common = {
    base_model_name_or_path: base,
    task_type: "SEQ_2_SEQ_LM",
    inference_mode: true,
    fan_in_fan_out: false,
  };
  switch (kind) {
    case "bottleneck":
      return undefined;
    case "lora": {
      const { rank, alpha, rankStabilized, targets } = loraConfigSchema.parse(config);
      return {
        peft_type: "LORA",
        ...common,
        r: rank,
        lora_alpha: alpha,
        lora_dropout: 0,
        use_rslora: rankStabilized,
        bias: "none",
        target_modules: targets,
      };
    }
    case "ia3": {
      const { targets, feedForwardTargets } = ia3ConfigSchema.parse(config);
      return { peft_type: "IA3", ...common, target_modules: targets, feedforward_modules: feedForwardTargets };
    }
  }
}
