import { type Command, Option } from 'commander';
import type { Registry } from '../plugin/registry.ts';
import type { Action } from './action.ts';

interface InitOptions {
  readonly name?: string;
  readonly source?: string;
  readonly sink?: string;
  readonly table?: readonly string[];
  readonly set?: readonly string[];
  readonly offline?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ sluice init
  $ sluice init /etc/sluice
  $ sluice init --name shop --source postgres --set source.url=postgres://sluice@db.internal/shop --set 'source.password=\${env:SHOP_DB_PASSWORD}' \\
      --table 'public.*' --sink nats --set sink.servers=nats://nats.internal:4222 --set sink.stream=SHOP /etc/sluice`;

/** `sluice init`. */
export function addInit(program: Command, action: Action, registry: Registry): void {
  program
    .command('init')
    .description(
      'Write the file of a connector: asks a few questions, looks at the database, and says what is still to be done on the servers. Changes nothing there, and no file that is there already.',
    )
    .argument('[directory]', 'where connectors/NAME.json is written (default: the current directory)')
    .option('--name <name>', 'name of the connector: topics and subjects begin with it')
    .option('--source <type>', `one of ${Object.keys(registry.sources).join(', ')}`)
    .option('--sink <type>', `one of ${Object.keys(registry.sinks).join(', ')}`)
    .addOption(several('--table <pattern>', 'tables to capture; may be repeated'))
    .addOption(several('--set <option=value>', 'an option of the file, such as source.url=…; lists with commas; may be repeated'))
    .option('--offline', 'do not look at the servers')
    .option('--json', 'answer with one JSON document; what is not said by options is asked for all the same')
    .addHelpText('after', EXAMPLES)
    .action((directory: string | undefined, { name, source, sink, table, set, offline, json }: InitOptions) =>
      action(json, async (output) =>
        (await import('./init.ts')).initCommand(
          { directory: directory ?? '.', name, source, sink, tables: table ?? [], assignments: set ?? [], isOffline: offline === true },
          output,
          registry,
        ),
      ),
    );
}

function several(flags: string, about: string): Option {
  return new Option(flags, about).argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
}
