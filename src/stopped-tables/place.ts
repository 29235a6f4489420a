/** What a saved place says of spools. */
import type { Place } from '../record/position.ts';

/** Entries of the place that say how far a checkpoint covers a spool. */
const PLACE_PREFIX = 'spool!';

export const spoolEntry = (table: string): string => `${PLACE_PREFIX}${table}`;

/** The sink's own part of a saved place, and the rest; the sink has none if all is ours. */
export function sinkPlace(place: Place | null): Place | null {
  const own = Object.entries(place ?? {}).filter(([entry]) => !entry.startsWith(PLACE_PREFIX));
  return own.length === 0 ? null : Object.fromEntries(own);
}
