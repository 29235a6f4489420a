import type { Files } from '../plugin/runtime.ts';
import { crc32c } from '../record/crc32c.ts';
import type { Position } from '../record/position.ts';
import type { Positions } from './offset.ts';

/** What the side file says: enough to notice that LevelDB forgot something, and to resume from if it did. */
export interface SideRecord {
  readonly format: number;
  readonly instance: string;
  readonly generation: number;
  /** By connector. */
  readonly positions: Positions;
  /** Connectors whose offsets were lost with damaged state and are not recovered yet: damage must not make them forgotten a second time (I8). */
  readonly lost: readonly string[];
}

export interface SideFiles {
  /** The newest sound one. */
  readonly newest: SideRecord | null;
  /** How many of the two are sound. Both always exist after the first initialisation. */
  readonly sound: 0 | 1 | 2;
  /** How many of the two exist at all. */
  readonly present: 0 | 1 | 2;
}

const NAMES = ['offset.a', 'offset.b'] as const;

/** Writes the generation's file: even ones `offset.a`, odd ones `offset.b`. Durable when it resolves. */
export async function writeSideFile(files: Files, directory: string, record: SideRecord): Promise<void> {
  await files.replace(`${directory}/${NAMES[record.generation % 2 === 0 ? 0 : 1]}`, encode(record));
}

/** At the first initialisation: from then on a missing file is a missing file. */
export async function writeBothSideFiles(files: Files, directory: string, record: SideRecord): Promise<void> {
  for (const name of NAMES) await files.replace(`${directory}/${name}`, encode(record));
}

export async function readSideFiles(files: Files, directory: string): Promise<SideFiles> {
  const found = await Promise.all(NAMES.map((name) => files.read(`${directory}/${name}`)));
  const sound = found.map(decode).filter((record) => record !== null);
  sound.sort((a, b) => b.generation - a.generation);
  return { newest: sound[0] ?? null, sound: sound.length as 0 | 1 | 2, present: found.filter((bytes) => bytes !== null).length as 0 | 1 | 2 };
}

/** One line that a person can read: the CRC-32C of the JSON in hexadecimal, a space, the JSON. */
function encode(record: SideRecord): Buffer {
  const { format, instance, generation, positions, lost } = record;
  const json = Buffer.from(JSON.stringify({ format, instance, generation, positions: [...positions], lost }));
  return Buffer.concat([Buffer.from(`${crc32c(json).toString(16).padStart(8, '0')} `), json, Buffer.from('\n')]);
}

function decode(bytes: Buffer | null): SideRecord | null {
  if (bytes === null || bytes.length < 10 || bytes.at(-1) !== 0x0a) return null;
  const json = bytes.subarray(9, -1);
  if (bytes.toString('latin1', 0, 9) !== `${crc32c(json).toString(16).padStart(8, '0')} `) return null;
  // A file of another format has other fields: its format is all that is asked of it.
  const { positions, lost, ...rest } = JSON.parse(json.toString()) as Omit<SideRecord, 'positions' | 'lost'> & {
    positions?: [string, Position][];
    lost?: string[];
  };
  return { ...rest, positions: new Map(positions ?? []), lost: lost ?? [] };
}
