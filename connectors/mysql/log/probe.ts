/** A look at a server's log beside the stream, byte for byte: for proving what stands there. */
import type { Runtime } from '#plugin';
import { Client, type Driver } from '../client.ts';
import type { MysqlConfig } from '../config.ts';
import { Packets } from '../snapshot/packets.ts';
import { CHECKSUM_BYTES, checksumOf, EVENT, FLAG_ARTIFICIAL } from './events.ts';
import { printOf } from './print.ts';

/** COM_BINLOG_DUMP, and the flag by which the server ends at the log's end (MySQL internals). */
const DUMP = 0x12;
const DO_NOT_WAIT = 1;
/** Of a reader that is no replica: no other one has to go for it. */
const NO_SERVER = 0;
const OK = 0x00;
const END = 0xfe;
const ERROR = 0xff;
/** Behind the number and the state of an error. */
const ERROR_TEXT_AT = 9;
const SILENCE_MS = 30_000;

interface Place {
  readonly file: string;
  readonly pos: string;
}
/** An event that stands in the log, or the first one of a file; `end`: without its checksum. True: no more is wanted. */
type OnEvent = (type: number, bytes: Buffer, end: number) => boolean;

/** Reads the log from a place to its end, on a connection of its own. Returns the server's words if it refuses. Throws what the driver throws, SluiceErrors. */
export async function scanLog(config: MysqlConfig, runtime: Runtime, place: Place, onEvent: OnEvent): Promise<string | null> {
  const client = await Client.connect(config, runtime);
  try {
    // Under both names that servers know it by; MariaDB would rewrite its own events.
    await client.ask("SET @source_binlog_checksum = 'CRC32', @master_binlog_checksum = 'CRC32', @mariadb_slave_capability = 4");
    return await scan(client.driver, runtime, place, onEvent);
  } finally {
    client.close();
  }
}

function scan(driver: Driver, runtime: Runtime, { file, pos }: Place, onEvent: OnEvent): Promise<string | null> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    let heardAt = runtime.monotonicMs();
    const end = (finish: () => void): void => {
      isOver = true;
      timer.clear();
      finish();
    };
    const lost = (error?: unknown): void => end(() => reject(error instanceof Error ? error : new Error('the connection was closed')));
    const tick = (): void => {
      if (runtime.monotonicMs() - heardAt > SILENCE_MS) lost(new Error('no answer'));
      else timer = runtime.setTimer(tick, SILENCE_MS);
    };
    let timer = runtime.setTimer(tick, SILENCE_MS);
    driver.on('error', lost);
    driver.stream.on('close', lost);
    const answer = new Answer(onEvent);
    const packets = new Packets((bytes, from, to) => {
      // What comes behind the end comes all the same.
      if (isOver) return;
      try {
        if (answer.packet(bytes.subarray(from, to))) end(() => resolve(answer.refusal));
      } catch (error) {
        lost(error);
      }
    });
    driver.packetParser = {
      execute: (piece) => {
        heardAt = runtime.monotonicMs();
        packets.push(piece);
      },
    };
    driver.write(request(file, Number(pos)));
  });
}

function request(file: string, pos: number): Buffer {
  const name = Buffer.from(file, 'utf8');
  const packet = Buffer.alloc(4 + 11);
  packet.writeUIntLE(11 + name.length, 0, 3);
  packet[4] = DUMP;
  packet.writeUInt32LE(pos, 5);
  packet.writeUInt16LE(DO_NOT_WAIT, 9);
  packet.writeUInt32LE(NO_SERVER, 11);
  return Buffer.concat([packet, name]);
}

class Answer {
  refusal: string | null = null;
  readonly #onEvent: OnEvent;
  #hasChecksum = true;

  constructor(onEvent: OnEvent) {
    this.#onEvent = onEvent;
  }

  /** True: there is no more, or none is wanted. */
  packet(packet: Buffer): boolean {
    if (packet[0] === OK) return this.#event(packet.subarray(1));
    if (packet[0] === END) return true;
    this.refusal = packet[0] === ERROR ? packet.toString('utf8', ERROR_TEXT_AT) : 'an answer that is none';
    return true;
  }

  #event(bytes: Buffer): boolean {
    const type = bytes.readUInt8(4);
    if (type === EVENT.format) this.#hasChecksum = checksumOf(bytes, bytes.length);
    else if (type === EVENT.heartbeat || type === EVENT.heartbeatV2 || (bytes.readUInt16LE(17) & FLAG_ARTIFICIAL) !== 0) return false;
    return this.#onEvent(type, bytes, bytes.length - (this.#hasChecksum ? CHECKSUM_BYTES : 0));
  }
}

export interface Probe {
  /** When the file was begun, as `LogPosition` has it. */
  readonly created: string;
  /** Of the event that stands at the place, as `LogPosition` has it; empty: the log ends there. */
  readonly print: string;
  /** The server's words where it cannot begin there. */
  readonly refusal: string | null;
}

/** What stands at a place. Throws as `scanLog` does. */
export async function probeLog(config: MysqlConfig, runtime: Runtime, place: Place): Promise<Probe> {
  let created = '';
  let print = '';
  const refusal = await scanLog(config, runtime, place, (type, bytes, end) => {
    if (type === EVENT.format) {
      created = String(bytes.readUInt32LE(0));
      return false;
    }
    print = printOf(bytes, end);
    return true;
  });
  return { created, print, refusal };
}
