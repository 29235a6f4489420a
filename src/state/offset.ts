import type { Place, Position } from '../record/position.ts';

/** A position to store, with the sink's place of the same moment. */
export interface Offset {
  readonly position: Position;
  /** Its entries have keys of their own, so that a checkpoint writes only those that moved; null: none. */
  readonly place: Place | null;
}

/** Connectors' positions by name: what the side file witnesses. */
export type Positions = ReadonlyMap<string, Position>;

/** What stands under a connector's offset key. */
export interface StoredOffset {
  readonly position: Position;
  /** Wall clock when it was saved, microseconds since the epoch. */
  readonly savedMicros: number;
  /** What the operator's command gave as its reason; null: saved by the running connector. */
  readonly reason: string | null;
}

/** For error messages: positions are no row values. */
export function describePosition(position: Position | undefined): string {
  return position === undefined ? 'nothing' : `position ${JSON.stringify(position)}`;
}

/** "LevelDB holds … for connector x, the side file …", for the first connector in which the two differ, or for the first one. */
export function describeBoth(level: Positions, side: Positions): string {
  const names = [...new Set([...side.keys(), ...level.keys()])].sort();
  const name = names.find((each) => describePosition(level.get(each)) !== describePosition(side.get(each))) ?? names[0];
  if (name === undefined) return 'no offset is known';
  return `for connector ${name} LevelDB holds ${describePosition(level.get(name))}, the side file ${describePosition(side.get(name))}`;
}
