/** How a parameter starts when a model is made from random numbers. */
export type Initializer =
  | { readonly kind: "normal"; readonly standardDeviation: number }
  | { readonly kind: "ones" }
  | { readonly kind: "zeros" };

/** A named weight. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initializer: Initializer;
}
