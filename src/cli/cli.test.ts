import { expect, test } from "vitest";
import { type Ended, runCadre } from "./run-cadre.test.helpers.js";

function cadre(...flags: string[]): Promise<Ended> {
  return runCadre(flags);
}

test("help lists the commands and gives examples", async () => {
  const all = await cadre("--help");
  expect(all.code).toBe(0);
  expect(all.output).toContain("quickstart");
  const one = await cadre("quickstart", "--help");
  expect(one.code).toBe(0);
  expect(one.output).toContain("$ cadre quickstart --run /tmp/first --threads 1");
});

test("a mistyped command is answered with the near one, and exit code 2", async () => {
  const { code, errors } = await cadre("quickstar");
  expect(code).toBe(2);
  expect(errors).toContain("quickstart");
});

test.each([
  [["--threads", "1.5"], '--threads: expected a whole number from 1 to 1024, got "1.5"'],
  [["--seed", "-1"], '--seed: expected a whole number from 0 to 4294967295, got "-1"'],
])("quickstart %j is refused in words, without a stack", async (flags, message) => {
  const { code, errors } = await cadre("quickstart", ...flags);
  expect(code).toBe(2);
  expect(errors.trim()).toBe(`cadre: ${message}`);
});

test.each([
  [["./tasks"], "expected --library FOLDER"],
  [
    ["./tasks", "--library", "l", "--mode", "expert"],
    '--mode: expected experts or multitask or both, got "expert"; did you mean experts?',
  ],
  [["a.yaml", "--key-texts"], "--key-texts goes with paths of tasks"],
  [["a.yaml", "b.yaml"], "expected one recipe"],
  [["./no-such-folder", "--library", "l"], "no-such-folder"],
])("train %j is refused in words", async (flags, message) => {
  const { code, errors } = await cadre("train", ...flags);
  expect([2, 3]).toContain(code);
  expect(errors).toContain(message);
  expect(errors).not.toMatch(/\n\s+at /);
});
