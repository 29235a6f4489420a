import type { Place, Position } from '../record/position.ts';

/** A position as stored, with the sink's place of the same moment. */
export interface Offset {
  readonly position: Position;
  readonly place: Place | null;
}

/** What stands under a connector's offset key. */
export interface StoredOffset extends Offset {
  /** Wall clock when it was saved, microseconds since the epoch. */
  readonly savedMicros: number;
  /** What the operator's command gave as its reason; null: saved by the running connector. */
  readonly reason: string | null;
}

/** For error messages: positions are no row values. */
export function describeOffset(offset: Offset | null | undefined): string {
  if (offset === null || offset === undefined) return 'nothing';
  return `position ${JSON.stringify(offset.position)}${offset.place === null ? '' : ` and place ${JSON.stringify(offset.place)}`}`;
}

/** "LevelDB holds … for connector x, the side file …", for the first connector in which the two differ, or for the first one. */
export function describeBoth(level: ReadonlyMap<string, Offset>, side: ReadonlyMap<string, Offset>): string {
  const names = [...new Set([...side.keys(), ...level.keys()])].sort();
  const name = names.find((each) => describeOffset(level.get(each)) !== describeOffset(side.get(each))) ?? names[0];
  if (name === undefined) return 'no offset is known';
  return `for connector ${name} LevelDB holds ${describeOffset(level.get(name))}, the side file ${describeOffset(side.get(name))}`;
}
