import { piece } from '../json-text.ts';
import { type ConnectSchema, schemaText } from './schema.ts';

/** What stands around a key or value: nothing, or its schema. */
export interface Frame {
  readonly head: Uint8Array;
  /** True: a brace closes it. */
  readonly closes: boolean;
}

const BARE: Frame = { head: new Uint8Array(0), closes: false };

/** Connect's `{"schema":…,"payload":…}`; `schema` null: there are none. */
export function frameOf(schema: ConnectSchema | null): Frame {
  return schema === null ? BARE : { head: piece(`{"schema":${schemaText(schema)},"payload":`), closes: true };
}

/** A key or value that is made as a text, in its frame. */
export function framed(schema: string | undefined, payload: string): string {
  return schema === undefined ? payload : `{"schema":${schema},"payload":${payload}}`;
}
