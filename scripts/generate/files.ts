import { notYet, sinks, sources } from '../../connectors/index.ts';
import { formats } from '../../src/formats/index.ts';
import { nativeEnvelopeSchema } from '../../src/formats/native/json-schema.ts';
import type { ErrorKind } from '../../src/plugin/error.ts';
import type { FindingKind } from '../../src/plugin/finding.ts';
import type { Registry } from '../../src/plugin/registry.ts';
import { configurationPage, type ErrorGroup, errorsPage } from './documentation.ts';
import { engineErrors, engineFindings } from './engine-errors.ts';
import { type FindingGroup, findingsPage } from './findings.ts';
import { connectorSchema, daemonSchema } from './json-schema.ts';
import { nativeSchemaPage } from './native-schema.ts';
import { httpApiPage, metricsPage, openApi } from './operating.ts';
import { type LoadedPlugins, loadPlugins } from './plugins.ts';

/** The plug-ins that Sluice is shipped with. */
export const registry: Registry = { sources, sinks, formats, notYet };

/** Path from the root of the repository → content, for every generated file. */
export async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
  const plugins = await loadPlugins(registry);
  const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;
  return new Map([
    ['config/schema/connector.schema.json', json(connectorSchema(plugins))],
    ['config/schema/sluice.schema.json', json(daemonSchema())],
    ['config/schema/native.schema.json', json(nativeEnvelopeSchema())],
    ['docs/configuration.md', configurationPage(plugins)],
    ['docs/native-schema.md', nativeSchemaPage()],
    ['config/schema/openapi.json', json(openApi())],
    ['docs/http-api.md', httpApiPage()],
    ['docs/metrics.md', metricsPage()],
    ['docs/findings.md', findingsPage([{ title: 'Of every connector', kinds: engineFindings }, ...pluginFindings(plugins)])],
    ['docs/errors.md', errorsPage([...engineErrors, ...pluginErrors(plugins)])],
  ]);
}

/** Kinds of the plug-ins, each listed once: by a plug-in that is source and sink, and by plug-ins that share theirs (systems that are read alike). */
export function pluginErrors({ source, sink }: LoadedPlugins): ErrorGroup[] {
  const groups = new Map<string, { types: string[]; kinds: Set<ErrorKind> }>();
  for (const type of new Set([...source, ...sink].map((plugin) => plugin.type))) {
    const kinds = new Set([...source, ...sink].filter((plugin) => plugin.type === type).flatMap(({ errors }) => errors));
    const codes = [...kinds].map(({ code }) => code).join(' ');
    const known = groups.get(codes);
    if (known === undefined) groups.set(codes, { types: [type], kinds });
    else known.types.push(type);
  }
  return [...groups.values()]
    .map(({ types, kinds }) => ({ title: `Plug-in ${types.join(', ')}`, kinds: [...kinds] }))
    .filter(({ kinds }) => kinds.length > 0);
}

/** The same of findings. */
export function pluginFindings({ source, format, sink }: LoadedPlugins): FindingGroup[] {
  const groups = new Map<string, { types: string[]; kinds: readonly FindingKind[] }>();
  for (const { type, findings = [] } of [...source, ...sink, ...format]) {
    const codes = findings.map(({ code }) => code).join(' ');
    const known = groups.get(codes);
    if (known === undefined) groups.set(codes, { types: [type], kinds: findings });
    else if (!known.types.includes(type)) known.types.push(type);
  }
  return [...groups.values()].filter(({ kinds }) => kinds.length > 0).map(({ types, kinds }) => ({ title: `Plug-in ${types.join(', ')}`, kinds }));
}
