import { readYaml } from "../../core/node/yaml.js";
import { type FieldMap, parseFieldMap } from "../field-map.js";

/** Reads a field map, a YAML file; see {@link parseFieldMap}. @throws CadreError `not-found`; `io`; `invalid-config`. */
export async function readFieldMap(path: string): Promise<FieldMap> {
  return parseFieldMap(await readYaml(path), path);
}
