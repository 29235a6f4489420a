/** The built product on data directories of other versions: one of the present format is used, a newer one is refused with the remedy and left as it is (I8). */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { STATE_FORMAT } from '../../src/state/integrity.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { readFixture, unpackDirectory } from '../support/state-fixture.ts';

let daemon: Daemon;
let marker: string;

beforeEach(async () => {
  const source = { type: 'postgres', url: 'postgres://nobody@127.0.0.1:1/none', tables: ['public.orders'] };
  daemon = await Daemon.create([{ name: 'shop', source, sink: { type: 'blackhole' } }], { http: { listen: '127.0.0.1:0' } });
  await mkdir(daemon.dataDir, { mode: 0o700 });
  await unpackDirectory(await readFixture(STATE_FORMAT), daemon.dataDir);
  marker = join(daemon.dataDir, 'state', 'marker.json');
});

afterEach(() => daemon.dispose());

it('goes on with what was saved, and rests what was paused', async () => {
  const shown = await sluice(['offsets', 'show', '--json', daemon.directory]);
  expect([shown.exit, shown.stderr]).toEqual([0, '']);
  expect(JSON.parse(shown.stdout)).toMatchObject([
    { connector: 'billing-2', offset: { position: { gtid: '0-1-5' } } },
    { connector: 'shop', offset: { position: { lsn: '0/16B3748' } }, place: { sequence: '17' }, tables: 1 },
  ]);
  daemon.start();
  const api = await daemon.apiUrl();
  await expect.poll(async () => ((await (await fetch(`${api}/connectors/shop/status`)).json()) as { state: string }).state).toBe('paused');
  expect(await daemon.stop()).toBe(0);
});

it('a newer one ends the start and each command with the remedy; nothing is written', async () => {
  const newer = (await readFile(marker, 'utf8')).replace(`"format":${STATE_FORMAT}`, `"format":${STATE_FORMAT + 1}`);
  await writeFile(marker, newer);
  const shown = await sluice(['offsets', 'show', daemon.directory]);
  expect(shown.exit).toBe(3);
  expect(shown.stderr).toContain(`format ${STATE_FORMAT + 1}; this version of sluice reads format ${STATE_FORMAT}`);
  expect(shown.stderr).toContain('SLUICE_STATE_VERSION');
  expect(shown.stderr).toContain('Run the version of sluice that wrote it, or a newer one');
  expect(await daemon.start().exit()).toBe(3);
  expect(daemon.stderr).toContain('SLUICE_STATE_VERSION');
  const recovered = await sluice(['offsets', 'recover', '--from', 'slot', daemon.directory]);
  expect([recovered.exit, recovered.stderr]).toEqual([3, expect.stringContaining('SLUICE_STATE_VERSION')]);
  expect(await readFile(marker, 'utf8')).toBe(newer);
});
