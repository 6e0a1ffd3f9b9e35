import { expect, test } from "vitest";
import { sessionOptions } from "./session-options.js";

test("what the engine's promises rest on is set", () => {
  const options = sessionOptions({}, { kind: "cpu", threads: 3 });
  expect(options.executionProviders).toEqual(["cpu"]);
  expect(options).not.toHaveProperty("preferredOutputLocation");
  expect(options).toMatchObject({ intraOpNumThreads: 3, interOpNumThreads: 1, executionMode: "sequential" });
  expect(options.extra).toEqual({
    session: { disable_prepacking: "1", intra_op: { allow_spinning: "0" } },
  });
  expect(options).not.toHaveProperty("enableProfiling");
});

test("options of the program are passed on", () => {
  const options = sessionOptions(
    { weightsFolder: "/weights", profilePrefix: "/tmp/profile", prepackWeights: true },
    { kind: "cpu", threads: 1 },
  );
  expect(options).toMatchObject({ enableProfiling: true, profileFilePrefix: "/tmp/profile" });
  expect(options.extra).toMatchObject({
    session: { disable_prepacking: "0", model_external_initializers_file_folder_path: "/weights" },
  });
});
