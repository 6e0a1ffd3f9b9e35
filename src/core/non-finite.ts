/** A string, or a number that Python writes into JSON although JSON has none such. */
const STRING_OR_NON_FINITE = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g;

/** A JSON text with `null` for the numbers `NaN` and `Infinity`, which Python's `json` writes. */
export function nullNonFinite(text: string): string {
  return text.replace(STRING_OR_NON_FINITE, (token) => (token.startsWith('"') ? token : "null"));
}
