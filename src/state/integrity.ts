import { type ErrorKind, type ErrorParameters, SluiceError } from '../plugin/error.ts';
import type { Position } from '../record/position.ts';
import { Digest } from './digest.ts';
import { STATE_BEHIND, STATE_CORRUPT, STATE_MISSING, STATE_VERSION } from './errors.ts';
import { FrameError, unframeJson } from './frame.ts';
import { EngineError, type KeyValueStore } from './key-value.ts';
import { LOST_KEY, OFFSET_KEY, parseKey, ROOT_KEY } from './keys.ts';
import { describeBoth, describePosition, type Positions, type StoredOffset } from './offset.ts';
import type { SideFiles } from './side-file.ts';

/** Version of everything below `state/`. */
export const STATE_FORMAT = 2;

/** The value of the root key: written with every batch. */
export interface Root {
  readonly format: number;
  readonly instance: string;
  /** Counts batches. */
  readonly generation: number;
  /** True if the store was closed in order after this batch. */
  readonly clean: boolean;
  /** Sum over all other entries (digest.ts). */
  readonly digest: number;
}

/** Everything that LevelDB holds, as far as it can be read. */
export interface Scan {
  readonly root: Root | null;
  readonly digest: Digest;
  readonly positions: Map<string, Position>;
  /** Connectors whose offsets are to be recovered. */
  readonly lost: Set<string>;
  /** The first damage that was met, in words; null: none. */
  readonly damage: string | null;
}

/** Reads every entry once, so that damage stops the start and not a run in the middle of the night. */
export async function scan(engine: KeyValueStore): Promise<Scan> {
  const digest = new Digest();
  const positions = new Map<string, Position>();
  const lost = new Set<string>();
  let root: Root | null = null;
  let damage: string | null = null;
  try {
    for await (const [key, value] of engine.iterate('')) {
      try {
        const content = unframeJson(key, value);
        if (key === ROOT_KEY) {
          root = content as Root;
          continue;
        }
        digest.apply({ type: 'put', key, value });
        const at = parseKey(key);
        if (at?.rest === OFFSET_KEY) positions.set(at.connector, (content as StoredOffset).position);
        else if (at?.rest === LOST_KEY) lost.add(at.connector);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        damage ??= error.message;
      }
    }
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    damage ??= error.message;
  }
  return { root, digest, positions, lost, damage };
}

/**
 * I8: throws unless LevelDB holds everything that was ever saved, which the side files witness. LevelDB is written first, so it may be one
 * generation ahead (a crash between the two); if one side file is unreadable it might have been one ahead of the other.
 */
export function checkIntegrity(directory: string, instance: string, found: Scan, sides: SideFiles): void {
  const { newest } = sides;
  const offsets = describeBoth(found.positions, newest?.positions ?? new Map());
  const stop = (kind: ErrorKind, parameters: ErrorParameters): SluiceError => new SluiceError(kind, { directory, offsets, ...parameters });
  if (found.damage !== null) throw stop(STATE_CORRUPT, { reason: found.damage });
  if (newest === null) {
    throw sides.present === 0
      ? stop(STATE_MISSING, { reason: 'both side files are gone' })
      : stop(STATE_CORRUPT, { reason: 'no side file is readable' });
  }
  for (const format of [newest.format, found.root?.format ?? STATE_FORMAT]) checkFormat(directory, format);
  if (newest.instance !== instance || (found.root !== null && found.root.instance !== instance)) {
    throw stop(STATE_CORRUPT, { reason: 'its parts come from different data directories' });
  }
  const generation = found.root?.generation ?? 0;
  if (generation < newest.generation) throw stop(STATE_BEHIND, { generation, sideGeneration: newest.generation });
  const witnessed = sides.sound === 2 ? newest.generation : newest.generation + 1;
  if (generation < witnessed) {
    const kind = sides.present < 2 ? STATE_MISSING : STATE_CORRUPT;
    throw stop(kind, { reason: `one of the two side files is ${sides.present < 2 ? 'gone' : 'unreadable'} and may have held a newer offset` });
  }
  if (generation > witnessed + 1) {
    throw stop(STATE_CORRUPT, { reason: `the side file is at generation ${newest.generation}, more than one behind LevelDB at ${generation}` });
  }
  if (found.root?.digest !== found.digest.sum) {
    throw stop(STATE_CORRUPT, { reason: 'LevelDB lost or changed entries that its newest write counts' });
  }
  if (generation === newest.generation && !samePositions(found.positions, newest.positions)) {
    throw stop(STATE_CORRUPT, { reason: 'LevelDB and the side file of the same generation hold different offsets' });
  }
}

export function checkFormat(directory: string, found: number): void {
  if (found !== STATE_FORMAT) throw new SluiceError(STATE_VERSION, { directory, found, supported: STATE_FORMAT });
}

function samePositions(a: Positions, b: Positions): boolean {
  if (a.size !== b.size) return false;
  for (const [connector, position] of a) if (!b.has(connector) || describePosition(position) !== describePosition(b.get(connector))) return false;
  return true;
}
