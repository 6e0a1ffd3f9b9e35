/** The order in which data passes through Cadre (README.md, "The tree"): a folder imports only from itself and from folders above it. */
const layers = [
  "core",
  "tensors",
  "graph",
  "runtime",
  "tokenizers",
  "models",
  "tasks",
  "mixtures",
  "training",
  "library",
  "experts",
  ["routing", "merging"],
  "generation",
  "evaluation",
  "report",
  "studies",
  "cadre",
  "serving",
  "cli",
].map((layer) => (Array.isArray(layer) ? layer.join("|") : layer));

const backEdges = layers.map((layer, index) => {
  const allowed = layers.slice(0, index + 1).join("|");
  return {
    name: `layer-${layer}`,
    comment: `src/${layer} may import only from itself and the layers above it`,
    severity: "error",
    from: { path: `^src/(${layer})/` },
    to: { path: "^src/", pathNot: `^src/(${allowed})/` },
  };
});

module.exports = {
  forbidden: [
    { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
    ...backEdges,
    {
      name: "known-layers-only",
      comment: "every folder of src has its place in the list of layers",
      severity: "error",
      from: {},
      to: { path: "^src/[^/]+/", pathNot: `^src/(${layers.join("|")})/` },
    },
    {
      name: "node-only-in-node-folders",
      comment:
        "node:* is imported only in a folder's own node/ subfolder, in cli and in tests, so that a browser build stays possible",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/([^/]+/node/|cli/)|\\.test\\.ts$" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "node-folders-only-from-node",
      comment: "what runs in a browser does not pull in a node/ subfolder",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/([^/]+/node/|cli/|studies/|cadre/)|\\.test\\.ts$" },
      to: { path: "^src/[^/]+/node/" },
    },
    {
      name: "onnxruntime-only-in-runtime",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/runtime/node/" },
      to: { path: "node_modules/onnxruntime" },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
  },
};
