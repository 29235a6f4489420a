/**
 * Slips that a tired author could make in the engine, one line each. The simulator must notice every one of them, or it proves nothing. `find` stands in
 * the file exactly once: when the code moves on the list must follow.
 */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Files of the fault matrix that are to notice it on real servers (`npm run test:slips`), the likeliest first; none: those of its part of the engine. */
  readonly matrix?: readonly string[];
}

const SENDER = 'src/pipeline/sender.ts';
const SAVER = 'src/pipeline/saver.ts';
const CHECKPOINTS = 'src/pipeline/checkpoints.ts';
const COMMITTER = 'src/state/committer.ts';
const LANE = 'connectors/kafka/lane.ts';
const LANES = 'connectors/kafka/lanes.ts';
const IDENTITIES = 'connectors/kafka/identities.ts';
const SINK = 'connectors/kafka/sink.ts';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'acknowledge before save',
    file: SAVER,
    find: 'await this.#options.save(checkpoint);\n        this.#options.saved(checkpoint);',
    replace: 'this.#options.saved(checkpoint);\n        await this.#options.save(checkpoint);',
  },
  {
    name: 'save before durable',
    file: SENDER,
    find: 'const durable = (place: Place | null): void => {',
    replace: 'tracker.finish(entry, null);\n    const durable = (place: Place | null): void => {',
  },
  { name: 'gap in the prefix', file: CHECKPOINTS, find: 'if (!done) break;', replace: 'if (!done && position === null) break;' },
  {
    name: 'place of the whole batch saved with an earlier checkpoint',
    file: CHECKPOINTS,
    find: 'if (atEnd || position === null) Object.assign(this.#held, place);',
    replace: 'Object.assign(this.#held, place);',
  },
  { name: 'beginning of a new lane not saved', file: IDENTITIES, find: 'await context.savePlace(entries);', replace: 'void entries;' },
  {
    name: 'skip on retry',
    file: LANES,
    find: 'await this.#persist.pause(lane.failures);',
    replace: 'lane.confirmed(lane.offset, this.#done);',
  },
  {
    name: 'a batch that was too large goes behind the queue',
    file: LANE,
    find: 'for (const { job, indexes } of [...runs].reverse()) this.#queue.unshift({ job, indexes, at: 0 });',
    replace: 'for (const { job, indexes } of runs) this.#queue.push({ job, indexes, at: 0 });',
  },
  {
    name: 'what does not stand after a resync goes behind the queue',
    file: LANE,
    find: 'this.#queue.unshift(...rest);',
    replace: 'this.#queue.push(...rest);',
  },
  {
    name: 'a new producer after a lost answer',
    file: LANES,
    find: "if (kind === 'producer') {",
    replace:
      "if (kind === 'again' && lane.sending !== null) {\n      lane.giveBack();\n      lane.identity = { producerId: await this.#host.driver.newProducerId(signal), epoch: 0, sequence: 0 };\n      return;\n    }\n    if (kind === 'producer') {",
  },
  {
    name: 'a noted transaction is skipped whole',
    file: 'src/plugin/noted.ts',
    find: 'if (rank >= highest) this.#dropUpTo(noted as Map<string, number>, (parsed as MessageId).transaction);\n    return rank <= highest;',
    replace: 'return rank >= 0;',
  },
  { name: 'resume one message late', file: LANE, find: 'let offset = base;', replace: 'let offset = base + 1;' },
  {
    name: 'side file before LevelDB',
    file: COMMITTER,
    find: "await this.#engine.batch([...operations.values(), { type: 'put', key: ROOT_KEY, value: frameJson(root) }]);",
    replace:
      "await writeSideFile(this.#runtime.files, this.#stateDirectory, { format: STATE_FORMAT, instance: this.#instance, generation, positions: this.#positions, lost: [...this.#lost] });\n    await this.#engine.batch([...operations.values(), { type: 'put', key: ROOT_KEY, value: frameJson(root) }]);",
  },
  {
    name: 'side file not waited for',
    file: COMMITTER,
    find: 'await writeSideFile(this.#runtime.files, this.#stateDirectory, side);',
    replace: 'void writeSideFile(this.#runtime.files, this.#stateDirectory, side).catch(() => undefined);',
  },
  {
    name: 'digest not checked',
    file: 'src/state/integrity.ts',
    find: 'if (found.root?.digest !== found.digest.sum) {',
    replace: 'if (found.root === null) {',
  },
  {
    name: 'checksum of a value not checked',
    file: 'src/state/frame.ts',
    find: 'if (view.readUInt32BE(0) !== crc32c(view.subarray(4))) throw',
    replace: 'if (view.length < 0) throw',
  },
  {
    name: 'bound of what is in flight ignored',
    file: 'src/pipeline/flight.ts',
    find: 'return this.bytes >= this.#maxBytes && this.batches > 0;',
    replace: 'return false;',
  },
  {
    name: 'encoded batch recycled before it is durable',
    file: SENDER,
    find: 'const durable = (place: Place | null): void => {',
    replace: 'encoder.recycle(messages);\n    const durable = (place: Place | null): void => {',
  },
  {
    name: 'record batch released before it is encoded',
    file: SENDER,
    find: 'const messages = encoder.encode(batch, runtime.nowMicros());',
    replace: 'batch.release();\n    const messages = encoder.encode(batch, runtime.nowMicros());',
  },
  {
    name: 'epoch not saved before it is used',
    file: IDENTITIES,
    find: 'await this.#host.context.savePlace({ [epochEntry(lane.key)]: epochValue(next) });',
    replace: 'void epochEntry;\n    void epochValue;',
  },
  {
    name: 'identities that are chosen at the start not saved',
    file: SINK,
    find: 'if (Object.keys(chosen).length > 0) await this.#context.savePlace(chosen);',
    replace: 'void chosen;',
  },
  { name: 'a lane that was restored is not read back', file: SINK, find: 'if (end > place.offset) moved.push(index);', replace: 'void moved;' },
  { name: 'the place moves over what is still noted', file: LANE, find: 'if (this.#passed) job.moved', replace: 'job.moved' },
  {
    name: 'the saver does not start again after a save',
    file: SAVER,
    find: '      this.#running = null;\n    }\n    this.kick();',
    replace: '    }\n    this.kick();',
  },
  {
    name: 'a lane that has waited is not queued again',
    file: LANES,
    find: 'lane.busy = false;\n    this.#enqueue(lane);',
    replace: 'this.#enqueue(lane);\n    lane.busy = false;',
  },
  {
    name: 'a full disk is never tried again',
    file: 'src/state/state-store.ts',
    find: 'await this.#reopen();',
    replace: 'this.#handle;',
  },
  {
    name: 'table versions taken as saved before they are',
    file: 'src/record/table.ts',
    find: 'this.#historyOf(table).push(table);',
    replace: 'void this.#historyOf;',
  },
  {
    name: 'what a dead client left behind is not waited out',
    file: SINK,
    find: 'await sleep(this.#context.runtime, this.#config.request.timeout, signal);',
    replace: 'void sleep;',
  },
  {
    name: 'a producer that was given up is not waited for',
    file: LANES,
    find: 'if (!driver.choosesIdentity) await driver.renewProducer(signal);',
    replace: '',
  },
];

/** Slips in what only a real server shows: the simulator has a source and a broker of its own. */
export const PLUGIN_SLIPS: readonly Mutation[] = [
  {
    name: '+1 on the LSN',
    file: 'connectors/postgres/log/session.ts',
    find: 'this.#service.acknowledge(formatLsn(this.#acknowledged - 1n), ask)',
    replace: 'this.#service.acknowledge(formatLsn(this.#acknowledged), ask)',
    matrix: ['sluice', 'postgres'],
  },
  {
    name: 'the stream begins behind the offset',
    file: 'connectors/postgres/log/session.ts',
    find: 'LOGICAL ${formatLsn(this.#options.start)} (',
    replace: 'LOGICAL ${formatLsn(this.#options.start + 4096n)} (',
    matrix: ['sluice', 'postgres'],
  },
];

/** The files of the fault matrix in which a slip is looked for. */
export function matrixFiles({ file, matrix }: Mutation): readonly string[] {
  if (matrix !== undefined) return matrix;
  if (file.startsWith('connectors/kafka/')) return ['sluice', 'kafka', 'network-kafka', 'kafka-cluster'];
  return file.startsWith('src/state/') ? ['sluice', 'state'] : ['sluice', 'network-nats', 'kafka', 'network-kafka'];
}

/** The text with the slip in it. Throws if its place is not to be found. */
export function mutated(text: string, { name, file, find, replace }: Mutation): string {
  const parts = text.split(find);
  if (parts.length !== 2) throw new Error(`"${name}": its text stands in ${file} ${parts.length - 1} times, not once`);
  return parts.join(replace);
}
