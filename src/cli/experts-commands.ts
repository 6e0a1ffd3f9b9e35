import type { Command } from "commander";

/** Adds `cadre experts …`. What a command does is loaded when it runs, so that --help stays instant. */
export function registerExperts(program: Command): void {
  const experts = program
    .command("experts")
    .description("list, show, add, remove, verify, import and export the experts of a library")
    .addHelpText(
      "after",
      "\nExamples:\n  $ cadre experts list ./library\n  $ cadre experts add ./library experts/tickets\n  $ cadre experts verify ./library",
    );

  experts
    .command("list")
    .description("the experts of a library; exit code 3 when some are damaged")
    .argument("<library>", "folder of the library")
    .option("--json", "print manifests and problems as JSON")
    .addHelpText("after", "\nExamples:\n  $ cadre experts list ./library\n  $ cadre experts list ./library --json")
    .action(async (library, options) => {
      const { listExperts } = await import("./experts.js");
      await listExperts(library, options);
    });

  experts
    .command("show")
    .description("all that the manifest of an expert says")
    .argument("<library>", "folder of the library")
    .argument("<expert>", "name or id")
    .option("--json", "print the manifest as JSON")
    .addHelpText(
      "after",
      '\nExamples:\n  $ cadre experts show ./library "billing questions"\n  $ cadre experts show ./library tickets-1f2e3d4c --json',
    )
    .action(async (library, expert, options) => {
      const { showExpert } = await import("./experts.js");
      await showExpert(library, expert, options);
    });

  experts
    .command("add")
    .description(
      "add experts that cadre train RECIPE.yaml or cadre experts export wrote; makes the library if there is none",
    )
    .argument("<library>", "folder of the library")
    .argument("<folder...>", "folders with expert.json")
    .option("--name <name>", "another name, where there is one folder")
    .option("--without-keys", "leave the embedded training inputs out")
    .option("--json", "print the manifests as JSON")
    .addHelpText(
      "after",
      "\nA library holds experts of one base, each under its own name; others are refused.\n\nExamples:\n  $ cadre experts add ./library experts/tickets\n  $ cadre experts add ./library experts/* --json\n  $ cadre experts add ./library experts/tickets --name tickets-2",
    )
    .action(async (library, folders, options) => {
      const { addExperts } = await import("./experts.js");
      await addExperts(library, folders, options);
    });

  experts
    .command("remove")
    .description("remove experts; a damaged one by its id")
    .argument("<library>", "folder of the library")
    .argument("<expert...>", "names or ids")
    .option("--json", "print what was removed as JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  $ cadre experts remove ./library tickets\n  $ cadre experts remove ./library tickets-1f2e3d4c letters",
    )
    .action(async (library, wanted, options) => {
      const { removeExperts } = await import("./experts.js");
      await removeExperts(library, wanted, options);
    });

  experts
    .command("verify")
    .description("read every file of a library and list everything that is wrong; exit code 3 if anything is")
    .argument("<library>", "folder of the library")
    .option("--base <folder or id>", "also demand that the library is for this base and every tensor fits it")
    .option("--json", "print the problems as JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  $ cadre experts verify ./library\n  $ cadre experts verify ./library --base cadre-mini --json",
    )
    .action(async (library, options) => {
      const { verifyExperts } = await import("./experts.js");
      await verifyExperts(library, options);
    });

  experts
    .command("import")
    .description("add a LoRA or (IA)³ adapter that Python's peft saved")
    .argument("<library>", "folder of the library")
    .argument("<folder>", "folder with adapter_config.json and adapter_model.safetensors")
    .option("--name <name>", "name of the expert (default: the folder's)")
    .option("--task <task>", "name of its task (default: the expert's)")
    .option("--base <folder or id>", "the base (default: the library's); makes the library if there is none")
    .option("--json", "print the manifest as JSON")
    .addHelpText(
      "after",
      `
Ranks and scales that differ between modules (rank_pattern, alpha_pattern) and modules without an adapter are taken;
DoRA, modules_to_save, biases and whatever else would change what the adapter computes are refused by name.

Examples:
  $ cadre experts import ./library adapters/tickets
  $ cadre experts import ./library adapters/tickets --name tickets --base google/flan-t5-small`,
    )
    .action(async (library, folder, options) => {
      const { importExpert } = await import("./experts.js");
      await importExpert(library, folder, options);
    });

  experts
    .command("export")
    .description("write an expert into a folder that cadre experts add takes, and peft where it knows the kind")
    .argument("<library>", "folder of the library")
    .argument("<expert>", "name or id")
    .argument("<folder>", "where to write; nothing may be there")
    .option("--without-keys", "leave the embedded training inputs and their texts out")
    .option("--json", "print what was written as JSON")
    .addHelpText("after", "\nExamples:\n  $ cadre experts export ./library tickets ./tickets --without-keys")
    .action(async (library, expert, folder, options) => {
      const { exportExpertCommand } = await import("./experts.js");
      await exportExpertCommand(library, expert, folder, options);
    });
}
