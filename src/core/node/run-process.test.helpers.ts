import { spawn } from "node:child_process";

/** How a process ended, and what it wrote. */
export interface EndedProcess {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** Where a program runs. */
export interface RunProcessOptions {
  readonly cwd?: string | undefined;
  /** Default: this process's. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Press Ctrl-C once stderr holds this. */
  readonly interruptAt?: string | undefined;
}

/** Runs a program to its end; it is given nothing to read. */
export function runProcess(
  command: string,
  flags: readonly string[],
  { cwd, env, interruptAt }: RunProcessOptions = {},
): Promise<EndedProcess> {
  let wasInterrupted = false;
  return new Promise((resolve, reject) => {
    const child = spawn(command, flags, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk) => {
      output += String(chunk);
    });
    child.stderr.on("data", (chunk) => {
      errors += String(chunk);
      if (interruptAt !== undefined && !wasInterrupted && errors.includes(interruptAt)) {
        wasInterrupted = true;
        child.kill("SIGINT");
      }
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output, errors }));
  });
}
