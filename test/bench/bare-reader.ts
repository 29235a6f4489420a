/**
 * The least a Node process can do with a slot: reads the stream in bursts, walks the message lengths, counts the rows, keeps nothing. It shows what the
 * server and the socket allow. Arguments: URL, slot, publication, end LSN, number of rows. Prints one JSON line.
 */
import pg from 'pg';

const [url, slot, publication, rowsText] = process.argv.slice(2) as [string, string, string, string];
const wanted = Number(rowsText);
const client = new pg.Client({ connectionString: url, replication: 'database' } as pg.ClientConfig);
await client.connect();
const connection = (client as unknown as { connection: { stream: import('node:net').Socket; query(text: string): void } }).connection;
const { stream } = connection;
stream.removeAllListeners('data');

let rows = 0;
let rest: Buffer = Buffer.alloc(0);
const done = new Promise<void>((resolve) => {
  stream.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (at + 5 <= bytes.length) {
      const end = at + 1 + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      // CopyData of XLogData ('d', 'w', 24 bytes of header) that holds an Insert ('I').
      if (bytes[at] === 0x64 && bytes[at + 5] === 0x77 && bytes[at + 30] === 0x49) rows++;
      at = end;
    }
    rest = at === bytes.length ? Buffer.alloc(0) : bytes.subarray(at);
    if (rows >= wanted) {
      resolve();
      return;
    }
    if (chunk.length < 65_536) {
      stream.pause();
      setTimeout(() => stream.resume(), 1);
    }
  });
});
const started = performance.now();
const cpu = process.cpuUsage();
connection.query(`START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '"${publication}"')`);
await done;
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
process.stdout.write(`${JSON.stringify({ rows, seconds, cpuMicros: user + system, peakBytes: process.resourceUsage().maxRSS * 1024 })}\n`);
process.exit(0);
