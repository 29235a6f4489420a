import { describe, expect, it } from 'vitest';
import { COMPATIBILITY_LEVELS, type CompatibilityLevel, checkCompatibility } from '../../../src/compatibility/levels.ts';

const LONG = 'long';
const INT = 'int';
const TEXT = 'string';

/** Earlier schemas, the oldest first, and a new one; the levels that allow it. */
const CASES: readonly (readonly [string, readonly unknown[], unknown, readonly CompatibilityLevel[]])[] = [
  ['the first of all', [], INT, COMPATIBILITY_LEVELS],
  ['the same', [INT, INT], INT, COMPATIBILITY_LEVELS],
  ['one that reads the last', [INT], LONG, ['none', 'backward', 'backward-transitive']],
  ['one that the last reads', [LONG], INT, ['none', 'forward', 'forward-transitive']],
  ['one that reads the last, and not the one before', [TEXT, INT], LONG, ['none', 'backward']],
  ['one that the last reads, and not the one before', [TEXT, LONG], INT, ['none', 'forward']],
  ['as the last, and not the one before', [TEXT, INT], INT, ['none', 'backward', 'forward', 'full']],
  ['one that fits none', [INT], TEXT, ['none']],
];

describe('the level of compatibility', () => {
  it.each(CASES)('%s', (_, earlier, schema, allowed) => {
    expect(COMPATIBILITY_LEVELS.filter((level) => checkCompatibility(level, 'avro', schema, earlier).length === 0)).toEqual(allowed);
  });

  it('tells which of the earlier schemas, and which way round, the last first', () => {
    expect(checkCompatibility('full-transitive', 'avro', LONG, [TEXT, INT]).map(({ direction, earlier }) => [direction, earlier])).toEqual([
      ['forward', 1],
      ['backward', 0],
      ['forward', 0],
    ]);
  });
});
