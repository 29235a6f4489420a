import { isPatternError, parsePattern, parsePatterns, type TablePattern } from './patterns.ts';
import type { SnapshotConfig } from './snapshot-fields.ts';

type Chosen = Pick<SnapshotConfig, 'include' | 'exclude' | 'where'>;

/** Every table pattern of the section `snapshot`, by its option. */
function snapshotPatterns({ include, exclude, where }: Chosen): readonly { readonly option: string; readonly pattern: string }[] {
  return Object.entries({ include, exclude, where: Object.keys(where) }).flatMap(([option, patterns]) =>
    patterns.map((pattern) => ({ option, pattern })),
  );
}

/** Patterns that match none of these tables, by their options. The configuration was validated. */
export function unusedPatterns(
  config: Chosen,
  tables: readonly { readonly schema: string; readonly name: string }[],
): readonly { readonly option: string; readonly pattern: string }[] {
  return snapshotPatterns(config).filter(({ pattern }) => {
    const parsed = parsePattern(pattern) as TablePattern;
    return !tables.some(({ schema, name }) => parsed.matches(schema, name));
  });
}

/** What the field table cannot say of the section `snapshot`. */
export function snapshotProblems(config: Chosen): readonly { readonly path: string; readonly message: string; readonly remedy: string }[] {
  const patterns = snapshotPatterns(config).flatMap(({ option, pattern: text }) => {
    const pattern = parsePattern(text);
    return isPatternError(pattern) ? [{ path: `snapshot.${option}`, message: pattern.message, remedy: pattern.remedy }] : [];
  });
  const conditions = Object.entries(config.where)
    .filter(([, condition]) => condition.trim() === '')
    .map(([pattern]) => ({
      path: 'snapshot.where',
      message: `has no condition for "${pattern}"`,
      remedy: 'write an SQL condition, or take the pattern out',
    }));
  return [...patterns, ...conditions];
}

/** Of a table whether its rows are copied without being asked for, and by which condition. The configuration was validated. */
export function snapshotChoice({
  include,
  exclude,
  where,
}: Chosen): (schema: string, name: string) => { readonly isCopied: boolean; readonly where: string | null } {
  const [included, excluded] = [parsePatterns(include), parsePatterns(exclude)];
  const conditions = Object.entries(where).map(([pattern, sql]) => ({ pattern: parsePattern(pattern) as TablePattern, sql }));
  return (schema, name) => {
    const isIn = (patterns: readonly TablePattern[]): boolean => patterns.some((pattern) => pattern.matches(schema, name));
    return {
      isCopied: (included.length === 0 || isIn(included)) && !isIn(excluded),
      where: conditions.find(({ pattern }) => isIn([pattern]))?.sql ?? null,
    };
  };
}
