import { spawn } from "node:child_process";
import { mkdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CadreError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/node/atomic-write.js";
import { type ProbeAnswers, type ProbeQuestion, probeAnswersSchema } from "../elm-probe.js";

/** The script; from TypeScript sources (tests) the one in dist, because Node 20 cannot start a `.ts` file. */
function scriptPath(): string {
  const here = fileURLToPath(new URL("./answer-child.js", import.meta.url));
  return import.meta.url.endsWith(".ts") ? here.replace("/src/", "/dist/src/") : here;
}

/**
 * Asks a process that has nothing in its memory.
 * @throws CadreError `internal` where it fails, with what it said.
 */
export async function answerInFreshProcess(
  question: Omit<ProbeQuestion, "answers">,
  folder: string,
): Promise<ProbeAnswers> {
  const path = join(folder, "question.json");
  const answers = join(folder, "answers.json");
  await mkdir(dirname(path), { recursive: true });
  await rm(answers, { force: true });
  await writeFileAtomic(path, JSON.stringify({ ...question, answers }));
  const said: string[] = [];
  const code = await new Promise<number | null>((resolve, reject) => {
    const child = spawn(process.execPath, [scriptPath(), path], { stdio: ["ignore", "inherit", "pipe"] });
    child.stderr.on("data", (text: Buffer) => said.push(text.toString()));
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) {
    throw new CadreError("internal", `elm: the answering process ended with ${code}: ${said.join("").slice(-2000)}`);
  }
  return probeAnswersSchema.parse(JSON.parse(await readFile(answers, "utf8")));
}
