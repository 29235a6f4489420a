/**
 * The library by itself: reads the log from a place on, decodes its rows, counts them and keeps nothing. Arguments: host, port, file, position, number of rows. Prints one JSON line.
 */
import ZongJi from '@vlasky/zongji';

const [host, port, file, position, rowsText] = process.argv.slice(2) as [string, string, string, string, string];
const wanted = Number(rowsText);
let rows = 0;
const library = new ZongJi({ host, port: Number(port), user: 'root' });
const done = new Promise<void>((resolve, reject) => {
  library.on('error', reject);
  library.on('binlog', (event) => {
    rows += (event as unknown as { rows?: readonly unknown[] }).rows?.length ?? 0;
    if (rows >= wanted) resolve();
  });
});
const started = performance.now();
const cpu = process.cpuUsage();
library.start({
  serverId: 4_000_000_000 + (process.pid % 1_000_000),
  filename: file,
  position: Number(position),
  includeEvents: ['tablemap', 'writerows'],
});
await done;
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
process.stdout.write(`${JSON.stringify({ rows, seconds, cpuMicros: user + system, peakBytes: process.resourceUsage().maxRSS * 1024 })}\n`);
process.exit(0);
