import { describe, expect, it } from 'vitest';
import { builtInOid, builtInType, type CustomType, customType } from '../../../../connectors/postgres/types.ts';

const MAX = 2147483647;
const numeric = (precision: number, scale: number): number => 4 + ((precision << 16) | (scale & 0x7ff));

const of = (name: string, typmod = -1): unknown => {
  const { sourceType } = builtInType(builtInOid(name) ?? 0, typmod) ?? {};
  return sourceType === undefined ? undefined : [sourceType.name, sourceType.length, sourceType.scale];
};

describe('types in the words of pgjdbc’s TypeInfoCache, as Debezium passes them on', () => {
  it.each<[string, number, number | null, number]>([
    ['int2', -1, 5, 0],
    ['int4', -1, 10, 0],
    ['oid', -1, 10, 0],
    ['int8', -1, 19, 0],
    ['float4', -1, 8, 8],
    ['float8', -1, 17, 17],
    ['numeric', -1, 131089, 0],
    ['numeric', numeric(5, 2), 5, 2],
    ['numeric', numeric(4, 0), 4, 0],
    // The driver reads 2046.
    ['numeric', numeric(5, -2), 5, -2],
    ['bool', -1, 1, 0],
    ['char', -1, 1, 0],
    ['varchar', 4 + 128, 128, 0],
    ['varchar', -1, MAX, 0],
    ['bpchar', 4 + 3, 3, 0],
    ['bpchar', -1, MAX, 0],
    ['text', -1, MAX, 0],
    ['name', -1, MAX, 0],
    ['bytea', -1, MAX, 0],
    ['uuid', -1, MAX, 0],
    ['jsonb', -1, MAX, 0],
    ['money', -1, MAX, 0],
    ['date', -1, 13, 0],
    ['time', -1, 15, 6],
    ['time', 0, 8, 0],
    ['time', 1, 11, 1],
    ['time', 3, 12, 3],
    ['timetz', -1, 21, 6],
    ['timestamp', -1, 29, 6],
    ['timestamp', 6, 29, 6],
    ['timestamptz', -1, 35, 6],
    ['timestamptz', 0, 28, 0],
    ['interval', -1, 49, 6],
    ['interval', (0x7fff << 16) | 3, 49, 3],
    ['bit', 5, 5, 0],
    // CREATE TABLE … AS SELECT B'101': the driver has −1, which Debezium leaves out.
    ['bit', -1, null, 0],
    ['varbit', 3, 3, 0],
    ['varbit', -1, MAX, 0],
    ['_int4', -1, MAX, 0],
    ['_varchar', 4 + 10, MAX, 0],
  ])('%s, modifier %i', (name, typmod, length, scale) => expect(of(name, typmod)).toEqual([name, length, scale]));

  it('domains over what is text to us say what they are over', () => {
    const over = (baseOid: number): CustomType => ({ name: 'd', baseOid, typmod: -1, kind: 'domain' });
    const types = new Map([[20001, over(builtInOid('inet') ?? 0)]]);
    const baseOf = (baseOid: number) => customType(over(baseOid), -1, (oid) => types.get(oid)).baseName;
    expect([baseOf(20001), baseOf(builtInOid('inet') ?? 0), baseOf(builtInOid('int4') ?? 0)]).toEqual(['inet', 'inet', undefined]);
  });

  it('domains have their own name and the size of what they are over; enums and their arrays have none', () => {
    const base = (name: string): number => builtInOid(name) ?? 0;
    const types = new Map<number, CustomType>([
      [20001, { name: 'numericex', baseOid: base('numeric'), typmod: numeric(8, 3), kind: 'domain' }],
      [20002, { name: 'money3', baseOid: 20001, typmod: -1, kind: 'domain' }],
      [20003, { name: 'varbit2', baseOid: base('varbit'), typmod: 3, kind: 'domain' }],
      [20004, { name: 'test_type', baseOid: 0, typmod: -1, kind: 'enum', labels: ['V1'] }],
      [20005, { name: '_test_type', baseOid: 0, typmod: -1, kind: 'array', elementOid: 20004 }],
      [20006, { name: 'mood', baseOid: 20004, typmod: -1, kind: 'domain' }],
      [20007, { name: 'ints', baseOid: base('_int4'), typmod: -1, kind: 'domain' }],
    ]);
    const lookup = (oid: number): CustomType | undefined => types.get(oid);
    const custom = [...types.values()].map((type) => {
      const { sourceType } = customType(type, -1, lookup);
      return [sourceType?.name, sourceType?.length, sourceType?.scale];
    });
    expect(custom).toEqual([
      ['numericex', 8, 3],
      ['money3', 8, 3],
      ['varbit2', 3, 0],
      ['test_type', MAX, 0],
      ['_test_type', MAX, 0],
      ['mood', MAX, 0],
      ['ints', MAX, 0],
    ]);
  });
});
