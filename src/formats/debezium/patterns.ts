import type { TableIdentity } from '../../record/table.ts';

/** Debezium's patterns: regular expressions that must match the whole of a qualified name, whatever the case of its letters. */
export function namePattern(text: string): RegExp | { readonly message: string; readonly remedy: string } {
  try {
    return new RegExp(`^(?:${text})$`, 'isu');
  } catch (error) {
    return { message: `is no regular expression: ${(error as Error).message}`, remedy: 'mend the expression; it is written as in JavaScript' };
  }
}

/** The name that patterns are compared with. */
export function qualifiedName({ catalog, schema, name }: TableIdentity): string {
  return `${schema === '' ? catalog : schema}.${name}`;
}
