/** Data directories that other versions have written: this one opens them with all that they hold, and refuses what is newer by its remedy. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { STATE_FORMAT } from '../../../src/state/integrity.ts';
import { openStore } from '../../../src/state/store.ts';
import { heldBy, readFixture, unpackDirectory } from '../../support/state-fixture.ts';
import { dataDirectory, errorOf, withStore } from './state-directory.ts';

it(`format ${STATE_FORMAT}: all that it holds is there, also after it was written to`, async () => {
  const options = await dataDirectory();
  const fixture = await readFixture(STATE_FORMAT);
  await unpackDirectory(fixture, options.directory);
  await withStore(options, async (store) => {
    expect(await heldBy(store)).toEqual(fixture.holds);
    expect(store.previousShutdown).toBe('clean');
    await store.save('other', { offset: { position: { lsn: '0/1' }, place: null } });
    await store.replaceOffset('other', null, 'test');
  });
  await withStore(options, async (store) => expect(await heldBy(store)).toEqual(fixture.holds));
});

it('of a newer format it is refused, and what stands there is as it was', async () => {
  const options = await dataDirectory();
  await unpackDirectory(await readFixture(STATE_FORMAT), options.directory);
  const marker = join(options.directory, 'state', 'marker.json');
  const stamped = (await readFile(marker, 'utf8')).replace(`"format":${STATE_FORMAT}`, `"format":${STATE_FORMAT + 1}`);
  await writeFile(marker, stamped);
  const error = await errorOf(openStore(options));
  expect(error.code).toBe('SLUICE_STATE_VERSION');
  expect(error.remedy).toContain('Run the version of sluice that wrote it, or a newer one');
  expect(await readFile(marker, 'utf8')).toBe(stamped);
});
