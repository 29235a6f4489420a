import { piece } from '../json-text.ts';
import { type ConnectSchema, schemaText } from './schema.ts';

/** What stands in front of a key or value and behind it. */
export interface Frame {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

const NOTHING = new Uint8Array(0);
const BARE: Frame = { head: NOTHING, tail: NOTHING };

/** Connect's `{"schema":…,"payload":…}`; `schema` null: there are none. */
export function frameOf(schema: ConnectSchema | null): Frame {
  return schema === null ? BARE : { head: piece(`{"schema":${schemaText(schema)},"payload":`), tail: piece('}') };
}

/** A key or value that is made as a text, in its frame. */
export function framed(schema: string | undefined, payload: string): string {
  return schema === undefined ? payload : `{"schema":${schema},"payload":${payload}}`;
}
