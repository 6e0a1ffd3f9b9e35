#!/usr/bin/env node
import { Command } from "commander";
import { CadreError, exitCodeOf } from "../core/errors.js";

const program = new Command("cadre")
  .description("Train, keep, choose, merge, evaluate and serve expert language models.")
  .showHelpAfterError("(cadre --help lists the commands)")
  .exitOverride();

program
  .command("quickstart")
  .description("train a small T5 from random weights on generated text and show how fast this machine is")
  .option("--seconds <number>", "how long to train", "60")
  .option("--threads <number>", "threads of one operator (default: all cores)")
  .option("--seed <number>", "seed of weights, data and dropout", "1")
  .addHelpText("after", "\nExamples:\n  $ cadre quickstart\n  $ cadre quickstart --seconds 10 --threads 1")
  .action(async (options) => {
    // Commands are loaded when they run, so that --help stays instant.
    const { quickstart } = await import("./quickstart.js");
    await quickstart(options);
  });

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Prints what went wrong, without a stack where the user can act on it, and returns the exit code. */
function report(error: unknown): number {
  if (isCommanderError(error)) {
    // Commander has printed its message; help and version end with 0.
    return error.exitCode === 0 ? 0 : 2;
  }
  if (CadreError.isInstance(error) && error.code !== "internal") {
    console.error(`cadre: ${error.message}`);
  } else {
    console.error(error);
  }
  return exitCodeOf(error);
}

function isCommanderError(error: unknown): error is { readonly exitCode: number } {
  return error instanceof Error && error.name === "CommanderError" && "exitCode" in error;
}
