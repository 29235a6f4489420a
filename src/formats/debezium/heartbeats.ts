import type { FormatContext, HeartbeatMessages } from '../../plugin/format.ts';
import { HEARTBEAT } from '../../record/message-id.ts';
import { encodeHeaders, type MessageWriter } from '../../record/messages.ts';
import { writeWhole } from '../envelope.ts';
import { type EventSchemas, heartbeatSchemas } from './event-schema.ts';
import { framed } from './frame.ts';
import { jsonText } from './schema.ts';
import { clockTexts } from './source-block.ts';

/** Debezium's heartbeats: that the connector lives, and when it said so. */
export class Heartbeats implements HeartbeatMessages {
  readonly destination: string;
  readonly intervalMs: number;
  readonly #connector: string;
  readonly #headers: Uint8Array;
  readonly #schemas: EventSchemas | null;

  constructor({ connector, capture }: FormatContext, schemasEnable: boolean, intervalMs: number) {
    this.destination = heartbeatTopic(connector);
    this.intervalMs = intervalMs;
    this.#connector = connector;
    this.#headers = encodeHeaders([['sluice.capture', capture]]);
    this.#schemas = schemasEnable ? heartbeatSchemas() : null;
  }

  write(nowMicros: number, out: MessageWriter): void {
    writeWhole(out, {
      key: framed(this.#schemas?.key, `{"serverName":${jsonText(this.#connector)}}`),
      value: framed(this.#schemas?.value, `{"ts_ms":${clockTexts(nowMicros).millis}}`),
      headers: this.#headers,
      id: `${this.#connector}/${HEARTBEAT}${nowMicros}/0/0`,
    });
  }
}

/** Debezium's `topic.heartbeat.prefix` and the prefix. */
export function heartbeatTopic(connector: string): string {
  return `__debezium-heartbeat.${connector}`;
}
