import { resolve, sep } from 'node:path';
import type { Field } from '../plugin/field.ts';
import { CONFIG_REACH } from './errors.ts';
import type { JsonNode } from './json.ts';
import type { FileProblems } from './problem.ts';

/** What a connector that came over the API may use of this machine, and what there is to do where it may not. */
export interface Reach {
  /** `kind`: that of a reference (`env`, `file`), `program`, or `address`. */
  allows(kind: string, name: string): boolean;
  advice(kind: string, name: string): string;
}

/** A host of the link: the addresses from which clouds hand out credentials to whoever asks on this machine (OWASP, "SSRF Prevention"). */
const LINK_LOCAL =
  /(?:^|[/@,])\[?(?:169\.254\.\d+\.\d+|fe[89ab][\da-f]:[\da-f:.]*|fd00:ec2:[\da-f:.]*|metadata(?:\.google\.internal)?)\]?(?=$|[:/,?#])/i;

/**
 * By `stored` of `sluice.json`. What is of a kind that is not known here is not allowed. Paths are compared as they are written: whoever may create connectors can make no links.
 */
export function storedReach({ env, files }: { readonly env: readonly string[]; readonly files: readonly string[] }): Reach {
  return {
    allows: (kind, name) => {
      if (kind === 'env') return env.some((pattern) => fits(pattern, name));
      if (kind === 'file') return files.some((directory) => resolve(name).startsWith(withSeparator(resolve(directory))));
      return kind === 'address' && !LINK_LOCAL.test(name);
    },
    advice: (kind, name) => {
      const where = 'Or put the connector into a file of the configuration directory.';
      if (kind === 'env') return `Add "${name}" to "stored.env" in sluice.json, and start the daemon anew. ${where}`;
      if (kind === 'file') return `Keep it in a directory that "stored.files" in sluice.json names, and start the daemon anew. ${where}`;
      return 'Put the connector into a file of the configuration directory.';
    },
  };
}

function fits(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|/-]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}

function withSeparator(directory: string): string {
  return directory.endsWith(sep) ? directory : directory + sep;
}

/** False after an error was added: the value names what the file may not reach. */
export function checkReach(
  field: Field,
  value: string,
  node: JsonNode,
  path: string,
  within: { readonly reach?: Reach; readonly problems: FileProblems },
): boolean {
  const { reach, problems } = within;
  if (reach === undefined) return true;
  const isText = field.reaches === 'file' && value.includes('-----BEGIN ');
  const kind = field.reaches ?? 'address';
  if (isText || reach.allows(kind, value)) return true;
  const what = { program: 'a program', file: 'that file', address: 'an address of the link itself' }[kind];
  problems.add(path, node, CONFIG_REACH, { what, advice: reach.advice(kind, value) });
  return false;
}
