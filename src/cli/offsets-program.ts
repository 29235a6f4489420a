import { type Command, Option } from 'commander';
import type { Registry } from '../plugin/registry.ts';
import { type Action, PATHS } from './action.ts';

interface OffsetsOptions {
  readonly connector?: string;
  readonly json?: boolean;
  readonly position?: string;
  readonly from?: 'sink' | 'slot';
  readonly file?: string;
  readonly yes?: boolean;
}

const load = (): Promise<typeof import('./offsets.ts')> => import('./offsets.ts');
const named = (options: OffsetsOptions): { connector?: string } => (options.connector === undefined ? {} : { connector: options.connector });

/** `sluice offsets …`: where connectors go on. */
export function addOffsets(program: Command, action: Action, registry: Registry): void {
  const offsets = program
    .command('offsets')
    .description('Show or change where connectors resume. Asks the running daemon; opens the data directory itself when none runs.')
    .addHelpText('after', '\nExamples:\n  $ sluice offsets show /etc/sluice\n  $ sluice offsets recover --connector shop --from slot /etc/sluice');
  offsets
    .command('show')
    .description('Show the stored offset of each connector.')
    .argument('[paths...]', PATHS)
    .option('--connector <name>', 'only one')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice offsets show /etc/sluice --json')
    .action((paths: string[], options: OffsetsOptions) =>
      action(options.json, async (output) => (await load()).offsetsCommand(paths, { verb: 'show', ...named(options) }, output, registry)),
    );
  offsets
    .command('set')
    .description(
      'Move a stopped connector to another position: changes between are sent again, or left out, on your word. Without --yes it only says which; what the server does not have any more is refused.',
    )
    .argument('[paths...]', PATHS)
    .requiredOption('--position <text>', 'where to resume, for Postgres an LSN')
    .option('--connector <name>', 'which one, if there are several')
    .option('--yes', 'do it: without this it is only said what would come of it')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice offsets set --connector shop --position 0/16B3748 --yes /etc/sluice')
    .action((paths: string[], options: OffsetsOptions) =>
      action(options.json, async (output) =>
        (await load()).offsetsCommand(
          paths,
          { verb: 'set', ...named(options), position: options.position ?? '', isDryRun: options.yes !== true },
          output,
          registry,
        ),
      ),
    );
  offsets
    .command('reset')
    .description(
      "Forget a stopped connector's offset: its next start is a first start, which is refused while the sink still holds output of the connector.",
    )
    .argument('[paths...]', PATHS)
    .option('--connector <name>', 'which one, if there are several')
    .option('--yes', 'do it: without this it is only said what would come of it')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice offsets reset --connector shop --yes /etc/sluice')
    .action((paths: string[], options: OffsetsOptions) =>
      action(options.json, async (output) =>
        (await load()).offsetsCommand(paths, { verb: 'reset', ...named(options), isDryRun: options.yes !== true }, output, registry),
      ),
    );
  addDocuments(offsets, action, registry);
  addRecover(offsets, action, registry);
}

function addRecover(offsets: Command, action: Action, registry: Registry): void {
  offsets
    .command('recover')
    .description(
      'When the data directory was lost or damaged: find where to resume in the sink or in the replication slot. Changes nothing on either server.',
    )
    .argument('[paths...]', PATHS)
    .addOption(
      new Option(
        '--from <place>',
        'slot: what the server holds as confirmed; sink: after the last message that stands there (NATS only: Kafka has no last one)',
      )
        .choices(['sink', 'slot'])
        .makeOptionMandatory(),
    )
    .option('--connector <name>', 'which one, if there are several')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice offsets recover --connector shop --from slot /etc/sluice')
    .action((paths: string[], options: OffsetsOptions) =>
      action(options.json, async (output) =>
        (await load()).offsetsCommand(paths, { verb: 'recover', ...named(options), from: options.from ?? 'slot' }, output, registry),
      ),
    );
}

function addDocuments(offsets: Command, action: Action, registry: Registry): void {
  offsets
    .command('export')
    .description('Print the stored offsets as a JSON document, to keep them or to take them to another data directory.')
    .argument('[paths...]', PATHS)
    .option('--connector <name>', 'only that of one')
    .option('--json', 'it is one JSON document anyway')
    .addHelpText('after', '\nExample:\n  $ sluice offsets export /etc/sluice > offsets.json')
    .action((paths: string[], options: OffsetsOptions) =>
      action(options.json, async (output) => (await load()).offsetsCommand(paths, { verb: 'export', ...named(options) }, output, registry)),
    );
  offsets
    .command('import')
    .description(
      'Take the offset of a stopped connector from such a document. Without --yes it only says what would come of it; what the server does not have any more is refused.',
    )
    .argument('[paths...]', PATHS)
    .requiredOption('--file <path>', 'what `offsets export` has printed')
    .option('--connector <name>', 'which one, if there are several')
    .option('--yes', 'do it: without this it is only said what would come of it')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice offsets import --file offsets.json --connector shop --yes /etc/sluice')
    .action((paths: string[], options: OffsetsOptions) =>
      action(options.json, async (output) => {
        const { offsetsCommand, readOffsets } = await load();
        const document = await readOffsets(options.file ?? '');
        return offsetsCommand(paths, { verb: 'import', ...named(options), document, isDryRun: options.yes !== true }, output, registry);
      }),
    );
}
