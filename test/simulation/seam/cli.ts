/** `npm run test:seam -- --seeds 10000 --from 1`: each seed is a copy of a table under writes and crashes. One that fails prints itself. */
import { parseArgs } from 'node:util';
import { simulateSeam } from './simulation.ts';

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '10000' }, from: { type: 'string', default: '1' }, help: { type: 'boolean', default: false } },
});
if (values.help) {
  process.stdout.write('Usage: npm run test:seam [-- --seeds N] [--from SEED]\n\nExample: npm run test:seam -- --seeds 1 --from 361\n');
  process.exit(0);
}
const [from, seeds] = [Number(values.from), Number(values.seeds)];
const began = Date.now();
let failed = 0;
let crashes = 0;
for (let seed = from; seed < from + seeds; seed++) {
  const outcome = await simulateSeam(seed);
  crashes += outcome.crashes;
  if (outcome.violation !== null) {
    failed++;
    process.stdout.write(`seed ${seed}: ${outcome.violation.invariant}: ${outcome.violation.message}\n`);
  }
  if ((seed - from + 1) % 500 === 0)
    process.stderr.write(`${seed - from + 1} seeds, ${failed} failed, ${Math.round((Date.now() - began) / 1000)} s\n`);
}
process.stdout.write(`${seeds} seeds, ${crashes} crashes, ${failed} failed, ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
process.exitCode = failed > 0 ? 1 : 0;
