/** What lies between two positions, for who moves a connector: counted over sets of GTIDs with gaps, tags and several sources. */
import { expect, it } from 'vitest';
import { mariadb, mysql } from '../../../../connectors/mysql/index.ts';
import type { Position } from '../../../../src/record/position.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '4e11fa47-71ca-11e1-9e33-c80aa9429562';
const at = (system: string, gtid: string, more: object = {}): Position => ({ system, by: 'gtid', gtid, server: 's', file: '', pos: '0', ...more });

it.each([
  ['mysql', `${A}:1-5`, `${A}:1-9`, null, '4 transactions'],
  ['mysql', `${A}:1-9`, `${A}:1-2:5`, '6 transactions', null],
  ['mysql', `${A}:1-5,${B}:1-3`, `${A}:1-7`, '3 transactions', '2 transactions'],
  ['mysql', `${A}:1-5:tag:1-4`, `${A}:1-5`, '4 transactions', null],
  ['mysql', '', '', null, null],
  ['mariadb', '0-1-10,1-3-4', '0-2-7,1-3-9', '3 transactions', '5 transactions'],
  ['mariadb', '0-1-18446744073709551615', '0-1-1', '18446744073709551614 transactions', null],
])('%s: from %s to %s', (system, from, to, back, forward) => {
  const plugin = system === 'mysql' ? mysql : mariadb;
  expect(plugin.distance?.(at(system, from), at(system, to))).toEqual({ back, forward });
});

it('by file in bytes of one file; of two files, and of what is no position, it cannot be told', () => {
  const place = (file: string, pos: string): Position => at('mysql', '', { by: 'file', file, pos });
  expect(mysql.distance?.(place('b.000001', '100'), place('b.000001', '40'))).toEqual({ back: '60 bytes of log', forward: null });
  expect(mysql.distance?.(place('b.000001', '100'), place('b.000002', '40'))).toBeNull();
  expect(mysql.distance?.(at('mysql', 'x'), at('mysql', ''))).toBeNull();
});
