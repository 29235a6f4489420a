import { DIRECTORY, type Disk, LEVEL } from './disk.ts';
import type { Random } from './random.ts';

type Damage = (disk: Disk, random: Random) => string | null;

function flipped(bytes: Uint8Array, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  const at = random.below(copy.length);
  copy[at] = (copy[at] as number) ^ (1 << random.below(8));
  return copy;
}

function sideFile(random: Random): string {
  return `${DIRECTORY}/state/offset.${random.pick(['a', 'b'])}`;
}

/** What disks, and people, do to a data directory while nobody looks. */
const KINDS: readonly Damage[] = [
  function bit(disk, random) {
    const level = disk.levels.get(LEVEL);
    if (level === undefined || level.size === 0) return null;
    const [key, value] = random.pick([...level]);
    level.set(key, flipped(value, random));
    return `a bit of ${key}`;
  },
  function lostEntry(disk, random) {
    const level = disk.levels.get(LEVEL);
    if (level === undefined || level.size === 0) return null;
    const key = random.pick([...level.keys()]);
    level.delete(key);
    return `${key} is lost`;
  },
  function older(disk, random) {
    const { states } = disk;
    if (states.length < 2) return null;
    const back = random.between(1, states.length - 1);
    disk.levels.set(LEVEL, new Map(states[states.length - 1 - back]));
    return `LevelDB is ${back} batches older`;
  },
  function noSideFile(disk, random) {
    const path = sideFile(random);
    return disk.files.delete(path) ? `${path} is gone` : null;
  },
  function sideFileBit(disk, random) {
    const path = sideFile(random);
    const bytes = disk.files.get(path);
    if (bytes === undefined) return null;
    disk.files.set(path, flipped(bytes, random));
    return `a bit of ${path}`;
  },
  function noMarker(disk) {
    return disk.files.delete(`${DIRECTORY}/state/marker.json`) ? 'the marker is gone' : null;
  },
  function noLevel(disk) {
    return disk.levels.delete(LEVEL) ? 'LevelDB is gone' : null;
  },
];

/** Damages the state, if there is some that is worth it; says how, or null. */
export function damage(disk: Disk, random: Random): string | null {
  if ((disk.storedLsn ?? 0) <= 0) return null;
  return random.pick(KINDS)(disk, random);
}
