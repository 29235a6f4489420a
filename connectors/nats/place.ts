import type { Place } from '#plugin';

/** Where a connector's output ends in a stream. */
export interface StreamPlace {
  readonly sequence: number;
  /** The stream's creation time as the server writes it: a stream that was deleted and made again is another one. */
  readonly created: string;
}

export function toPlace(place: StreamPlace): Place {
  return { sequence: String(place.sequence), created: place.created };
}

/** Null if it is no place of this sink. */
export function fromPlace(place: Place): StreamPlace | null {
  const { sequence, created } = place;
  if (typeof sequence !== 'string' || !/^\d{1,15}$/.test(sequence) || typeof created !== 'string') return null;
  return { sequence: Number(sequence), created };
}
