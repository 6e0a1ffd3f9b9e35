import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

/** Every name that the sources of an entry export by name; what `export *` adds is left out. */
async function namesOf(entry: string): Promise<Set<string>> {
  const file = fileURLToPath(new URL(`../${entry}/index.ts`, import.meta.url));
  const names = new Set<string>();
  for (const statement of ts.createSourceFile(file, await readFile(file, "utf8"), ts.ScriptTarget.Latest).statements) {
    const clause = ts.isExportDeclaration(statement) ? statement.exportClause : undefined;
    if (clause === undefined || !ts.isNamedExports(clause)) continue;
    for (const { name } of clause.elements) names.add(name.text);
  }
  return names;
}

/** What programs must be able to write down: types of what they give to the entry's functions and get from them. */
const needed: Readonly<Record<string, readonly string[]>> = {
  cadre: ["TrainIntoLibraryOptions", "ModelFolder", "openModelFolder", "openTokenizer", "Tokenizer", "resolveBase"],
  "tasks/node": [
    ...["RowPlace", "SplitName", "RowProblem", "ProblemKind", "UserTaskTemplate", "Leak", "UserTaskOptions"],
    ...["SkippedFile", "TemplateOptions", "ChoicesFrom", "Problem"],
  ],
  "library/node": ["Tensor", "KeyEncoder", "LibraryRouting", "ExpertFiles"],
  merging: ["DeltaConfig"],
  graph: ["DType", "Tensor"],
  evaluation: ["FigureName", "SuiteComparison", "ComparedPair"],
  routing: ["InputEncoder", "Model", "Tokenizer", "Weights", "createPooledEncoder"],
};

test.each(Object.entries(needed))("%s exports what its functions take and return", async (entry, names) => {
  const exported = await namesOf(entry);
  expect(names.filter((name) => !exported.has(name))).toEqual([]);
});
