/** What the checks of single keywords need of the comparison that they are a part of, and how they tell what they find. */
import type { Incompatibility, IncompatibilityKind } from './incompatibility.ts';
import type { Part } from './json-schema-document.ts';
import type { Synthetic } from './json-schema-written.ts';

export interface Comparing {
  readonly synthetic: Synthetic;
  /** Compares a schema that reads with written ones that hold at once. */
  compare(reader: Part, written: readonly Part[]): readonly Incompatibility[];
  /** True if it is sure that no document is valid by all of them. */
  areEmpty(written: readonly Part[]): boolean;
}

export function reason(reader: Part, keyword: string, kind: IncompatibilityKind, message: string): Incompatibility {
  return { path: `${reader.path}/${keyword}`, kind, message };
}

export function undecided(reader: Part, what: string): Incompatibility {
  return { path: reader.path, kind: 'undecided', message: `It cannot be told: ${what}.` };
}
