#!/usr/bin/env node
import { Command } from "commander";
import { CadreError, exitCodeOf } from "../core/errors.js";
import { registerExperts } from "./experts-commands.js";

const program = new Command("cadre")
  .description("Train, keep, choose, merge, evaluate and serve expert language models.")
  .showHelpAfterError("(cadre --help lists the commands)")
  .exitOverride();

program
  .command("quickstart")
  .description(
    "train experts of generated tasks on the base that ships, and compare them: no data needed, a few minutes",
  )
  .option("--run <folder>", "where library, page and results go", "runs/quickstart")
  .option("--threads <number>", "threads of one operator (default: all cores)")
  .option("--seed <number>", "seed of data and training", "1")
  .addHelpText(
    "after",
    `
Trains eight experts and a multitask model of equal compute, makes a library with routing, and prints base, multitask,
own and routed expert on these tasks, and what the library does on four tasks that no expert was trained on. Writes
report.html and results.json. A second call goes on with what the first has done.

Examples:
  $ cadre quickstart
  $ cadre quickstart --run /tmp/first --threads 1`,
  )
  .action(async (options) => {
    // Commands are loaded when they run, so that --help stays instant.
    const { quickstart } = await import("./quickstart.js");
    await quickstart(options);
  });

program
  .command("check")
  .description("look through your own tasks before training, or find evaluation rows that training data contain")
  .argument("[path...]", "files and folders of tasks: .jsonl, .ndjson, .json, .csv, .tsv, .parquet")
  .option("--base <folder or id>", "whose tokenizer counts lengths", "cadre-mini")
  .option("--recipe <name>", "mini or elm: the training that the tasks are checked for, as of cadre train", "mini")
  .option("--template <jinja...>", "'input ||| target' of each row, e.g. '{{ title }}: {{ body }} ||| {{ label }}'")
  .option("--answer-choices <jinja>", "the template's choices, e.g. 'Yes ||| No'")
  .option("--choices <answer...>", "the answers to choose from (default: seen from the rows)")
  .option("--seed <number>", "seed of the splits that are made (default: the recipe's)")
  .option("--offline", "fetch nothing: the base must be a folder or in the cache")
  .option("--html <file>", "write a page too")
  .option("--overlap <train...>", "files and folders that are trained on: rows or plain text")
  .option("--against <evaluation...>", "files and folders that are evaluated on")
  .option(
    "--strict",
    "exit code 3 where a task has a problem or a file is skipped; with --overlap, refuse files without rows",
  )
  .option("--json", "print everything that was found as JSON")
  .addHelpText(
    "after",
    `
Tasks: a file is a task, a folder with train, validation and test files is one too; docs/your-data.md tells which rows
are recognised. Printed are rows, splits, choices, lengths in tokens, repeated, contradicting, leaking and bad rows, and
what to do about them. Paths come first: --template and --choices take all values up to the next option.
Exit code: 0, or 3 when nothing can be read or, with --strict, when there is a problem or a file is skipped.

Overlap: an evaluation row overlaps when it shares 13 words in a row with a training text, or when all its words are
those of a training text (so a row of fewer than 13 words counts only when it is equal). Words are compared in lower
case, without punctuation, in Unicode NFKC. Definitions, templates' examples and answers are left out.
Exit code: 0 when nothing overlaps, 3 when something does or a file cannot be read.

Examples:
  $ cadre check ./tasks
  $ cadre check ./tasks --strict --html check.html
  $ cadre check nli.csv --template '{{ premise }} Does it follow: {{ claim }} ||| {{ label }}'
  $ cadre check --overlap tasks/ books/*.txt --against tests/*.json
  $ cadre check --overlap train.jsonl --against test.jsonl --json > overlap.json`,
  )
  .action(async (paths, options) => {
    const { checkCommand } = await import("./check.js");
    await checkCommand(paths, options);
  });

program
  .command("doctor")
  .description("show what this machine has and lacks for training: devices, memory, versions, speed, folders")
  .option("--json", "print the findings and the facts behind them as JSON")
  .addHelpText(
    "after",
    "\nTakes about five seconds and uses no network.\nExit code: 0 when training on the processor works, 4 when it does not.\n\nExamples:\n  $ cadre doctor\n  $ cadre doctor --json",
  )
  .action(async (options) => {
    const { doctor } = await import("./doctor.js");
    await doctor(options);
  });

program
  .command("pretrain")
  .description("pre-train a base on your own text and supervised examples, as a recipe says")
  .argument("<recipe>", "a YAML file; recipes/cadre-mini.yaml is the one of the base that ships")
  .option("--run <folder>", "folder of the run: checkpoints, metrics, model (default: runs/NAME-OF-THE-RECIPE)")
  .option("--minutes <number>", "stop after so many minutes of training; the same command goes on later")
  .option(
    "--device <kind>",
    "cpu, webgpu or cuda (default: cpu); a run keeps its kind, docs/devices.md says what each needs",
  )
  .option("--threads <number>", "threads of one operator (default: all cores); a run keeps its number")
  .option("--strict", "refuse files that hold no text (binary, empty, not UTF-8, one line) instead of skipping them")
  .option("--dry-run", "read the data, estimate tokens, FLOPs and time, and stop there")
  .addHelpText(
    "after",
    "\nExamples:\n  $ cadre pretrain recipes/cadre-mini.yaml --dry-run\n  $ cadre pretrain recipes/cadre-mini.yaml --minutes 20\n  $ cadre pretrain my-base.yaml --run runs/first --strict",
  )
  .action(async (recipe, options) => {
    const { pretrainCommand } = await import("./pretrain.js");
    await pretrainCommand(recipe, options);
  });

program
  .command("train")
  .description("train one expert for each of your tasks into a library, or one expert as a recipe says")
  .showHelpAfterError(
    "(paths come first: --template and --choices take all values that follow them; cadre train --help)",
  )
  .argument(
    "<path...>",
    "files and folders of tasks (.jsonl, .ndjson, .json, .csv, .tsv, .parquet), or one recipe (.yaml)",
  )
  .option("--library <folder>", "where the experts go; made if it is not there")
  .option(
    "--base <folder or id>",
    "a model folder, cadre-mini, or an id on the Hugging Face Hub (default: cadre-mini, or the recipe's)",
  )
  .option("--recipe <name>", "mini or elm: how an expert is trained (default: mini)")
  .option("--delta <kind>", "full, lora, bottleneck or ia3: what an expert is made of (default: the recipe's)")
  .option("--steps <number>", "steps of each expert (default: the recipe's)")
  .option("--seed <number>", "seed of splits and training (default: the recipe's)")
  .option("--mode <what>", "experts, multitask or both (default: both, which the comparison needs)")
  .option("--per <what>", "one expert for each task or for each template (default: task)")
  .option("--template <jinja...>", "'input ||| target' of each row, e.g. '{{ title }}: {{ body }} ||| {{ label }}'")
  .option("--answer-choices <jinja>", "the template's choices, e.g. 'Yes ||| No'")
  .option("--choices <answer...>", "the answers to choose from (default: seen from the rows)")
  .option("--key-texts", "store the texts of routing keys in the library (default: only their vectors)")
  .option("--replace", "replace experts of the same name from other data or another recipe")
  .option("--strict", "stop at the first bad row, skipped file or failing task")
  .option("--run <folder>", "folder of the run: checkpoints, answers, report (default: runs/NAME)")
  .option("--dry-run", "read the data, estimate FLOPs, memory and time, and stop there")
  .option("--offline", "fetch nothing: the base must be a folder or in the cache")
  .option(
    "--device <kind>",
    "cpu, webgpu or cuda (default: cpu); a run keeps its kind, docs/devices.md says what each needs",
  )
  .option("--threads <number>", "threads of one operator (default: all cores); a run keeps its number")
  .option("--json", "print the result, or with --dry-run the plan, as JSON")
  .addHelpText(
    "after",
    `
Ctrl-C leaves a checkpoint; the same command goes on from there.

Tasks: a file is a task, docs/your-data.md tells which rows are recognised. Each gets an expert; a multitask model of
equal compute is trained on all of them; base, multitask, own expert and the expert that routing picks are compared on
test rows, on the screen and on a page. Paths come first: --template and --choices take all values up to the next option.

A recipe trains one expert; task, validation and output are relative to it, and only --base, --run, --dry-run,
--offline, --device, --threads and --json go with it:
  format: cadre-training
  base: cadre-mini           # or a folder, or google/flan-t5-small
  task: tickets.jsonl        # a data file, or a .json file with Definition and Instances
                             # (or, instead of task, generated: sentiment/restaurant-remarks)
  choices: answers           # all answers of the file; or a list of them
  validation: 0.1            # a share of the rows, or a file
  recipe: mini               # or elm
  overrides: { steps: 400 }
  output: experts/tickets

Exit code: 0, or 3 where a task has no expert.

Examples:
  $ cadre train ./tasks --library ./library
  $ cadre train ./tasks --library ./library --dry-run
  $ cadre train ./tasks --library ./library --base google/flan-t5-small --delta lora
  $ cadre train nli.csv --template '{{ premise }} Does it follow: {{ claim }} ||| {{ label }}' --library ./library
  $ cadre train tickets.yaml --base google/flan-t5-small --json > result.json`,
  )
  .action(async (paths, options) => {
    const { trainCommand } = await import("./train.js");
    await trainCommand(paths, options);
  });

program
  .command("ask")
  .description("ask the experts of a library: a choice where labels are known, else text")
  .argument("<library>", "folder of the library")
  .argument("<text>", "what to answer; - reads it from standard input")
  .option("--experts <who>", "auto, base, an expert's name or id, or a list as tickets=0.5,refunds=0.5 (default: auto)")
  .option("--choices <labels>", "labels to choose from, divided by commas (default: those of the answering expert)")
  .option("--max-tokens <number>", "most tokens of written text (default: 64)")
  .option("--temperature <number>", "0 takes the likeliest token, above it tokens are drawn (default: 0)")
  .option("--seed <number>", "what drawn tokens depend on (default: another one every time)")
  .option("--trace", "say who answered, and why")
  .option("--base <folder or id>", "where the library's base lies, if its own name of it means nothing here")
  .option("--offline", "fetch nothing: the base must be a folder or in the cache")
  .option("--device <kind>", "cpu, webgpu or cuda (default: cpu); docs/devices.md says what each needs")
  .option("--threads <number>", "threads of one operator (default: all cores)")
  .option("--json", "print the answer with scores and routing as JSON")
  .addHelpText(
    "after",
    `
An expert that was trained with a template reads what the template makes of a row: give the text in that form.

Examples:
  $ cadre ask ./library "I was charged twice" --trace
  $ cadre ask ./library "I was charged twice" --experts tickets
  $ cadre ask ./library "Great soup" --choices good,bad --json
  $ cadre ask ./library - --experts titles --max-tokens 20 < article.txt`,
  )
  .action(async (library, text, options) => {
    const { askCommand } = await import("./ask.js");
    await askCommand(library, text, options);
  });

program
  .command("serve")
  .description("answer over HTTP as OpenAI's API does: completions, embeddings, and classify")
  .argument("<library>", "folder of the library")
  .option("--port <number>", "port; 0 is any free one", "8080")
  .option("--host <name>", "address to listen on; another than loopback needs an API key", "127.0.0.1")
  .option("--api-key <key>", "what requests must carry; better in the environment, as CADRE_API_KEY")
  .option("--cors <origin...>", "origins whose pages may read answers (default: none)")
  .option("--limit <name=number...>", "bodyBytes, tokens, inputs, n, choices or seconds of a request")
  .option("--base <folder or id>", "where the base lies, if not where the library says")
  .option("--offline", "fetch nothing: the base must be a folder or in the cache")
  .option("--device <kind>", "cpu, webgpu or cuda (default: cpu); docs/devices.md says what each needs")
  .option("--threads <number>", "threads of one operator (default: all cores)")
  .addHelpText(
    "after",
    `
A request's model is auto (routing chooses), base, or an expert's id or name. Limits, fields and errors: docs/serving.md.
Ctrl-C or SIGTERM finishes what is being answered and ends; a second one ends at once.

Examples:
  $ cadre serve ./library
  $ cadre serve ./library --port 3000 --limit tokens=128 seconds=30
  $ CADRE_API_KEY=$(openssl rand -hex 24) cadre serve ./library --host 0.0.0.0`,
  )
  .action(async (library, options) => {
    const { serveCommand } = await import("./serve.js");
    await serveCommand(library, options);
  });

program
  .command("study")
  .description("train and compare several systems and write a report")
  .argument(
    "<name>",
    "learnability: what adapters and full training learn on a base within 60 and 200 steps; base-card: the table of a base's card; elm: experts, retrieval, merging and continual learning on public data, and which of the ELM paper's claims hold",
  )
  .option("--base <folder or id>", "a model folder, cadre-mini, or an id on the Hugging Face Hub", "cadre-mini")
  .option("--offline", "fetch nothing: the base must be a folder or in the cache")
  .option("--data <folder>", "folder with superglue-cls; for elm also with promptsource and raw-qa", "../shared/data")
  .option(
    "--results <folder>",
    "where single runs are kept, so that a stopped study goes on (default: runs/studies/NAME)",
  )
  .option("--out <folder>", "where the report goes", "docs/results")
  .option("--sets <name...>", "base-card: only these sets of superglue-cls (default: its ten)")
  .option("--seed <number...>", "elm: training seeds (default: 1 2 3; a claim needs three)")
  .option("--encoder <folder or id>", "elm: a sentence encoder to retrieve by, beside the base's own and BM25")
  .option("--part <n/of>", "only this process's share of the runs; the whole (1/1) then makes the report", "1/1")
  .option("--threads <number>", "threads of one operator (default: all cores)")
  .addHelpText(
    "after",
    "\nExamples:\n  $ cadre study learnability\n  $ cadre study base-card --base runs/cadre-mini/model\n  $ cadre study learnability --part 1/2 --threads 1 & cadre study learnability --part 2/2 --threads 1\n  $ cadre study elm --data ../shared/data\n  $ cadre study elm --seed 1",
  )
  .action(async (name, options) => {
    const { studyCommand } = await import("./study.js");
    await studyCommand(name, options);
  });

registerExperts(program);

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
