/**
 * Field tables: each option is declared once, and from that declaration come its TypeScript type, its validation, its JSON Schema, its
 * documentation and whether it is secret.
 */
import type { Credential } from './credential.ts';

interface Common {
  /** One sentence for the documentation and for editors. */
  readonly about: string;
  /** Never shown: replaced in every log, error and API answer (I12). */
  readonly secret?: boolean;
  /** With `secret`: the value may also be the absolute path of a file that holds it. A path is no secret. */
  readonly orPath?: boolean;
  /** With `secret`: `sluice init` asks for it although it may be left out. */
  readonly asked?: boolean;
  /** The value names a file that is read (or holds its PEM text), or a program that is run: more than a connector that came over HTTP may do by itself. */
  readonly reaches?: 'file' | 'program';
  /** Shown in the documentation and in the JSON Schema. */
  readonly example?: unknown;
}

/** Every field is one of these. `optional` fields without a default may be absent in the validated value. */
export type Field =
  | (Common & {
      readonly kind: 'string';
      readonly default?: string;
      readonly optional?: boolean;
      readonly pattern?: RegExp;
      readonly patternHint?: string;
    })
  /** A secret: a string, or an object that says where it is got from, anew for each connection. */
  | (Common & { readonly kind: 'credential'; readonly secret: true; readonly optional?: boolean; readonly default?: never })
  | (Common & { readonly kind: 'boolean'; readonly default?: boolean; readonly optional?: boolean })
  | (Common & { readonly kind: 'integer'; readonly default?: number; readonly optional?: boolean; readonly min?: number; readonly max?: number })
  | (Common & { readonly kind: 'duration'; readonly default?: string; readonly optional?: boolean; readonly minMs?: number; readonly maxMs?: number })
  | (Common & {
      readonly kind: 'size';
      readonly default?: string;
      readonly optional?: boolean;
      readonly minBytes?: number;
      readonly maxBytes?: number;
    })
  | (Common & {
      readonly kind: 'choice';
      readonly choices: readonly string[];
      /** Values that are planned: each is an error that says so, never read and ignored. */
      readonly notYet?: readonly string[];
      readonly default?: string;
      readonly optional?: boolean;
    })
  | (Common & { readonly kind: 'list'; readonly default?: readonly string[]; readonly optional?: boolean; readonly minItems?: number })
  /** Names that are the user's own, with a string each. Left out: empty. */
  | (Common & { readonly kind: 'map'; readonly namePattern: RegExp; readonly nameHint: string })
  | (Common & { readonly kind: 'object'; readonly fields: FieldTable; readonly optional?: boolean })
  /** An option that is planned: an error that says so. It has no value. `tolerates` names the one form that means "none" and passes. */
  | (Common & { readonly kind: 'notYet'; readonly tolerates?: 'empty list' });

export type FieldTable = { readonly [name: string]: Field };

/** The validated value of one field: durations are milliseconds, sizes are bytes, lists are lists of strings. */
type Value<F> = F extends { kind: 'string' }
  ? string
  : F extends { kind: 'credential' }
    ? Credential
    : F extends { kind: 'boolean' }
      ? boolean
      : F extends { kind: 'integer' | 'duration' | 'size' }
        ? number
        : F extends { kind: 'choice'; choices: readonly (infer C)[] }
          ? C
          : F extends { kind: 'list' }
            ? readonly string[]
            : F extends { kind: 'map' }
              ? Readonly<Record<string, string>>
              : F extends { kind: 'object'; fields: infer T extends FieldTable }
                ? ConfigOf<T>
                : never;

/** `absent` for what has no value at all. */
type IsOptional<F> = [F] extends [{ kind: 'notYet' }] ? 'absent' : F extends { optional: true } ? true : false;

/** The type of a validated configuration section. An object section that is left out is filled with its fields' defaults unless it is optional. */
export type ConfigOf<T extends FieldTable> = {
  readonly [K in keyof T as IsOptional<T[K]> extends false ? K : never]: Value<T[K]>;
} & {
  readonly [K in keyof T as IsOptional<T[K]> extends true ? K : never]?: Value<T[K]>;
};

/** Declares a field table. Identity function that keeps the literal types. */
export function fields<const T extends FieldTable>(table: T): T {
  return table;
}

/** An object that may be left out is one whose own options may all be left out. */
export function isRequired(field: Field): boolean {
  if (field.kind === 'notYet' || field.kind === 'map') return false;
  if (field.optional === true) return false;
  return field.kind === 'object' ? Object.values(field.fields).some(isRequired) : field.default === undefined;
}
