/** `npm run test:simulation` */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type Campaign, runCampaign } from './campaign.ts';
import { reportMutations } from './mutate.ts';
import { type Outcome, simulate } from './simulation.ts';

const LAST_EVENTS = 40;
const HELP = `Usage: npm run test:simulation [-- --seeds N] [--from N] [--workers N]
       npm run test:simulation -- --seed N [--trace]
       npm run test:simulation -- --mutations [--only TEXT]

  --seeds N    how many (default 10000)
  --from N     the first one (default 1)
  --workers N  processes (default: one for each core)
  --seed N     this one alone, with its last events
  --trace      with all of them
  --mutations  does it notice slips in the engine?
  --only TEXT  slips whose name holds it
`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(availableParallelism()) },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    mutations: { type: 'boolean', default: false },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** One seed, with everything that happens. */
async function replay(seed: number, all: boolean): Promise<boolean> {
  const { violation, hash, told, tally } = await simulate(seed, true);
  for (const line of all ? told : told.slice(-LAST_EVENTS)) print(line);
  print(`seed ${seed}: ${violation === null ? 'nothing was violated' : `${violation.invariant}: ${violation.message}`}`);
  print(`trace ${(hash >>> 0).toString(16)}, ${JSON.stringify(tally)}`);
  return violation === null;
}

async function reportFailure({ seed, violation }: Outcome): Promise<void> {
  print(`\nSeed ${seed} violates ${violation?.invariant}: ${violation?.message}\nThe last events:`);
  await replay(seed, false);
  print(`\nAgain, with all events: npm run test:simulation -- --seed ${seed} --trace`);
}

async function campaign(): Promise<boolean> {
  const progress = process.stderr.isTTY ? (done: number): void => void (done % 100 === 0 && process.stderr.write(`\r${done}`)) : undefined;
  const options = { from: Number(values.from), seeds: Number(values.seeds), workers: Number(values.workers) };
  const result = await runCampaign(progress === undefined ? options : { ...options, progress });
  summary(result);
  if (result.failed !== null) await reportFailure(result.failed);
  return result.failed === null && result.poor.length === 0;
}

function summary({ seeds, seconds, sum, fates, poor }: Campaign): void {
  print(`${seeds} seeds in ${seconds.toFixed(1)} s: ${(seeds / seconds).toFixed(1)} a second`);
  for (const [name, value] of Object.entries(sum)) print(`  ${name.padEnd(14)} ${Math.round(value)}`);
  print(
    `  requests       ${Object.entries(fates)
      .map(([fate, times]) => `${fate} ${times}`)
      .join(', ')}`,
  );
  print(
    poor.length === 0 ? '  every seed had at least 200 records, 3 crashes and 2 partitions' : `  too little happened in the seeds ${poor.join(', ')}`,
  );
}

const passed = values.mutations
  ? await reportMutations(print, values.only, Number(values.workers))
  : values.seed !== undefined
    ? await replay(Number(values.seed), values.trace)
    : await campaign();
process.exitCode = passed ? 0 : 1;
